"""The rules in force, as `waybill.rules` has them, and what workers say of them; followed while a desk serves.

The desk takes the newest set that it can use, as a worker does. Before the first one, and where the topic cannot be
read, it has the rule files of its own machine, and says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from desk.log import Client
from rules.engine.catalogue import Catalogue
from schemas import topics
from schemas.refusals import UNREADABLE
from schemas.rulesets import Ack, Held, RuleSet
from streams.kafka.errors import ClientError
from streams.kafka.log_reader import Entry, LogReader
from streams.rulesets.board import Board
from streams.rulesets.reading import Sets, Standing, standing
from streams.settings import Settings

log = logging.getLogger(__name__)

FIRST_S: Final = 10.0
"""So long a desk waits for the topic before it serves with its own files."""
_POLL_S: Final = 0.5
_AGAIN_S: Final = 5.0
_MEMBERS_S: Final = 10.0  # how often it asks which workers there are
_ack = msgspec.json.Decoder(Ack)


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules in force.

    standing  how it stands with the sets on the topic; None: it was not read; `trouble` says why, if it was tried.
    sets      that were pushed and are kept, the newest first.
    workers   what each worker of the group that runs has said last, by instance.
    """

    catalogue: Catalogue
    standing: Standing | None = None
    sets: tuple[RuleSet, ...] = ()
    workers: tuple[Ack, ...] = ()
    trouble: str = ""

    @property
    def pushed(self) -> RuleSet | None:
        """The set that is in force here."""
        number = 0 if self.standing is None else self.standing.in_force
        return next((each for each in self.sets if each.number == number), None)

    @property
    def held(self) -> dict[str, list[tuple[str, Held]]]:
        """By rule, which workers hold it back, and why."""
        found: dict[str, list[tuple[str, Held]]] = {}
        for worker in self.workers:
            for each in worker.held:
                found.setdefault(each.rule, []).append((worker.instance, each))
        return found


class Rulebook:
    """Follows the topic on a thread of its own, unless the setting rules_from says files. Threads share it."""

    def __init__(self, servers: str, client: Client, settings: Settings, files: Catalogue) -> None:
        self.in_force = InForce(files)
        self._servers, self._client, self._settings, self._files = servers, client, settings, files
        self._board = Board(servers, client, settings.group)
        self._first, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def start(self) -> None:
        """Begin, and wait until the topic has been read, or cannot be."""
        if self._settings.rules_from == "topic":
            self._thread.start()
            self._first.wait(FIRST_S)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except ClientError as error:
                log.warning("%s", error)
                self.in_force = replace(self.in_force, trouble=str(error))
                self._first.set()
                self._stopping.wait(_AGAIN_S)

    def _follow(self) -> None:
        sets, acks, asked_at = Sets(), dict[str, Ack](), time.monotonic()
        with LogReader(self._servers, (topics.RULES, topics.RULE_ACKS), client=self._client) as reader:
            self._take(reader.to_end(), sets, acks)
            found = standing(sets, self._settings)
            self._note(sets, found, acks)
            self._first.set()
            while not self._stopping.is_set():
                entries = reader.poll(_POLL_S)
                if self._take(entries, sets, acks):
                    found = standing(sets, self._settings)
                if entries or time.monotonic() > asked_at + _MEMBERS_S:
                    self._note(sets, found, acks)
                    asked_at = time.monotonic()

    def _take(self, entries: Iterable[Entry], sets: Sets, acks: dict[str, Ack]) -> bool:
        """Add records; whether sets have changed."""
        news = False
        for entry in entries:
            if entry.topic == topics.RULES:
                sets.add(entry.key, entry.value)
                news = True
                continue
            try:
                said = _ack.decode(entry.value or b"")
            except UNREADABLE:
                continue  # of another version
            if said.group == self._settings.group:
                acks[said.instance] = said
        return news

    def _note(self, sets: Sets, found: Standing, acks: Mapping[str, Ack]) -> None:
        members = self._members(acks)
        pushed = [each for number in sets.newest() if isinstance(each := sets.kept[number], RuleSet)]
        workers = [acks[name] for name in sorted(acks) if name in members]
        self.in_force = InForce(found.catalogue or self._files, found, tuple(pushed), tuple(workers))

    def _members(self, acks: Mapping[str, Ack]) -> Collection[str]:
        """The workers that run, of those that have said something; where the broker does not say, all of these."""
        try:
            return self._board.members() if acks else ()
        except ClientError as error:
            log.debug("%s", error)
            return acks.keys()
