"""Pathway: parcels once each, joined with those of their sender in the 24 h before, and counted."""

from __future__ import annotations

import functools
import operator
import sys
from pathlib import Path

import pathway as pw

from benchmarks import task


class Shipment(pw.Schema):  # type: ignore[misc]
    """What is read of a shipment."""

    carrier_code: str
    waybill_no: str
    picked_up_at: int
    pickup_adcode: str
    customer_type: str
    sender_id_no: str = pw.column_definition(default_value="")
    goods_form: str = pw.column_definition(default_value="")


def main(servers: str, group: str, topic: str, alerts: str, folder: str, origins: str) -> None:
    """A computation, for ever."""
    settings = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    shipments = pw.io.kafka.read(
        settings, topic, schema=Shipment, format="json", autocommit_duration_ms=100, name="shipments"
    )
    shipments = shipments.filter((pw.this.customer_type == "retail") & (pw.this.sender_id_no != ""))
    origin = functools.reduce(operator.or_, (pw.this.pickup_adcode.str.startswith(each) for each in origins.split(",")))
    form = functools.reduce(operator.or_, (pw.this.goods_form == each for each in sorted(task.FORMS)))
    parcels = shipments.select(
        parcel=pw.this.carrier_code + ":" + pw.this.waybill_no,
        sender=pw.this.sender_id_no,
        at=pw.this.picked_up_at,
        waits=origin & form,
    )
    parcels = parcels.groupby(pw.this.parcel, pw.this.sender, pw.this.at, pw.this.waits).reduce(
        pw.this.parcel, pw.this.sender, pw.this.at, pw.this.waits
    )  # a parcel that comes again counts once
    waiting = parcels.filter(pw.this.waits)
    before = pw.temporal.interval(1 - task.WINDOW_MS, 0)
    pairs = waiting.interval_join(parcels, waiting.at, parcels.at, before, waiting.sender == parcels.sender).select(
        parcel=pw.left.parcel
    )
    counts = pairs.groupby(pw.this.parcel).reduce(pw.this.parcel, count=pw.reducers.count())
    found = counts.filter(pw.this.count >= task.PARCELS_MIN).select(pw.this.parcel, tier="medium", score=50)
    pw.io.kafka.write(found, {"bootstrap.servers": servers}, alerts, format="json", key=found.parcel)

    kept = pw.persistence.Backend.filesystem(Path(folder) / "state")
    print("contestant started", flush=True)
    pw.run(
        monitoring_level=pw.MonitoringLevel.NONE,
        # It keeps its inputs and computes anew; to keep what operators have would need a licence key.
        persistence_config=pw.persistence.Config(kept, snapshot_interval_ms=1_000),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
