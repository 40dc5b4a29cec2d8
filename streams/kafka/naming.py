"""Names of groups and transactional ids. Each begins with the setting `group`, so that nobody else's need be allowed.

    GROUP               workers                              GROUP-INSTANCE       each of them
    GROUP.tracer…       tracers                              GROUP.tracer…-NAME   each of them
    GROUP.webhook       the webhook                          GROUP.dispatcher     of which one runs at a time
    GROUP.analyst-NAME  an analyst's own consumer            GROUP.desk-ID, GROUP.clues-ID, GROUP.door-ID
                                                             GROUP.rules, GROUP.grow, GROUP.load

No worker has a name with a dot behind the group: a dash comes before an instance.
"""

from __future__ import annotations

from typing import Literal

from streams.settings_forms import GROUP

__all__ = ["GROUP", "Process", "of", "one_of", "worker"]
Process = Literal["tracer", "door", "dispatcher", "desk", "clues", "webhook", "analyst", "rules", "grow", "load"]


def worker(group: str, instance: str) -> str:
    """What a worker is called among the members, by which those who ask the group know it; its transactional id too."""
    return f"{group}-{instance}"


def of(group: str, process: Process) -> str:
    """The group of a process beside the workers, or the transactional id of one of which one runs at a time."""
    return f"{group}.{process}"


def one_of(group: str, process: Process, name: str) -> str:
    """The transactional id of one of several, or the group of one of several readers."""
    return f"{of(group, process)}-{name}"
