"""Which broker does not answer, asked of each by itself: what fails while one is away seldom says so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from confluent_kafka.admin import AdminClient

from streams.kafka.config import Properties
from streams.kafka.errors import FAILURES

_SILENT_S = 3.0


def silent(config: Properties) -> str:
    """Which brokers do not answer, in words, for whoever waited in vain; empty where each of them does."""
    asked: set[str] = set()
    away: list[str] = []
    left = {each.strip() for each in str(config.get("bootstrap.servers", "")).split(",")}
    while left:
        asked |= left
        with ThreadPoolExecutor(len(left)) as threads:
            answers = dict(zip(sorted(left), threads.map(partial(_neighbours, config), sorted(left)), strict=True))
        away += [server for server, known in answers.items() if known is None]
        left = {each for known in answers.values() for each in known or ()} - asked
    return f"nobody answers at {', '.join(sorted(away))}" if away else ""


def _neighbours(config: Properties, server: str) -> set[str] | None:
    """The addresses of all brokers that the one at this address knows; None: it does not answer."""
    try:
        asker = AdminClient(cast("dict[str, Any]", {**config, "log_level": 0, "bootstrap.servers": server}))
        return {f"{each.host}:{each.port}" for each in asker.list_topics(timeout=_SILENT_S).brokers.values()}
    except FAILURES:
        return None
