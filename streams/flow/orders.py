"""The random arm: parcels that are looked at whatever their verdict, drawn before anyone looks.

A parcel is drawn once, when it is first scanned in a home place: it is chosen if and only if

    xxh64(seed ‖ parcel) / 2⁶⁴ < share

where `seed` is that of the day of the scan in China, and `parcel` is `CARRIER:NUMBER`. The draw is a function of the
parcel's events, of the key and of the share alone. So a replay, another order of events or another size of batches
choose the same parcels. Where a scan that comes late turns out to be the first, the draw is that of its day: an order
is given, given anew, or taken back with a tombstone. A parcel that may have been drawn and forgotten is not drawn.

As events of a chosen parcel come, its order goes out again, and says where the parcel can be stopped now and where its
events can be read. So its clue follows it like that of an alert. A share that is set later changes no earlier draw.

Seeds follow from one key, day by day, and none tells of another. Who has the seed of a day can check its draws, or
foresee them: it is secret until the day is over.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.desk import Order
from schemas.records import encode
from streams.flow.batches import untail
from streams.flow.describe.tokens import one_key
from streams.flow.emit import alert_id, jurisdictions, sources_of
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.journey import Journeys, starts
from streams.flow.judge import Verdicts
from streams.flow.layout import DAY_MS, HOUR_MS, PARTLY_KNOWN, SCAN_TYPES
from streams.flow.revision import revisions
from streams.settings import Settings

Ints = NDArray[np.int64]
Rows = NDArray[np.void]
SEED_BYTES: Final = 16
_CHINA_MS: Final = 8 * HOUR_MS
_EPOCH: Final = date(1970, 1, 1)
_DAYS_MAX: Final = 1_000
_FULL: Final = np.ones(1, dtype=np.bool_)
_STOPS: Final = np.zeros(256, dtype=np.bool_)  # by kind: a scan where the parcel can still be stopped
_STOPS[[code for code, name in enumerate(SCAN_TYPES) if name not in ("delivered", "returned")]] = True


@dataclass(frozen=True, slots=True)
class Ordered:
    """One message. value None: the order is taken back."""

    partition: int
    key: bytes
    value: bytes | None


def key_of(settings: Settings) -> bytes | None:
    """The key of the draw; None: none is set. Raises KeyFileError."""
    inline = settings.order_key.get_secret_value() if settings.order_key else None
    return one_key("order_key", inline, settings.order_key_file)


def seed_of(key: bytes, day: date) -> bytes:
    """The seed of a day, 16 bytes."""
    return hmac.digest(key, f"waybill-orders {day.isoformat()}".encode(), "sha256")[:SEED_BYTES]


def chosen(seed: bytes, parcel: bytes, share: float) -> bool:
    """Whether a parcel (`CARRIER:NUMBER`) is of the random arm of a day."""
    return xxhash.xxh64_intdigest(seed + parcel) < share * 2**64


def day_of(at_ms: int) -> date:
    """The day in China."""
    return _EPOCH + timedelta(days=(at_ms + _CHINA_MS) // DAY_MS)


class Orders:
    """Draws parcels. One thread at a time."""

    def __init__(self, key: bytes, share: float, home: tuple[str, ...]) -> None:
        """share: of the parcels that come to a home place, more than 0. home: prefixes of the home places."""
        self._key = key
        self._share = share
        self._home = home
        self._seeds: dict[date, bytes] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As set; None: no parcel is drawn. Raises KeyFileError."""
        key = key_of(settings)
        return cls(key, settings.order_share, settings.home_adcodes) if settings.order_share and key else None

    def draw(self, dossiers: Dossiers, verdicts: Verdicts) -> list[Ordered]:
        """Draw those of these parcels whose first scan in a home place is news; their dossiers remember it.

        What was chosen earlier goes out again, with its probability of then, where events of it are new.
        """
        heads = dossiers.heads
        at, scans = self._first(verdicts.journeys)
        rows = verdicts.rows[at]
        news = (scans["id"] != heads["drawn"][rows]) & (heads["decided_at"][rows] != PARTLY_KNOWN)
        moves = (heads["order_p"][rows] > 0) & (dossiers.moved[rows] | dossiers.uploaded[rows])
        out = []
        before = heads["order_p"][rows]
        self._draw(dossiers, rows[news], scans.compress(news))
        after = heads["order_p"][rows]
        for number in np.flatnonzero((news | moves) & ((before > 0) | (after > 0))).tolist():
            row, p = int(rows[number]), float(after[number])
            value = encode(_order(dossiers, verdicts, int(at[number]), p, scans[number])) if p else None
            out.append(Ordered(dossiers.partitions[row], _parcel(dossiers.tails[row]), value))
        return out

    def _draw(self, dossiers: Dossiers, rows: Ints, scans: Rows) -> None:
        """Draw the parcels of these dossiers by their first scans."""
        days = (scans["at"] + _CHINA_MS) // DAY_MS
        seeds = {day: self._seed(_EPOCH + timedelta(days=day)) for day in np.unique(days).tolist()}
        parcels = [_parcel(dossiers.tails[row]) for row in rows.tolist()]
        hits = [chosen(seeds[day], parcel, self._share) for day, parcel in zip(days.tolist(), parcels, strict=True)]
        dossiers.heads["drawn"][rows] = scans["id"]
        dossiers.heads["order_p"][rows] = np.where(hits, self._share, 0.0)
        dossiers.changed[rows] = True

    def _first(self, journeys: Journeys) -> tuple[Ints, Rows]:
        """The first scan in a home place that does not end the way, and whose it is."""
        movements = journeys.movements
        here = np.flatnonzero(starts(movements["adcode"], self._home))
        here = here[_STOPS[movements["kind"][here]]]
        of, first = np.unique(journeys.owners[here], return_index=True)  # movements are in order of time
        return of, movements.take(here[first])

    def _seed(self, day: date) -> bytes:
        if day not in self._seeds:
            if len(self._seeds) >= _DAYS_MAX:
                self._seeds.clear()
            self._seeds[day] = seed_of(self._key, day)
        return self._seeds[day]


def _parcel(raw_tail: bytes) -> bytes:
    """`CARRIER:NUMBER`, from the tail of a dossier."""
    return b":".join(raw_tail.split(b"\x1f", 3)[1:3])


def _order(dossiers: Dossiers, verdicts: Verdicts, at: int, p: float, scan: np.void) -> Order:
    """The order for the parcel of the verdict at this position, which was chosen by a scan."""
    row, here = int(verdicts.rows[at]), slice(at, at + 1)
    _, carrier_code, waybill_no, outlet_id, _ = untail(dossiers.tails[row])
    (place,) = jurisdictions(dossiers.heads[row : row + 1], [dossiers.movements[row]])
    (sources,) = sources_of(dossiers, verdicts.rows[here])
    return Order(
        order_id=alert_id(f"{carrier_code}:{waybill_no}"),  # who gets the clue must not tell an order from an alert
        revision=revisions(dossiers, verdicts.rows[here], verdicts.absent[here], verdicts.touched[here], _FULL)[0],
        arm="random",
        p=p,
        day=day_of(int(scan["at"])).isoformat(),
        carrier_code=carrier_code,
        waybill_no=waybill_no,
        adcode=str(place),
        outlet_id=outlet_id or None,
        at=int(scan["at"]),
        sources=sources,
    )
