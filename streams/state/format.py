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
