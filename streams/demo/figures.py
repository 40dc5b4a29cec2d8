"""The figures of the demo, read from the worker's /metrics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from schemas.inputs import INPUT_TOPICS

WINDOW_S = 20.0  # figures are of the last so many seconds


@dataclass(slots=True)
class Figures:
    """What the worker's metrics say. Rates and latencies are of the last WINDOW_S; NaN where nothing is known."""

    events: int = 0
    events_per_s: float = float("nan")
    rejects: int = 0
    lag: int = 0
    latency_p50_s: float = float("nan")
    latency_p99_s: float = float("nan")
    _samples: deque[tuple[float, int, list[tuple[float, float]]]] = field(default_factory=deque)

    def read(self, page: str, now: float) -> None:
        """Take a page of /metrics, read at `now` (monotonic seconds)."""
        if not page:
            return
        found = parse(page)
        own = set(INPUT_TOPICS)
        self.events = sum(int(v) for labels, v in found.get("waybill_events_total", []) if labels.get("topic") in own)
        self.rejects = sum(int(v) for _, v in found.get("waybill_rejects_total", []))
        self.lag = sum(int(v) for _, v in found.get("waybill_lag_records", []))
        buckets = [(float(labels["le"]), v) for labels, v in found.get("waybill_alert_latency_seconds_bucket", [])]
        self._samples.append((now, self.events, sorted(buckets)))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        since, events, before = self._samples[0]
        if now > since:
            self.events_per_s = (self.events - events) / (now - since)
            counts = [(bound, count - old) for (bound, count), (_, old) in zip(sorted(buckets), before, strict=True)]
            self.latency_p50_s, self.latency_p99_s = quantile(counts, 0.5), quantile(counts, 0.99)


def parse(page: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name of a page in Prometheus' text format; labels here hold no escapes."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        head, _, value = line.rpartition(" ")
        name, _, inside = head.partition("{")
        labels = dict(part.split("=", 1) for part in inside.rstrip("}").split(",") if part)
        found.setdefault(name, []).append(({key: text.strip('"') for key, text in labels.items()}, float(value)))
    return found


def quantile(counts: list[tuple[float, float]], share: float) -> float:
    """The value below which `share` of a histogram, as (upper bound, cumulative count), lies; NaN if it is empty."""
    if not counts or counts[-1][1] <= 0:
        return float("nan")
    wanted = share * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return low if bound == float("inf") else low + (bound - low) * (wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low
