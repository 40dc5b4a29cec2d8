"""The name of a worker among those that share a state folder: the setting `instance`, locked.

An instance is a static member of the group, a transactional id and a folder of state. So two workers must never have
the same name at a time, and a worker that replaces another should take over its name and its folder. Containers of one
service have the same settings and random host names, but they share a volume: with `auto`, each takes the lowest number
that is free there. The operating system releases the lock when its process dies, however it dies; a process that is
only stopped keeps it. A name that is given is locked as well, so a second worker of that name is refused.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

from schemas.errors import WaybillError
from streams.settings import Settings

AUTO = "auto"

_FOLDER = ".locks"  # no instance can be called so


class InstanceError(WaybillError):
    """No name can be locked; the message names the folder and says why."""


def open_ended(instance: str) -> bool:
    """Whether this code chooses the number: `auto`, or `NAME-auto`."""
    return instance.split("-")[-1] == AUTO


def claimed(settings: Settings) -> Settings:
    """The settings with a name that is locked: 0, 1, … for `auto`, NAME-0, NAME-1, … for `NAME-auto`; else as given.

    The lock holds until this process ends. Raises InstanceError if another process runs under the name that is given,
    before this one takes its place in the group; and for `auto` if the state folder cannot be locked.
    """
    folder = settings.state_dir / settings.group / _FOLDER
    if not open_ended(settings.instance):
        with suppress(OSError):  # opening the state reports a folder that cannot be used
            if not _lock(folder, settings.instance):
                raise InstanceError(
                    f"instance {settings.instance} runs already, with its state in {folder.parent}; "
                    "give each worker an `instance` of its own, or `auto`"
                )
        return settings
    prefix = settings.instance.removesuffix(AUTO)
    try:
        free = next(number for number in count() if _lock(folder, f"{prefix}{number}"))
    except OSError as error:
        raise InstanceError(f"state_dir {folder}: {error.strerror}; or name the worker with `instance`") from error
    return settings.model_copy(update={"instance": f"{prefix}{free}"})


def _lock(folder: Path, name: str) -> bool:
    """Take a name for as long as this process lives; False if another process has it. Raises OSError."""
    folder.parents[1].mkdir(0o700, parents=True, exist_ok=True)  # state_dir: histories of persons are private
    folder.mkdir(parents=True, exist_ok=True)
    # A bare descriptor, so that nothing closes it early: the system closes it, and so releases the lock.
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return False
        raise
    return True
