"""The tracer's door: where the desk asks for reveals. A socket in a folder that only the two of them enter.

There is no port, no secret to steal, and no network on which a person could be overheard: the file system says who may
connect. A folder that everybody can enter is refused.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from desk.reveals import Ask, Reveal, RevealError, Reveals, Shown
from schemas.errors import WaybillError
from schemas.refusals import UNREADABLE
from schemas.terms import UserId
from streams.kafka.errors import ClientError

_BODY_MAX: Final = 8_192


class DoorError(WaybillError):
    """A door that cannot be opened; the message says why."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of whom, about a reveal."""

    user: UserId
    agree: bool = True


def application(reveals: Reveals) -> Starlette:
    """What the door answers."""

    def answering(do: Callable[[Request, bytes], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = b"".join([piece async for piece in request.stream()])[:_BODY_MAX]
            try:
                found = await run_in_threadpool(do, request, body)
            except RevealError as error:
                return _json({"title": error.detail}, error.status)
            except UNREADABLE as error:
                return _json({"title": str(error) if isinstance(error, msgspec.ValidationError) else "no JSON"}, 422)
            except ClientError as error:
                return _json({"title": str(error)}, 503)
            return _json(found)

        return endpoint

    def ask(request: Request, body: bytes) -> Reveal:
        return reveals.ask(msgspec.json.decode(body, type=Ask))

    def decide(request: Request, body: bytes) -> None:
        said = msgspec.json.decode(body, type=Decision)
        reveals.decide(request.path_params["reveal"], said.user, agree=said.agree)

    def show(request: Request, body: bytes) -> Shown:
        return reveals.show(request.path_params["reveal"], msgspec.json.decode(body, type=Decision).user)

    return Starlette(
        routes=[
            Route("/reveals", answering(lambda request, body: reveals.all())),
            Route("/reveals", answering(ask), methods=["POST"]),
            Route("/reveals/{reveal}/decide", answering(decide), methods=["POST"]),
            Route("/reveals/{reveal}/show", answering(show), methods=["POST"]),
        ]
    )


@contextmanager
def opened(path: Path, reveals: Reveals) -> Iterator[None]:
    """Serve the door on a thread of its own, for as long as the context lasts. Raises DoorError."""
    listening = _bound(path)
    server = uvicorn.Server(uvicorn.Config(application(reveals), log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="door", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        path.unlink(missing_ok=True)


def _bound(path: Path) -> socket.socket:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(path.parent.stat().st_mode) & 0o007:
        raise DoorError(f"{path.parent}: everybody can enter this folder; chmod o= it, and let its group be the desk's")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        before = os.umask(0o117)  # the owner and the group of the folder, from the first moment on
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(64)
    except OSError as error:
        made.close()
        raise DoorError(f"{path}: {error.strerror or error}") from None
    except DoorError:
        made.close()
        raise
    return made


def _clear(path: Path) -> None:
    """Remove what a killed tracer has left. Raises DoorError if one answers."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise DoorError(f"{path}: another tracer has this door")


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, {"cache-control": "no-store"}, "application/json")
