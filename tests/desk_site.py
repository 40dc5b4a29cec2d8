"""A desk on a real server, for tests of its pages: three clues, the first with a trace that holds hostile text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette

from desk.dispatcher import Dispatcher
from desk.log import Client
from desk.web.core import Desk
from desk.web.directory import Directory
from desk.web.roles import MAY
from desk.web.serving import Server, desk_on
from desk.web.users import Account, Users
from schemas.desk import Trace
from streams.settings import Settings
from tests.broker.test_desk import STATIONS, alert_on, publish
from tests.desk_accounts import account
from tests.schemas.desk_samples import TRACE
from tests.waiting import until

_ALL = ("station", "supervisor")
_ROLES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "u1": ("ST-1", _ALL), "u2": ("ST-1", _ALL), "u3": ("ST-2", _ALL),
    **{role: ("ST-1" if role == "station" else None, (role,)) for role in MAY},
    "analyst of 44": (None, ("analyst:44",)), "viewer, analyst of 31": (None, ("viewer", "analyst:31")),
    "supervisor of 31": (None, ("supervisor:31",)), "supervisor of 11": (None, ("supervisor:11",)),
}  # fmt: skip
TOKENS = {name: f"{name}-{'x' * 40}" for name in _ROLES}
ACCOUNTS = [account(name.replace(" ", "-"), TOKENS[name], station, *roles) for name, (station, roles) in _ROLES.items()]
HOSTILE = """</dd><script src="//evil.example/x.js"></script>"'&{{ 7 * 7 }}粉末"""


class Site(str):
    """The address of a desk, and its application."""

    application: Starlette

    def __new__(cls, address: str, application: Starlette) -> Site:
        """Both."""
        made = super().__new__(cls, address)
        made.application = application
        return made


@contextmanager
def desk_of(servers: str, client: Client | None = None) -> Iterator[Desk]:
    """A desk with a database of its own."""
    with (
        TemporaryDirectory() as folder,
        desk_on(servers, client or {}, f"sqlite:///{folder}/desk.sqlite", Settings()) as desk,
    ):
        yield desk


def three_clues(kafka: str) -> None:
    """Two clues at ST-1, the second of which is extreme, and one at ST-2."""
    first, second = alert_on(1), replace(alert_on(2), tier="extreme", score=90)
    third = replace(alert_on(3), jurisdiction_adcode="310115")
    trace = {**TRACE, "alert_id": first.alert_id, "waybill_no": first.waybill_no, "goods_name": HOSTILE}
    publish(kafka, *STATIONS, first, second, third, msgspec.convert(trace, Trace))
    with Dispatcher(kafka, {}, 40) as dispatcher:
        dispatcher.start()


@contextmanager
def served(kafka: str, *more: Account, directory: Directory | None = None, door: Path | None = None) -> Iterator[Site]:
    """The address of a desk with three clues."""
    three_clues(kafka)
    with desk_of(kafka) as desk:
        server = Server(desk, Users([*ACCOUNTS, *more]), "127.0.0.1", 0, directory, door)
        thread = threading.Thread(target=server.run)
        thread.start()
        until(lambda: server.started)
        try:
            yield Site(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", server.application)
        finally:
            server.should_exit = True
            thread.join()
