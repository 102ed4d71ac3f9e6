"""How long until the server serves."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.report import Budget, Report
from benchmarks.server import initialise, serving


def run(report: Report, directory: Path, *, times: int = 5) -> None:
    """From the start of the process to the first 200 of /health, with the default number of workers."""
    initialise(directory / "start")
    taken = []
    for _ in range(times):
        with serving(directory / "start") as server:
            taken.append(server.ready_after)
    report.say(f"started in {', '.join(f'{each:.2f}' for each in taken)} s")
    report.add(Budget("start until /health answers 200", statistics.median(taken), 2, "s"))
