"""What a desk tells whoever watches it: routes by their templates, and outcomes; never a clue, a name or a user."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from desk.pen import Pen
from desk.web.measured import Measured
from streams.kafka.errors import ClientError
from streams.kafka.transactions import Outgoing
from streams.metrics import DeskMetrics


async def clue(request: Request) -> Response:
    return PlainTextResponse("", 200 if request.path_params["clue"] == "wa-1" else 404)


def test_requests_are_counted_by_the_template_of_their_route() -> None:
    metrics = DeskMetrics()
    routes = [Route("/clues/{clue}", clue, methods=["GET", "POST"]), Mount("/static", Starlette())]
    app = Starlette(routes=routes, middleware=[Middleware(Measured, routes, metrics)])
    with TestClient(app) as client:
        for path in ("/clues/wa-1", "/clues/wa-2", "/clues/wa-2", "/somewhere/440000198001010015", "/static/wa-1"):
            client.get(path)
        client.request("SNEEZE", "/clues/wa-1")
    page = metrics.render().decode()
    for labels, count in (
        ('method="GET",route="/clues/{clue}",status="200"', 1), ('method="GET",route="/clues/{clue}",status="404"', 2),
        ('method="GET",route="other",status="404"', 1), ('method="GET",route="/static",status="404"', 1),
        ('method="other",route="/clues/{clue}",status="405"', 1),
    ):  # fmt: skip
        assert f"waybill_desk_requests_total{{{labels}}} {count}.0" in page
    assert 'waybill_desk_request_seconds_count{route="/clues/{clue}"} 4.0' in page
    assert not any(secret in page for secret in ("wa-1", "wa-2", "440000198001010015", "SNEEZE"))


def test_a_write_that_fails_is_counted() -> None:
    metrics = DeskMetrics()
    pen = Pen("127.0.0.1:1", {"ssl.ca.location": "/nowhere", "security.protocol": "SSL"}, "pen", metrics)
    with pytest.raises(ClientError):
        pen.write([Outgoing("waybill.access", "u1", b"{}")])
    assert 'waybill_desk_writes_total{outcome="failed"} 1.0' in metrics.render().decode()
    assert 'waybill_desk_writes_total{outcome="written"} 0.0' in metrics.render().decode()


def test_what_is_asked_of_the_desk_is_asked_whenever_the_page_is_read() -> None:
    metrics, unread, streams = DeskMetrics(), {"waybill.clues": 0}, [2]
    metrics.look_at(lambda: streams[0], lambda: 17.0, lambda: unread)
    unread["waybill.clues"], streams[0] = 5, 3
    page = metrics.render().decode()
    assert 'waybill_desk_unread_records{topic="waybill.clues"} 5.0' in page
    assert "waybill_desk_streams 3.0" in page
    assert "waybill_desk_behind_seconds 17.0" in page
