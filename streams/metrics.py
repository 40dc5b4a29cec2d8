"""Every metric of the pipeline, in one place.

A `Metrics` owns its registry, so a test or a second worker in the process can have another. Labels come from small
fixed sets (topics, partitions, rules, tiers, reasons); none ever holds a value of a record. All names start with
`waybill_`, but for Prometheus' own of the process (`process_…`); counters end in `_total`, times are seconds, sizes
bytes. Counters whose labels are known beforehand stand at 0 from the start, so that a rate sees the first event.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from schemas.inputs import CONSUMED_TOPICS, INPUT_TOPICS
from schemas.terms import RejectReason, Status, Tier
from schemas.topics import ACCESS, CLUES, TRACES

NAMESPACE = "waybill"
CONTENT_TYPE = CONTENT_TYPE_LATEST

ROWS_BUCKETS = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
COMMIT_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 30.0)
# From the tens of milliseconds of an idle worker to the hours of a producer that uploads late.
LATENCY_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0)


REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DESK_TOPICS = (CLUES, TRACES, ACCESS)
"""What the desk shows, and is behind with."""


class Page:
    """The metrics of a process: a registry, and the page that Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)

    def serve(self, host: str, port: int) -> int:
        """Answer at `/metrics` from now on, on a thread of its own. Port 0: any free one. Returns the port.

        Raises OSError when the port cannot be had.
        """
        server, _ = start_http_server(port, host, self.registry)
        return int(server.server_port)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format (content type `CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        return Counter(name, doc, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, doc: str, *labels: str) -> Gauge:
        return Gauge(name, doc, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, doc: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, doc, labels, namespace=NAMESPACE, buckets=buckets, registry=self.registry)

    def _about(self) -> None:
        """What Prometheus is told of the process and of the product."""
        ProcessCollector(registry=self.registry)
        self._gauge("build_info", "1, by the version of the product and of Python.", "version", "python").labels(
            product_version(), platform.python_version()
        ).set(1)


class _Traced(Page):
    """What has been told of sampled events."""

    def __init__(self) -> None:
        super().__init__()
        self._spans = self._counter("otel_spans", "Spans for OpenTelemetry, sent or dropped.", "outcome")
        for outcome in ("sent", "dropped"):
            self._spans.labels(outcome)

    def spans(self, outcome: str, count: int) -> None:
        """So many spans were sent, or dropped."""
        self._spans.labels(outcome).inc(count)


class Metrics(_Traced):
    """The metrics of one worker. `render()` gives the page that Prometheus reads."""

    def __init__(self, *, states: Sequence[str], stores: Sequence[str] = ()) -> None:
        """states: those of a worker; stores: names of its stores."""
        super().__init__()

        # What comes in
        self.events = self._counter("events", "Records read from an input topic.", "topic")
        self.rejects = self._counter("rejects", "Records that could not be read, by reason.", "topic", "reason")
        self.lag = self._gauge("lag_records", "Records between the committed offset and the end.", "topic", "partition")
        self.native = self._gauge("native_front_end", "1: events are read by the native front end, 0: by Python.")
        self.strange = self._counter("strange_events", "Events that the native front end left to Python.")
        self.batch_rows = self._histogram("batch_rows", "Rows of one batch.", ROWS_BUCKETS)

        # What goes out
        self.verdicts = self._counter("verdicts", "Verdicts that changed, by tier and status.", "tier", "status")
        self.rule_answers = self._counter(
            "rule_answers", "Answers of a rule, live or in shadow, each time a parcel was judged: yes, no or unknown.",
            "rule", "mode", "answer",
        )  # fmt: skip
        self.shadows = self._counter("shadow_messages", "Messages sent to the shadow topic, by status.", "status")
        self.rule_held = self._gauge("rule_held", "1: the rule opens too many alerts, and is held back.", "rule")
        self.alert_latency = self._histogram(
            "alert_latency_seconds", "From the recording of an event to the alert that it caused.", LATENCY_BUCKETS
        )

        # Time
        self.waiting = self._gauge("waiting_parcels", "Parcels that wait for what may turn out to be missing.")
        self.overdue = self._counter("overdue_parcels", "Parcels judged because a deadline has passed.")

        self.tallies = self._counter("tallies", "Tallies published.")

        # The commit
        self.epoch_seconds = self._histogram(
            "epoch_seconds", "From the first fetch of an epoch to its commit.", COMMIT_BUCKETS
        )
        self.commit_seconds = self._histogram("commit_seconds", "Kafka transaction and store write.", COMMIT_BUCKETS)
        self.aborts = self._counter("aborts", "Epochs aborted, whose input was read again.")

        # Reference data
        self.reference_records = self._gauge("reference_records", "Reference records in force.", "kind")
        self.reference_silent = self._gauge(
            "reference_silent", "1: every record of this kind was refused; rules that read it do not know.", "kind"
        )
        self.sweeps = self._counter("sweeps", "Sweeps of a partition that came to their end.")
        self.swept_parcels = self._counter("swept_parcels", "Kept parcels that sweeps have gone through.")

        # Rules
        self.catalogue = self._gauge("catalogue", "1 for the catalogue in force, by its fingerprint.", "fingerprint")
        self.rule_set = self._gauge("rule_set_number", "Number of the rule set in force; 0: rules of files.")
        self.rule_sets = self._counter("rule_sets", "Rule sets applied or refused.", "outcome")

        self._state()
        self._membership(states)
        self._about()
        self._begin(stores)

    def _state(self) -> None:
        self.state_entries = self._gauge("state_entries", "Keys in a store, estimated.", "store")
        self.state_bytes = self._gauge("state_bytes", "Bytes of a store's folder on disk.", "store")
        self.disk_free = self._gauge("state_disk_free_bytes", "Free bytes of the disk that holds the state.")
        self.disk_size = self._gauge("state_disk_size_bytes", "Size of the disk that holds the state.")
        self.due = self._counter("state_due", "Keys that were checked because they may have expired.", "store")
        self.older = self._gauge(
            "state_older_partitions", "Partitions in hand that may hold values of an earlier format.", "store"
        )
        self.upgraded = self._counter("state_upgraded", "Values of an earlier format that were written anew.", "store")
        self.restored_records = self._counter("restored_records", "Changelog records restored since start.")

    def _membership(self, states: Sequence[str]) -> None:
        self.rebalances = self._counter("rebalances", "Assignments received.")
        self.assigned_partitions = self._gauge("assigned_partitions", "Partitions held, over all topics.")
        self.broker_silent = self._gauge("broker_silent_seconds", "Seconds for which no broker has answered.")
        self.worker_state = Enum(
            "worker_state",
            "State of the worker.",
            namespace=NAMESPACE,
            states=list(states),
            registry=self.registry,
        )

    def _begin(self, stores: Sequence[str]) -> None:
        """Counters that exist before anything has happened; those of rules begin in `begin_rules`."""
        for store in stores:
            self.due.labels(store)
            self.upgraded.labels(store)
        for outcome in ("applied", "refused"):
            self.rule_sets.labels(outcome)
        for topic in CONSUMED_TOPICS:
            self.events.labels(topic)
        for topic in INPUT_TOPICS:
            for reason in get_args(RejectReason):
                self.rejects.labels(topic, reason)
        for status in get_args(Status):
            self.shadows.labels(status)
            for tier in get_args(Tier):
                self.verdicts.labels(tier, status)

    def begin_rules(self, fingerprint: str, rules: Iterable[tuple[str, str]]) -> None:
        """A catalogue is in force. rules: id and mode of each."""
        self.catalogue.clear()
        self.catalogue.labels(fingerprint).set(1)
        for rule, mode in rules:
            for answer in ("yes", "no", "unknown"):
                self.rule_answers.labels(rule, mode, answer)
            self.rule_held.labels(rule)


class _Stepping(_Traced):
    """What dispatcher and tracer have in common: both go step by step, and read topics."""

    def __init__(self) -> None:
        super().__init__()
        self._about()
        self._unread = self._gauge("unread_records", "Records of a topic that this process has not read yet.", "topic")
        self._stepped = self._gauge("stepped_timestamp_seconds", "When a step was last done, in Unix time.")
        self._stepped.set_to_current_time()  # the start reads topics, and has as long for it as a step

    def stepped(self, unread: Mapping[str, int]) -> None:
        """A step was done. unread: records, by topic."""
        self._stepped.set_to_current_time()
        for topic, records in unread.items():
            self._unread.labels(topic).set(records)


class TracerMetrics(_Stepping):
    """The metrics of a tracer."""

    def __init__(self) -> None:
        super().__init__()
        self.traces = self._counter("traces", "Traces published.")


class DispatcherMetrics(_Stepping):
    """The metrics of the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self._clues = self._gauge("clues", "Open clues, by state.", "state")
        self._overdue = self._gauge("clues_overdue", "What is overdue of open clues, by the step that is due.", "step")

    def counted(self, clues: Mapping[str, int], overdue: Mapping[str, int]) -> None:
        """What there is now. A state or step that is not named has none."""
        for gauge, counts in ((self._clues, clues), (self._overdue, overdue)):
            gauge.clear()
            for label, count in counts.items():
                gauge.labels(label).set(count)


class DeskMetrics(Page):
    """The metrics of `waybill desk serve`: routes by their templates, and outcomes; nothing of who asked."""

    def __init__(self) -> None:
        super().__init__()
        self._about()
        self._requests = self._counter("desk_requests", "Requests answered.", "route", "method", "status")
        self._seconds = self._histogram("desk_request_seconds", "Time until an answer began.", REQUEST_BUCKETS, "route")
        self._refused = self._counter("desk_logins_refused", "Who was not let in, by how it was tried.", "way")
        self._writes = self._counter("desk_writes", "Transactions: acts, and who reads what.", "outcome")
        self._streams = self._gauge("desk_streams", "Open queues that keep themselves up to date.")
        self._unread = self._gauge("desk_unread_records", "Records that the desk does not show yet.", "topic")
        self._behind = self._gauge("desk_behind_seconds", "For how long the desk has not shown all that there was.")
        for way in ("password", "token", "bearer", "provider"):
            self._refused.labels(way)
        for outcome in ("written", "failed"):
            self._writes.labels(outcome)

    def asked(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. route: its template."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, way: str) -> None:
        """Somebody was not let in."""
        self._refused.labels(way).inc()

    def wrote(self, *, ok: bool) -> None:
        """Something was to be written to the topics."""
        self._writes.labels("written" if ok else "failed").inc()

    def look_at(
        self, streams: Callable[[], int], behind_s: Callable[[], float], unread: Callable[[], Mapping[str, int]]
    ) -> None:
        """Ask these whenever somebody reads the page."""
        self._streams.set_function(streams)
        self._behind.set_function(behind_s)
        for topic in DESK_TOPICS:
            self._unread.labels(topic).set_function(partial(_of, unread, topic))


def _of(counts: Callable[[], Mapping[str, int]], name: str) -> float:
    return counts().get(name, 0)


def product_version() -> str:
    """That of the package."""
    try:
        return version("waybill-sentinel")
    except PackageNotFoundError:
        return "unknown"
