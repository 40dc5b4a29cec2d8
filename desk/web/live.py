"""News of the queue as server-sent events, for whoever has it open.

A message has the rows that changed in the part of the queue that a page shows, and ids of those that its reader may see
no longer. Its id is the generation of the tables and the number of the last change: a browser that was away says by
`Last-Event-ID` what it has, and gets the rest. Where that is too much, it is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool

from desk.clues.clue import Clue
from desk.queue import Filter
from desk.scope import Scope
from desk.store.database import StoreError
from desk.store.reading import Key, Page, Store

HEARTBEAT_S: Final = 15.0
ENDED: Final = b"event: ended\ndata: {}\n\n"
STREAMS_MAX: Final = 1_000
CHANGES_MAX: Final = 1_000  # of one message, and of what is sent again
_GATHER_S: Final = 0.2  # changes within this time are one message
_BEHIND_MAX: Final = 100  # messages that a browser may be behind
_RETRY_MS: Final = 2_000


@dataclass(slots=True)
class News:
    """Clues that have changed, up to the number `seq`. too_many: the list does not have them, or is of other tables."""

    generation: str
    seq: int
    changes: list[tuple[int, Clue]]
    too_many: bool = False
    rows: dict[tuple[str, ...], str] = field(default_factory=dict)  # as rendered for one stream or more

    @property
    def name(self) -> str:
        """The id of its message."""
        return f"{self.generation}-{self.seq}"


class Watch:
    """What one open page shows of the queue: clues that fit, between two places. Says what news mean to it.

    render  the row of a clue as its reader sees it; view: who else sees it so.
    """

    def __init__(
        self, which: Filter, scope: Scope, after: Key | None, render: Callable[[Clue], str], view: tuple[str, ...]
    ) -> None:
        self.which, self.scope, self.after = which, scope, after
        self._render, self._view = render, view
        self._until: Key | None = None
        self._shown: dict[str, Clue | None] = {}  # as its reader saw them last; None: it is not known how

    def begin(self, page: Page, missed: News) -> None:
        """Take note of what the page shows. missed: what it has not been told yet."""
        late = {clue.clue_id for _, clue in missed.changes}
        self._until = page.after
        self._shown = {clue.clue_id: None if clue.clue_id in late else clue for clue in page.clues}

    def told(self, news: News, since: int = 0) -> dict[str, Any] | None:
        """What to send of the news after the change `since`; None: nothing."""
        rows: list[dict[str, Any]] = []
        gone: list[str] = []
        for seq, clue in news.changes:
            if seq <= since:
                continue
            if not self.scope.takes(clue):
                if clue.clue_id in self._shown:
                    del self._shown[clue.clue_id]
                    gone.append(clue.clue_id)
                continue
            seen = self.scope.shown(clue)
            if seen.as_ordered and seen == self._shown.get(clue.clue_id):
                continue  # what has changed is hidden, so is that something has
            fits = self.which.takes(seen)
            if clue.clue_id in self._shown or (fits and self._between(Key.of_clue(seen, self.scope))):
                self._shown[clue.clue_id] = seen
                rows.append({"id": clue.clue_id, "html": self._row(news, seen), **({} if fits else {"out": True})})
        return {"rows": rows, "gone": gone} if rows or gone else None

    def _between(self, key: Key) -> bool:
        return (self.after is None or key > self.after) and (self._until is None or key <= self._until)

    def _row(self, news: News, clue: Clue) -> str:
        place = (clue.clue_id, *self._view)
        found = news.rows.get(place)
        if found is None:
            found = news.rows[place] = self._render(clue)
        return found


class Live:
    """Gives all open streams the news, each batch read once. All but `changed` on one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams: set[asyncio.Queue[News | None]] = set()
        self._at: tuple[str, int] | None = None  # up to where streams were told; None: there are none
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closed = False

    def changed(self) -> None:
        """There may be news; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def run(self) -> None:
        """Until it is cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._at is not None:
                await self._tell(*self._at)
                await asyncio.sleep(_GATHER_S)

    def look(self) -> None:
        """Ask at once whether the readers of all streams are still logged in, as they are."""
        for stream in self._streams:
            with suppress(asyncio.QueueFull):  # who is behind is asked with the next message
                stream.put_nowait(_LOOK)

    def close(self) -> None:
        """End all streams, and take no more: a server waits for them before it stops."""
        self._closed = True
        for stream in self._streams:
            _end(stream)

    @property
    def open(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    @property
    def full(self) -> bool:
        """Whether there can be no more streams."""
        return self._closed or len(self._streams) >= STREAMS_MAX

    async def stream(self, since: str, watch: Watch, alive: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """Messages to a page that has all up to `since`. alive: whether its reader is still logged in, as the same."""
        queue: asyncio.Queue[News | None] = asyncio.Queue(_BEHIND_MAX)
        self._streams.add(queue)
        try:
            yield f"retry: {_RETRY_MS}\n\n".encode()
            missed = await run_in_threadpool(self._missed, since, watch)
            if self._at is None:
                self._at = missed.generation, missed.seq
                self._news.set()
            news: News | None = missed
            last, seq = missed.generation, 0
            while news is not None:
                if not await alive():
                    yield ENDED
                    return
                if news.too_many or news.generation != last:
                    yield f"id: {news.name}\nevent: reload\ndata: {{}}\n\n".encode()
                    return
                told = watch.told(news, seq)
                seq = max(seq, news.seq)
                if told is not None:
                    yield b"id: %s\nevent: rows\ndata: %s\n\n" % (news.name.encode(), msgspec.json.encode(told))
                while (found := await _next(queue)) is _NOTHING or found is _LOOK:
                    if not await alive():
                        yield ENDED
                        return
                    if found is _NOTHING:
                        yield f"id: {last}-{seq}\n: \n\n".encode()
                news = found
        except StoreError:
            return  # the browser tries again
        finally:
            self._streams.discard(queue)
            if not self._streams:
                self._at = None

    async def _tell(self, generation: str, seq: int) -> None:
        try:
            news = await run_in_threadpool(self._since, generation, seq)
        except StoreError:
            return  # with the next change
        self._at = (news.generation, news.seq) if self._streams else None
        if news.changes or news.too_many:
            for stream in self._streams:
                try:
                    stream.put_nowait(news)
                except asyncio.QueueFull:
                    _end(stream)  # the browser comes again, and says what it has

    def _missed(self, since: str, watch: Watch) -> News:
        """What a page has missed since it was made, or lost its stream."""
        page = self._store.queue(watch.which, watch.scope, watch.after)
        generation, _, seq = since.partition("-")
        missed = self._since(generation, int(seq) if seq.isascii() and seq.isdecimal() and len(seq) < 19 else -1)
        watch.begin(page, missed)
        return missed

    def _since(self, generation: str, seq: int) -> News:
        tables = self._store.tables()
        if tables.generation != generation or seq < 0:
            return News(tables.generation, self._store.last(), [], too_many=True)
        found = self._store.changes(seq, CHANGES_MAX + 1)
        if len(found) > CHANGES_MAX:
            return News(generation, self._store.last(), [], too_many=True)
        return News(generation, found[-1][0] if found else seq, found)


_NOTHING: Final = News("", 0, [])
_LOOK: Final = News("", 0, [])


async def _next(queue: asyncio.Queue[News | None]) -> News | None:
    """The next news; `_NOTHING` after a while without; None: the stream ends."""
    try:
        return await asyncio.wait_for(queue.get(), HEARTBEAT_S)
    except TimeoutError:
        return _NOTHING


def _end(stream: asyncio.Queue[News | None]) -> None:
    while not stream.empty():
        stream.get_nowait()
    stream.put_nowait(None)
