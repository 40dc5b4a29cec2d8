"""The definitions that the native library is built with are those of today."""

from __future__ import annotations

import pytest

from streams import native
from streams.flow.front.tables import files, fingerprint
from streams.native.build import HERE


def test_the_generated_files_are_fresh() -> None:
    for name, text in files().items():
        assert (HERE / "src" / name).read_text(encoding="utf-8") == text, "run `python -m streams.flow.front`"
    assert fingerprint() in files()["tables.rs"]


@pytest.mark.native
def test_what_is_built_has_the_definitions_of_today() -> None:
    assert native.missing(fingerprint()) == "", "run `make setup`"
    assert native.state("auto", fingerprint()) == "in use"


@pytest.mark.native
def test_a_library_of_other_definitions_is_not_used() -> None:
    assert native.library("auto", "other") is None
    assert native.library("0", fingerprint()) is None
    with pytest.raises(native.NativeError, match=r"other definitions.*make setup"):
        native.library("1", "other")


def test_each_native_file_can_be_read_in_one_go() -> None:
    long = {path.name for path in (HERE / "src").glob("*.rs") if len(path.read_text("utf-8").splitlines()) >= 500}
    assert not long
