"""The register: which station can stop a parcel where."""

from __future__ import annotations

from desk.clues.register import Register
from schemas.records import encode
from schemas.reference import Facility, Holiday, Outlet, ReferenceRecord, Station
from tests.desk.logs import T0


def station(station_id: str, adcode: str, closed_at: int | None = None) -> Station:
    return Station(
        id=station_id,
        station_id=station_id,
        name="示例派出所",
        station_kind="police",
        adcode=adcode,
        closed_at=closed_at,
    )


def register(*records: ReferenceRecord) -> Register:
    known = Register()
    for record in records:
        assert known.add(record.key.encode(), encode(record))
    return known


DISTRICT, CITY, PROVINCE = station("D", "440111"), station("C", "440100"), station("P", "440000")
HUB = Facility(id="H", facility_id="H", facility_kind="hub", adcode="440303", station_id="P")
PLAIN = Facility(id="F", facility_id="F", facility_kind="hub", adcode="440111")
SHOP = Outlet(id="O", outlet_id="O", enterprise_id="E", adcode="440303", lon=113, lat=23, fixed=True, facility_id="H")


def name(known: Register, adcode: str, facility: str | None = None, **more: str) -> str | None:
    found = known.station_for(adcode, facility, T0, **more)
    return None if found is None else found.station_id


def test_the_longest_code_that_covers_the_place_has_the_clue() -> None:
    known = register(DISTRICT, CITY, PROVINCE)
    assert [name(known, code) for code in ("440111", "440103", "440303", "110101")] == ["D", "C", "P", None]


def test_a_facility_names_its_station_or_its_place() -> None:
    known = register(DISTRICT, CITY, PROVINCE, HUB, PLAIN)
    assert name(known, "440111", "H") == "P"
    assert name(known, "440303", "F") == "D"
    assert name(known, "440103", "unheard of") == "C"


def test_before_any_scan_the_outlet_s_facility_counts_while_the_parcel_is_there() -> None:
    known = register(DISTRICT, station("S", "440303"), PROVINCE, HUB, SHOP)
    assert name(known, "440303", outlet="O") == "P"
    assert name(known, "440111", outlet="O") == "D"
    assert name(known, "440303", outlet="unheard of") == "S"


def test_stations_that_declined_closed_or_went_are_passed_over() -> None:
    known = register(DISTRICT, CITY, PROVINCE)
    found = known.station_for("440111", None, T0, declined=("D",))
    assert found is not None
    assert found.station_id == "C"
    assert known.add(DISTRICT.key.encode(), encode(station("D", "440111", closed_at=T0)))
    assert name(known, "440111") == "C"
    assert known.add(CITY.key.encode(), None)
    assert name(known, "440111") == "P"


def test_days_are_read_and_what_cannot_be_read_changes_nothing() -> None:
    known = register(Holiday(id="2026-10-01"), Holiday(id="2026-10-10", working=True), DISTRICT)
    assert known.calendar.days == {"2026-10-01": False, "2026-10-10": True}
    for key, value in ((b"courier:SF:C1", b"{}"), (b"station:D", b"{}"), (b"station:D", b"\xff"), (b"", b"{}")):
        assert not known.add(key, value)
    assert name(known, "440111") == "D"
    assert known.add(b"holiday:2026-10-01", None)
    assert known.calendar.days == {"2026-10-10": True}
