"""What `waybill.rules` and the workers' acknowledgements hold: sets of rule files, numbered as they were pushed.

On `waybill.rules`, written in one transaction by a push:
- `<family>.<name>`: the file of that rule as it is in force, YAML; a tombstone takes a rule out
- `set:<number>`: a `RuleSet`, JSON, whole; the one with the highest number is in force
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

SETS_KEPT: Final = 10  # newest sets on the topic, to go back to
_SET: Final = "set:"


class RuleSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set of rules as pushed. Without `files`, each worker's own rule files are in force."""

    number: Annotated[int, Meta(ge=1)]
    fingerprint: str
    """Of the catalogue under the overrides of the deployment that pushed; empty without files."""
    at: int
    """When it was pushed, epoch ms."""
    note: str = ""
    restores: int | None = None
    """Number of the earlier set that this one brings back."""
    files: dict[str, str] = {}
    """Rule files by rule id."""

    @property
    def name(self) -> str:
        """For people."""
        return f"set {self.number} ({self.fingerprint or 'the files of each worker'})"


class Held(Struct, frozen=True, kw_only=True):
    """A rule that a worker holds back, because it opens far more alerts than its budget allows."""

    rule: str
    since: int
    """When it was held back, epoch ms."""
    share: float
    """Alerts that it opened, or would have, among the verdicts weighed last."""
    budget: float
    """The share that it may have."""


class Ack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By what a worker judges: said when it starts, takes or refuses a set, and holds back or releases a rule."""

    group: str
    instance: str
    newest: int
    """Number of the newest set that it has read; 0: there is none."""
    in_force: int
    """Number of the set that it judges by; 0: rule files of its own."""
    fingerprint: str
    """Of its catalogue, with its own overrides: as in the alerts."""
    follows: bool = True
    """False: its rules are those of its files whatever is pushed (setting rules_from)."""
    reason: str = ""
    """Why the newest set is not the one in force."""
    warnings: tuple[str, ...] = ()
    rules: int | None = None
    """How many rules it runs, live or in shadow."""
    held: tuple[Held, ...] = ()
    """Rules that it holds back now."""
    at: int
    """When it was said, epoch ms."""

    @property
    def applied(self) -> bool:
        """Whether it judges by the newest set that it has read."""
        return self.follows and self.in_force == self.newest


def set_key(number: int) -> bytes:
    """The key of a set on `waybill.rules`."""
    return f"{_SET}{number:08d}".encode()


def set_number(key: bytes) -> int | None:
    """The number in such a key; None for any other key."""
    name = key.decode("utf-8", "replace")
    digits = name.removeprefix(_SET)
    return int(digits) if name.startswith(_SET) and digits.isascii() and digits.isdigit() else None


def ack_key(group: str, instance: str) -> bytes:
    """The key of a worker's acknowledgement."""
    return f"{group}/{instance}".encode()
