"""The refusal of a document names the place and the expectation, whatever msgspec's sentence quotes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from schemas.refusals import explain


class Inner(msgspec.Struct):
    word: Literal["a", "b"] = "a"
    number: Annotated[float, Meta(gt=0)] = 1.0
    table: dict[str, int] = {}


class Outer(msgspec.Struct, kw_only=True):
    parts: Annotated[list[Inner], Meta(max_length=2)] = []
    code: Annotated[str, Meta(pattern="^[a-z, ]+$")] = "a"
    either: int | str | None = None
    needed: bool


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ('{"needed":1}', "wrong_type", "$.needed: expected `bool`, got `int`"),
        ('{"either":[]}', "wrong_type", "$.either: expected `int | str | null`, got `array`"),
        ('{"parts":{}}', "wrong_type", "$.parts: expected `array`, got `object`"),
        ('{"parts":[{},{"word":"secret"}]}', "unknown_value", "$.parts[1].word: not one of the values defined"),
        ('{"parts":[{"number":0}]}', "out_of_range", "$.parts[0].number: expected `float` > 0.0"),
        ('{"parts":[{"table":{"secret":"x"}}]}', "wrong_type", "$.parts[0].table[...]: expected `int`, got `str`"),
        ('{"parts":[{},{},{}]}', "out_of_range", "$.parts: expected `array` of length <= 2"),
        ('{"code":"SECRET"}', "out_of_range", "$.code: expected `str` matching regex '^[a-z, ]+$'"),
        ("{}", "missing_field", "$.needed: required"),
        ("[]", "wrong_type", "$: expected `object`, got `array`"),
        ("{", "invalid_json", "Input data was truncated"),
        ('{"code":secret}', "invalid_json", "JSON is malformed: invalid character (byte 8)"),
    ],
)
def test_the_sentences_of_this_msgspec(text: str, reason: str, detail: str) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(text, type=Outer)
    refusal = explain(caught.value)
    assert (refusal.reason, refusal.detail) == (reason, detail)


@pytest.mark.parametrize(
    "sentence",
    [
        "Invalid date 'secret' - at `$.code`",
        "Expected `int`, got `secret thing`",
        "Expected `int` <= 3, got secret",
        "Object missing required field `a secret`",
        "Invalid enum value 'x' - at `$.secret value`",
        "Invalid enum value 'x' - at `$.a` secret",
        "secret",
        "",
    ],
)
def test_a_sentence_not_known_is_not_repeated(sentence: str) -> None:
    for error in (msgspec.ValidationError(sentence), msgspec.DecodeError(sentence), ValueError(sentence)):
        refusal = explain(error)
        assert refusal.reason in ("wrong_type", "unknown_value", "invalid_json")
        assert "secret" not in refusal.detail
        assert refusal.detail


def test_errors_that_are_not_msgspecs() -> None:
    assert explain(RecursionError("secret")).reason == "too_deep"
    assert explain(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "secret")).reason == "invalid_utf8"
    assert explain(msgspec.DecodeError("Number out of range")).reason == "out_of_range"
