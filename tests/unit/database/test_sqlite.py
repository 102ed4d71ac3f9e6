"""What is particular to SQLite: the lock between processes, deadlines, checkpoints, a file that goes away, a full disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from database import (
    ConstraintViolated,
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    OutcomeUnknown,
    open_database,
)
from database.sqlite import FRAMES_WANTED, SqliteDatabase
from database.sqlite_driver import SqliteEngine, driver, has_wal_reset_fault, sqlite_engine, translate
from database.writer import WriterLock
from tests.unit.database.tables import adding, count, make, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.sqlite"


@pytest.fixture
def embedded(path: Path) -> Iterator[Database]:
    with open_database(path, create=True) as opened:
        make(opened)
        yield opened


def _pragma(database: Database, name: str) -> object:
    with database.read_raw() as cursor:
        cursor.execute(f"PRAGMA {name}")
        row = cursor.fetchone()
        return row[0] if row else None


def test_settings_of_readers_and_writer(embedded: Database) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "busy_timeout": 3000,
        "query_only": 1,
    }
    assert {name: _pragma(embedded, name) for name in expected} == expected
    assert _pragma(embedded, "mmap_size") in (0, None)
    expected["query_only"] = 0

    def writers(connection: Connection) -> dict[str, object]:
        return {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in expected}

    assert embedded.write(writers) == expected


def test_foreign_keys_are_enforced(embedded: Database) -> None:
    def break_one(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE child (n INTEGER REFERENCES note (number))"))
        connection.execute(text("INSERT INTO child VALUES (7)"))

    with pytest.raises(ConstraintViolated):
        embedded.write(break_one)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
        ((3, 6, 23), False),
    ],
)
def test_versions_with_the_wal_reset_fault(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_fault(version) is affected


def test_the_engine_in_use_is_named() -> None:
    found = sqlite_engine()
    assert found == SqliteEngine(driver.__name__.split(".")[0], driver.sqlite_version, found.affected)
    assert found.module in ("pysqlite3", "sqlite3")


_HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


_FOREIGN = """
import sqlite3, sys
foreign = sqlite3.connect(sys.argv[1], isolation_level=None)
foreign.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def _hold_lock(path: Path) -> subprocess.Popen[bytes]:
    return _start(_HOLDER, f"{path}.lock")


def _start(program: str, argument: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, argument]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_work_that_gets_no_turn_is_withdrawn_and_reading_goes_on(embedded: Database, path: Path) -> None:
    embedded.write(adding("before"))
    with _hold_lock(path) as holder:
        with pytest.raises(DatabaseBusy, match=r"within 0\.2 s"):
            embedded.write(adding("withdrawn"), timeout=0.2)
        assert texts(embedded) == ["before"]
        holder.kill()
    embedded.write(adding("after"))
    assert texts(embedded) == ["after", "before"]


def test_a_foreign_program_that_locks_the_file_makes_writers_busy(embedded: Database, path: Path) -> None:
    with _start(_FOREIGN, str(path)) as foreign:
        with pytest.raises(DatabaseBusy):
            embedded.write(adding("withdrawn"), timeout=0.2)
        foreign.kill()
    embedded.write(adding("after"), timeout=20)
    assert texts(embedded) == ["after"]


def test_work_that_started_and_does_not_end_has_an_unknown_outcome(
    embedded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.writer.GRACE", 0.05)
    release = threading.Event()

    def slow(connection: Connection) -> None:
        adding("slow")(connection)
        release.wait(30)

    with pytest.raises(OutcomeUnknown):
        embedded.write(slow, timeout=0.05)
    release.set()
    embedded.write(adding("next"), timeout=20)
    assert texts(embedded) == ["next", "slow"]


def test_what_queues_meanwhile_is_committed_together(embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    monkeypatch.setattr(_inner(embedded), "committed", lambda: commits.append(1))
    release, started = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        started.set()
        release.wait(30)

    threads = [threading.Thread(target=embedded.write, args=(first,), kwargs={"timeout": 20})]
    threads[0].start()
    started.wait()
    threads += [threading.Thread(target=embedded.write, args=(adding(str(n)),), kwargs={"timeout": 20}) for n in range(10)]
    for thread in threads[1:]:
        thread.start()
    queue = embedded._writer._queue  # type: ignore[attr-defined]
    while len(queue) < 10:
        time.sleep(0.01)
    release.set()
    for thread in threads:
        thread.join()
    assert count(embedded) == 10
    assert len(commits) == 2


def _inner(database: Database) -> object:
    assert isinstance(database, SqliteDatabase)
    return database._writing


def test_one_bad_function_does_not_spoil_the_batch(embedded: Database) -> None:
    release, started = threading.Event(), threading.Event()
    outcomes: dict[str, BaseException | None] = {}

    def first(connection: Connection) -> None:
        started.set()
        release.wait(30)

    def run(name: str, fn: Callable[[Connection], object]) -> None:
        try:
            embedded.write(fn, timeout=20)
            outcomes[name] = None
        except BaseException as error:
            outcomes[name] = error

    def bad(connection: Connection) -> None:
        adding("bad")(connection)
        raise SystemExit("not for the writer's thread")

    work: list[tuple[str, Callable[[Connection], object]]] = [
        ("first", first),
        ("a", adding("a")),
        ("bad", bad),
        ("b", adding("b")),
    ]
    threads = [threading.Thread(target=run, args=one) for one in work]
    threads[0].start()
    started.wait()
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert isinstance(outcomes.pop("bad"), SystemExit)
    assert outcomes == {"first": None, "a": None, "b": None}
    assert texts(embedded) == ["a", "b"]


def test_the_log_is_checkpointed_under_the_lock_and_stays_small(embedded: Database, path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    wide = "x" * 3000
    for number in range(800):
        embedded.write(adding(f"{number:05}{wide}"), timeout=20)
    assert log.stat().st_size < 40 * FRAMES_WANTED * 1024
    assert path.stat().st_size > 1_000_000
    embedded.close()
    assert not log.exists()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert check.execute("SELECT count(*) FROM note").fetchone() == (800,)
    check.close()


def test_a_large_transaction_is_checkpointed_at_once_and_its_log_cut(embedded: Database, path: Path) -> None:
    log = path.with_name(path.name + "-wal")

    def large(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert raw is not None
        rows = (("", f"{n}", os.urandom(900_000)) for n in range(100))
        raw.executemany("INSERT INTO note (batch, text, data) VALUES (?, ?, ?)", rows)

    embedded.write(large, timeout=60)
    embedded.write(adding("next"), timeout=60)
    assert log.stat().st_size < 20_000_000
    assert path.stat().st_size > 90_000_000


def test_a_reader_that_stays_does_not_hinder_writers(embedded: Database) -> None:
    with embedded.read() as connection:
        connection.execute(text("SELECT * FROM note")).all()
        for number in range(300):
            embedded.write(adding(str(number)))
        assert connection.execute(text("SELECT count(*) FROM note")).scalar() == 0
    assert count(embedded) == 300


def test_a_removed_file_is_noticed_and_its_return_too(embedded: Database, path: Path) -> None:
    embedded.write(adding("before"))
    away = path.with_name("away")
    _inner(embedded).checkpoint("TRUNCATE")  # type: ignore[attr-defined]
    path.rename(away)
    with pytest.raises(DatabaseUnavailable):
        embedded.write(adding("into nothing"))
    with pytest.raises(DatabaseUnavailable):
        texts(embedded)
    assert not path.exists()
    away.rename(path)
    embedded.write(adding("again"))
    assert texts(embedded) == ["again", "before"]


def test_a_restored_file_is_used_from_the_next_call_on(embedded: Database, path: Path, tmp_path: Path) -> None:
    with open_database(tmp_path / "backup.sqlite", create=True) as backup:
        make(backup)
        backup.write(adding("from the backup"))
    embedded.write(adding("lost by the restoration"))
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "backup.sqlite", path)
    assert texts(embedded) == ["from the backup"]
    embedded.write(adding("and on"))
    assert texts(embedded) == ["and on", "from the backup"]


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"this is not a database, it is a text that is long enough" * 100)
    with open_database(path) as opened:
        with pytest.raises(DatabaseUnavailable, match="damaged"):
            texts(opened)
        with pytest.raises(DatabaseUnavailable, match="damaged"):
            opened.write(adding("a"))


def test_a_directory_that_went_away(embedded: Database, path: Path) -> None:
    shutil.rmtree(path.parent)
    with pytest.raises(DatabaseUnavailable, match="lock file"):
        embedded.write(adding("a"))
    path.parent.mkdir()


def test_readers_beyond_the_pool_are_told_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("database.sqlite.DEFAULT_TIMEOUT", 0.05)
    with open_database(path, create=True, pool_size=1) as opened:
        make(opened)
        with opened.read(), pytest.raises(DatabaseBusy, match="became free"):
            texts(opened)
        assert texts(opened) == []


def test_closing_does_not_wait_for_ever_for_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("database.sqlite.DEFAULT_TIMEOUT", 0.1)
    opened = open_database(path, create=True)
    make(opened)
    with _hold_lock(path) as holder:
        opened.close()
        holder.kill()
    with open_database(path) as again:
        assert texts(again) == []


def test_the_lock_can_be_tried_for_a_while(path: Path) -> None:
    lock = WriterLock(path)
    with lock.held(), pytest.raises(DatabaseBusy, match="another process"), lock.held(0.1):
        pytest.fail("the lock was given twice")
    with lock.held(0), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; skipped where it cannot be mounted."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small file system needs root")
    directory = tmp_path / "disk"
    directory.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_a_full_disk_refuses_writes_keeps_reads_and_heals(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with open_database(small_disk / "x.sqlite", create=True) as opened:
        make(opened)
        opened.write(adding("before"))
        filler.write_bytes(b"\0" * 1_500_000)
        failures: list[DatabaseError] = []
        stored = 0
        for number in range(200):
            try:
                opened.write(adding(f"{number:05}" + "x" * 5000))
                stored += 1
            except DatabaseError as error:
                failures.append(error)
        assert {type(error) for error in failures} == {DatabaseFull}
        assert count(opened) == stored + 1
        assert stored > 0
        filler.unlink()
        opened.write(adding("after"))
        assert count(opened) == stored + 2
    check = sqlite3.connect(small_disk / "x.sqlite")
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


def test_a_full_disk_fails_all_that_shared_the_transaction(small_disk: Path) -> None:
    with open_database(small_disk / "x.sqlite", create=True) as opened:
        make(opened)
        with pytest.raises(DatabaseFull):
            opened.write(adding(*(f"{number:05}" + "x" * 5000 for number in range(1000))))
        assert count(opened) == 0
        opened.write(adding("small"))


_LIMITED = """
import resource, sys
from database import DatabaseError, open_database
from tests.unit.database.tables import adding, count, make
with open_database(sys.argv[1], create=True) as opened:
    make(opened)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    stored = 0
    try:
        for number in range(500):
            opened.write(adding(str(number) + "x" * 2000))
            stored += 1
    except DatabaseError as error:
        print(type(error).__name__, count(opened) - stored, stored > 10)
"""


def test_a_file_size_limit_is_reported_and_nothing_is_lost(path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", _LIMITED, str(path)], capture_output=True, text=True, timeout=60)
    assert result.stdout.split()[1:] == ["0", "True"]
    assert result.stdout.split()[0] in ("DatabaseUnavailable", "OutcomeUnknown")


class _DriverError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__("a text that may quote a row")
        self.sqlite_errorname = name


@pytest.mark.parametrize(
    ("name", "committing", "expected"),
    [
        ("SQLITE_BUSY_SNAPSHOT", False, DatabaseBusy),
        ("SQLITE_FULL", True, DatabaseFull),
        ("SQLITE_IOERR_SHMSIZE", False, DatabaseFull),
        ("SQLITE_IOERR_WRITE", True, DatabaseUnavailable),
        ("SQLITE_IOERR_FSYNC", True, OutcomeUnknown),
        ("SQLITE_IOERR_FSYNC", False, DatabaseUnavailable),
        ("SQLITE_CORRUPT_INDEX", False, DatabaseUnavailable),
        ("SQLITE_READONLY_DBMOVED", False, DatabaseUnavailable),
        ("SQLITE_ERROR", False, DatabaseError),
        ("", False, DatabaseError),
    ],
)
def test_what_the_driver_s_errors_mean(name: str, committing: bool, expected: type[DatabaseError]) -> None:
    found = translate(_DriverError(name), committing=committing)
    assert type(found) is expected
    assert "quote" not in str(found)


def test_an_input_output_error_at_commit_is_an_unknown_outcome(embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([driver.OperationalError("disk I/O error")])

    def fail_once(raw: Any) -> None:
        error = next(failures, None)
        if error is not None:
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        raw.execute("COMMIT")

    monkeypatch.setattr(_inner(embedded), "commit", fail_once)
    with pytest.raises(OutcomeUnknown, match="IOERR_FSYNC"):
        embedded.write(adding("perhaps"))
    embedded.write(adding("after"))
    assert texts(embedded) == ["after"]


def test_a_fault_of_the_writer_itself_is_told_and_survived(embedded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Connection:
        raise RuntimeError("a fault in our own code")

    with monkeypatch.context() as patched:
        patched.setattr(_inner(embedded), "connection", broken)
        with pytest.raises(DatabaseUnavailable, match="writer failed"):
            embedded.write(adding("a"))
    embedded.write(adding("b"))
    assert texts(embedded) == ["b"]


def test_a_lock_file_that_cannot_be_made(embedded: Database, path: Path) -> None:
    lock = path.with_name(path.name + ".lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(DatabaseUnavailable, match=errno.errorcode[errno.EISDIR] + "|IsADirectory"):
        embedded.write(adding("a"))
    lock.rmdir()
    embedded.write(adding("b"))


def test_a_copy_is_consistent_while_others_write(embedded: Database, tmp_path: Path) -> None:
    assert isinstance(embedded, SqliteDatabase)
    stop = threading.Event()

    def write_pairs() -> None:
        number = 0
        while not stop.is_set():
            embedded.write(adding(f"{number}-a", f"{number}-b"), timeout=20)
            number += 1

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        for number in range(3):
            embedded.copy_to(tmp_path / f"copy{number}.sqlite")
    finally:
        stop.set()
        writer.join()
    for number in range(3):
        with open_database(tmp_path / f"copy{number}.sqlite") as copy:
            assert count(copy) % 2 == 0
            assert _pragma(copy, "integrity_check") == "ok"


def test_a_copy_on_an_engine_with_the_fault_waits_for_the_writer(
    embedded: Database, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(embedded, SqliteDatabase)
    monkeypatch.setattr("database.sqlite.sqlite_engine", lambda: SqliteEngine("sqlite3", "3.40.1", affected=True))
    embedded.write(adding("a"))
    copier = threading.Thread(target=embedded.copy_to, args=(tmp_path / "copy.sqlite",))
    with _hold_lock(path) as holder:
        copier.start()
        copier.join(0.2)
        assert copier.is_alive()
        holder.kill()
    copier.join()
    with open_database(tmp_path / "copy.sqlite") as copy:
        assert texts(copy) == ["a"]


def test_a_copy_that_finds_no_room(embedded: Database, small_disk: Path) -> None:
    assert isinstance(embedded, SqliteDatabase)
    embedded.write(adding(*(f"{number:05}" + "x" * 5000 for number in range(500))))
    for target in (small_disk / "copy.sqlite", small_disk / "nowhere" / "copy.sqlite"):
        with pytest.raises(DatabaseUnavailable, match="copy could not be written"):
            embedded.copy_to(target)
    assert count(embedded) == 500


def test_a_write_inside_a_write_is_refused(embedded: Database) -> None:
    with pytest.raises(DatabaseError, match="wait for itself"):
        embedded.write(lambda connection: embedded.write(adding("inner")))


_WITHOUT_WHEEL = """
import sys
sys.modules["pysqlite3"] = None
from database import open_database
from database.sqlite_driver import sqlite_engine
from tests.unit.database.tables import adding, count, make
with open_database(sys.argv[1], create=True) as opened:
    make(opened)
    for number in range(150):
        opened.write(adding(str(number)))
    print(sqlite_engine().module, count(opened))
"""


def test_the_interpreter_s_own_sqlite_does_the_same_work(path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", _WITHOUT_WHEEL, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == ["sqlite3", "150"]
    with open_database(path) as opened:
        assert count(opened) == 150
