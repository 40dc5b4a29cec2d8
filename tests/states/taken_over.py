"""A deployment of any format taken over by the code of today, without a broker."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from schemas import topics
from schemas.records import Alert
from streams.files.driver import raw
from streams.flow.batches import Batch
from streams.flow.orders import Orders
from streams.flow.upgrade import upgrade
from streams.state.store import whole
from tests.ordering import ORDER_KEY, ORDER_SHARE
from tests.runs import Recorded
from tests.states import PARTITIONS, Message, events, state_of
from tests.worlds import HOME

CHANGELOGS = (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)


def taken_over(number: int) -> Recorded:
    """What a deployment of this format left, and all that was on its topics, known to the code of today."""
    run = Recorded(partitions=PARTITIONS, orders=Orders(ORDER_KEY, ORDER_SHARE, HOME), tally_ms=1)
    kept = state_of(number)
    for topic, store in zip(CHANGELOGS, run.stores, strict=True):
        for each in kept:
            if each.topic == topic:
                store.put([each.partition], [each.key], [upgrade(topic, each.key, each.value)])
    run.alerts |= {
        each.key: msgspec.json.decode(each.value, type=Alert) for each in kept if each.topic == topics.ALERTS
    }
    run.orders |= {each.key: each.value for each in kept if each.topic == topics.ORDERS}
    parcels = run._parcels
    parcels.timers.open(
        {
            partition: parcels.restore(partition, whole(parcels.store, partition, 1_000), lambda: False)
            for partition in range(PARTITIONS)
        }
    )
    run.feed(batches([each for each in events().before if each.topic == topics.REFERENCE]))
    return run


def go_on(run: Recorded, order: int) -> Recorded:
    """Have the second part of the events come, in some order and in pieces, and all deadlines pass."""
    rng = random.Random(order)
    known = [each for each in events().after if each.topic == topics.REFERENCE]
    rest = [each for each in events().after if each.topic != topics.REFERENCE]
    rng.shuffle(rest)
    first = Counter((each.topic, each.partition) for each in events().before)
    run.feed(batches(known, first))
    cuts = sorted(rng.sample(range(len(rest)), 5))
    for start, end in zip([0, *cuts], [*cuts, len(rest)], strict=True):
        run.feed(batches(rest[start:end], first))
        first.update((each.topic, each.partition) for each in rest[start:end])
    run.close()
    return run


def batches(messages: Sequence[Message], first: Counter[tuple[str, int]] | None = None) -> list[Batch]:
    """One batch of each partition; first: where each goes on."""
    values: defaultdict[tuple[str, int], list[bytes | None]] = defaultdict(list)
    for each in messages:
        values[each.topic, each.partition].append(each.value)
    return [raw(*place, found, (first or Counter())[place]) for place, found in values.items()]
