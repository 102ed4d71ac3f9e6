"""Counters of all processes of one server, in memory shared by fork; the background process renders them for Prometheus.

Each process writes its own row, so that no lock is needed between them; a replaced worker goes on in the row of its
predecessor. Names and label values are fixed in `CATALOGUE`: no label can hold data of a message.
"""

from __future__ import annotations

import itertools
import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

TRANSACTIONS = ("ITI-8", "ITI-18", "ITI-41", "ITI-42", "ITI-43", "ITI-57", "TD0.3", "TD1.6", "none")
OUTCOMES = ("success", "partial", "warning", "failure", "fault", "http")
CUTS = ("handshake", "header-timeout", "header-size", "body-idle", "slow", "answer-idle", "connections")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that only grows. `labels` lists all values of each label."""

    name: str
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def width(self) -> int:
        """Cells for one combination of labels."""
        return 1


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations in seconds, counted in BUCKETS. `labels` lists all values of each label."""

    name: str
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def width(self) -> int:
        """Cells for one combination of labels: the buckets, the one without end, the sum."""
        return len(BUCKETS) + 2


CATALOGUE: tuple[Counter | Histogram, ...] = (
    Counter("liasse_requests", "Requests answered.", {"transaction": TRANSACTIONS, "outcome": OUTCOMES}),
    Histogram(
        "liasse_request_seconds", "Time from the first byte to the last of the answer.", {"transaction": TRANSACTIONS}
    ),
    Counter("liasse_received_bytes", "Bytes of request bodies.", {"transaction": TRANSACTIONS}),
    Counter("liasse_sent_bytes", "Bytes of answer bodies.", {"transaction": TRANSACTIONS}),
    Counter("liasse_cut_connections", "Connections cut before they were understood.", {"reason": CUTS}),
    Counter("liasse_job_runs", "Runs of background jobs.", {"outcome": ("success", "failure")}),
)


class Metrics:
    """The counters of `processes` processes, made once before forking; `use_row` says whose numbers are written."""

    def __init__(self, processes: int, catalogue: Iterable[Counter | Histogram] = CATALOGUE) -> None:
        self.catalogue = tuple(catalogue)
        self._at: dict[tuple[str, ...], int] = {}
        self._metrics = {metric.name: metric for metric in self.catalogue}
        size = 0
        for metric in self.catalogue:
            for values in itertools.product(*metric.labels.values()):
                self._at[metric.name, *values] = size
                size += metric.width()
        self._row_size, self._rows = size, processes
        self._memory = mmap.mmap(-1, 8 * size * processes)
        self._cells = memoryview(self._memory).cast("d")
        self._start = 0
        self._lock = threading.Lock()

    def use_row(self, row: int) -> None:
        """From now on this process counts in row `row`. Called once in each child."""
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        self._start = row * self._row_size
        self._lock = threading.Lock()

    def count(self, name: str, *values: str, by: float = 1) -> None:
        """Add `by` to a counter; `values` are its label values in the order of the catalogue. Thread-safe."""
        at = self._start + self._at[name, *values]
        with self._lock:
            self._cells[at] += by

    def observe(self, name: str, *values: str, seconds: float) -> None:
        """Count a duration in a histogram. Thread-safe."""
        at = self._start + self._at[name, *values]
        with self._lock:
            self._cells[at + bisect_left(BUCKETS, seconds)] += 1
            self._cells[at + len(BUCKETS) + 1] += seconds

    def total(self, name: str, *values: str) -> float:
        """The sum of a counter over all processes."""
        return self._sum(self._at[name, *values])

    def render(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """The exposition text. `gauges` are further current values: name to help text and number."""
        registry = CollectorRegistry()
        registry.register(_Collector([*self._families(), *(GaugeMetricFamily(n, h, v) for n, (h, v) in gauges.items())]))
        return generate_latest(registry)

    def _sum(self, cell: int) -> float:
        return sum(self._cells[row * self._row_size + cell] for row in range(self._rows))

    def _families(self) -> Iterable[Metric]:
        for metric in self.catalogue:
            if isinstance(metric, Counter):
                counter = CounterMetricFamily(metric.name, metric.help, labels=list(metric.labels))
                for values in itertools.product(*metric.labels.values()):
                    counter.add_metric(list(values), self._sum(self._at[metric.name, *values]))
                yield counter
            else:
                histogram = HistogramMetricFamily(metric.name, metric.help, labels=list(metric.labels))
                for values in itertools.product(*metric.labels.values()):
                    at = self._at[metric.name, *values]
                    counts = itertools.accumulate(self._sum(at + number) for number in range(len(BUCKETS) + 1))
                    named = zip([*map(str, BUCKETS), "+Inf"], counts, strict=True)
                    histogram.add_metric(list(values), list(named), self._sum(at + len(BUCKETS) + 1))
                yield histogram


class _Collector:
    """Hands ready families to the library's renderer."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
