"""Slots: which of the workers that share a state folder this one is, where its setting `instance` leaves that open.

A slot is a static member of the group, a transactional id and a folder of state, so two workers may never have the same
one at a time, and one that takes the place of another should have what that left behind. Containers of one service have
the same settings and names that mean nothing; what they share is a volume. There each takes the lowest number that no
one holds. The operating system takes a lock from its holder with its death, whatever that was; a worker that is merely
stopped keeps it. A name that is given is locked as well, so that a second worker of that name is refused.
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

_FOLDER = ".slots"  # no instance can be called so


class SlotError(WaybillError):
    """No slot can be had; the message names the folder and why."""


def open_ended(instance: str) -> bool:
    """Whether `instance` leaves the number to us: `auto`, or `NAME-auto`."""
    return instance.split("-")[-1] == AUTO


def claimed(settings: Settings) -> Settings:
    """The settings with an instance of our own: 0, 1, … for `auto`, NAME-0, NAME-1, … for `NAME-auto`; else as given.

    It is ours until this process ends. Raises SlotError when another process has the one that is given, before that one
    would lose its place in the group to us; and for `auto` when the state folder takes no lock.
    """
    folder = settings.state_dir / settings.group / _FOLDER
    if not open_ended(settings.instance):
        with suppress(OSError):  # a folder that cannot be had is told of where the state is opened
            if not _lock(folder, settings.instance):
                raise SlotError(
                    f"instance {settings.instance} runs already, with its state in {folder.parent}; "
                    "give each worker an `instance` of its own, or `auto`"
                )
        return settings
    prefix = settings.instance.removesuffix(AUTO)
    try:
        free = next(number for number in count() if _lock(folder, f"{prefix}{number}"))
    except OSError as error:
        raise SlotError(f"state_dir {folder}: {error.strerror}; or name the worker with `instance`") from error
    return settings.model_copy(update={"instance": f"{prefix}{free}"})


def _lock(folder: Path, name: str) -> bool:
    """Take a name for as long as this process lives; False if another process has it. Raises OSError."""
    folder.parents[1].mkdir(0o700, parents=True, exist_ok=True)  # state_dir: history by person is for nobody else
    folder.mkdir(parents=True, exist_ok=True)
    # A bare descriptor, as nobody is to close it: the system does, and lets the lock go.
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return False
        raise
    return True
