"""The newest trace of each parcel, followed on a broker."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import msgspec

from desk.log import Client
from schemas import topics
from schemas.desk import Trace
from streams.kafka.log_reader import Entry, LogReader

_decode = msgspec.json.Decoder(Trace).decode


class Traces:
    """Traces by parcel; a context manager. One thread at a time. Raises ClientError."""

    def __init__(self, servers: str, client: Client) -> None:
        self._reader = LogReader(servers, [topics.TRACES], client=client)
        self._values: dict[bytes, bytes] = {}  # not decoded: of most, nobody asks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def catch_up(self) -> None:
        """Read to the end."""
        for entry in self._reader.to_end():
            self._take(entry)

    def poll(self) -> None:
        """Read what has come since the last call."""
        for entry in self._reader.poll(0.0):
            self._take(entry)

    def of(self, parcel: str) -> Trace | None:
        """The trace of `CARRIER:NUMBER`; None: there is none that can be read."""
        try:
            return _decode(self._values.get(parcel.encode(), b""))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _take(self, entry: Entry) -> None:
        if entry.value is None:
            self._values.pop(entry.key, None)
        else:
            self._values[entry.key] = entry.value
