"""Synthetic traffic: valid by the records' definition, the same for the same seed, and true to its truth file.

The truth is checked here against windows written out in plain Python, one parcel at a time, independent of the
pipeline; whether the pipeline finds the same is another test's business.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from stdnum.iso7064 import mod_11_2

from schemas.inputs import INPUTS
from schemas.reference import Reference
from streams.generate import NotEmptyError, Plan, Traffic, generate, write
from streams.generate.patterns import PATTERNS
from streams.settings import PRIORITY_ORIGINS

Row = dict[str, Any]
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def gather(traffic: Traffic) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {"shipment": [], "scan": [], "inspection": []}
    for chunk in traffic:
        for kind, rows in found.items():
            rows += chunk.rows(kind)
    return found


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return generate(6_000, seed=5, days=3, planted_share=0.1, chunk_parcels=2_500)


@pytest.fixture(scope="module")
def rows(traffic: Traffic) -> dict[str, list[Row]]:
    return gather(traffic)


@pytest.fixture(scope="module")
def parcels(rows: dict[str, list[Row]]) -> dict[str, Row]:
    """The shipment that counts for each parcel: the newest upload."""
    newest: dict[str, Row] = {}
    for row in sorted(rows["shipment"], key=lambda r: (r["recorded_at"] or r["picked_up_at"], r["event_id"])):
        newest[f"{row['carrier_code']}:{row['waybill_no']}"] = row
    return newest


def test_every_line_is_valid_by_the_definition_of_its_record(tmp_path: Path, traffic: Traffic) -> None:
    summary = write(traffic, tmp_path / "out")
    kinds = {**{each.stem: each.record for each in INPUTS}, "reference": Reference}
    for name, kind in kinds.items():
        decoder = msgspec.json.Decoder(kind)
        lines = (tmp_path / "out" / f"{name}.ndjson").read_bytes().splitlines()
        for line in lines:
            decoder.decode(line)
        assert len(lines) == summary.records[name] > 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{n}.ndjson" for n in [*kinds, "truth"]}


def test_counts_are_as_asked(rows: dict[str, list[Row]], parcels: dict[str, Row], traffic: Traffic) -> None:
    unrecorded = sum("journey.unregistered" in row["rules"] for row in traffic.truth.to_dicts())
    assert len(parcels) == 6_000 - unrecorded
    scans = {row["event_id"] for row in rows["scan"]}
    checks = {row["event_id"] for row in rows["inspection"]}
    assert 5.4 < len(scans) / 6_000 < 6.4
    assert 0.95 < len(checks) / 6_000 < 1.1
    retail = sum(row["customer_type"] == "retail" for row in parcels.values()) / len(parcels)
    assert 0.3 < retail < 0.45  # 0.3 of the ordinary, and the planted


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    def digest(name: str, seed: int) -> dict[str, str]:
        write(generate(700, seed), tmp_path / name)
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((tmp_path / name).iterdir())}

    first = digest("a", 3)
    assert first == digest("b", 3)
    other = digest("c", 4)
    assert not set(first.values()) & set(other.values())


def test_iterating_again_gives_the_same_chunks() -> None:
    traffic = generate(500, 9)
    assert gather(traffic) == gather(traffic)


def test_chunks_are_in_order_of_arrival_with_some_late_and_some_twice(rows: dict[str, list[Row]]) -> None:
    arrived = [row["recorded_at"] for row in rows["scan"]]
    seen: set[str] = set()
    first = []
    for at, row in zip(arrived, rows["scan"], strict=True):
        if row["event_id"] not in seen:
            first.append(at)
            seen.add(row["event_id"])
    assert first == sorted(first)
    assert 0.001 < 1 - len(seen) / len(arrived) < 0.02
    late = sum(row["recorded_at"] - row["scanned_at"] > HOUR for row in rows["scan"])
    assert 0.003 < late / len(arrived) < 0.03


def test_repeats_are_alike_and_corrections_have_their_own_event_id(rows: dict[str, list[Row]]) -> None:
    for kind in ("shipment", "scan", "inspection"):
        by_event: dict[str, Row] = {}
        for row in rows[kind]:
            assert by_event.setdefault(row["event_id"], row) == row
    uploads = Counter(
        (r["carrier_code"], r["waybill_no"]) for r in {r["event_id"]: r for r in rows["shipment"]}.values()
    )
    assert 0 < sum(count > 1 for count in uploads.values()) < 60


def test_persons_cannot_exist(rows: dict[str, list[Row]], traffic: Traffic) -> None:
    """Phones of ranges never assigned; ID numbers of whole provinces, which are never issued, or planted as invalid."""
    invalid = {row["parcel"] for row in traffic.truth.to_dicts() if row["pattern"] == "invalid_number"}
    for row in rows["shipment"]:
        for field in ("sender_phone", "recipient_phone"):
            digits = row[field].removeprefix("+86 ").removeprefix("0086")
            assert digits[:3] in ("154", "168"), row["event_id"]
        for field in ("sender_id_no", "agent_id_no"):
            number = row[field]
            if number and f"{row['carrier_code']}:{row['waybill_no']}" not in invalid:
                assert number[2:6] == "0000", row["event_id"]
                assert number[:2] not in ("81", "82", "83"), row["event_id"]
                assert "*" in number or mod_11_2.is_valid(number), row["event_id"]


def test_each_pattern_is_planted_and_each_planted_parcel_listed(traffic: Traffic, rows: dict[str, list[Row]]) -> None:
    truth = traffic.truth
    assert set(truth["pattern"]) == set(PATTERNS)
    assert len(truth) == truth["parcel"].n_unique() == 600
    scanned = {f"{row['carrier_code']}:{row['waybill_no']}" for row in rows["scan"]}
    assert set(truth["parcel"]) <= scanned


@pytest.mark.parametrize(("parcels", "planted"), [(1, 0), (40, 10), (500, 120), (20_000, 200)])
def test_small_traffic_has_room_for_ordinary_parcels(parcels: int, planted: int) -> None:
    assert len(generate(parcels, 1).truth) == planted
    assert len(generate(parcels, 1, planted_share=0.0).truth) == 0


# What the rules over windows say, written out.


def _id(row: Row) -> str:
    number = row["sender_id_no"]
    return "" if number is None or "*" in number else str(number)


def _phone(row: Row) -> str:
    digits = "".join(c for c in row["sender_phone"] if c.isdigit() or c in "*-")
    return digits.removeprefix("0086").removeprefix("86") if len(digits) > 11 else digits


def _many_names(row: Row, window: list[Row]) -> bool:
    return len({r["sender_name"] for r in window if "*" not in r["sender_name"]}) >= 3


def _cloned(row: Row, window: list[Row]) -> bool:
    def what(r: Row) -> tuple[Any, ...]:
        return r["weight_g"], r["goods_name"], (r["dest_adcode"] or "")[:4]

    same = [r for r in window if what(r) == what(row)]
    return len(same) >= 10 and len({_id(r) for r in same}) >= 8


def _fan_in(row: Row, window: list[Row]) -> bool:
    return (
        row["pickup_adcode"].startswith(PRIORITY_ORIGINS)
        and len({_id(r) for r in window if r["pickup_adcode"].startswith(PRIORITY_ORIGINS)}) >= 5
    )


Oracle = tuple[Callable[[Row], str], int, Callable[[Row, list[Row]], bool]]
ORACLES: dict[str, Oracle] = {  # entity, window ms, answer
    "identity.many_names": (_id, 90 * DAY, _many_names),
    "identity.phone_many_ids": (_phone, 30 * DAY, lambda row, w: len({_id(r) for r in w}) >= 4),
    "identity.three_provinces": (_id, DAY, lambda row, w: len({r["pickup_adcode"][:2] for r in w}) >= 3),
    "identity.sequential_numbers": (
        lambda r: r["outlet_id"] + _id(r)[:14] if len(_id(r)) == 18 else "", DAY,
        lambda row, w: len({_id(r) for r in w}) >= 3),
    "sender.velocity": (_id, DAY, lambda row, w: len(w) >= 20),
    "sender.first_seen": (_id, 90 * DAY, lambda row, w: len(w) == 1),
    "recipient.fan_in": (lambda r: r["recipient_phone"], 14 * DAY, _fan_in),
    "courier.burst": (lambda r: r["courier_id"], MINUTE, lambda row, w: len({_id(r) for r in w}) > 6),
    "courier.cloned_entries": (lambda r: r["courier_id"], HOUR, _cloned),
}  # fmt: skip


def answers(
    parcels: dict[str, Row], entity: Callable[[Row], str], window_ms: int
) -> Iterator[tuple[str, Row, list[Row]]]:
    """Each retail parcel of an entity, with the parcels in its window up to and including itself."""
    by_entity: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for parcel, row in parcels.items():
        if row["customer_type"] == "retail" and entity(row):
            by_entity[entity(row)].append((row["picked_up_at"], parcel))
    for places in by_entity.values():
        places.sort()
        for n, (at, parcel) in enumerate(places):
            yield parcel, parcels[parcel], [parcels[p] for t, p in places[: n + 1] if t > at - window_ms]


@pytest.mark.parametrize("rule", ORACLES)
def test_planted_windows_fire_where_the_truth_says_and_ordinary_traffic_is_quiet(
    rule: str, parcels: dict[str, Row], traffic: Traffic
) -> None:
    entity, window_ms, says = ORACLES[rule]
    fired = {parcel: says(row, window) for parcel, row, window in answers(parcels, entity, window_ms)}
    truth = traffic.truth.to_dicts()
    must = {row["parcel"] for row in truth if rule in row["rules"]}
    quiet = {row["parcel"] for row in truth if rule in row["quiet"]}
    assert must
    assert {p for p in must if not fired[p]} == set()
    assert {p for p in quiet if fired.get(p)} == set()
    planted = {row["parcel"] for row in truth}
    if rule != "sender.first_seen":
        assert {p for p, yes in fired.items() if yes} <= planted


def test_planted_journeys_are_as_the_truth_says(
    parcels: dict[str, Row], rows: dict[str, list[Row]], traffic: Traffic
) -> None:
    scans, checks = defaultdict(list), defaultdict(list)
    for row in rows["scan"]:
        scans[f"{row['carrier_code']}:{row['waybill_no']}"].append(row)
    for row in rows["inspection"]:
        checks[f"{row['carrier_code']}:{row['waybill_no']}"].append(row)

    def departed(parcel: str) -> int:
        return min((r["scanned_at"] for r in scans[parcel] if r["scan_type"] == "departed"), default=0)

    def uninspected(p: str) -> bool:
        kinds = ("open_box", "xray")
        return bool(departed(p)) and not any(
            c["inspection_type"] in kinds and c["started_at"] <= departed(p) for c in checks[p])  # fmt: skip

    def unresolved(p: str) -> bool:
        doubts = [c["ended_at"] for c in checks[p] if c["result"] != "pass"]
        passes = [c["ended_at"] for c in checks[p] if c["result"] == "pass"]
        return any(d < departed(p) and not any(d <= at <= departed(p) for at in passes) for d in doubts)

    def weight_changed(p: str) -> bool:
        if p not in parcels or parcels[p]["pieces"] != 1:
            return False
        own = parcels[p]["weight_g"]
        return any(abs(r["weight_g"] - own) > max(50, own * 0.05) for r in scans[p] if r["weight_g"] is not None)

    def ghost(p: str) -> bool:
        return p in parcels and all(r["scan_type"] == "picked_up" for r in scans[p])

    def too_fast(p: str) -> bool:
        row = parcels.get(p)
        ends = [r["scanned_at"] for r in scans[p] if r["scan_type"] == "delivered"]
        return bool(row and row["dest_adcode"] and ends and row["dest_adcode"][:2] != row["pickup_adcode"][:2]
                    and min(ends) - row["picked_up_at"] < 12 * HOUR)  # fmt: skip

    def formality(p: str) -> bool:
        return any(c["inspection_type"] == "open_box" and c["ended_at"] - c["started_at"] < 3_000 for c in checks[p])

    def second_missing(p: str) -> bool:
        out = [r["scanned_at"] for r in scans[p]
               if r["scan_type"] == "out_for_delivery" and r["facility_adcode"].startswith("430421")]  # fmt: skip
        from_priority = p in parcels and parcels[p]["pickup_adcode"].startswith(PRIORITY_ORIGINS)
        second = [c["started_at"] for c in checks[p] if c["inspection_type"] == "second_xray"]
        return from_priority and bool(out) and not any(at < min(out) for at in second)

    says: dict[str, Callable[[str], bool]] = {
        "journey.departed_uninspected": uninspected, "journey.unresolved_departed": unresolved,
        "journey.weight_changed": weight_changed, "journey.ghost": ghost, "journey.too_fast": too_fast,
        "journey.open_box_formality": formality, "journey.second_xray_missing": second_missing,
        "journey.unregistered": lambda p: p not in parcels,
    }  # fmt: skip
    truth = traffic.truth.to_dicts()
    for rule, oracle in says.items():
        fired = {parcel for parcel in scans if oracle(parcel)}
        assert fired == {row["parcel"] for row in truth if rule in row["rules"]}, rule
        assert not fired & {row["parcel"] for row in truth if rule in row["quiet"]}, rule


def test_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    traffic = generate(300, 1)

    def stop(chunk: object) -> None:
        assert {p.name[:10] for p in (tmp_path / "new").iterdir()} == {".generate-"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(traffic, tmp_path / "new", progress=stop)
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_refused_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NotEmptyError):
        write(generate(50, 1), tmp_path)
    write(generate(50, 1), tmp_path, form="parquet", force=True)
    write(generate(50, 1), tmp_path, force=True)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"mine.txt", *(f"{n}.ndjson" for n in (*(each.stem for each in INPUTS), "reference", "truth"))}


def test_parquet_holds_the_same_records(tmp_path: Path) -> None:
    traffic = generate(400, 2, chunk_parcels=150)
    write(traffic, tmp_path / "n")
    write(traffic, tmp_path / "p", form="parquet")
    for name in (*(each.stem for each in INPUTS), "reference"):
        lines = [json.loads(line) for line in (tmp_path / "n" / f"{name}.ndjson").read_bytes().splitlines()]
        stored = pl.read_parquet(tmp_path / "p" / f"{name}.parquet").to_dicts()
        assert len(lines) == len(stored)
        for line, row in zip(lines, stored, strict=True):
            assert line == {key: row[key] for key in line}


@pytest.mark.parametrize(
    "wrong",
    [{"parcels": 0}, {"seed": -1}, {"days": 0}, {"scans_per_parcel": 3}, {"inspections_per_parcel": 3},
     {"retail_share": 1.5}, {"planted_share": -0.1}, {"chunk_parcels": 0}],
)  # fmt: skip
def test_a_number_out_of_range_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Plan(**({"parcels": 10, "seed": 1} | wrong))
