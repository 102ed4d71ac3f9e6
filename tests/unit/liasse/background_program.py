"""A real server of the supervisor and the real background process over a migrated database, with one job; for its tests.

The worker answers the clinical socket with the health line, nothing else.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from database.handle import Database
from database.lease import Lease
from liasse.background import Job, background_main
from liasse.duties import build_duties
from liasse.logs import configure_logging
from liasse.settings_file import load_settings
from liasse.status import Status
from liasse.supervisor import Child, Supervisor
from xds_repository.file_store import FileStore


def worker(child: Child) -> None:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    child.status.worker_serving(child.slot)
    while not stop:
        if select.select([child.listeners.clinical], [], [], 0.02)[0]:
            connection, _ = child.listeners.clinical.accept()
            with connection:
                connection.sendall((repr(child.status.health()) + "\n").encode())


def jobs(_database: Database, store: FileStore, _lease: Lease, _status: Status) -> Sequence[Job]:
    marks = store.directory / "marks"

    def mark() -> None:
        with marks.open("a", encoding="ascii") as out:
            out.write(f"{os.getpid()}\n")

    def fail() -> None:
        raise RuntimeError("never works")

    return [Job("mark", 0.05, mark), Job("fail", 0.05, fail)]


if __name__ == "__main__":
    configure_logging("info", "json")
    settings = load_settings(Path(sys.argv[1]))
    sys.exit(Supervisor(settings, worker, background_main(build_duties(settings, jobs))).run())
