"""A desk on a broker: its database, the thread that follows the topics, and its writer, for as long as it serves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import uvicorn

from desk.log import Client, new_name
from desk.pen import Pen
from desk.rulebook import Rulebook
from desk.store.database import Database
from desk.store.projection import Progress
from desk.store.projector import Projector
from desk.store.reading import Store
from desk.store.sessions import SessionStore
from desk.watch import Watch
from desk.web.app import application
from desk.web.core import Desk, now
from desk.web.directory import Directory
from desk.web.sources import Sources
from desk.web.users import Users
from rules import load_catalogue
from streams.settings import Settings


class Server(uvicorn.Server):
    """Serves a desk. It ends the live streams before it waits for requests to end, which they would never do."""

    def __init__(
        self,
        desk: Desk,
        users: Users,
        host: str,
        port: int,
        directory: Directory | None = None,
        door: Path | None = None,
    ) -> None:
        self.application = application(desk, users, directory, door)
        # Whose headers are believed for who asks, the address of the peer must be its own.
        by_headers = directory is not None and directory.proxy is not None
        super().__init__(
            uvicorn.Config(self.application, host=host, port=port, log_level="warning", proxy_headers=not by_headers)
        )
        self._desk = desk

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop."""
        self._desk.live.close()
        await super().shutdown(sockets)


@contextmanager
def desk_on(
    servers: str,
    client: Client,
    url: str,
    settings: Settings,
    told: Callable[[Progress], None] = lambda _: None,
    watch: Watch | None = None,
) -> Iterator[Desk]:
    """A desk whose projection is built. url: of its database; told: how far the building is.
    watch: who is told how requests and writes end.

    Raises StoreError or ClientError where it cannot be built, RuleError for rule files that cannot be used.
    """
    files = load_catalogue(settings.rules_dir, settings.rule_overrides)
    database, rulebook = Database(url), Rulebook(servers, client, settings, files)
    pen = Pen(servers, client, new_name("desk", settings.group), watch)
    projector, sources = Projector(database, servers, client), Sources(servers, client, now)
    thread = threading.Thread(target=projector.run, name="projection", daemon=True)
    thread.start()
    try:
        projector.projection.wait_until_built(told)
        rulebook.start()
        store = Store(database, projector.projection)
        yield Desk(store, projector.projection, pen, rulebook, sources, SessionStore(database), watch)
    finally:
        rulebook.stop()
        sources.close()
        projector.stop()
        thread.join()
        database.engine.dispose()
