"""The messages of `waybill.rules` and the acknowledgements of workers: numbered sets of rule files.

On `waybill.rules`, written in one transaction by a push:
- `<family>.<name>`: the file of the rule in force, YAML; a tombstone removes a rule
- `set:<number>`: a whole `RuleSet`, JSON; the set with the highest number is in force
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

SETS_KEPT: Final = 10  # newest sets that stay on the topic, to return to
_SET: Final = "set:"


class RuleSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A set of rules as pushed. Without `files`, each worker's own rule files are in force.

    What is empty is left out: workers of an earlier version know no `by`.
    """

    number: Annotated[int, Meta(ge=1)]
    fingerprint: str
    """Fingerprint of the catalogue with the overrides of the deployment that pushed it; empty without files."""
    at: int
    """When it was pushed, epoch ms."""
    note: str = ""
    by: str = ""
    """Who pushed it, as he says: an opaque id. Empty: he does not."""
    restores: int | None = None
    """Number of the earlier set that this one restores."""
    files: dict[str, str] = {}
    """Rule files by rule id."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"set {self.number} ({self.fingerprint or 'the files of each worker'})"


class Held(Struct, frozen=True, kw_only=True):
    """A rule that a worker holds back, because it opens far more alerts than its budget allows."""

    rule: str
    since: int
    """When it was held back, epoch ms."""
    share: float
    """Share of the latest verdicts for which it opened an alert, or would have."""
    budget: float
    """The share that it may have at most."""


class Ack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules by which a worker judges. Sent at its start and whenever a set or a held rule changes."""

    group: str
    instance: str
    newest: int
    """Number of the newest set that it has read; 0: there is none."""
    in_force: int
    """Number of the set that it judges by; 0: rule files of its own."""
    fingerprint: str
    """Fingerprint of its catalogue with its own overrides, as in the alerts."""
    follows: bool = True
    """False: it judges by its own files, whatever is pushed (setting rules_from)."""
    reason: str = ""
    """Why the newest set is not the one in force."""
    warnings: tuple[str, ...] = ()
    rules: int | None = None
    """How many rules it runs, live or in shadow."""
    held: tuple[Held, ...] = ()
    """Rules that it holds back now."""
    at: int
    """When it was sent, epoch ms."""

    @property
    def applied(self) -> bool:
        """Whether it judges by the newest set that it has read."""
        return self.follows and self.in_force == self.newest


def set_key(number: int) -> bytes:
    """The key of a set on `waybill.rules`."""
    return f"{_SET}{number:08d}".encode()


def set_number(key: bytes) -> int | None:
    """The number in the key of a set; None for any other key."""
    name = key.decode("utf-8", "replace")
    digits = name.removeprefix(_SET)
    return int(digits) if name.startswith(_SET) and digits.isascii() and digits.isdigit() else None


def ack_key(group: str, instance: str) -> bytes:
    """The key of a worker's acknowledgement."""
    return f"{group}/{instance}".encode()
