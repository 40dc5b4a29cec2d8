"""The parts of a worker, made from its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from rules import Catalogue
from schemas import topics
from streams import native
from streams.flow.batches import Batch
from streams.flow.describe.describer import Describer
from streams.flow.flood import Flood
from streams.flow.front.tables import fingerprint
from streams.flow.orders import Orders
from streams.flow.pipeline import Histories, Parcels
from streams.flow.sampling import Sampler
from streams.flow.time.expiry import Retention
from streams.flow.upgrade import upgrade
from streams.kafka.cluster import topic_ids
from streams.kafka.config import client, member_id, membership, producing
from streams.kafka.transport.consumer import Link
from streams.kafka.transport.grouping import Partition
from streams.settings import Settings
from streams.state.rocks import RocksStore
from streams.state.tuning import Shared
from streams.worker.commit import Committer
from streams.worker.spans import TimedParcels

Stores = Mapping[str, RocksStore]
"""By changelog topic."""


def stores_of(settings: Settings) -> Stores:
    """The stores of both states, in the folder of this worker; none is opened yet."""
    folder = settings.state_dir / settings.group / settings.instance
    cache = Shared.of(settings.state_cache_mb, settings.state_buffers_mb)
    names = {topics.PARCELS_CHANGELOG: "parcels", topics.HISTORIES_CHANGELOG: "histories"}
    hot = settings.hot_bytes_max // len(names)
    library = native.library(settings.native, fingerprint())
    return {
        topic: RocksStore(name, folder, cache, hot_bytes_max=hot, upgrade=partial(upgrade, topic), library=library)
        for topic, name in names.items()
    }


def agents_of(settings: Settings, catalogue: Catalogue, stores: Stores) -> tuple[Parcels, Histories]:
    """The flow of both agents, on these stores."""
    rows_max = settings.observations_per_bucket_max
    histories = Histories(stores[topics.HISTORIES_CHANGELOG], bucket_rows_max=rows_max, native=settings.native)
    sampled = partial(TimedParcels, Sampler(settings.otel_share)) if settings.otel_share else Parcels
    parcels = sampled(
        stores[topics.PARCELS_CHANGELOG],
        catalogue,
        Describer.of(settings, catalogue.columns),
        histories,
        partitions=settings.partitions,
        emit_from=settings.emit_from,
        event_bytes_max=settings.event_bytes_max,
        flood=Flood.of(settings),
        retention=Retention.of(settings),
        settle_ms=int(settings.settle_s * 1000),
        orders=Orders.of(settings),
        tally_ms=int(settings.tally_every_s * 1000),
    )
    return parcels, histories


def committer_of(settings: Settings) -> Callable[[Stores], Committer]:
    """A function that makes the committer for these settings."""
    return partial(Committer, {**client(settings), **producing(settings)}, member_id(settings), native=settings.native)


def link_of(
    settings: Settings,
    read_ahead: Callable[[Batch], Batch],
    before_revoke: Callable[[bool], Awaitable[None]],
    after_assign: Callable[[set[Partition], int], None],
) -> Link:
    """What the transport needs from the worker."""
    return Link(
        config={**client(settings), **membership(settings)},
        partitions=settings.partitions,
        rows_max=settings.batch_rows_max,
        timeout_s=settings.fetch_timeout_ms / 1000,
        waiting_rows_max=2 * settings.batch_rows_max,
        read_ahead=read_ahead,
        # A commit that is under way must fail and be aborted first; heartbeats continue meanwhile.
        rebalance_timeout_s=2 * settings.transaction_timeout_ms / 1000,
        before_revoke=before_revoke,
        after_assign=after_assign,
        topic_ids=partial(topic_ids, client(settings)),
        native=settings.native,
    )
