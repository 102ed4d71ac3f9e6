"""`python -m benchmarks`: what the server costs on this machine, beside its budgets."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import assertions, disk, growth, hostile, policy, start, tls, transactions
from benchmarks.report import Report
from database.sqlite_driver import sqlite_engine

Part = Callable[[Report, Path], None]
PARTS: dict[str, Part] = {
    "start": start.run,
    "assertions": assertions.run,
    "transactions": transactions.run,
    "tls": tls.run,
    "policy": policy.run,
    "big": transactions.run_big,
    "hostile": hostile.run,
    "disk": disk.run,
    "memory": growth.run_memory,
    "flatness": growth.run_flatness,
}
USUAL = ("start", "assertions", "transactions", "tls", "policy", "big", "hostile", "disk")


def main() -> int:
    """Run the parts that are named; exit code 1 when a budget is missed and --strict is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: {' '.join(USUAL)}")
    parser.add_argument("--directory", type=Path, help="keep everything here; default: a folder that is removed")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a budget is missed")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]}: not a part; there are {', '.join(PARTS)}")
    directory = Path(tempfile.mkdtemp(prefix="liasse-bench-")) if options.directory is None else options.directory
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # servers are stopped on the way out
    report = Report()
    report.say(
        f"Python {platform.python_version()}, SQLite {sqlite_engine().version}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    try:
        for part in options.parts or USUAL:
            began = time.monotonic()
            report.say(f"\n== {part}")
            PARTS[part](report, directory)
            report.say(f"({time.monotonic() - began:.0f} s)")
    finally:
        if options.directory is None:
            shutil.rmtree(directory, ignore_errors=True)
    report.say(f"\n{report.table()}\n* scaled to a machine where a bare parse with four finds costs 12 µs")
    return 1 if options.strict and not all(budget.met for budget in report.budgets) else 0


if __name__ == "__main__":
    sys.exit(main())
