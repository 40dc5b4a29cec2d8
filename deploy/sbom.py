"""The bill of materials: every component that is locked, with its version, hashes and licence, in CycloneDX's JSON.

    python -m deploy.sbom [FILE]        dist/waybill-sentinel.cdx.json by default

It holds the Python packages of `requirements.txt`, the crates in the native front end, and the jars of the private
Kafka. What only an extra brings is `optional`. The same sources give the same bytes: it bears no time, and its serial
number is made of what it holds.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final = "waybill-sentinel"
OUT: Final = ROOT / "dist" / f"{PROJECT}.cdx.json"
LICENCES: Final = ROOT / "deploy" / "licences.toml"
PACKAGES: Final = ROOT / "requirements.txt"
CRATES: Final = ROOT / "streams" / "native" / "crates.lock"
JARS: Final = ROOT / "streams" / "ops" / "broker" / "kafka.lock.toml"

_PIN: Final = re.compile(
    r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+) \\\n(?P<hashes>(?:    --hash=.*\n)+)", re.M
)
_OWN_CRATE: Final = "waybill-front"


def main(out: Path) -> None:
    """Write the bill of materials to a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text(), encoding="utf-8")
    print(out)


def text() -> str:
    """The bill of materials, as CycloneDX 1.6 in JSON."""
    parts = list(components())
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, " ".join(sorted(map(_reference, parts)))))
    about = read(ROOT / "pyproject.toml")["project"]
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION, name=PROJECT, version=about["version"], bom_ref=PROJECT,
        licenses=[LicenseFactory().make_from_string(about["license"])],
    )  # fmt: skip
    bom.register_dependency(bom.metadata.component, parts)
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    del made["metadata"]["timestamp"]
    return json.dumps(made, indent=2) + "\n"


def components() -> Iterator[Component]:
    """All that is locked."""
    licences, needed = read(LICENCES), needed_to_run()
    for name, version, hashes in packages():
        purl = PackageURL("pypi", None, name, version)
        yield _component(purl, licences["python"][name], hashes, required=name in needed)
    for crate in read(CRATES)["package"]:
        if crate["name"] != _OWN_CRATE:
            purl = PackageURL("cargo", None, crate["name"], crate["version"])
            yield _component(purl, licences["crates"][crate["name"]], [crate["checksum"]], required=False)
    for jar in read(JARS)["dependencies"]:
        purl = PackageURL("maven", jar["groupId"], jar["artifactId"], jar["version"])
        licence = licences["jars"][f"{jar['groupId']}:{jar['artifactId']}"]
        yield _component(purl, licence, [jar["sha256"]], required=False)


def packages() -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and the SHA-256 of each file of the Python packages that run."""
    for pin in _PIN.finditer(PACKAGES.read_text(encoding="utf-8")):
        yield pin["name"], pin["version"], re.findall(r"sha256:(\w+)", pin["hashes"])


def needed_to_run() -> set[str]:
    """The Python packages that are needed without any extra, by what is installed here."""
    found: set[str] = set()
    waiting = [(Requirement(line), {""}) for line in read(ROOT / "pyproject.toml")["project"]["dependencies"]]
    while waiting:
        asked, extras = waiting.pop()
        name = canonicalize_name(asked.name)
        if name not in found and (asked.marker is None or any(asked.marker.evaluate({"extra": e}) for e in extras)):
            found.add(name)
            waiting += [(Requirement(line), {"", *asked.extras}) for line in metadata.requires(name) or ()]
    return found


def read(path: Path) -> dict[str, Any]:
    """A TOML file."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _component(purl: PackageURL, licence: str, hashes: list[str], *, required: bool) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        group=purl.namespace,
        name=purl.name,
        version=purl.version,
        purl=purl,
        bom_ref=purl.to_string(),
        scope=ComponentScope.REQUIRED if required else ComponentScope.OPTIONAL,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes],
        licenses=[LicenseFactory().make_from_string(licence)],
    )


def _reference(part: Component) -> str:
    return f"{part.purl}{sorted(each.content for each in part.hashes)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
