"""What is made ready before the first event."""

from __future__ import annotations

from rules import load_catalogue
from streams.flow.describe import context, goods, words
from streams.settings import Settings
from streams.worker.warmup import warm


def test_a_made_up_parcel_goes_all_the_way_and_reads_every_list() -> None:
    judged = warm(Settings(), load_catalogue())
    assert judged.rejects == []
    assert judged.events.total() == 1
    for read in (context._lexicon, goods._disguises, words._words):
        assert read.cache_info().currsize == 1
