"""Start a private PostgreSQL and run a command with it: `python -m tests.start_postgres pytest -k database`.

Without a command it prints the URL and runs until interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.postgres import SERVER, SWITCH, PostgresServer


def main(command: list[str]) -> int:
    server = PostgresServer()
    try:
        server.start()
        if command:
            return subprocess.call(command, env={**os.environ, SWITCH: "1", SERVER: str(server.directory)})
        print(server.url(), flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        return 0
    finally:
        server.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
