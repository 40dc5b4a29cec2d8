"""The webhook: posts each dispatch to another system, signed, and repeats it until that system answers.

It is a consumer group of its own on the clue log. The offset is committed after the receiver has answered 2xx, or after
the last attempt. So a receiver may get the same id twice, and a restart skips nothing. The form follows Standard
Webhooks: `webhook-id`, `webhook-timestamp`, and `webhook-signature`, an HMAC-SHA-256 over both and the body.
"""

from __future__ import annotations

import base64
import hmac
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.clues.clue import Clue
from desk.log import Client, ClueLog
from schemas import clues as events
from schemas import topics
from schemas.errors import WaybillError
from schemas.refusals import UNREADABLE
from streams.kafka import naming
from streams.kafka.group_reader import GroupReader

log = logging.getLogger(__name__)

KEY_BYTES_MIN: Final = 32
WAITS_S: Final = (1, 2, 4, 8, 15, 30, 60, 120)  # between attempts; after the last one the dispatch is given up
_ANSWER_S: Final = 10.0
_event = msgspec.json.Decoder(events.AnyClueEvent).decode

Send = Callable[[str, bytes, dict[str, str]], int]
Sleep = Callable[[float], None]


class WebhookError(WaybillError):
    """The webhook cannot be set up. The message says why, and shows nothing of the key."""


def key_in(path: Path) -> bytes:
    """The key in a file: at least 32 bytes as hex digits. Raises WebhookError."""
    try:
        key = bytes.fromhex(path.read_text(encoding="utf-8-sig").strip())
    except ValueError:
        raise WebhookError(f"{path}: not hex digits") from None
    if len(key) < KEY_BYTES_MIN:
        raise WebhookError(f"{path}: {len(key)} bytes, at least {KEY_BYTES_MIN} are needed")
    return key


class Webhook:
    """Posts to one receiver; a context manager.

    sleep, send   how it waits and posts.
    group         of the workers.
    """

    def __init__(
        self, servers: str, client: Client, url: str, key: bytes, send: Send | None = None, sleep: Sleep = time.sleep,
        group: str = naming.GROUP,
    ) -> None:  # fmt: skip
        if not url.startswith(("http://", "https://")):
            raise WebhookError(f"{url}: not an http or https address")
        self._url, self._key, self._send, self._sleep = url, key, send or post, sleep
        self.told = self.given_up = 0
        self._log = ClueLog(servers, client)
        self._group = GroupReader(servers, [topics.CLUES], naming.of(group, "webhook"), client)

    def __enter__(self) -> Webhook:
        self._log.catch_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._group.close()
        self._log.__exit__(None, None, None)

    def step(self, timeout_s: float = 0.5) -> int:
        """Post the dispatches that come within `timeout_s`. Returns how many. Raises ClientError."""
        before = self.told + self.given_up
        for entry in self._group.poll(1, timeout_s):  # one by one: the offset is committed after each
            try:
                event = _event(entry.value or b"")
            except UNREADABLE:
                event = None
            if (
                isinstance(event, events.Dispatched)
                and event.again is None
                and (clue := self._counted(event)) is not None
            ):
                self._tell(event, clue)
            self._group.commit()
        return self.told + self.given_up - before

    def _counted(self, event: events.Dispatched) -> Clue | None:
        """The clue, if the dispatch counts and the clue is not secret."""
        deadline = time.monotonic() + _ANSWER_S
        while (clue := self._log.book.clues.get(event.clue_id)) is None or event.event_id not in clue.ids:
            self._log.poll(0.1)
            if time.monotonic() > deadline:
                return None  # the start of the clue is past retention
        refused = any(late.event_id == event.event_id for late in clue.late)
        return None if refused or clue.monitor else clue

    def _tell(self, event: events.Dispatched, clue: Clue) -> None:
        body = msgspec.json.encode(
            {
                "type": "clue.dispatched",
                "clue_id": clue.clue_id,
                "parcel": clue.parcel,
                "station": event.to,
                "adcode": event.adcode,
                "accept_by": event.accept_by,
                "check_by": event.check_by,
                "answer_by": event.answer_by,
                "at": event.at,
            }
        )
        for wait_s in (*WAITS_S, None):
            at_s = int(time.time())
            headers = {
                "content-type": "application/json",
                "webhook-id": event.event_id,
                "webhook-timestamp": str(at_s),
                "webhook-signature": signature(self._key, event.event_id, at_s, body),
            }
            try:
                status = self._send(self._url, body, headers)
            except (OSError, ValueError) as error:
                status, why = 0, type(error).__name__
            else:
                why = f"status {status}"
            if 200 <= status < 300:
                self.told += 1
                return
            if wait_s is None:
                break
            log.warning("webhook: dispatch %s: %s; again in %d s", event.event_id, why, wait_s)
            self._sleep(wait_s)
        self.given_up += 1
        log.error("webhook: dispatch %s of clue %s: given up", event.event_id, clue.clue_id)


def signature(key: bytes, identity: str, at_s: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`."""
    digest = hmac.digest(key, f"{identity}.{at_s}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer. It follows no redirections, since the message is for one receiver. Raises OSError."""
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=_ANSWER_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
