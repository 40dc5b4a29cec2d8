"""Identity numbers: every valid class is valid, what cannot exist is not, and any text whatever has an answer."""

from __future__ import annotations

import datetime as dt
import re
import sys
import unicodedata
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from id_validator import validator
from stdnum.cn import ric
from stdnum.exceptions import InvalidChecksum, ValidationError

from streams.flow.describe.identity import describe_ids
from streams.flow.describe.place import assigned_regions
from streams.flow.layout import ID_FAULTS
from tests.reference import invisible
from tests.repetition import examples

CHINA = dt.timezone(dt.timedelta(hours=8))
PICKUP = dt.datetime(2024, 6, 1, 12, tzinfo=CHINA)
REGIONS = [f"{code:06d}" for code in assigned_regions()]
NEVER_ISSUED = "440000"  # a province as a whole registers nobody

bodies = st.builds(
    lambda region, birth, order: f"{region}{birth:%Y%m%d}{order:03d}",
    st.sampled_from([*REGIONS, "830000", "932682", "911840"]),
    st.dates(dt.date(1915, 1, 1), dt.date(2024, 5, 31)),
    st.integers(0, 999),
)


def ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def check(body: str) -> str:
    """ISO 7064 MOD 11-2, from its definition: the number as a polynomial in 2, equal to 1 modulo 11."""
    value = 0
    for digit in body:
        value = (value + int(digit)) * 2 % 11
    rest = (1 - value) % 11
    return "X" if rest == 10 else str(rest)


def number(body: str) -> str:
    return body + check(body)


def described(
    numbers: Sequence[str | None], kind: str | None = "resident_id", at: dt.datetime = PICKUP
) -> pl.DataFrame:
    size = len(numbers)
    return describe_ids(
        pl.Series(numbers, dtype=pl.String),
        pl.Series([kind] * size, dtype=pl.String),
        pl.Series([ms(at)] * size, dtype=pl.Int64),
    )


def valid(
    numbers: Sequence[str | None], kind: str | None = "resident_id", at: dt.datetime = PICKUP
) -> list[bool | None]:
    return described(numbers, kind, at)["id_valid"].to_list()


def one(text: str, kind: str | None = "resident_id", at: dt.datetime = PICKUP) -> bool | None:
    return valid([text], kind, at)[0]


def exists(text: str, at: dt.datetime) -> bool | None:
    """The rule again, number by number; None: all is right but that nobody knows the region."""
    if not re.fullmatch(r"[0-9]{17}[0-9X]", text):
        return False
    region = text[:6]
    provinces = {code[:2] for code in REGIONS if code < "900000"}
    card = text[0] == "9" and text[1:3] in provinces
    known = region in REGIONS or region in ("810000", "820000", "830000") or card
    if not known and region[:2] not in provinces:
        return False
    try:
        birth = dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    today = at.astimezone(CHINA).date()
    too_old = (birth.year + 110, birth.month, birth.day) < (today.year, today.month, today.day)
    right = birth <= today and not too_old and check(text[:17]) == text[17]
    return right and (known or None)


def test_every_region_ever_assigned_is_valid() -> None:
    # Born on the first day of 1915: over a hundred years old at pickup, so that no number here is likely to be in use.
    assert all(valid([number(f"{region}19150101000") for region in REGIONS]))


def test_regions_of_no_province_are_not_and_unknown_ones_are_unknown() -> None:
    known = set(REGIONS) | {"810000", "820000", "830000"}
    provinces = {code[:2] for code in REGIONS if code < "900000"}
    others = [f"{code:06d}" for code in range(0, 900_000, 37) if f"{code:06d}" not in known]
    expected = [None if region[:2] in provinces else False for region in others]
    assert {None, False} == set(expected)
    assert valid([number(f"{region}19150101000") for region in others]) == expected
    assert one(number("99999919850101001")) is False
    assert one("44999919850101001" + check("44999919850101001")) is None
    wrong = "44999919850101001" + ("0" if check("44999919850101001") != "0" else "1")
    assert one(wrong) is False  # whatever the region


@pytest.mark.parametrize(
    "region",
    [
        "430419", "320219", "321119", "320419", "370619", "230119",  # county-level cities as they were first coded
        "329013", "339006", "379029",  # the same, directly below their provinces
        "632826", "632857",  # administrative committees
        "132203", "512131", "422421",  # of prefectures that were renumbered
        "441901", "442001",
    ],
)  # fmt: skip
def test_regions_that_one_list_or_another_lacks(region: str) -> None:
    assert one(number(f"{region}19150101000")) is True


@pytest.mark.parametrize("region", ["810000", "820000", "830000"])
def test_residence_permits(region: str) -> None:
    text = number(f"{region}19850101001")
    assert one(text) is True
    assert one(text, "hmt_permit") is True
    assert validator.is_valid(text)


def test_permanent_residence_card() -> None:
    assert one("932682198501010017") is True  # the sample in circulation
    assert one(number("90084019850101001")) is False  # no province 00
    assert one(number("99984019850101001")) is False


def test_region_younger_than_holder_and_dissolved_region() -> None:
    assert one(number("44011119600101001")) is True  # 440111 is younger
    assert one(number("50010519900101001")) is True  # 500105 until 2025
    assert one(number("50015719900101001")) is True


@given(st.lists(bodies, min_size=1, max_size=50))
@examples(30)
def test_valid_whatever_the_region_and_age(some: list[str]) -> None:
    assert all(valid([number(body) for body in some]))


@given(bodies, st.integers(0, 17), st.integers(1, 9))
@examples(60)
def test_a_single_changed_digit_is_noticed(body: str, place: int, step: int) -> None:
    text = number(body)
    old = 10 if text[place] == "X" else int(text[place])
    changed = text[:place] + str((old + step) % 10) + text[place + 1 :]
    assert changed == text or one(changed) is False


@given(bodies, st.integers(0, 16))
@examples(60)
def test_two_digits_exchanged_are_noticed(body: str, place: int) -> None:
    text = number(body)
    changed = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert changed == text or one(changed) is False


@given(
    st.lists(st.from_regex(r"[1-9][0-9]{5}(19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9X]", fullmatch=True), max_size=20),
    st.lists(bodies.map(number), max_size=20),
    st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2099, 12, 31)).map(lambda at: at.replace(tzinfo=dt.UTC)),
)
@examples(100)
def test_equals_the_rule_number_by_number(random: list[str], right: list[str], at: dt.datetime) -> None:
    # Random digits nearly never check; give each its right check digit as well.
    numbers = [*random, *[number(text[:17]) for text in random], *right]
    assert valid(numbers, at=at) == [exists(text, at) for text in numbers]


@given(st.lists(bodies, min_size=1, max_size=20), st.integers(0, 16), st.integers(0, 9))
@examples(50)
def test_agrees_with_python_stdnum_where_it_is_right(some: list[str], place: int, digit: int) -> None:
    numbers = [number(body) for body in some]
    numbers += [text[:place] + str(digit) + text[place + 1 :] for text in numbers]
    for text, ours in zip(numbers, valid(numbers), strict=True):
        try:
            ric.validate(text)
        except InvalidChecksum:
            assert ours is False, text
        except (ValidationError, KeyError):
            continue  # it refuses permits, residence cards and people older than their county's code; 710100 breaks it
        else:
            born = dt.datetime.strptime(text[6:14], "%Y%m%d").date()
            assert ours is (dt.date(1914, 6, 1) <= born <= PICKUP.date()), text


@given(bodies, st.integers(0, 16), st.integers(0, 9))
@examples(25)
def test_agrees_with_id_validator_where_it_is_right(body: str, place: int, digit: int) -> None:
    text = number(body)
    for candidate in (text, text[:place] + str(digit) + text[place + 1 :]):
        if validator.is_valid(candidate) and candidate[6:14] <= "20240601" and candidate[6:14] >= "19140601":
            assert one(candidate) is True


def test_every_calendar_date_and_no_other() -> None:
    days = [
        f"{year}{month:02d}{day:02d}" for year in (1915, 1999, 2000, 2023) for month in range(14) for day in range(33)
    ]
    real = []
    for text in days:
        try:
            dt.datetime.strptime(text, "%Y%m%d")
            real.append(len(text) == 8)
        except ValueError:
            real.append(False)
    assert valid([number(f"{NEVER_ISSUED}{day}000") for day in days]) == real


@pytest.mark.parametrize(("year", "leap"), [(1904, True), (1900, False), (2000, True), (2023, False), (2024, True)])
def test_leap_years(year: int, leap: bool) -> None:
    at = dt.datetime(year + 60 if year < 1950 else 2024, 6, 1, tzinfo=CHINA)
    assert one(number(f"{NEVER_ISSUED}{year}0229000"), at=at) is leap


def test_birth_is_compared_with_the_date_in_china() -> None:
    text = number(f"{NEVER_ISSUED}20240602000")
    assert one(text, at=dt.datetime(2024, 6, 1, 15, 59, 59, tzinfo=dt.UTC)) is False
    assert one(text, at=dt.datetime(2024, 6, 1, 16, 0, tzinfo=dt.UTC)) is True


def test_110_years_are_possible_and_a_day_more_is_not() -> None:
    text = number(f"{NEVER_ISSUED}19140601000")
    assert one(text, at=dt.datetime(2024, 6, 1, 23, 59, tzinfo=CHINA)) is True
    assert one(text, at=dt.datetime(2024, 6, 2, 0, 0, tzinfo=CHINA)) is False
    leap = number(f"{NEVER_ISSUED}19120229000")
    assert one(leap, at=dt.datetime(2022, 2, 28, 12, tzinfo=CHINA)) is True
    assert one(leap, at=dt.datetime(2022, 3, 1, 12, tzinfo=CHINA)) is False
    assert one(number(f"{NEVER_ISSUED}20990101000")) is False


@pytest.mark.parametrize("text", ["H12345678", "M12345678", "H1234567890", "m 12345678", "12345678", "1234567890"])
def test_travel_permits(text: str) -> None:
    assert one(text, "hmt_permit") is True
    assert one(text, "resident_id") is False
    assert one(text, "passport") is None


@pytest.mark.parametrize(
    "text", ["H1234567", "H123456789", "A12345678", "1234567", "123456789", "H12345678A", "台胞证"]
)
def test_not_a_travel_permit(text: str) -> None:
    assert one(text, "hmt_permit") is False


def test_mainland_number_as_permit_must_check_too() -> None:
    right = number(f"{NEVER_ISSUED}19900101001")
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    assert (one(right, "hmt_permit"), one(wrong, "hmt_permit")) == (True, False)


@pytest.mark.parametrize(
    "text", ["440000900101001", "1", "44000019900101001", "4400001990010100123", "abcdefghijklmnopqr"]
)
def test_wrong_length_or_characters(text: str) -> None:
    assert one(text) is False


def test_check_character_elsewhere_and_foreign_digits() -> None:
    right = number(f"{NEVER_ISSUED}19900101001")
    assert one("X" + right[1:]) is False
    assert one(right.translate({ord("0") + i: 0x0660 + i for i in range(10)})) is False  # Arabic-Indic digits
    assert one("４４００００19900101001" + right[-1]) is True  # full width is the same number


@pytest.mark.parametrize(
    "star",
    [
        "*",
        "＊",
        "●",
        "•",
        "×",
        "✱",
        "∗",
        "○",
        "■",
        "★",
        "X",
        "x",
        "Ｘ",
        "х",
        "Χ",
        "#",
        "＃",
        "?",
        "？",
        "_",
        "＿",
        "~",
        "〇",
        "A",
    ],
)
def test_masked_is_marked_and_not_judged(star: str) -> None:
    row = described([f"440000{star * 8}0010"]).row(0, named=True)
    assert row["id_masked"] is True
    assert row["id_valid"] is None
    assert row["id_prefix14"] is None


def test_normal_form() -> None:
    spellings = [
        "440000-19900101-001x",
        "４４００００ 19900101 001Ｘ",
        "440000\u200919900101\u2013001x\n",
        "44000019900101001X",
    ]
    frame = described([*spellings, "", " - ", "\u3000", None])
    assert frame["id_norm"].to_list() == ["44000019900101001X"] * 4 + [None] * 4
    assert frame["id_masked"].to_list() == [False] * 8
    assert frame["id_valid"].to_list()[4:] == [None] * 4


def test_every_unicode_dash_and_space_is_a_separator() -> None:
    odd = [
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Pd", "Zs", "Zl", "Zp")
    ]
    frame = described([f"4400{char}00" for char in [*odd, "\u2212", "\u200b", "\ufeff", "\t", "_", "·"]])
    assert set(frame["id_norm"]) == {"440000"}


def test_prefix_is_of_resident_ids_that_begin_with_14_digits_valid_or_not() -> None:
    wrong = "440000199001010010"
    kinds = ["resident_id", "hmt_permit", "resident_id", "resident_id", None, "resident_id", "resident_id"]
    numbers = [wrong, wrong, wrong[:15], "4400001990010A0010", wrong, wrong[:13], f"{wrong[:14]}****"]
    frame = describe_ids(
        pl.Series(numbers), pl.Series(kinds, dtype=pl.String), pl.Series([ms(PICKUP)] * 7, dtype=pl.Int64)
    )
    assert frame["id_prefix14"].to_list() == [wrong[:14], None, wrong[:14], None, None, None, None]


def test_other_kinds_are_not_judged() -> None:
    kinds = ["passport", "military", "uscc", "other", None]
    assert [one("whatever", kind) for kind in kinds] == [None] * 5


def test_without_time_of_pickup_only_age_is_open() -> None:
    right = number(f"{NEVER_ISSUED}19900101001")
    frame = describe_ids(
        pl.Series([right, "440000"]), pl.Series(["resident_id"] * 2), pl.Series([None, None], dtype=pl.Int64)
    )
    assert frame["id_valid"].to_list() == [None, False]


def test_no_rows() -> None:
    frame = described([])
    assert frame.schema == {
        "id_norm": pl.String,
        "id_masked": pl.Boolean,
        "id_valid": pl.Boolean,
        "id_fault": pl.UInt8,
        "id_prefix14": pl.String,
    }


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(max_size=40) | st.text("0123456789Xx*-  －*１２３", min_size=15, max_size=20),
            st.none() | st.sampled_from(["resident_id", "hmt_permit", "passport"]),
        ),
        max_size=30,
    )
)
@examples(60)
def test_any_text_has_an_answer_and_the_batch_does_not_matter(rows: list[tuple[str | None, str | None]]) -> None:
    numbers, kinds = [number for number, _ in rows], [kind for _, kind in rows]
    times = pl.Series(np.full(len(rows), ms(PICKUP)), dtype=pl.Int64)
    whole = describe_ids(pl.Series(numbers, dtype=pl.String), pl.Series(kinds, dtype=pl.String), times)
    single = [described([text], kind).row(0) for text, kind in rows]
    assert whole.rows() == single
    for row in whole.iter_rows(named=True):
        assert (row["id_valid"] is not None) <= (row["id_norm"] is not None and not row["id_masked"])
        assert row["id_norm"] != ""


# --- invisible characters, export marks, crosses ----------------------------------------------------------------------

RIGHT = number(f"{NEVER_ISSUED}19900101001")
CROSSED = next(text for order in range(99) if (text := number(f"{NEVER_ISSUED}19900101{order:03d}"))[-1] == "X")


@pytest.mark.parametrize(
    "written",
    [
        "\u202a{}\u202c", "\u200e{}", "\u2066{}\u2069", "\ufeff{}", "{}\ufe0f", "\U000e0041{}", "\u3164{}", "\u2800{}",
        "'{}", "’{}", "‘{}", "`{}", "＇{}", '"{}"', '="{}"', "=\"\"{}\"\"", "\t{}", "\u02bc{}", "\u200b'{}\u200b",
        "\x02{}\x03",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", [RIGHT, CROSSED])
def test_what_nobody_sees_and_what_exports_add_is_no_part_of_a_number(written: str, text: str) -> None:
    row = described([written.format(text)]).row(0, named=True)
    assert (row["id_norm"], row["id_valid"], row["id_masked"]) == (text, True, False)


@pytest.mark.parametrize(
    "written",
    [
        "身份证{}", "身份证号：{}", "居民身份证号码 {}", "身分證號碼{}", "证件号:{}", "ID:{}", "id {}", "No.{}",
        "{}(身份证)", "身份证（{}）", "({})", "【{}】", "{}，", "{};", "SFZ{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", [RIGHT, CROSSED])
def test_a_label_around_a_number_is_no_part_of_it(written: str, text: str) -> None:
    row = described([written.format(text)]).row(0, named=True)
    assert (row["id_norm"], row["id_valid"], row["id_masked"]) == (text, True, False)


@pytest.mark.parametrize("text", ["军字第1234567号", "A123456(7)", "ID1234567"])
def test_letters_and_brackets_of_a_number_are_no_label(text: str) -> None:
    assert described([text], "military").item(0, "id_norm") == text


@pytest.mark.parametrize(
    "text", ["440000[隐藏]0010", "身份证号：440000【已隐藏】0010", "[隐藏]", "440000<hidden>0010", "保密"]
)
def test_a_word_in_place_of_digits_hides_them(text: str) -> None:
    row = described([text]).row(0, named=True)
    assert (row["id_masked"], row["id_valid"], row["id_prefix14"]) == (True, None, None)


def test_every_default_ignorable_and_format_character_is_taken_off() -> None:
    found = [char for char in map(chr, range(sys.maxunicode + 1)) if invisible(char)]
    assert len(found) > 4_000
    frame = described([f"{char}{RIGHT[:9]}{char}{RIGHT[9:]}{char}" for char in found])
    assert set(frame["id_norm"]) == {RIGHT}


@pytest.mark.parametrize("cross", ["×", "✕", "✖", "✗", "х", "Х", "Χ", "χ", "ⅹ", "Ⅹ", "ｘ", "x"])
def test_a_cross_for_a_final_x_is_an_x(cross: str) -> None:
    assert described([CROSSED[:-1] + cross]).row(0, named=True)["id_norm"] == CROSSED
    assert one(CROSSED[:-1] + cross) is True


def test_permits_with_letters_of_another_script() -> None:
    assert valid(["Н12345678", "Η12345678", "М12345678", "Μ12345678", "h12345678"], "hmt_permit") == [True] * 5


@pytest.mark.parametrize(
    ("text", "kind", "masked"),
    [
        ("E12XXXX78", "passport", True), ("E1XX45678", "passport", False), ("EXX345678", "passport", False),
        ("440000XX900101XX10", None, True), ("91440000MAXX12345X", "uscc", False), ("9144XXXXXXXX12345X", "uscc", True),
        ("军字第******7号", "military", True), ("军字第1234567号", "military", False), ("44##", "other", True),
        ("USA110012345678", "resident_id", False), ("GGY110012345678", "resident_id", False),
        ("HXXXX5678", "hmt_permit", True), ("H12##5678", "hmt_permit", True),
        ("4400001990010100#0", "resident_id", False),
    ],
)  # fmt: skip
def test_a_run_masks_where_the_number_cannot_hold_it(text: str, kind: str | None, masked: bool) -> None:
    assert described([text], kind)["id_masked"].item() is masked


# --- faults and forms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("44000019900101001", "length"), ("440000900101001", "length"), ("1", "length"), ("E12345678", "length"),
        ("44000O199001010010", "characters"), ("4400001990010100#0", "characters"),
        ("abcdefghijklmnopqr", "characters"),
        ("44000019900101001Y", "characters"), (number("10000019900101001"), "region"),
        (number("99984019850101001"), "region"),
        (number("44000019901301001"), "date"), (number("44000019900230001"), "date"),
        (number("44000020240602001"), "future"),
        (number("44000019140531001"), "too_old"), (RIGHT[:-1] + ("0" if RIGHT[-1] != "0" else "1"), "check_digit"),
        ("10000019901301001Z", "characters"),
    ],
)  # fmt: skip
def test_the_first_fault_is_named(text: str, fault: str) -> None:
    row = described([text]).row(0, named=True)
    assert (row["id_valid"], ID_FAULTS[row["id_fault"]]) == (False, fault)


def test_what_is_valid_masked_unknown_or_not_judged_has_no_fault() -> None:
    assert (
        described([RIGHT, "440000********0010", number("44999919900101001"), None, ""])["id_fault"].to_list()
        == [None] * 5
    )
    assert described(["whatever"], "passport")["id_fault"].to_list() == [None]
    assert [ID_FAULTS[code] for code in described(["H1234567", "HX1234567", "1234567"], "hmt_permit")["id_fault"]] == [
        "characters", "characters", "length",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("H12345678", "hmt_permit", True), ("M1234567801", "hmt_permit", True), ("12345678", "hmt_permit", True),
        ("0123456789", "hmt_permit", True), ("K12345678", "hmt_permit", False), ("H123456789", "hmt_permit", False),
        ("USA110012345678", "resident_id", True), ("USA110012345678", "hmt_permit", True),
        ("12A110012345678", "resident_id", False),
        ("H12345678", "resident_id", False),
    ],
)  # fmt: skip
def test_forms_of_documents(text: str, kind: str, expected: bool) -> None:
    assert one(text, kind) is expected


def test_a_form_counts_from_its_first_day_until_its_last() -> None:
    text = "USA110012345678"
    days = [
        dt.datetime(2004, 8, 14, 23, 59),
        dt.datetime(2004, 8, 15),
        dt.datetime(2033, 11, 30),
        dt.datetime(2033, 12, 1),
    ]
    assert [one(text, at=day.replace(tzinfo=CHINA)) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    "written",
    [
        "370102--------2034", "370102——2034", "370102某某某某2034", "370102ХХХХ2034", "370102&&&&2034",
        "3.70102199001012E+17", "3.70102E+17", "370102199001012000.0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["resident_id", "hmt_permit", "passport", "other", None])
def test_runs_that_no_number_can_hold_and_numbers_that_a_spreadsheet_rounded_are_masked(
    written: str, kind: str | None
) -> None:
    one = pl.Series([written], dtype=pl.String)
    row = describe_ids(one, pl.Series([kind], dtype=pl.String), pl.Series([1_760_000_000_000])).row(0, named=True)
    assert (row["id_masked"], row["id_valid"], row["id_fault"], row["id_prefix14"]) == (True, None, None, None)


def test_one_dash_parts_a_number_and_hides_nothing() -> None:
    parted = pl.Series(["440106-19900101-001X", "440106–19900101–001X"])
    found = describe_ids(parted, pl.Series(["resident_id"] * 2), pl.Series([1_760_000_000_000] * 2))
    assert found["id_norm"].to_list() == ["44010619900101001X"] * 2
    assert not found["id_masked"].any()
