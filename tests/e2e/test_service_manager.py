"""The real server as systemd runs it: told by a socket, watched, its hung processes replaced while it serves."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import wire
from tests.e2e.server import ROOT, RunningServer, start, write_config

PATIENCE = 40.0


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        yield manager


def begin(folder: Path, notices: socket.socket, watchdog: float, hang_timeout: float = 30) -> RunningServer:
    config = write_config(folder / "server", {"server": {"hang_timeout": hang_timeout}})
    env = {"NOTIFY_SOCKET": notices.getsockname(), "WATCHDOG_USEC": str(int(watchdog * 1_000_000))}
    return start(config, env)


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def children(server: RunningServer) -> set[int]:
    pid = server.process.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()}


def healthy(server: RunningServer) -> bool:
    with wire.connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_manager_is_told_of_readiness_life_and_end(tmp_path: Path, notices: socket.socket) -> None:
    server = begin(tmp_path, notices, watchdog=0.6)
    try:
        told = [notices.recv(100) for _ in range(6)]
        assert told.count(b"READY=1") == 1
        assert told.count(b"WATCHDOG=1") == 5
        assert server.stop() == 0
        notices.setblocking(False)
        while told[-1] != b"STOPPING=1":
            told.append(notices.recv(100))
        assert set(told) == {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}
    finally:
        server.kill()


def test_a_stopped_supervisor_leaves_the_watchdog_without_news(tmp_path: Path, notices: socket.socket) -> None:
    server = begin(tmp_path, notices, watchdog=0.6)
    try:
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        while select.select([notices], [], [], 0)[0]:
            notices.recv(100)
        notices.settimeout(1.2)
        with pytest.raises(TimeoutError):
            notices.recv(100)
        os.kill(server.process.pid, signal.SIGCONT)
        notices.settimeout(PATIENCE)
        assert notices.recv(100) == b"WATCHDOG=1"
    finally:
        server.kill()


def test_every_process_that_stands_still_is_replaced_while_the_server_serves(tmp_path: Path, notices: socket.socket) -> None:
    server = begin(tmp_path, notices, watchdog=30, hang_timeout=4)
    try:
        for _ in range(3):  # two workers and the background process, each once, the oldest first
            before = children(server)
            assert len(before) == 3
            victim = min(before)
            os.kill(victim, signal.SIGSTOP)
            eventually(lambda: victim not in children(server) and len(children(server)) == 3)  # noqa: B023
        eventually(lambda: healthy(server))
        assert wire.send(server, wire.find_documents("nobody^^^&1.2.3&ISO")).verdict == "Success"
        assert server.log_text().count('"a process hangs and is killed"') == 3
        assert server.stop() == 0
    finally:
        server.kill()


def test_a_server_whose_manager_is_gone_goes_on(tmp_path: Path) -> None:
    config = write_config(tmp_path / "server")
    server = start(config, {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "600000"})
    try:
        eventually(lambda: server.log_text().count("the service manager could not be told") > 2)
        assert healthy(server)
        assert server.stop() == 0
    finally:
        server.kill()


def test_the_installed_command_keeps_its_process_id_as_the_manager_needs(tmp_path: Path, notices: socket.socket) -> None:
    """`ExecStart` runs `liasse serve`; systemd accepts notices and WATCHDOG_PID only of the process that it started."""
    config = write_config(tmp_path / "server")
    env = {**os.environ, "NOTIFY_SOCKET": notices.getsockname(), "WATCHDOG_USEC": "600000"}
    program = Path(sys.executable).with_name("liasse")
    asks = "import os, sys; os.environ['WATCHDOG_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", asks, str(program), "serve", "--config", str(config)],
        cwd=ROOT,
        env=env,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = [notices.recv(100) for _ in range(3)]
        while b"READY=1" not in told:
            told.append(notices.recv(100))
        assert b"WATCHDOG=1" in told
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
