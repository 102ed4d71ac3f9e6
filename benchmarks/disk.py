"""What is made durable: fsyncs of one ITI-41, and latency where each of them takes 4 ms. Needs strace."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.load import HEADER, measure, send
from benchmarks.report import Budget, Report
from benchmarks.server import serving
from benchmarks.transactions import prepare

DELAY = 4000
_CALLS = "fsync,fdatasync"


def run(report: Report, directory: Path, *, requests: int = 600) -> None:
    """Count, then delay. Sequential requests are counted: concurrent ones share commits."""
    if shutil.which("strace") is None:
        report.say("strace is not installed: fsyncs are neither counted nor delayed")
        return
    trace = directory / "fsync.trace"
    with serving(
        directory / "counted", under=("strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={_CALLS}", "-o", str(trace))
    ) as server:
        _, providing, _ = prepare(server)
        before = _lines(trace)
        send(server.address, providing, 50)
        counted = (_lines(trace) - before) / 50
    report.add(Budget("ITI-41 of 20 kB: fsyncs", counted, 3.2, "", note="3, and checkpoints"))
    inject = f"inject={_CALLS}:delay_exit={DELAY}"
    under = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={_CALLS}", "-e", inject, "-o", "/dev/null")
    with serving(directory / "delayed", under=under) as server:
        works = prepare(server)
        report.say(f"every fsync {DELAY / 1000:g} ms longer\n{HEADER}")
        for work in works:
            measure(server.address, server.pid, work, 16, 160)
            for connections in (1, 16):
                figures = measure(server.address, server.pid, work, connections, requests if connections > 1 else 100)
                report.say(figures.line())
                if work is works[1] and connections > 1:
                    report.add(Budget("ITI-41, 16 clients, 4 ms more for each fsync: p99", figures.p99, 100, "ms"))


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if b"= 0" in line)
