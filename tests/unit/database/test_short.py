"""Short writes are done by the thread that asks, when it finds nobody before it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from database import (
    ConstraintViolated,
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    OutcomeUnknown,
    open_database,
)
from database.prepared import Lookup, Prepared
from database.sqlite import SqliteDatabase
from database.writer import WriterLock
from tests.unit.database.tables import adding, make, note, texts


@pytest.fixture
def embedded(tmp_path: Path) -> SqliteDatabase:
    opened = open_database(tmp_path / "x.sqlite", create=True)
    assert isinstance(opened, SqliteDatabase)
    make(opened)
    _settle(opened)
    return opened


def _settle(database: SqliteDatabase) -> None:
    """The writer gives its turn to nobody before all who wait are told."""
    while database._writer._turn.locked():
        time.sleep(0.001)


def _in_thread(seen: list[str], text: str) -> Callable[[Connection], str]:
    def fn(connection: Connection) -> str:
        seen.append(threading.current_thread().name)
        adding(text)(connection)
        return text

    return fn


def test_a_short_write_is_stored_on_both_engines(database: Database) -> None:
    make(database)
    assert database.write_short(adding("a")) == 1
    database.write(adding("b"))
    database.write_short(adding("c"))
    assert texts(database) == ["a", "b", "c"]


def test_it_is_done_by_the_calling_thread(embedded: SqliteDatabase) -> None:
    seen: list[str] = []
    assert embedded.write_short(_in_thread(seen, "a")) == "a"
    assert embedded.write(_in_thread(seen, "b")) == "b"
    assert seen == [threading.current_thread().name, "database-writer"]
    embedded.close()


def test_it_queues_behind_others(embedded: SqliteDatabase) -> None:
    started, release, seen = threading.Event(), threading.Event(), []  # type: ignore[var-annotated]

    def long(connection: Connection) -> None:
        started.set()
        release.wait(20)

    first = threading.Thread(target=embedded.write, args=(long,), kwargs={"timeout": 20})
    first.start()
    started.wait()
    second = threading.Thread(target=embedded.write_short, args=(_in_thread(seen, "a"),), kwargs={"timeout": 20})
    second.start()
    while not embedded._writer._queue:
        time.sleep(0.005)
    release.set()
    first.join()
    second.join()
    assert seen == ["database-writer"]
    embedded.close()


def test_others_queue_behind_it(embedded: SqliteDatabase) -> None:
    started, release = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        adding("slow")(connection)
        started.set()
        release.wait(20)

    short = threading.Thread(target=embedded.write_short, args=(slow,))
    short.start()
    started.wait()
    with pytest.raises(DatabaseBusy, match="its turn"):
        embedded.write(adding("withdrawn"), timeout=0.1)
    release.set()
    short.join()
    embedded.write(adding("after"))
    assert texts(embedded) == ["after", "slow"]
    embedded.close()


def test_its_errors_undo_it(embedded: SqliteDatabase) -> None:
    def fails(connection: Connection) -> None:
        adding("undone")(connection)
        raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        embedded.write_short(fails)

    def twice(connection: Connection) -> None:
        connection.execute(insert(note), {"number": 7, "text": "undone", "batch": ""})
        connection.execute(insert(note), {"number": 7, "text": "undone", "batch": ""})

    with pytest.raises(ConstraintViolated):
        embedded.write_short(twice)
    assert texts(embedded) == []
    embedded.close()


def test_a_prepared_write_that_breaks_a_constraint(database: Database) -> None:
    make(database)
    prepared = Prepared(insert(note).values(number=7, text="x", batch=""), database.dialect)
    for write in (database.write, database.write_short):
        with pytest.raises(ConstraintViolated):
            write(lambda connection: prepared.write(connection, [{}, {}]))
    database.write_short(lambda connection: prepared.write(connection, [{}]))

    assert texts(database) == ["x"]


def test_a_commit_that_fails_is_told(embedded: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends_it(connection: Connection) -> None:
        connection.commit()

    with pytest.raises(OutcomeUnknown, match="ended the transaction"):
        embedded.write_short(ends_it)
    embedded.write_short(adding("after"))
    assert texts(embedded) == ["after"]
    embedded.close()


def test_another_process_that_writes_is_waited_for(embedded: SqliteDatabase, tmp_path: Path) -> None:
    with WriterLock(tmp_path / "x.sqlite.lock").held(), pytest.raises(DatabaseBusy, match=r"within 0\.1 s"):
        embedded.write_short(adding("withdrawn"), timeout=0.1)
    embedded.write_short(adding("after"))
    assert texts(embedded) == ["after"]
    embedded.close()


def test_a_lock_file_that_cannot_be_made(embedded: SqliteDatabase, tmp_path: Path) -> None:
    lock = tmp_path / "x.sqlite.lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(DatabaseUnavailable, match="lock file"):
        embedded.write_short(adding("a"))
    lock.rmdir()
    embedded.write_short(adding("b"))
    assert texts(embedded) == ["b"]
    embedded.close()


def test_a_fault_of_the_writer_itself_is_told_and_survived(
    embedded: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Connection:
        raise RuntimeError("a fault in our own code")

    with monkeypatch.context() as patched:
        patched.setattr(embedded._writing, "connection", broken)
        with pytest.raises(DatabaseUnavailable, match="writer failed"):
            embedded.write_short(adding("a"))
    embedded.write_short(adding("b"))
    assert texts(embedded) == ["b"]
    embedded.close()


def test_a_write_inside_it_is_refused(embedded: SqliteDatabase) -> None:
    with pytest.raises(DatabaseError, match="wait for itself"):
        embedded.write_short(lambda connection: embedded.write(adding("inner")))
    with pytest.raises(DatabaseError, match="wait for itself"):
        embedded.write_short(lambda connection: embedded.write_short(adding("inner")))
    embedded.close()


def test_many_threads_write_short_and_long(embedded: SqliteDatabase) -> None:
    def work(name: int) -> None:
        for n in range(30):
            (embedded.write_short if n % 3 else embedded.write)(adding(f"{name:02}-{n:02}"), timeout=20)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(texts(embedded))) == 180
    embedded.close()


def test_a_lookup_finds_any_number_of_values(database: Database) -> None:
    make(database)
    every = [f"n{number:03}" for number in range(600)]
    database.write(adding(*every))
    lookup = Lookup(note.c.text, note.c.text, note.c.data)
    for asked in ([], ["n001"], ["n001", "n001", "absent"], every[:3], every[10:27], every):
        with database.read() as connection:
            found = lookup.rows(connection, asked)
        assert sorted(found) == [(text, text.encode()) for text in sorted(set(asked) & set(every))]
    assert database.write(lambda connection: lookup.rows(connection, ["n005"])) == [("n005", b"n005")]


def test_a_process_that_waits_gets_the_lock_before_the_one_that_had_it_last(tmp_path: Path) -> None:
    first, second = (WriterLock(tmp_path / "x.sqlite.lock") for _ in range(2))
    order: list[str] = []

    def waiting() -> None:
        with second.in_turn():
            order.append("second")

    thread = threading.Thread(target=waiting)
    with first.in_turn():
        thread.start()
        turnstile = WriterLock(tmp_path / "x.sqlite.lock.next")
        while (descriptor := turnstile.try_take()) is not None:
            os.close(descriptor)
            assert thread.is_alive()
    with first.in_turn():
        order.append("first")
    thread.join()
    assert order == ["second", "first"]


def test_who_hears_of_a_commit_finds_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with open_database(path, create=True) as database:
        for _ in range(20):
            database.write(lambda connection: None)
            descriptor = WriterLock(tmp_path / "x.sqlite.lock").try_take()
            assert descriptor is not None
            os.close(descriptor)
