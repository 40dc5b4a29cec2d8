"""What is hurt: a broker of its own and worker processes, and how each fault is done to them and mended."""

from __future__ import annotations

import heapq
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from streams.ops.broker.errors import BrokerError
from streams.ops.broker.private import PrivateKafka
from tests.chaos.schedule import SESSION_S, Fault
from tests.chaos.slot import STOPPED_S, Settings, Slot
from tests.hurt import damage
from tests.waiting import PATIENCE_S
from tests.workers import READY, Process

# How long a member of KIP-848 may be silent is the broker's to say.
OF_BROKER = {
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(int(SESSION_S * 1_000)),
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": str(int(SESSION_S * 250)),
}
JOINS_AFTER = 0.1  # of a fault: another worker, which takes away what is being restored
STUTTER_S = (0.01, 0.05)  # a broker that stutters runs, then stands, for so long at a time
_LOOK_EVERY_S = 0.5
_TERMINATED = 128 + signal.SIGTERM  # of a worker that was not up yet
BACK_OFF_S = 1.0  # before a worker that ended by itself is started anew, as a supervisor would
Say = Callable[[str], None]


class Cluster:
    """The broker and the workers. `tend` is to be called all the time; it raises nothing, `wrong` says what was."""

    def __init__(self, folder: Path, *, slots: int, partitions: int, settings: Sequence[Settings], say: Say) -> None:
        self.folder = folder
        self.partitions = partitions
        self.ended: Counter[str] = Counter()  # why workers ended by themselves
        self.wrong: list[str] = []
        self.harmed: set[Path] = set()  # state folders that were damaged, which shows when they are read
        self.kafka = PrivateKafka(folder / "kafka", settings=OF_BROKER, heap_mb=400)
        self.slots: list[Slot] = []
        self._count = slots
        self._settings = settings
        self._say = say
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._stopping: list[tuple[float, Slot, Process]] = []
        self._ousted: list[tuple[Slot, Process]] = []  # must see for themselves that they have to end
        self._looked_at = 0.0
        self._broker = ThreadPoolExecutor(1, thread_name_prefix="broker")
        self._broker_work: Future[None] | None = None
        self._extra = 0
        self._takeovers = 0
        self._serial = 0

    @property
    def servers(self) -> str:
        """Bootstrap servers."""
        return self.kafka.bootstrap_servers

    def begin(self) -> None:
        """Start all workers."""
        for number in range(self._count):
            self._join(str(number), self._settings[number])

    def close(self) -> None:
        """End everything at once."""
        for slot in self.slots:
            slot.end()
        for process in (*(each[-1] for each in self._stopping), *(each[-1] for each in self._ousted)):
            process.kill()
            process.wait(PATIENCE_S)
        self._broker.shutdown(wait=True)
        self.kafka.stop()

    # Faults

    def inflict(self, fault: Fault) -> None:
        """Begin a fault; what mends it is done by `tend` when it is due."""
        slot = self.slots[fault.slot] if fault.slot >= 0 else self.slots[0]
        back = time.monotonic() + fault.hold_s
        match fault.kind:
            case "kill" | "wipe" | "damage" | "clock":
                slot.end()
                self._hurt(slot, fault)
                slot.due_at = back
            case "delete":
                shutil.rmtree(slot.state, ignore_errors=True)
                self._at(back, slot.end)
            case "revoke in restore":
                slot.end()
                shutil.rmtree(slot.state, ignore_errors=True)
                slot.due_at = 0.0
                self._at(back - (1 - JOINS_AFTER) * fault.hold_s, lambda: self._visit(back))
                self._broker_work = self._broker.submit(self._stutter, back)
            case "kill in commit":
                self._broker_work = self._broker.submit(self._stutter, back, slot)
            case "kill all":
                for each in self.slots[: self._count]:
                    each.send(signal.SIGKILL)
                for each in self.slots[: self._count]:
                    each.end()
                    each.due_at = back
            case "alone":
                for each in self.slots[: self._count]:
                    if each is not slot:
                        self._terminate(each)
                        each.due_at = back
            case "stop" | "scale down":
                self._terminate(slot)
                slot.due_at = back
            case "short pause" | "long pause":
                slot.send(signal.SIGSTOP)
                self._at(back, lambda: slot.send(signal.SIGCONT))
            case "scale up":
                self._visit(back)
            case "takeover":
                self._take_over(slot, back)
            case "broker stop":
                self._broker_work = self._broker.submit(self._bounce, self.kafka.stop, back)
            case "broker kill":
                self._broker_work = self._broker.submit(self._bounce, self.kafka.kill, back)

    @property
    def whole(self) -> bool:
        """No fault is under way, and every worker that should run does."""
        broker_busy = self._broker_work is not None and not self._broker_work.done()
        running = all(slot.alive for slot in self.slots if slot.wanted)
        return running and not broker_busy and not (self._later or self._stopping or self._ousted)

    def tend(self) -> None:
        """Do what is due: mend faults, start workers that are to run, note how they ended."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        self._look_for_successors(now)
        for deadline, slot, process in list(self._stopping):
            code = process.poll()
            if code is None and now > deadline:
                self.wrong.append(f"worker {slot.name} did not end within {STOPPED_S:.0f} s: {slot.log}")
                process.send_signal(signal.SIGABRT)  # writes into its log where it hangs
                code = process.wait(PATIENCE_S)
            if code is not None:
                self._stopping.remove((deadline, slot, process))
                if code > 0 and code != _TERMINATED:  # less: killed just now
                    self._note(slot, "after SIGTERM: ")
        busy = {id(slot) for _, slot, _ in self._stopping}
        for slot in self.slots:
            if slot.process is not None and not slot.alive:
                slot.take()
                if not slot.killed:
                    self._note(slot)
                    slot.due_at = now + BACK_OFF_S
                slot.killed = False
            if slot.wanted and slot.process is None and now >= slot.due_at and id(slot) not in busy:
                slot.start()
        if self._broker_work is not None and self._broker_work.done():
            error, self._broker_work = self._broker_work.exception(), None
            if error is not None:
                self.wrong.append(f"the broker did not come back: {error}")

    def stop(self) -> None:
        """SIGTERM to all workers; returns when they have ended."""
        for slot in self.slots:
            slot.wanted = False
            self._terminate(slot)
        while self._stopping:
            self.tend()
            time.sleep(0.05)

    # Parts of them

    def _join(self, name: str, settings: Settings) -> Slot:
        slot = Slot(self.servers, self.folder / f"worker-{name}", name, settings)
        slot.wanted = True
        slot.start()
        self.slots.append(slot)
        return slot

    def _visit(self, until: float) -> None:
        """Another worker for a while."""
        self._extra += 1
        extra = self._join(f"extra-{self._extra}", self._settings[0])
        self._at(until, lambda: self._leave(extra))

    def _hurt(self, slot: Slot, fault: Fault) -> None:
        """What is done to a worker that was killed, before it is started anew."""
        match fault.kind:
            case "wipe":
                shutil.rmtree(slot.state, ignore_errors=True)
            case "damage":
                if damage(slot.state, random.Random(fault.at_s)):
                    self.harmed.add(slot.state)
            case "clock":
                slot.jumps = not slot.jumps

    def _leave(self, slot: Slot) -> None:
        slot.wanted = False
        self._terminate(slot)

    def _terminate(self, slot: Slot) -> None:
        process = slot.give_up()
        if process is not None and process.poll() is None:
            process.terminate()
            self._stopping.append((time.monotonic() + STOPPED_S, slot, process))

    def _take_over(self, slot: Slot, back: float) -> None:
        """A second process under the same name, on an empty folder, while the first hangs and does not know."""
        old = slot.give_up()
        if old is None or old.poll() is not None:
            return
        old.send_signal(signal.SIGSTOP)
        self._takeovers += 1
        folder = slot.folder.with_name(f"worker-{slot.name}-again-{self._takeovers}")
        new = Slot(self.servers, folder, slot.name, self._settings[int(slot.name)])
        new.wanted = True
        self.slots[self.slots.index(slot)] = new
        new.start()

        def wake() -> None:
            old.send_signal(signal.SIGCONT)
            self._ousted.append((slot, old))

        self._at(back, wake)

    def _look_for_successors(self, now: float) -> None:
        """Who was ousted has to end once another is at work in its place: until then its place is its own."""
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        for slot, process in list(self._ousted):
            at_work = any(each.name == slot.name and each.says(READY) for each in self.slots)
            if at_work or process.poll() is not None:
                self._ousted.remove((slot, process))
                self._stopping.append((now + STOPPED_S, slot, process))

    def _stutter(self, until: float, slot: Slot | None = None) -> None:
        """Let the broker stutter, then kill the worker, if any, while the broker stands."""
        try:
            while time.monotonic() < until:
                self._signal_broker(signal.SIGCONT)
                time.sleep(STUTTER_S[0])
                self._signal_broker(signal.SIGSTOP)
                time.sleep(STUTTER_S[1])
            if slot is not None:
                slot.killed = True
                slot.send(signal.SIGKILL)
        finally:
            self._signal_broker(signal.SIGCONT)

    def _signal_broker(self, number: signal.Signals) -> None:
        with suppress(BrokerError, ProcessLookupError):  # it is down itself
            os.kill(self.kafka.pid, number)

    def _bounce(self, down: Callable[[], None], back: float) -> None:
        down()
        time.sleep(max(back - time.monotonic(), 0))
        self.kafka.start()

    def _at(self, when: float, worker: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._later, (when, self._serial, worker))

    def _note(self, slot: Slot, when: str = "") -> None:
        """Count why a worker ended by itself; a fault of its own is wrong whatever follows."""
        words = slot.last_words()
        self._say(f"          worker {slot.name} ended: {words}")
        self.ended[when + re.sub(r"\d[\d,.]*", "N", words)] += 1
        if "unexpected" in words or words == "nothing said":
            self.wrong.append(f"worker {slot.name} ended by a fault of its own: {words}: {slot.log}")
