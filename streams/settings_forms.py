"""Forms in which the values of settings may be written, before they are checked."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

ADCODE, COUNTRY = r"^[1-9][0-9]([0-9]{2}([0-9]{2})?)?$", r"^[A-Z]{2}$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
WANTED = {
    ADCODE: "is no GB/T 2260 prefix of 2, 4 or 6 digits, such as 4401",
    COUNTRY: "is no country in two capital letters, such as AU",
    NAME: "may have letters, digits, '.', '_' and '-', 64 at most, and begins with a letter or digit",
}
"""What to say of a value that is not of such a form."""
GROUP = "waybill-sentinel"  # where the setting `group` says nothing
_KAFKA = re.compile("^kafka://", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.%\w]+\]|[^\W_](?:[\w.-]*\w)?\.?)(?::([0-9]{1,5}))?", re.ASCII)
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

# librdkafka properties that the commit order depends on: a deployment may not change them behind its back.
KAFKA_RESERVED = frozenset({
    "bootstrap.servers", "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "group.id",
    "group.instance.id", "group.protocol", "isolation.level", "partition.assignment.strategy",
    "queue.buffering.max.kbytes", "queued.max.messages.kbytes", "session.timeout.ms", "transactional.id",
    "transaction.timeout.ms",
})  # fmt: skip


def servers(value: object) -> object:
    """Addresses without `kafka://`, which other clients want, and without what nobody sees.

    Whatever is no host, or host and port, is refused; it is not repeated, for it may hold a password.
    """
    if not isinstance(value, str):
        return value
    seen = "".join(char for char in value if unicodedata.category(char) != "Cf")
    found = [_KAFKA.sub("", part.strip()).rstrip("/") for part in seen.split(",") if part.strip()]
    for number, each in enumerate(found, 1):
        scheme, marked, rest = each.rpartition("://")
        if marked and scheme.upper() not in _PROTOCOLS:
            raise ValueError(f"{scheme}:// is not the address of a Kafka broker: write host:port")
        if "@" in rest:
            raise ValueError(f"address {number} holds a login: set security.protocol and sasl.* in kafka_files instead")
        address = _ADDRESS.fullmatch(rest)
        if address is None or not 0 < int(address[1] or 1) < 65_536:
            raise ValueError(f"address {number} is not host:port; several are written with commas between")
    return ",".join(found)


def split(value: object) -> object:
    """Let a list be written as `a,b,c`: environment variables and options have no other form."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else str(int(value)) if isinstance(value, int) else value


def home(value: object) -> object:
    """`~` of files and variables, which no shell has seen."""
    return Path(value).expanduser() if isinstance(value, str | Path) else value
