"""`init` and `serve` without the command line program: for as long as that is not there."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from database.migrate import init_database
from liasse.logs import configure_logging
from liasse.settings_file import load_settings
from liasse.supervisor import Child, Supervisor
from liasse.wiring import file_store, prepare
from liasse.worker import worker_main


def background(child: Child) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    child.status.feed_bound()
    while not stop.wait(0.5):
        child.status.lease_held(5)


if __name__ == "__main__":
    settings = load_settings(Path(sys.argv[3]))
    if sys.argv[1] == "init":
        init_database(settings.storage.database_place).close()
        store = file_store(settings)
        store.init()
        store.close()
        sys.exit(0)
    configure_logging(settings.log.level, settings.log.format)
    sys.exit(Supervisor(settings, worker_main(prepare(settings)), background).run())
