"""A private PostgreSQL server for tests: its own cluster in a temporary directory, reachable on a Unix socket only."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

SWITCH = "LIASSE_TEST_POSTGRES"
"""Environment variable: `1` runs the tests on PostgreSQL too."""

SERVER = "LIASSE_TEST_POSTGRES_SOCKET"
"""Environment variable: the socket directory of a server that runs already (`python -m tests.start_postgres`)."""

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_min_messages": "fatal",
}


def wanted() -> bool:
    """Whether this run of the tests includes PostgreSQL."""
    return os.environ.get(SWITCH) == "1"


def binaries() -> Path:
    """The newest installed server's programs. Raises FileNotFoundError where Debian's package `postgresql` is absent."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        raise FileNotFoundError("no PostgreSQL server: apt-get install postgresql")
    return found[-1].parent


class PostgresServer:
    """A running cluster, or a running one of somebody else when `socket` is given."""

    def __init__(self, socket: Path | None = None) -> None:
        self._own = socket is None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self.directory = socket or Path(tempfile.mkdtemp(prefix="liasse-pg-", dir=_memory()))
        if self._own:
            self._initialise()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        command = [str(binaries() / "postgres"), "-D", str(self._data), "-k", str(self.directory), *options]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=_user(), group=_user())
        for _ in range(600):
            try:
                self.connect().close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL does not start: {(self.directory / 'log').read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT (fast, connections are cut), SIGQUIT (at once, as a crash)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Stop the server and all its sessions where they are: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal_all(signal.SIGCONT)

    def remove(self) -> None:
        """Stop and delete everything."""
        if self._own:
            self.stop(signal.SIGQUIT)
            shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """An administrator's connection, in autocommit."""
        return psycopg.connect(host=str(self.directory), user="postgres", dbname=database, autocommit=True)

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; returns its name."""
        name = f"t{os.getpid()}_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Delete a database, cutting its connections."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            os.kill(pid, number)

    def _initialise(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        command = [str(binaries() / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run(
            [*command, "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=self.directory,
            user=_user(),
            group=_user(),
        )


def _memory() -> str | None:
    """Shared memory where there is enough of it: ext4 slows down under databases of 1500 files that come and go."""
    place = Path("/dev/shm")
    if not place.is_dir() or not os.access(place, os.W_OK):
        return None
    return str(place) if shutil.disk_usage(place).free > 4_000_000_000 else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root: there it becomes Debian's user."""
    return "postgres" if os.geteuid() == 0 else None
