"""Slots: which of the workers that share a state folder this one is, where its setting `instance` leaves that open.

A slot is a static member of the group, a transactional id and a folder of state, so two workers may never have the same
one at a time, and one that takes the place of another should have what that left behind. Containers of one service have
the same settings and names that mean nothing; what they share is a volume. There each takes the lowest number that no
one holds. The operating system takes a lock from its holder with its death, whatever that was; a worker that is merely
stopped keeps it.
"""

from __future__ import annotations

import fcntl
from itertools import count
from typing import BinaryIO

from streams.settings import Settings

AUTO = "auto"

_FOLDER = ".slots"  # no instance can be called so
_held: list[BinaryIO] = []  # open for as long as the process lives, and so locked


class SlotError(RuntimeError):
    """No slot can be had; the message names the folder and why."""


def open_ended(instance: str) -> bool:
    """Whether `instance` leaves the number to us: `auto`, or `NAME-auto`."""
    return instance.split("-")[-1] == AUTO


def claimed(settings: Settings) -> Settings:
    """The settings with an instance of our own: 0, 1, … for `auto`, NAME-0, NAME-1, … for `NAME-auto`; else as given.

    It is ours until this process ends. Raises SlotError when the state folder takes no lock.
    """
    if not open_ended(settings.instance):
        return settings
    folder = settings.state_dir / settings.group / _FOLDER
    prefix = settings.instance.removesuffix(AUTO)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in count():
            file = (folder / f"{prefix}{number}").open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return settings.model_copy(update={"instance": f"{prefix}{number}"})
    except OSError as error:
        raise SlotError(f"state_dir {folder}: {error.strerror}; or name the worker with `instance`") from error
    raise AssertionError  # counting has no end
