"""Rule sets without a broker: what can be used, what is gone back to, and a worker that exchanges its rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from rules.engine.catalogue import load_files
from rules.engine.folder import SHIPPED, read_files
from schemas import topics
from schemas.records import Shipment
from schemas.rulesets import SETS_KEPT, Ack, RuleSet, ack_key, set_key, set_number
from streams.files.checking import Checked, check
from streams.flow.batches import Batch
from streams.kafka.global_table import GlobalTable
from streams.ops.doctor import broker as doctor
from streams.rulesets import pushing
from streams.rulesets.board import Acker, Board, _records
from streams.rulesets.reading import Sets, Source, Standing, standing
from streams.settings import Settings
from streams.worker.rules import RuleSetError
from tests.runs import catalogue, difference, open_alerts, run
from tests.schemas.samples import SHIPMENT
from tests.workbench import Workbench, newest_open, workbench
from tests.worlds import DAY, START, world

FILES = {rule_id: data.decode() for rule_id, data in read_files(SHIPPED).items()}
PLAIN = {name: text for name, text in FILES.items() if name.startswith(("route.", "goods."))}
SETTINGS = Settings()


def pushed(number: int, files: dict[str, str], **more: Any) -> RuleSet:
    loaded = load_files({name: text.encode() for name, text in files.items()}, folder=Path("x")) if files else None
    return RuleSet(number=number, fingerprint=loaded.fingerprint if loaded else "", at=number, files=files, **more)


def broken(number: int) -> RuleSet:
    text = FILES["route.priority_lane"].replace("points: 15", "points: many")
    return RuleSet(number=number, fingerprint="f" * 16, at=0, files={"route.priority_lane": text})


def sets(*found: RuleSet) -> Sets:
    all_of_them = Sets()
    for each in found:
        all_of_them.add(set_key(each.number), msgspec.json.encode(each))
    return all_of_them


# What can be used


def test_keys_of_sets_are_told_from_rule_ids() -> None:
    assert set_number(set_key(12)) == 12
    assert [set_number(key) for key in (b"goods.set", b"set:", b"set:x", b"\xff", b"set:\xd9\xa1")] == [None] * 5
    assert sorted([set_key(9), set_key(10)]) == [set_key(9), set_key(10)]


def test_the_newest_set_that_loads_is_in_force() -> None:
    found = standing(sets(pushed(1, FILES), pushed(2, PLAIN)), SETTINGS)
    assert (found.newest, found.in_force, found.reason) == (2, 2, "")
    assert found.catalogue is not None
    assert [rule.id for rule in found.catalogue.rules] == sorted(PLAIN)
    assert found.pushed == found.catalogue.fingerprint


def test_a_set_that_does_not_load_leaves_the_one_before_in_force_and_names_file_and_field() -> None:
    found = standing(sets(pushed(1, PLAIN), broken(2)), SETTINGS)
    assert (found.newest, found.in_force) == (2, 1)
    assert "waybill.rules set 2/route/priority_lane.yaml: points: Expected `int`" in found.reason


@pytest.mark.parametrize(
    ("value", "why"),
    [(b"{", "truncated"), (b"\xff", "invalid"), (msgspec.json.encode(pushed(7, PLAIN)), "says that it is set 7")],
)
def test_a_record_that_is_no_set_is_refused_like_one(value: bytes, why: str) -> None:
    found = sets(pushed(1, PLAIN))
    found.add(set_key(2), value)
    stands = standing(found, SETTINGS)
    assert (stands.newest, stands.in_force) == (2, 1)
    assert why in stands.reason


def test_overrides_of_this_worker_may_refuse_a_set() -> None:
    settings = Settings(rule_overrides={"sender.velocity": {"points": 3}})
    assert standing(sets(pushed(1, FILES)), settings).in_force == 1
    found = standing(sets(pushed(1, FILES), pushed(2, PLAIN)), settings)
    assert (found.in_force, found.reason) == (1, "overrides: sender.velocity: no such rule")
    assert found.catalogue is not None
    assert found.catalogue.fingerprint != found.pushed


def test_a_set_without_files_stands_for_those_of_the_worker(tmp_path: Path) -> None:
    found = standing(sets(pushed(1, PLAIN), pushed(2, {})), SETTINGS)
    assert found.in_force == 2
    assert found.catalogue is not None
    assert found.catalogue.fingerprint == catalogue().fingerprint


def test_where_no_set_loads_there_is_no_catalogue() -> None:
    found = standing(sets(broken(1), broken(2)), SETTINGS)
    assert (found.newest, found.in_force, found.catalogue) == (2, 0, None)
    assert "set 2/" in found.reason


def test_a_set_is_compiled_once_and_forgotten_with_its_tombstone() -> None:
    source = Source(SETTINGS)

    def take(*records: tuple[bytes, bytes | None]) -> Standing:
        keys, values = [key for key, _ in records], [value for _, value in records]
        source.add(Batch(topics.RULES, 0, range(len(keys)), values, [0] * len(keys), keys=keys))
        return source.build()

    first = take((b"route.priority_lane", b"not read"), (set_key(1), msgspec.json.encode(pushed(1, PLAIN))))
    again = take((set_key(2), msgspec.json.encode(broken(2))))
    assert again.catalogue is first.catalogue
    assert take((set_key(2), None)) == first
    assert take((set_key(1), None)) == Standing()


class Held(Board):
    """A topic with these sets."""

    def __init__(self, found: Sets) -> None:
        super().__init__("", {}, "g")
        object.__setattr__(self, "found", found)

    def sets(self) -> Sets:
        """As the real one."""
        return cast(Sets, cast(Any, self).found)


@pytest.mark.parametrize(
    ("found", "given", "status", "says"),
    [
        ((), {}, "OK", "none was pushed: in force are rule files"),
        ((pushed(1, PLAIN),), {}, "OK", "in force is set 1"),
        ((pushed(1, PLAIN),), {"rules_from": "files"}, "OK", "as the setting rules_from says"),
        ((pushed(1, PLAIN), broken(2)), {}, "WARN", "priority_lane.yaml: points"),
        ((broken(2),), {}, "FAIL", "priority_lane.yaml: points"),
    ],
)
def test_the_doctor_says_which_rules_are_in_force(
    found: tuple[RuleSet, ...], given: dict[str, str], status: str, says: str
) -> None:
    finding = doctor._rules(Settings(**cast(Any, given)), Held(sets(*found)))
    assert (finding.status, says in finding.says) == (status, True)
    assert bool(finding.advice) == (status != "OK")


# What is pushed, and what is gone back to


def copied(folder: Path, **changes: tuple[str, str]) -> Path:
    """The rules of route and goods, changed by replacing."""
    for name, text in PLAIN.items():
        path = folder / f"{name.replace('.', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        old, new = changes.get(name.replace(".", "__"), ("", ""))
        assert old in text
        path.write_text(text.replace(old, new) if old else text)
    return folder


def test_a_folder_that_is_well_may_be_pushed(tmp_path: Path) -> None:
    checked = check(copied(tmp_path), SETTINGS)
    assert checked.passed
    assert checked.files == PLAIN
    assert checked.fingerprint == pushed(1, PLAIN).fingerprint
    assert len(checked.played) > len(PLAIN)


def test_what_lint_or_a_case_finds_keeps_a_folder_from_being_pushed(tmp_path: Path) -> None:
    lane = {"route__priority_lane": ("points: 15", "points: many")}
    bad = check(copied(tmp_path / "a", **lane), SETTINGS)
    assert (bad.passed, bad.report.count("error"), bad.played) == (False, 1, ())
    lane = {"route__priority_lane": ("when: ", "when: not ")}
    wrong = check(copied(tmp_path / "b", **lane), SETTINGS)
    assert not wrong.passed
    assert {outcome.rule for outcome in wrong.failed} == {"route.priority_lane"}
    unknown = Settings(rule_overrides={"sender.velocity": {"points": 3}})
    assert not check(copied(tmp_path / "c"), unknown).passed


class Written(Board):
    """Stands for Kafka."""

    def publish(self, make: Any) -> RuleSet:
        """As the real one."""
        made: RuleSet = make(HELD)
        HELD.add(set_key(made.number), msgspec.json.encode(made))
        return made


HELD = Sets()
OTHER = {**PLAIN, "route.priority_lane": PLAIN["route.priority_lane"].replace("points: 15", "points: 16")}
A, B, C = PLAIN, OTHER, FILES


@pytest.mark.parametrize(
    ("history", "ends"),
    [
        ("A <", [{}]),
        ("A B <", [A]),
        ("A B < <", [A, {}]),
        ("A B C < <", [B, A]),
        ("A B < C <", [A, A]),
        ("A B < C < <", [A, A, {}]),
        ("A < B <", [{}, {}]),
        ("A A B <", [A]),
    ],
)
def test_going_back(history: str, ends: list[dict[str, str]]) -> None:
    """`<` goes back; ends: what is in force after each."""
    HELD.kept.clear()
    board, found = Written("", {}, "g"), []
    for step in history.split():
        if step == "<":
            made = pushing.rollback(board, None, "")
            assert made.number == max(HELD.kept)
            found.append(made.files)
        else:
            files = {"A": A, "B": B, "C": C}[step]
            checked = Checked(files, cast(Any, None), pushed(1, files).fingerprint)
            pushing.push(board, checked, "")
    assert found == ends


def test_what_cannot_be_gone_back_to() -> None:
    with pytest.raises(pushing.PushError, match="no set was pushed"):
        pushing.earlier(Sets(), None)
    with pytest.raises(pushing.PushError, match="are those of files; name the set"):
        pushing.earlier(sets(pushed(1, A), pushed(2, {})), None)
    with pytest.raises(pushing.PushError, match="not kept any more"):
        pushing.earlier(sets(pushed(5, A)), None)
    with pytest.raises(pushing.PushError, match="abc: no set"):
        pushing.earlier(sets(pushed(1, A)), "abc")


def test_a_set_is_found_by_its_fingerprint() -> None:
    kept = sets(pushed(1, A), pushed(2, B), pushed(3, A, restores=1), pushed(4, C))
    found = pushing.earlier(kept, pushed(1, A).fingerprint[:7])
    assert found is not None
    assert found.files == A
    assert pushing.earlier(kept, "files") is None


def test_a_push_writes_every_rule_by_itself_and_keeps_the_newest_sets() -> None:
    before = sets(*(pushed(number, C) for number in range(1, SETS_KEPT + 1)))
    written = dict(_records(before, pushed(SETS_KEPT + 1, A)))
    assert {key.decode(): value.decode() for key, value in written.items() if value and set_number(key) is None} == A
    gone = {key.decode() for key, value in written.items() if value is None}
    assert gone == (C.keys() - A.keys()) | {set_key(1).decode()}
    assert list(written)[-2:] == [set_key(SETS_KEPT + 1), set_key(1)]


# Who has taken it


class Said(Board):
    """A group whose workers say something new each time it is asked."""

    def __init__(self, *steps: dict[str, Ack | None]) -> None:
        super().__init__("", {}, "g")
        object.__setattr__(self, "steps", list(steps))

    def members(self) -> set[str]:
        """Those of the step at hand."""
        return set(cast(Any, self).steps[0])

    def acks(self) -> dict[str, Ack]:
        """What they have said; goes on to the next step."""
        steps = cast(Any, self).steps
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        return {name: ack for name, ack in step.items() if ack is not None}


def said(newest: int, in_force: int, **more: Any) -> Ack:
    return Ack(group="g", instance="w", newest=newest, in_force=in_force, fingerprint="", at=0, **more)


def test_push_waits_for_all_members_and_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "_ASK_S", 0.0)
    seen: list[Ack] = []
    board = Said(
        {"0": None, "1": said(1, 1), "gone": None},
        {"0": said(2, 2), "1": said(1, 1)},
        {"0": said(2, 2), "1": said(2, 1)},
    )
    taken = pushing.wait(board, 2, 5.0, seen.append)
    assert [ack.in_force for ack in seen] == [2, 1]
    assert not taken.missing
    assert [ack.in_force for ack in taken.refused] == [1]
    assert pushing.wait(Said({}), 2, 5.0, seen.append).by_all
    assert pushing.wait(Said({"0": said(1, 1)}), 2, 0.0, seen.append).missing == {"0"}
    deaf = pushing.wait(Said({"0": said(0, 0, follows=False)}), 2, 5.0, seen.append)
    assert not deaf.by_all
    assert not deaf.missing
    assert ack_key("g", "w") == b"g/w"


# A worker


class Saying:
    """Takes acknowledgements."""

    def __init__(self) -> None:
        self.said: list[Ack] = []

    def say(self, said: Ack) -> None:
        """As `Acker.say`."""
        self.said.append(said)


def show(bench: Workbench, *found: RuleSet) -> Saying:
    """Have these sets on the topic."""
    keeper, saying = bench.worker.inputs.rules, Saying()
    keeper._table = cast(GlobalTable[Any], SimpleNamespace(latest=standing(sets(*found), bench.worker.settings)))
    keeper._acker = cast(Acker, saying)
    return saying


async def take(bench: Workbench) -> int:
    """Let the worker take what is there, and sweep; the slices that it took."""
    slices = 0
    while await bench.worker.inputs.sweep():
        slices += 1
    await bench.commit()
    return slices


def wanted(records: Any, files: dict[str, str], number: int) -> Any:
    """The open alerts of a run with these rules from the start, with revisions of that number."""
    loaded = load_files({name: text.encode() for name, text in files.items()}, folder=Path("x"))
    other = run([])
    other._parcels.adopt(loaded, number)
    other.feed(other.batches(records))
    other.close(START + 10_000 * DAY)
    return open_alerts(other)


LOUD = {
    **FILES,
    "route.priority_origin": FILES["route.priority_origin"].replace("points: 15", "points: 60"),
}


def test_a_worker_takes_a_set_and_judges_again_what_it_keeps(tmp_path: Path) -> None:
    """Parcels before, parcels after: the alerts of a run with the new rules; then the old rules again."""
    records = world(5, 150)

    async def play() -> None:
        with workbench(tmp_path) as bench:
            source = run([])
            await bench.settle(source.batches(records[:80]))
            saying = show(bench, pushed(1, LOUD))
            assert await take(bench) > 0
            keeper = bench.worker.inputs.rules
            latest = cast(Any, keeper._table).latest
            keeper._table = cast(GlobalTable[Any], SimpleNamespace(latest=replace(latest)))
            await take(bench)  # told of again, but no other: the end of the transaction moves the end of the topic
            assert [(ack.newest, ack.in_force, ack.applied, ack.warnings) for ack in saying.said] == [(1, 1, True, ())]
            await bench.settle(source.batches(records[80:]))
            await bench.let_pass(START + 10_000 * DAY)
            await bench.commit()
            assert not difference(newest_open(bench.effects.published), wanted(records, LOUD, 1))
            show(bench, pushed(1, LOUD), pushed(2, {}))
            assert await take(bench) > 0
            assert not difference(newest_open(bench.effects.published), wanted(records, FILES, 2))
            assert await take(bench) == 0
            check_revisions(bench.effects.published)

    asyncio.run(play())


def test_revisions_rise_whatever_rules_come_and_go(tmp_path: Path) -> None:
    """Rules that ask for no history, no journey and no reference data, and back; after each, more events."""
    records = world(6, 160)
    line = [pushed(1, PLAIN), pushed(2, LOUD), pushed(3, PLAIN), pushed(4, {})]

    async def play() -> None:
        with workbench(tmp_path) as bench:
            source = run([])
            for step in range(5):
                await bench.settle(source.batches(records[len(records) * step // 5 : len(records) * (step + 1) // 5]))
                await bench.let_pass(START + 10_000 * DAY)
                await bench.commit()
                show(bench, *line[: step + 1])
                await take(bench)
            check_revisions(bench.effects.published)

    asyncio.run(play())


def check_revisions(published: list[tuple[str, int, bytes | None, bytes]]) -> None:
    revisions: dict[bytes | None, int] = {}
    for topic, _, key, value in published:
        if topic == topics.ALERTS:
            revision = msgspec.json.decode(value)["revision"]
            assert revision > revisions.get(key, 0)
            revisions[key] = revision
    assert revisions


def test_a_set_that_cannot_be_used_changes_nothing_but_what_is_said(tmp_path: Path) -> None:
    records = world(5, 60)

    async def play() -> None:
        with workbench(tmp_path) as bench:
            await bench.settle(run([]).batches(records))
            before = bench.worker.parcels.catalogue
            saying = show(bench, broken(1))
            count = len(bench.effects.published)
            assert await take(bench) == 0
            assert bench.worker.parcels.catalogue is before
            assert len(bench.effects.published) == count
            (ack,) = saying.said
            assert (ack.newest, ack.in_force, ack.applied, ack.fingerprint) == (1, 0, False, before.fingerprint)
            assert "route/priority_lane.yaml: points" in ack.reason
            metrics = bench.worker.metrics.render().decode()
            assert 'waybill_rule_sets_total{outcome="refused"} 1.0' in metrics
            assert f'waybill_catalogue{{fingerprint="{before.fingerprint}"}} 1.0' in metrics

    asyncio.run(play())


def test_what_is_odd_about_the_set_in_force_is_not_said_of_one_that_was_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        with workbench(tmp_path) as bench:
            odd = msgspec.structs.replace(pushed(1, PLAIN), fingerprint="f" * 16)  # of other overrides
            show(bench, odd, broken(2))
            await take(bench)

    asyncio.run(play())
    assert f"rule set 1: pushed as {'f' * 16}" in caplog.text
    assert "rule set 2: pushed as" not in caplog.text


def test_a_worker_that_starts_takes_the_newest_set_that_can_be_used_or_says_why_not(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench:
        show(bench, broken(1), broken(2))
        with pytest.raises(RuleSetError, match=r"set 2/route/priority_lane\.yaml: points"):
            bench.worker.inputs.rules.exchange(assigned=True)
    with workbench(tmp_path) as bench:
        saying = show(bench, pushed(1, PLAIN), broken(2))
        bench.worker.inputs.rules.exchange(assigned=True)
        assert (saying.said[0].newest, saying.said[0].in_force) == (2, 1)
        assert bench.worker.parcels.rule_set == 2  # so that no revision falls, whoever refuses what
        # The same worker stays when it is given other partitions and nothing can be used any more.
        show(bench, broken(2))
        assert not bench.worker.inputs.rules.exchange(assigned=True)


def test_history_that_begins_with_a_set_is_said(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench:
        show(bench, pushed(1, PLAIN))
        bench.worker.inputs.rules.exchange(assigned=True)
        assert not bench.worker.parcels.kinds
        saying = show(bench, pushed(1, PLAIN), pushed(2, FILES))
        bench.worker.inputs.rules.exchange()
        assert len(saying.said[0].warnings) == 5  # a kind each; reference data are joined for tallies anyway
        assert "history by sender begins now: of earlier parcels" in saying.said[0].warnings[0]
        assert "sender_names_90d" in saying.said[0].warnings[0]


def test_parcels_wait_for_their_next_event_where_that_is_set(tmp_path: Path) -> None:
    records = world(5, 60)

    async def play() -> None:
        with workbench(tmp_path, rejudge="next-event") as bench:
            await bench.settle(run([]).batches(records))
            show(bench, pushed(1, LOUD))
            count = len(bench.effects.published)
            assert await take(bench) == 0
            assert len(bench.effects.published) == count
            assert bench.worker.parcels.catalogue.fingerprint == pushed(1, LOUD).fingerprint

    asyncio.run(play())


def test_a_sweep_for_new_rules_goes_on_with_the_next_worker(tmp_path: Path) -> None:
    records = world(5, 120)
    published: list[tuple[str, int, bytes | None, bytes]] = []

    async def first() -> None:
        with workbench(tmp_path) as bench:
            await bench.settle(run([]).batches(records))
            await bench.let_pass(START + 10_000 * DAY)
            await bench.commit()
            show(bench, pushed(1, LOUD))
            bench.worker.inputs.sweeper._rows_max = 10
            for _ in range(3):
                assert await bench.worker.inputs.sweep()
                await bench.commit()
            published.extend(bench.effects.published)

    async def second() -> int:
        with workbench(tmp_path) as bench:
            bench.know([batch for batch in run([]).batches(records) if batch.topic == topics.REFERENCE])
            show(bench, pushed(1, LOUD))
            bench.worker.inputs.rules.exchange(assigned=True)
            bench.worker.inputs.begin(range(bench.worker.settings.partitions))
            slices = await take(bench)
            published.extend(bench.effects.published)
            return slices

    asyncio.run(first())
    assert asyncio.run(second()) > 0
    assert asyncio.run(second()) == 0
    assert not difference(newest_open(published), wanted(records, LOUD, 1))


def test_a_worker_says_which_rules_it_holds_back(tmp_path: Path) -> None:
    """When it begins, and when it ends; with the set in force."""
    shipment = {**SHIPMENT, "goods_name": "海洛因", "picked_up_at": START, "recorded_at": START}
    flood = [
        msgspec.convert({**shipment, "waybill_no": f"W{number}", "event_id": f"e{number}"}, Shipment)
        for number in range(60)
    ]

    async def play() -> None:
        with workbench(tmp_path, flood_window_rows=100, flood_share_max=0.02) as bench:
            saying = show(bench, pushed(1, FILES))
            bench.worker.inputs.rules.exchange(assigned=True)
            assert not saying.said[-1].held
            assert saying.said[-1].rules == len(FILES)
            source = run([], partitions=bench.worker.settings.partitions)
            await bench.settle(source.batches(flood))
            held = {each.rule for each in saying.said[-1].held}
            assert "goods.controlled_term" in held
            assert (saying.said[-1].newest, saying.said[-1].in_force) == (1, 1)
            assert all(each.share > each.budget == 0.02 for each in saying.said[-1].held)

    asyncio.run(play())
