"""Upgrades state, a slice at a time between other steps: values of an earlier format are written anew.

Workers read them as well as their own. But the version after this one need not, so none may be left by then.
"""

from __future__ import annotations

import asyncio
import logging

from streams.state.format import FORMAT
from streams.worker.host import Host
from streams.worker.parts import Stores

log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0
ROWS_MAX = 2_000


async def upgrade(worker: Host, stores: Stores) -> None:
    """Write anew what is of an earlier format, for as long as the worker runs."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for topic, store in stores.items():
            put, rows = 0, 1
            while rows:
                async with worker.step([]) as step:
                    rows, news = await worker.run(store.upgrade_some, ROWS_MAX) if worker.ready else (0, 0)
                    step.upgraded(store.name, rows, news)
                put += news
            if put:
                log.info("%s: %s values of an earlier format were written in format %s", topic, f"{put:,}", FORMAT)
