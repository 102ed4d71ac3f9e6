"""The supervisor with real processes: start, replacement, drain, sudden death."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30.0


def eventually(check: Callable[[], Any]) -> Any:
    """The first true value of `check`; fails after a long patience."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail("it never happened")
        time.sleep(0.02)


class Server:
    """A server program under test, its notices to a service manager, its log."""

    def __init__(
        self,
        folder: Path,
        worker: str = "worker",
        background: str = "background",
        extra: str = "",
        env: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = folder / "liasse.toml"
        self.config.write_text(
            f"[server]\nport = 0\nworkers = 2\ndrain_timeout = 5\n{extra}\n[admin]\nport = 0\n[feed]\nport = 0\n",
            encoding="utf-8",
        )
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(str(folder / f"notify-{time.monotonic_ns()}"))
        self.notices.settimeout(PATIENCE)
        self.log = folder / f"log-{time.monotonic_ns()}"
        environment = {
            **os.environ,
            **(env or {}),
            "NOTIFY_SOCKET": self.notices.getsockname(),
            "PID_FILE": str(folder / "background.pid"),
            "PYTHONPATH": str(ROOT),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.liasse.server_program", str(self.config), worker, background],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=ROOT,
            )

    def ready(self) -> Server:
        assert self.notices.recv(100) == b"READY=1", self.log.read_text()
        return self

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events() if line["event"] == event]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def address(self) -> Any:
        where = next(line["address"] for line in self.events() if line["event"] == "the server starts")
        host, colon, port = where.rpartition(":")
        return (host, int(port)) if colon else where

    def connect(self) -> socket.socket:
        where = self.address()
        connection = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(where)
        except OSError:
            connection.close()
            raise
        return connection

    def ask(self, request: str = "info") -> dict[str, Any]:
        with self.connect() as connection:
            connection.sendall(request.encode() + b"\n")
            line = connection.makefile().readline()
        return json.loads(line) if line else {}

    def workers(self) -> dict[int, int]:
        """Slot to process id of the workers that answer, after enough questions to meet both.

        On a busy machine one worker may take very many connections before the other gets its turn.
        """
        found: dict[int, int] = {}
        for number in range(400):
            facts = self.ask()
            found[facts["slot"]] = facts["pid"]
            if number >= 39:
                if len(found) >= 2:
                    break
                time.sleep(0.02)
        return found

    def background(self) -> int:
        return int((self.folder / "background.pid").read_text(encoding="ascii") or 0)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.notices.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def begin(**options: Any) -> Server:
        servers.append(Server(tmp_path, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def lives(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ready_is_told_once_all_serve_and_health_is_good(start: Callable[..., Server]) -> None:
    server = start().ready()
    facts = server.ask()
    assert facts["ok"]
    assert facts["parent"] == server.process.pid
    events = [line["event"] for line in server.events()]
    assert "the server is ready" in events
    assert "a setting for laboratories is in use" in events


def test_sigterm_drains_and_ends_with_zero(start: Callable[..., Server]) -> None:
    server = start().ready()
    background = server.background()
    with server.connect() as connection:
        connection.sendall(b"slow\n")
        reader = connection.makefile()
        assert reader.readline() == "working\n"
        server.process.send_signal(signal.SIGTERM)
        assert server.notices.recv(100) == b"STOPPING=1"
        assert json.loads(reader.readline())["reasons"] == ["stopping"]
    assert server.process.wait(PATIENCE) == 0
    assert not lives(background)
    with pytest.raises(OSError):
        server.connect()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_stop(start: Callable[..., Server], number: signal.Signals) -> None:
    assert start().ready().stop(number) == 0


def test_sighup_changes_nothing(start: Callable[..., Server]) -> None:
    server = start().ready()
    server.process.send_signal(signal.SIGHUP)
    assert server.ask()["ok"]
    assert server.stop() == 0


def test_a_killed_worker_is_replaced_in_its_slot(start: Callable[..., Server]) -> None:
    server = start().ready()
    victim = server.ask()
    os.kill(victim["pid"], signal.SIGKILL)
    replaced = eventually(lambda: server.workers().get(victim["slot"]) not in {None, victim["pid"]})
    assert replaced
    assert server.ask()["ok"]
    (line,) = (line for line in server.events() if line["event"] == "a process ended and is replaced")
    assert (line["worker"], line["status"], line["delay"]) == (victim["slot"], "worker", 0.0)


def test_a_worker_that_exits_is_replaced_and_the_others_go_on(start: Callable[..., Server]) -> None:
    server = start().ready()
    assert server.ask("die") == {}
    assert eventually(lambda: len(server.workers()) == 2)


def test_a_stopped_worker_is_replaced_and_the_others_go_on(start: Callable[..., Server]) -> None:
    server = start(extra="hang_timeout = 3").ready()
    before = server.workers()
    victim = before[0]
    os.kill(victim, signal.SIGSTOP)
    (line,) = eventually(lambda: server.logged("a process hangs and is killed"))
    assert (line["worker"], line["status"], line["frames"]) == (0, "worker", [])
    assert line["duration"] > 3
    eventually(lambda: not lives(victim))
    after = eventually(lambda: len(found := server.workers()) == 2 and found)
    assert after[0] != victim
    assert after[1] == before[1]
    assert server.ask()["ok"]
    assert server.stop() == 0


def test_a_worker_that_hangs_says_where_before_it_is_replaced(start: Callable[..., Server]) -> None:
    server = start(extra="hang_timeout = 3").ready()
    with server.connect() as connection:
        connection.sendall(b"hang\n")
        slot = int(connection.makefile().readline())
        (line,) = eventually(lambda: server.logged("a process hangs and is killed"))
    assert line["worker"] == slot
    assert re.fullmatch(r".*server_program\.py:\d+ hang_here", line["frames"][0])
    assert line["frames"][1].endswith(" answer")
    eventually(lambda: len(server.workers()) == 2)


def test_a_stopped_background_process_is_replaced_and_health_returns(start: Callable[..., Server]) -> None:
    server = start(extra="hang_timeout = 3").ready()
    victim = server.background()
    os.kill(victim, signal.SIGSTOP)
    eventually(lambda: server.background() not in {0, victim} and server.ask()["ok"])
    assert not lives(victim)
    assert [line["status"] for line in server.logged("a process hangs and is killed")] == ["background"]


def test_a_worker_that_goes_on_in_time_stays(start: Callable[..., Server]) -> None:
    server = start(extra="hang_timeout = 30").ready()
    before = server.workers()
    os.kill(before[0], signal.SIGSTOP)
    os.kill(before[1], signal.SIGUSR2)  # whoever asks where a process is does it no harm
    time.sleep(1.5)
    os.kill(before[0], signal.SIGCONT)
    assert server.workers() == before
    assert server.logged("a process hangs and is killed") == []


def test_a_server_that_stood_still_as_a_whole_blames_nobody(start: Callable[..., Server]) -> None:
    server = start(extra="hang_timeout = 3").ready()
    before = server.workers()
    everybody = [server.process.pid, server.background(), *before.values()]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6.5)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    assert server.workers() == before
    time.sleep(1.5)
    assert server.workers() == before
    assert server.logged("a process hangs and is killed") == []


def test_the_service_managers_watchdog_is_calmed_until_the_end(start: Callable[..., Server]) -> None:
    server = start(env={"WATCHDOG_USEC": "300000"})
    notices = [server.notices.recv(100)]
    while notices.count(b"WATCHDOG=1") < 4 or b"READY=1" not in notices:
        notices.append(server.notices.recv(100))
    with server.connect() as connection:
        connection.sendall(b"slow\n")
        assert connection.makefile().readline() == "working\n"
        server.process.send_signal(signal.SIGTERM)
        while notices[-1] != b"STOPPING=1":
            notices.append(server.notices.recv(100))
        assert server.notices.recv(100) == b"WATCHDOG=1"
    assert set(notices) == {b"WATCHDOG=1", b"READY=1", b"STOPPING=1"}
    assert server.process.wait(PATIENCE) == 0


def test_a_watchdog_meant_for_another_process_is_left_alone(start: Callable[..., Server]) -> None:
    server = start(env={"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}).ready()
    server.process.send_signal(signal.SIGTERM)
    assert server.notices.recv(100) == b"STOPPING=1"


def test_a_killed_background_process_is_replaced_and_health_returns(start: Callable[..., Server]) -> None:
    server = start().ready()
    victim = server.background()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: server.background() not in {0, victim} and server.ask()["ok"])
    assert server.stop() == 0


def test_children_end_with_a_killed_supervisor_and_the_next_server_starts_at_once(start: Callable[..., Server]) -> None:
    first = start().ready()
    children = [*first.workers().values(), first.background()]
    assert len(children) == 3
    first.process.kill()
    first.process.wait()
    second = start().ready()
    assert second.ask()["ok"]
    eventually(lambda: not any(lives(pid) for pid in children))


def test_a_stubborn_worker_is_killed_by_a_second_signal(start: Callable[..., Server]) -> None:
    server = start(worker="stubborn").ready()
    server.process.send_signal(signal.SIGTERM)
    assert server.notices.recv(100) == b"STOPPING=1"
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(PATIENCE)
    assert server.process.returncode == 0
    assert "processes did not end in time and are killed" in [line["event"] for line in server.events()]


@pytest.mark.parametrize(
    ("worker", "background"), [("failing", "background"), ("leaving", "background"), ("worker", "failing")]
)
def test_a_server_whose_processes_cannot_start_gives_up(start: Callable[..., Server], worker: str, background: str) -> None:
    server = start(worker=worker, background=background)
    assert server.process.wait(PATIENCE) == 1
    assert "a process cannot start: giving up" in [line["event"] for line in server.events()]
    assert server.notices.recv(100) == b"STOPPING=1"


def test_a_second_server_on_the_same_folder_is_refused(start: Callable[..., Server], tmp_path: Path) -> None:
    start().ready()
    second = start()
    out, _ = second.process.communicate(timeout=PATIENCE)
    assert second.process.returncode == 1
    assert out.decode() == f"storage.directory: another server runs on {tmp_path / 'data'}\n"


def test_a_taken_port_is_named(start: Callable[..., Server]) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        server = start()
        server.close()
        config = server.config.read_text(encoding="utf-8").replace("[feed]\nport = 0", f"[feed]\nport = {port}")
        server.config.write_text(config, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.liasse.server_program", str(server.config), "worker", "background"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == f"feed.host and feed.port: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_the_unix_socket_is_for_user_and_group_and_goes_with_the_server(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    path = tmp_path / "liasse.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    server = start(extra=f'unix_socket = "{path}"').ready()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert server.ask()["ok"]
    assert server.stop() == 0
    assert not path.exists()


def test_a_file_in_the_place_of_the_unix_socket_is_left_alone(start: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("kept", encoding="ascii")
    server = start(extra=f'unix_socket = "{path}"')
    out, _ = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 1
    assert out.decode() == f"server.unix_socket: cannot listen on {path}: File exists\n"
    assert path.read_text(encoding="ascii") == "kept"
