"""What tests of failures share: answers within a time, patience for what comes back by itself, and the checker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e import wire
from tests.e2e.server import ROOT, RunningServer, command
from tests.e2e.wire import Message, Seen

IN_TIME = 5.0
"""Seconds within which a failure must be answered, whatever is broken."""


def send_in_time(server: RunningServer, message: Message) -> Seen:
    """Send, and demand the answer in time."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), IN_TIME) as connection:
        connection.sendall(message.as_bytes())
        seen = wire.receive(connection)
    took = time.monotonic() - started
    assert took <= IN_TIME, f"{seen.verdict} after {took:.2f} s"
    return seen


def comes_true(holds: Callable[[], bool], patience: float = 60.0) -> bool:
    """Whether something comes true before patience ends."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def check_stores(*servers: RunningServer) -> None:
    """`liasse fsck --deep` finds nothing."""
    for server in servers:
        done = subprocess.run(
            [*command("fsck"), "--deep", "--config", str(server.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def pids(server: RunningServer) -> list[int]:
    """The supervisor and what it started."""
    return [server.process.pid, *wire.children(server.process.pid)]


@contextmanager
def frozen(processes: list[int]) -> Iterator[None]:
    """Processes that exist and do nothing, for the length of the block."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)
