"""What changes with time and size: memory after many requests, the cost of a query beside many documents."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import bulk
from benchmarks.load import HEADER, Work, measure
from benchmarks.messages import find_documents
from benchmarks.process import memory_mb
from benchmarks.report import Budget, Report
from benchmarks.server import Running, initialise, serving
from benchmarks.transactions import prepare, send_all
from database.engine import open_database

SIZES = (10_000, 100_000, 1_000_000)
_PER_PATIENT = 50


def run_memory(report: Report, directory: Path, *, requests: int = 100_000) -> None:
    """Two workers, ten portions of ITI-18, 43 and 41 in turn (4 : 4 : 2)."""
    with serving(directory / "memory") as server:
        find, provide, retrieve = prepare(server)
        portion = requests // 10
        marks = []
        for number in range(10):
            for work, share in ((find, 0.4), (retrieve, 0.4), (provide, 0.2)):
                measure(server.address, server.pid, work, 16, int(portion * share))
            used = {pid: memory_mb(pid) for pid in server.children()}
            marks.append(max(each["rss"] for each in used.values()))
            line = ", ".join(f"{each['pss']:.0f}/{each['rss']:.0f}" for each in used.values())
            report.say(f"after {portion * (number + 1):>7} requests: {line} MB proportional/resident")
    report.add(Budget(f"resident memory of a worker after {requests} requests", marks[-1], 150, "MB"))
    report.add(Budget("its growth in the second half", marks[-1] - marks[4], 8, "MB"))


def run_flatness(report: Report, directory: Path, *, sizes: Sequence[int] = SIZES, requests: int = 600) -> None:
    """ITI-18 for one patient of fifty documents, with ever more documents of others registered."""
    costs: dict[int, list[tuple[float, float]]] = {}
    report.say(HEADER)
    for size in sizes:
        _fill(report, directory / f"flat-{size}", size)
    for _ in range(3):
        for size in sizes:
            with serving(directory / f"flat-{size}") as server:
                costs.setdefault(size, []).append(_query(report, server, size, requests))
    first, last = sizes[0], sizes[-1]
    cpu, p50 = (
        statistics.median(cost[n] for cost in costs[last]) / statistics.median(cost[n] for cost in costs[first])
        for n in (0, 1)
    )
    for size in sizes:
        cost = costs[size]
        report.say(
            f"{size:>9} documents: {statistics.median(c[0] for c in cost):.3f} ms CPU, "
            f"{statistics.median(c[1] for c in cost):.2f} ms p50"
        )
    report.add(Budget(f"ITI-18: CPU at {last} against {first} documents", cpu, 1.3, "×", note=f"p50 {p50:.2f} ×"))


def _query(report: Report, server: Running, size: int, requests: int) -> tuple[float, float]:
    """Each request asks for another patient of the whole range: nothing is in memory but by chance."""
    patients = size // _PER_PATIENT
    numbers = iter(range(1, 1_000_000))

    def make() -> int:
        return next(numbers) * 7919 % patients

    work = Work(
        f"ITI-18 of {size}",
        lambda: find_documents(f"BULK{make()}"),
        lambda body: bytes(body).count(b"<ExtrinsicObject ") == _PER_PATIENT,
    )
    send_all(server, work, 200)
    figures = measure(server.address, server.pid, work, 1, requests)
    report.say(figures.line())
    return figures.cpu, figures.p50


def _fill(report: Report, directory: Path, size: int) -> None:
    if (directory / "filled").exists():
        return
    initialise(directory)
    began = time.monotonic()
    with open_database(directory / "data" / "liasse.sqlite") as database:
        bulk.load(database, size, per_patient=_PER_PATIENT)
        bulk.analyse(database)
    (directory / "filled").touch()
    report.say(f"{size} documents registered in {time.monotonic() - began:.0f} s")
