"""The background process as it is: lease, jobs, feed, listener for operators, over a real database."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from database.engine import open_database
from database.migrate import init_database
from liasse.settings_file import load_settings
from liasse.wiring import file_store
from xds_registry.patients import list_patients

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30.0
AUTHORITY = "1.3.6.1.4.1.21367.13.20.1000"
MESSAGE = f"MSH|^~\\&|A|B|C|D|20261125||ADT^A04^ADT_A01|77|P|2.3.1\rPID|1||P-1^^^&{AUTHORITY}&ISO||Demo^Anne\r"


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


class Node:
    """One server of the program."""

    def __init__(self, folder: Path, storage: str) -> None:
        folder.mkdir()
        self.config, self.log = folder / "liasse.toml", folder / "log"
        self.config.write_text(
            "[server]\nport = 0\nworkers = 1\n[admin]\nport = 0\n[feed]\nport = 0\nmessage_size = 100000\n"
            f'[storage]\n{storage}\n[limits]\nfree_space = 0\n[affinity_domain]\nassigning_authorities = ["{AUTHORITY}"]\n',
            encoding="utf-8",
        )
        self.settings = load_settings(self.config)
        init_database(self.settings.storage.database_place).close()
        self.settings.storage.directory.mkdir(exist_ok=True)
        store = file_store(self.settings)
        store.init()
        store.close()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.liasse.background_program", str(self.config)], stderr=log, cwd=ROOT
            )

    def event(self, name: str) -> dict[str, Any] | None:
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return next((line for line in lines if line["event"] == name), None)

    def wait(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = eventually(lambda: self.event(name))
        return found

    def address(self, event: str) -> tuple[str, int]:
        host, _, port = self.wait(event)["address"].rpartition(":")
        return host, int(port)

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        host, port = self.address("readiness and metrics listen")
        request = urllib.request.Request(f"http://{host}:{port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def feed(self, message: str) -> str:
        with socket.create_connection(self.address("the patient feed listens"), PATIENCE) as connection:
            connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            reply = b""
            while not reply.endswith(b"\x1c\r"):
                reply += connection.recv(4096)
        return reply.decode()

    def health(self) -> str:
        with socket.create_connection(self.address("the server starts"), PATIENCE) as connection:
            return connection.makefile().readline()

    def marks(self) -> list[int]:
        path = self.settings.storage.directory / "marks"
        return [int(line) for line in path.read_text(encoding="ascii").splitlines()] if path.exists() else []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def begin(name: str = "one", storage: str = 'directory = "data"') -> Node:
        nodes.append(Node(tmp_path / name, storage))
        return nodes[-1]

    yield begin
    for node in nodes:
        if node.process.poll() is None:
            node.process.terminate()
        try:
            node.process.wait(PATIENCE)
        finally:
            node.process.kill()
            node.process.wait()


def test_everything_that_readiness_names_is_well_after_the_start(start: Callable[..., Node]) -> None:
    node = start()
    node.wait("the server is ready")
    assert node.health() == "Health(ok=True, reasons=())\n"
    status, body = node.get("/health/ready")
    names = ["server", "lease", "feed", "database", "documents", "free space", "journal"]
    assert (status, json.loads(body)) == (200, {"ready": True, "checks": dict.fromkeys(names, "ok")})
    assert node.get("/health/live") == (200, '{"live": true}\n')


def test_a_database_that_disappears_is_named_by_readiness(start: Callable[..., Node]) -> None:
    node = start()
    node.wait("the server is ready")
    place = Path(node.settings.storage.database_place)
    for path in place.parent.glob("liasse.sqlite*"):
        path.unlink()
    place.write_bytes(b"no database" * 1000)

    def database_is_missed() -> bool:
        status, body = node.get("/health/ready")
        return status == 503 and json.loads(body)["checks"]["database"] != "ok"

    eventually(database_is_missed)


def test_too_little_space_is_named_by_readiness(start: Callable[..., Node], tmp_path: Path) -> None:
    node = start("full")
    node.process.kill()
    node.process.wait()
    node.config.write_text(node.config.read_text().replace("free_space = 0", "free_space = 1000000000000000"))
    with node.log.open("wb") as log:
        node.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.liasse.background_program", str(node.config)], stderr=log, cwd=ROOT
        )
    node.wait("the server is ready")
    status, body = node.get("/health/ready")
    assert status == 503
    assert json.loads(body)["checks"]["free space"].endswith("bytes free, deposits need 1000000000000000")
    assert "liasse_low_water_bytes 1e+15" in node.get("/metrics")[1]


def test_metrics_of_all_processes(start: Callable[..., Node]) -> None:
    node = start()
    node.wait("the server is ready")
    eventually(lambda: 'liasse_job_runs_total{outcome="failure"} 0.0' not in node.get("/metrics")[1])
    status, text = node.get("/metrics")
    assert status == 200
    assert "liasse_lease_held 1.0\n" in text
    assert "liasse_healthy 1.0\n" in text
    assert "liasse_free_bytes " in text


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/health/live", "POST", 405), ("/health/live?x=1", "GET", 200)]
)
def test_what_operators_may_not_ask(start: Callable[..., Node], path: str, method: str, status: int) -> None:
    node = start()
    node.wait("the background process serves")
    assert node.get(path, method)[0] == status
    assert node.get("/health/live", "HEAD") == (200, "")


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 5000])
def test_what_is_no_request_is_answered_or_cut(start: Callable[..., Node], sent: bytes) -> None:
    node = start()
    node.wait("the background process serves")
    with socket.create_connection(node.address("readiness and metrics listen"), PATIENCE) as connection:
        try:
            connection.sendall(sent)
            answer = connection.makefile("rb").read()
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert node.get("/health/live")[0] == 200


def test_jobs_run_again_and_again_and_a_failing_one_does_no_harm(start: Callable[..., Node]) -> None:
    node = start()
    eventually(lambda: len(node.marks()) >= 3)
    failed = node.wait("a job failed and will be run again")
    assert (failed["job"], failed["exception"]) == ("fail", "builtins.RuntimeError")
    assert len(set(node.marks())) == 1


def test_a_patient_of_the_feed_is_known_and_durable(start: Callable[..., Node]) -> None:
    node = start()
    reply = node.feed(MESSAGE)
    assert "MSA|AA|77\r" in reply
    with open_database(node.settings.storage.database_place) as database:
        assert [(each.cx, each.origin) for each in list_patients(database, 9)] == [(f"P-1^^^&{AUTHORITY}&ISO", "feed")]
    assert "MSA|AA|77\r" in node.feed(MESSAGE), "the same again is no error"


def test_a_replaced_background_process_takes_the_lease_at_once_and_goes_on(start: Callable[..., Node]) -> None:
    node = start()
    node.wait("the server is ready")
    victim = eventually(node.marks)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(set(node.marks())) == 2)
    eventually(lambda: node.health() == "Health(ok=True, reasons=())\n")
    assert "MSA|AA|77\r" in node.feed(MESSAGE)


def test_a_stop_gives_the_lease_back_and_the_next_server_begins(start: Callable[..., Node]) -> None:
    node = start()
    eventually(node.marks)
    node.process.terminate()
    assert node.process.wait(PATIENCE) == 0
    with open_database(node.settings.storage.database_place) as database, database.read() as connection:
        holders = connection.exec_driver_sql("SELECT holder FROM lease WHERE name = 'background'").scalars().all()
    assert holders == [""]


def test_of_two_servers_on_one_database_one_runs_the_jobs_until_it_ends(start: Callable[..., Node], tmp_path: Path) -> None:
    database = f'database = "sqlite:///{tmp_path}/shared.sqlite"'
    first = start("one", f'directory = "data"\n{database}')
    eventually(first.marks)
    second = start("two", f'directory = "data"\n{database}')
    second.wait("the server is ready")
    assert second.event("the lease was taken") is None
    assert second.marks() == []
    assert "liasse_lease_held 0.0\n" in second.get("/metrics")[1]
    first.process.terminate()
    assert first.process.wait(PATIENCE) == 0
    eventually(second.marks)
    assert second.event("the lease was taken") is not None
