"""The broker's own tools, such as `kafka-acls.sh`: a jar that the private Kafka does without, fetched once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streams.ops.broker import jars

GROUP, NAME, VERSION = "org.apache.kafka", "kafka-tools", "4.1.1"
SHA256: Final = "8a6939f310a61119cedaffc144119e9b2a374e32a7ec18f78e49ce5aeb71d6b0"
ACLS: Final = "org.apache.kafka.tools.AclCommand"
"""What `kafka-acls.sh` starts."""


def jar() -> Path:
    """Its path. Raises AssertionError where it is not what it was."""
    path = Path(jars._context().project(GROUP, NAME).at_version(VERSION).artifact("").resolve())
    assert jars._sha256(path) == SHA256, f"{path}: SHA-256 is {jars._sha256(path)}"
    return path
