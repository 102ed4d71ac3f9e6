"""The server under test as a process of its own, on a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import family

REPOSITORY = "1.3.6.1.4.1.21367.77.9"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `pid` is the top of its family; `ready_after` seconds from its start to /health 200."""

    directory: Path
    address: tuple[str, int]
    pid: int
    ready_after: float

    def children(self) -> list[int]:
        """Workers and the background process."""
        return family(self.pid)[1:]


def free_port() -> int:
    """A port that nobody listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(directory: Path, port: int, workers: int) -> Path:
    """The settings of a measurement: everything at its default but the places and the number of workers."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "config.toml"
    path.write_text(
        f'profile = "ihe"\n[server]\nhost = "127.0.0.1"\nport = {port}\nworkers = {workers}\n[admin]\nport = 0\n'
        f'[feed]\nport = 0\n[storage]\ndirectory = "data"\n[repository]\nunique_id = "{REPOSITORY}"\n'
        "[limits]\nfree_space = 0\n"
    )
    return path


def liasse(*arguments: str) -> list[str]:
    """A command line of the program, run by this interpreter."""
    return [sys.executable, "-m", "liasse", *arguments]


def initialise(directory: Path, port: int = 0, workers: int = 2) -> Path:
    """Settings and an empty storage in `directory`."""
    config = write_config(directory, port or free_port(), workers)
    subprocess.run(liasse("init", "--config", str(config)), check=True, capture_output=True, timeout=_PATIENCE)
    return config


@contextlib.contextmanager
def serving(
    directory: Path,
    *,
    workers: int = 2,
    under: Sequence[str] = (),
    more: str = "",
    tls: ssl.SSLContext | None = None,
) -> Iterator[Running]:
    """A server on `directory`, initialised if need be; `under` is a command that runs it (strace).

    `more` are further tables of its settings; `tls` is how it is talked to where they say so.
    """
    port = free_port()
    if (directory / "config.toml").exists():
        config = write_config(directory, port, workers)
    else:
        config = initialise(directory, port, workers)
    with config.open("a") as file:
        file.write(more)
    with (directory / "server.log").open("ab") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*under, *liasse("serve", "--config", str(config))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process, port, tls)
            yield Running(directory, ("127.0.0.1", port), process.pid, time.perf_counter() - started)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, tls: ssl.SSLContext | None) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}; see server.log in its folder")
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            if tls is None
            else http.client.HTTPSConnection("localhost", port, timeout=5, context=tls)
        )
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise RuntimeError(f"/health was not 200 within {_PATIENCE:g} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pid in family(process.pid)[:2]:  # under strace the server is the child
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
