"""Takes the tokens of a person out of the state and out of messages.

Who is to be erased is told by ID numbers, mobiles or tokens (`persons_of`). Where a token stood,

- the person's own histories go, and what the expiry index lists of them;
- in histories of others (of a recipient, a courier, another phone) another number stands for it, drawn once: what they
  count stays the same, and nobody can come from the person to that number or back;
- in dossiers stands nobody, so that columns about this person are unknown from then on, and never “no”;
- alerts and traces go out again without it, see `without`.

An erasure counts as facts of a parcel, as an upload does that another superseded: its revision rises, and does not fall
when reference data touch it no more through this person.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from schemas.desk import Trace
from schemas.errors import WaybillError
from schemas.records import Alert, Shipment
from schemas.terms import TOKEN_FORM
from streams.flow import layout
from streams.flow.describe.identity import describe_ids
from streams.flow.describe.people import mobiles
from streams.flow.describe.tokens import Tokeniser
from streams.flow.fold import dossiers, histories, tallies
from streams.flow.fold.uploads import bounded
from streams.flow.layout import ID_TYPES, OBSERVED, PHONE, RECIPIENT, SENDER, VERSION
from streams.flow.revision import BETWEEN_FACTS
from streams.flow.time import expiry_index
from streams.state.format import FORMAT
from streams.state.store import END, FIRST, Store

Tokens = NDArray[np.uint64]
Mask = NDArray[np.bool_]
_ROWS: Final = 2_000
_STATE_TOKEN: Final = re.compile("[0-9a-f]{16}")
Given = Literal["id", "phone", "token"]


class RequestError(WaybillError):
    """A request that names nobody; the message never holds what was given."""


@dataclass(frozen=True, slots=True)
class Persons:
    """Tokens to take out. states: those of the state, sorted; shown: published ones; stand_ins: row by row with
    `states`, what stands for each in histories of others."""

    states: Tokens
    shown: frozenset[str]
    stand_ins: Tokens

    @classmethod
    def of(cls, states: Iterable[int], shown: Iterable[str], tokens: Tokeniser) -> Persons:
        """With these tokens, and published ones under every key that is held."""
        found = np.array(sorted({*states}), dtype=np.uint64)
        every = {token for each in found.tolist() for token in tokens.published(each)}
        drawn = [secrets.randbits(64) or 1 for _ in found]
        return cls(found, frozenset(every | {*shown}), np.array(drawn, dtype=np.uint64))

    def among(self, tokens: NDArray[Any]) -> Mask:
        """Which of these tokens are to go."""
        return np.isin(tokens, self.states)

    def forms(self) -> list[bytes]:
        """The tokens as they stand in values and keys of any topic."""
        orders: tuple[Literal["little", "big"], ...] = ("little", "big")
        raw = [token.to_bytes(8, order) for token in self.states.tolist() for order in orders]
        return [*raw, *(token.encode() for token in sorted(self.shown))]


# Who


def persons_of(given: Iterable[tuple[Given, str]], tokens: Tokeniser) -> Persons:
    """Those who are named. A published token is one of `shown` alone until `resolved`. Raises RequestError."""
    states: set[int] = set()
    shown: set[str] = set()
    for kind, value in given:
        if kind == "token" and re.fullmatch(TOKEN_FORM, value):
            if value.partition(":")[0] not in tokens.publish_key_ids:
                raise RequestError("token: its key is not in token_key_file any more")
            shown.add(value)
        elif kind == "token" and _STATE_TOKEN.fullmatch(value):
            states.add(int(value, 16))
        elif kind != "token" and (found := _tokens(kind, value, tokens)):
            states |= found
        else:
            raise RequestError(f"{kind}: what was given is none, or is masked")
    if not (states or shown):
        raise RequestError("nobody was named: give an ID number, a mobile or a token")
    return Persons.of(states, shown, tokens)


def _tokens(kind: Given, value: str, tokens: Tokeniser) -> set[int]:
    if kind == "phone":
        return {*tokens.tokens("phone", mobiles(pl.Series([value])).to_list()).tolist()} - {0}
    return {*_of_ids(pl.Series([value] * len(ID_TYPES)), pl.Series(ID_TYPES), tokens).tolist()} - {0}


def _of_ids(number: pl.Series, kind: pl.Series, tokens: Tokeniser) -> Tokens:
    """Tokens of ID numbers in the forms that documents of their kind have; 0: none."""
    ids = describe_ids(number, kind, pl.Series([None] * len(number), dtype=pl.Int64))
    return tokens.tokens("id", ids["id_norm"].set(ids["id_masked"], None).to_list())


def resolved(persons: Persons, tokens: Tokeniser, known: Iterable[Tokens]) -> Persons:
    """With the state tokens of published ones, as far as they are among those that are `known`."""
    ids = {token.partition(":")[0] for token in persons.shown}
    found = {
        token
        for some in known
        for token in some.tolist()
        if token and any(tokens.publish(token, key_id) in persons.shown for key_id in ids)
    }
    return Persons.of({*persons.states.tolist(), *found}, persons.shown, tokens)


def named_in(shipments: Sequence[Shipment], persons: Persons, tokens: Tokeniser) -> Mask:
    """Which shipment records name one of them: as sender, recipient or agent."""

    def texts(field: str) -> pl.Series:
        return pl.Series([getattr(each, field) for each in shipments], dtype=pl.String)

    found = persons.among(_of_ids(texts("sender_id_no"), texts("sender_id_type"), tokens))
    for kind in ID_TYPES:
        found |= persons.among(_of_ids(texts("agent_id_no"), pl.Series([kind] * len(shipments)), tokens))
    for field in ("sender_phone", "recipient_phone"):
        found |= persons.among(tokens.tokens("phone", mobiles(texts(field)).to_list()))
    return found


# State


def known_tokens(parcels: Store, kept: Store, partition: int) -> Iterator[Tokens]:
    """All tokens of persons that stand in the state of a partition."""
    for rows in _scanned(parcels, partition, FIRST):
        heads = dossiers.stored(partition, rows).heads
        entity = heads["entity"][:, [SENDER, PHONE, RECIPIENT]].ravel()
        yield np.unique(np.concatenate([heads["person"], heads["sender"], heads["recipient"], entity]))
    for rows in _scanned(kept, partition, b""):
        yield np.array([histories.entity_of(key) for key, _ in _buckets(rows)], dtype=np.uint64)


def erase_histories(store: Store, partition: int, persons: Persons) -> tuple[int, int]:
    """Take them out of the histories of a partition; how many of their own went, and how many of others changed."""
    gone: set[bytes] = set()
    changed = 0
    entities = set(persons.states.tolist())
    stored = [token.to_bytes(8, "little") for token in persons.states.tolist()]
    for rows in _scanned(store, partition, b""):
        for key, value in _buckets(rows):
            if histories.entity_of(key) in entities:
                gone.add(key)
            elif any(token in value for token in stored) and key[0] != SENDER:  # of a sender it is the name
                observed = np.frombuffer(value, dtype=OBSERVED, offset=1).copy()
                theirs = persons.among(observed["a"])
                observed["a"][theirs] = persons.stand_ins[np.searchsorted(persons.states, observed["a"][theirs])]
                store.put([partition], [key], [bytes([FORMAT]) + observed.tobytes()])
                changed += 1
    store.delete([partition] * len(gone), sorted(gone))
    if gone:
        _unlist(store, partition, gone)
    return len(gone), changed


def _unlist(store: Store, partition: int, gone: set[bytes]) -> None:
    """A key of a history is a token, also where the expiry index lists it."""
    for rows in _scanned(store, partition, END, tallies.BEHIND):
        for key, value in rows:
            listed = expiry_index.listed_keys(value)
            if gone.isdisjoint(listed):
                continue
            store.delete([partition], [key])
            for _, new, part in expiry_index.split(key, value, [-1 if each in gone else partition for each in listed]):
                store.put([partition], [new], [part])


def erase_parcels(store: Store, partition: int, persons: Persons, touched_max: int) -> tuple[int, int]:
    """Take them out of the dossiers of a partition; how many changed, and of how many of these an alert is open.

    touched_max: what reference data may have added to a revision through them.
    """
    changed = opened = 0
    for rows in _scanned(store, partition, FIRST):
        kept = dossiers.stored(partition, rows)
        for i in np.flatnonzero(_erased(kept, persons)).tolist():
            kept.changed[i] = True
            opened += int(kept.heads["emitted"][i]) == layout.OPEN
            fact = np.zeros(1, dtype=VERSION)
            fact["event"] = secrets.randbits(64)
            # One more than `without` counts: what is judged later has a higher revision, also where nothing is new.
            fact["known"][0, SENDER] = 1 + -(-touched_max // BETWEEN_FACTS)
            versions = bounded(np.concatenate([np.frombuffer(kept.versions[i], dtype=VERSION), fact]))
            kept.versions[i] = versions[np.argsort(versions["event"])].tobytes()
            kept.heads["versions"][i] = len(versions)
        changed += int(kept.changed.sum())
        kept.save(store)
    return changed, opened


def _erased(kept: dossiers.Dossiers, persons: Persons) -> Mask:
    """Put nobody where one of them stands, nor a name beside it; which changed.

    What stands for region and day of birth at an outlet stays: many share it, and a correction must find it.
    """
    heads = kept.heads
    person, sender = persons.among(heads["person"]), persons.among(heads["sender"])
    entity = persons.among(heads["entity"])
    found = np.asarray(person | sender | entity.any(axis=1) | persons.among(heads["recipient"]))
    heads["person"][person] = heads["sender"][sender] = heads["name"][person | sender] = 0
    heads["recipient"][persons.among(heads["recipient"])] = 0
    heads["entity"][entity] = 0
    for i in np.flatnonzero(heads["versions"]).tolist():
        versions = np.frombuffer(kept.versions[i], dtype=VERSION).copy()
        past = {name: persons.among(versions[name]) for name in ("person", "phone")}
        for name, mask in past.items():
            versions[name][mask] = 0
            found[i] |= mask.any()
        kept.versions[i] = versions.tobytes()
    return found


def _buckets(rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in rows if len(key) == histories.KEY_BYTES]


def _scanned(store: Store, partition: int, after: bytes, before: bytes = END) -> Iterator[list[tuple[bytes, bytes]]]:
    while rows := store.scan(partition, after, _ROWS, before):
        yield rows
        after = rows[-1][0]


# Messages


def without(message: Alert | Trace, persons: Persons) -> Alert | Trace | None:
    """The message as it goes out in place of this one; None: it holds none of them.

    An alert has a further revision, as readers leave out one that has not: an erasure is one fact more.
    """
    if isinstance(message, Alert):
        gone = [who for who in ("sender", "recipient") if persons.shown & {
            getattr(message, f"{who}_token"), *getattr(message, f"earlier_{who}_tokens")}]  # fmt: skip
        nobody: dict[str, Any] = {f"{who}_token": None for who in gone} | {f"earlier_{who}_tokens": () for who in gone}
        risen = message.revision + 2 * BETWEEN_FACTS
        return replace(message, revision=risen, **nobody) if gone else None
    kinds = [kind for kind in _TRACED if persons.shown & {*getattr(message, kind)}]
    masked = {_TRACED[kind]: None for kind in kinds}
    return replace(message, **dict.fromkeys(kinds, ()), **masked) if kinds else None


_TRACED: Final = {
    "sender_tokens": "sender_masked", "sender_phone_tokens": "sender_masked", "recipient_tokens": "recipient_masked",
}  # fmt: skip
"""Tokens of a trace, and the name that belongs to them."""
