"""The versions of stored values and of internal messages: the first byte of each."""

from typing import Final

FORMAT: Final = 11
"""Of stored values. How to raise it is in CONTRIBUTING.md, “Raise the format”."""
OLDEST: Final = 10
"""The oldest format of stored values that is read."""
UPGRADED: Final = b"\x00upgraded"
"""The key under which a partition says, by the format of the value, that it holds nothing of an earlier one."""
MESSAGES: Final = 10
"""Of messages between the agents, as they are written: workers of the version before must be able to read it."""
MESSAGES_READ: Final = (10, 11)
"""The versions that are read. 11 has the same layouts: messages had the number of stored values then."""


def refused(number: int) -> str:
    """Why a value of another format is not read, and what to do."""
    said = f"holds state of format {number or 'none'}, and this version reads {OLDEST} to {FORMAT}: "
    if number > FORMAT:
        said += "a newer version has written it, and takes it over from here; there is no way back to this one"
    else:
        said += "first run a version between, which reads that format, until its waybill_state_older_partitions is 0"
    return f"{said} (docs/upgrading.md)"
