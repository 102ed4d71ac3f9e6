"""Disk full, database or registry gone: the right XDS error in time, nothing lost, and service resumes by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests import postgres, samples
from tests.e2e import wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.failing import check_stores, comes_true, frozen, send_in_time
from tests.e2e.server import RunningServer, start
from tests.e2e.wire import Deposit
from tests.postgres import PostgresServer

LARGE = b"%PDF-1.4 " + b"x" * 3_000_000
SMALL_FILES = 2_000_000
MEMORY = 24_000_000

Failure = Callable[[], AbstractContextManager[object]]


def find(deposit: Deposit) -> wire.Message:
    """The query that finds the deposit's documents."""
    return wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", wire.listed(deposit.unique_ids)))


def get(deposit: Deposit) -> wire.Message:
    """The retrieval of the deposit's documents from a server of the default settings."""
    return wire.retrieve("2.25.273157482519340198261038741930164825071", *deposit.unique_ids)


def accepted(server: RunningServer, deposit: Deposit) -> bool:
    """Whether the deposit is accepted now."""
    return wire.send(server, deposit.message()).verdict == "Success"


def is_there(server: RunningServer, deposit: Deposit) -> None:
    """The deposit is found, and comes back byte for byte."""
    found = wire.send(server, find(deposit))
    assert found.verdict == "Success"
    assert len(found.answer.of_kind("document")) == len(deposit.documents)
    given = wire.send(server, get(deposit))
    assert given.verdict == "Success"
    assert tuple(document.data for document in given.answer.documents) == deposit.documents


def is_nowhere(server: RunningServer, deposit: Deposit) -> None:
    """Nothing of a refused deposit is found."""
    assert wire.send(server, find(deposit)).answer.of_kind("document") == ()


@contextmanager
def small_files(server: RunningServer, size: int) -> Iterator[None]:
    """No process of the server can make a file grow beyond `size` bytes."""
    processes = [server.process.pid, *wire.children(server.process.pid)]
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    for pid in processes:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        for pid in processes:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_no_space_for_a_document(make_server: ServerFactory) -> None:
    server = make_server()
    before, large, after = wire.deposit(), wire.deposit(LARGE), wire.deposit()
    assert accepted(server, before)
    with small_files(server, SMALL_FILES):
        assert send_in_time(server, large.message()).verdict == "Failure XDSRepositoryOutOfResources"
        is_there(server, before)
        assert accepted(server, after)
        is_nowhere(server, large)
    assert accepted(server, large)
    for deposit in (before, large, after):
        is_there(server, deposit)
    assert comes_true(lambda: wire.staged(server) == [])
    check_stores(server)


def test_deposits_stop_at_the_low_water_mark_and_reading_goes_on(make_server: ServerFactory, tmp_path: Path) -> None:
    server = make_server()
    deposit, refused = wire.deposit(), wire.deposit()
    assert accepted(server, deposit)
    server.stop()
    text = server.config.read_text()
    server.config.write_text(text.replace("free_space = 0", f"free_space = {10**18}"))
    full = start(server.config)
    try:
        assert send_in_time(full, refused.message()).verdict == "Failure XDSRepositoryOutOfResources"
        is_there(full, deposit)
        is_nowhere(full, refused)
    finally:
        full.stop()
    server.config.write_text(text)
    again = start(server.config)
    try:
        assert accepted(again, refused)
        check_stores(again)
    finally:
        again.stop()


@pytest.fixture
def memory_disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; skipped where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEMORY},mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk needs the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_the_disk_is_full_to_the_last_byte(make_server: ServerFactory, memory_disk: Path) -> None:
    """Documents, database and its log share the disk. Nothing can be journaled, so nothing is disclosed."""
    server = make_server({"storage": {"directory": str(memory_disk / "data")}})
    deposit = wire.deposit()
    assert accepted(server, deposit)
    refused = [wire.deposit() for _ in range(3)]
    filler = memory_disk / "filler"
    fill(filler)
    for each in refused:
        assert send_in_time(server, each.message()).verdict in (
            "Failure XDSRepositoryOutOfResources",
            "Failure XDSRegistryOutOfResources",
        )
    assert send_in_time(server, find(deposit)).verdict in ("Failure XDSRegistryOutOfResources", "Success")
    assert send_in_time(server, get(deposit)).verdict in ("Failure XDSRepositoryOutOfResources", "Success")
    filler.unlink()
    for each in refused:
        assert comes_true(lambda each=each: accepted(server, each))  # type: ignore[misc]
    for each in (deposit, *refused):
        is_there(server, each)
    check_stores(server)


def fill(path: Path) -> None:
    """Write until the disk takes nothing any more."""
    with path.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while out.write(b"\0" * size):
                    pass


@contextmanager
def sqlite_lock(server: RunningServer) -> Iterator[None]:
    """A foreign program writes to the database and does not end."""
    other = sqlite3.connect(server.data / "liasse.sqlite", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


@contextmanager
def writer_lock(server: RunningServer) -> Iterator[None]:
    """Another process of ours holds the turn to write."""
    with (server.data / "liasse.sqlite.lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("lock", [sqlite_lock, writer_lock])
def test_the_sqlite_database_is_locked(
    make_server: ServerFactory, lock: Callable[[RunningServer], AbstractContextManager[None]]
) -> None:
    server = make_server()
    before, during = wire.deposit(), wire.deposit()
    assert accepted(server, before)
    with lock(server):
        assert send_in_time(server, during.message()).verdict in ("Failure XDSRegistryBusy", "Failure XDSRepositoryBusy")
        assert send_in_time(server, find(before)).verdict == "Failure XDSRegistryBusy"
        assert send_in_time(server, get(before)).verdict == "Failure XDSRepositoryBusy"
    is_nowhere(server, during)
    assert accepted(server, during)
    is_there(server, before)
    is_there(server, during)
    check_stores(server)


def test_the_sqlite_database_is_gone(make_server: ServerFactory) -> None:
    server = make_server()
    before, during = wire.deposit(), wire.deposit()
    assert accepted(server, before)
    aside = server.data.parent / "aside"
    aside.mkdir()
    names = ("liasse.sqlite", "liasse.sqlite-wal", "liasse.sqlite-shm")
    for name in names:
        (server.data / name).rename(aside / name)
    assert send_in_time(server, during.message()).verdict in ("Failure XDSRegistryError", "Failure XDSRepositoryError")
    assert send_in_time(server, find(before)).verdict == "Failure XDSRegistryError"
    assert send_in_time(server, get(before)).verdict == "Failure XDSRepositoryError"
    assert not (server.data / "liasse.sqlite").exists()
    for name in reversed(names):
        (aside / name).rename(server.data / name)
    assert comes_true(lambda: accepted(server, during))
    is_there(server, before)
    is_there(server, during)
    assert comes_true(lambda: healthy(server))
    check_stores(server)


def healthy(server: RunningServer) -> bool:
    """Whether /health says 200."""
    with wire.connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may stop."""
    if not postgres.wanted():
        pytest.skip(f"PostgreSQL is not wanted: set {postgres.SWITCH}=1")
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def processes_of(database: PostgresServer) -> list[int]:
    """The processes of a PostgreSQL server."""
    first = int((database.directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    return [first, *wire.children(first)]


def on_postgres(make_server: ServerFactory, database: PostgresServer) -> RunningServer:
    return make_server({"storage": {"database": database.url(database.create())}})


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_postgresql_is_gone(make_server: ServerFactory, own_postgres: PostgresServer, how: signal.Signals) -> None:
    server = on_postgres(make_server, own_postgres)
    before, during = wire.deposit(), wire.deposit()
    assert accepted(server, before)
    own_postgres.stop(how)
    assert send_in_time(server, during.message()).verdict in ("Failure XDSRegistryError", "Failure XDSRepositoryError")
    assert send_in_time(server, find(before)).verdict == "Failure XDSRegistryError"
    assert send_in_time(server, get(before)).verdict == "Failure XDSRepositoryError"
    own_postgres.start()
    assert comes_true(lambda: accepted(server, during))
    is_there(server, before)
    is_there(server, during)
    assert comes_true(lambda: healthy(server))
    check_stores(server)


@pytest.mark.postgres
def test_postgresql_is_locked(make_server: ServerFactory, own_postgres: PostgresServer) -> None:
    server = on_postgres(make_server, own_postgres)
    before, during = wire.deposit(), wire.deposit()
    assert accepted(server, before)
    name = str(server.config.read_text()).partition("postgres@/")[2].partition("?")[0]
    with psycopg.connect(host=str(own_postgres.directory), user="postgres", dbname=name) as other:
        other.execute("LOCK TABLE set_identity, journal_row IN ACCESS EXCLUSIVE MODE")
        assert send_in_time(server, during.message()).verdict in ("Failure XDSRegistryBusy", "Failure XDSRepositoryBusy")
        assert send_in_time(server, find(before)).verdict == "Failure XDSRegistryBusy"
        assert send_in_time(server, get(before)).verdict == "Failure XDSRepositoryBusy"
        other.rollback()
    is_nowhere(server, during)
    assert accepted(server, during)
    is_there(server, before)
    check_stores(server)


@pytest.mark.postgres
def test_postgresql_hangs(make_server: ServerFactory, own_postgres: PostgresServer) -> None:
    """It exists and answers nothing: a machine that swaps, a disk that is stuck."""
    server = on_postgres(make_server, own_postgres)
    before, during = wire.deposit(), wire.deposit()
    assert accepted(server, before)
    with frozen(processes_of(own_postgres)):
        refused = send_in_time(server, during.message()).verdict
        assert refused.startswith("Failure XDSRe")
        assert send_in_time(server, find(before)).verdict.startswith("Failure XDSRegistry")
        assert send_in_time(server, get(before)).verdict.startswith("Failure XDSRepository")
    assert comes_true(lambda: accepted(server, during))
    is_there(server, before)
    is_there(server, during)
    assert comes_true(lambda: healthy(server))
    check_stores(server)


def test_the_registry_process_is_gone(make_server: ServerFactory) -> None:
    registry = make_server({"repository": {"unique_id": "1.2.250.1.999.32"}}, name="registry")
    text = registry.config.read_text()
    registry.config.write_text(text.replace("port = 0", f"port = {registry.port}", 1))
    server = make_server({"repository": {"registry": registry.registry_url}}, name="repository")
    before, during = wire.deposit(), wire.deposit(patient_id=samples.patient(2))
    assert accepted(server, before)
    registry.kill()
    assert send_in_time(server, during.message()).verdict == "Failure XDSRegistryNotAvailable"
    given = send_in_time(server, get(before))
    assert given.answer.documents[0].data == before.documents[0]
    with contextlib.closing(wire.open_database(server)) as database:
        states = dict(database.execute("SELECT unique_id, state FROM repository_document"))
    # What broke on a connection that was open may have arrived: such a document waits, unserved, until the registry tells.
    assert states.pop(before.unique_ids[0]) == "stored"
    assert states in ({}, {during.unique_ids[0]: "pending"})
    again = start(registry.config)
    try:
        assert comes_true(lambda: accepted(server, during))
        for deposit in (before, during):
            assert len(wire.send(again, find(deposit)).answer.of_kind("document")) == 1
            assert wire.send(server, get(deposit)).answer.documents[0].data == deposit.documents[0]
        check_stores(again, server)
    finally:
        again.stop()
