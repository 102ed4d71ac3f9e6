"""Reading and writing, alike on both engines: transactions, snapshots, errors in our words, threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from database import ConstraintViolated, Database, DatabaseError, DatabaseUnavailable, OutcomeUnknown, open_database
from tests.unit.database.tables import adding, count, counter, make, note, texts


@pytest.fixture(autouse=True)
def _tables(database: Database) -> None:
    make(database)


def test_what_is_written_is_read_and_the_result_comes_back(database: Database) -> None:
    assert database.write(adding("a", "b")) == 2
    assert texts(database) == ["a", "b"]


def test_another_handle_sees_what_was_committed(database: Database, database_url: str) -> None:
    database.write(adding("a"))
    with open_database(database_url) as other:
        assert texts(other) == ["a"]


def test_an_error_undoes_the_function_that_raised_it_alone(database: Database) -> None:
    class Refused(Exception):
        pass

    def refuse(connection: Connection) -> None:
        adding("half")(connection)
        raise Refused

    with pytest.raises(Refused):
        database.write(refuse)
    database.write(adding("whole"))
    assert texts(database) == ["whole"]


def test_a_broken_constraint_is_told_without_the_value(database: Database) -> None:
    name = "".join(("secret", "-", "name"))
    database.write(adding(name))
    with pytest.raises(ConstraintViolated) as caught:
        database.write(adding("fresh", name))
    assert name not in "".join(traceback.format_exception(caught.value))
    assert texts(database) == [name]


def test_a_function_may_handle_a_broken_constraint_itself(database: Database) -> None:
    def insert_or_count(connection: Connection) -> str:
        try:
            with connection.begin_nested():
                connection.execute(insert(note), {"batch": "", "text": "once"})
        except IntegrityError:
            return "there already"
        return "inserted"

    assert database.write(insert_or_count) == "inserted"
    assert database.write(insert_or_count) == "there already"
    assert texts(database) == ["once"]


def test_a_faulty_statement_is_an_error_of_ours(database: Database) -> None:
    for use in (
        lambda: database.write(lambda c: c.execute(text("SELECT * FROM nowhere WHERE x = 'secret-name'"))),
        lambda: _read(database, "SELECT * FROM nowhere WHERE x = 'secret-name'"),
        lambda: _read_raw(database, "SELECT * FROM nowhere WHERE x = 'secret-name'"),
    ):
        with pytest.raises(DatabaseError) as caught:
            use()
        assert "secret-name" not in str(caught.value)
    assert database.write(adding("still works")) == 1


def _read(database: Database, statement: str) -> None:
    with database.read() as connection:
        connection.execute(text(statement))


def _read_raw(database: Database, statement: str) -> None:
    with database.read_raw() as cursor:
        cursor.execute(statement)


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseError):
        _read(database, "INSERT INTO note (batch, text) VALUES ('', 'a')")
    with pytest.raises(DatabaseError):
        _read_raw(database, "DELETE FROM note")
    assert texts(database) == []


def test_a_reader_sees_one_state(database: Database) -> None:
    database.write(adding("a"))
    with database.read() as connection:
        before = connection.execute(select(note.c.text)).all()
        database.write(adding("b"))
        assert connection.execute(select(note.c.text)).all() == before
    with database.read_raw() as cursor:
        cursor.execute("SELECT count(*) FROM note")
        assert cursor.fetchall() == [(2,)]
        database.write(adding("c"))
        cursor.execute("SELECT count(*) FROM note")
        assert cursor.fetchall() == [(2,)]
    assert count(database) == 3


def test_a_prepared_statement_runs_on_the_raw_cursor(database: Database) -> None:
    database.write(adding("a", "b", "c", batch="x"))
    statement = (
        select(note.c.text, note.c.data)
        .where(note.c.batch == bindparam("batch"), note.c.text.in_([bindparam("t1"), bindparam("t2")]), note.c.number > 0)
        .order_by(note.c.text)
    )
    prepared = database.prepare(statement)
    with database.read_raw() as cursor:
        rows = prepared.execute(cursor, {"batch": "x", "t1": "c", "t2": "a"}).fetchall()
        assert [(name, bytes(data)) for name, data in rows] == [("a", b"a"), ("c", b"c")]
        assert prepared.execute(cursor, {"batch": "y", "t1": "c", "t2": "a"}).fetchall() == []
        assert len(database.prepare(select(note.c.text)).execute(cursor).fetchall()) == 3


def test_a_statement_whose_parameters_expand_cannot_be_prepared(database: Database) -> None:
    with pytest.raises(DatabaseError, match="expand"):
        database.prepare(select(note.c.text).where(note.c.text.in_(bindparam("many", expanding=True))))


def test_a_function_that_ends_the_transaction_is_caught(database: Database) -> None:
    with pytest.raises(OutcomeUnknown, match="ended the transaction"):
        database.write(lambda connection: connection.commit())
    assert database.write(adding("a")) == 1


def test_keys_are_numbered_and_bytes_come_back(database: Database) -> None:
    data = bytes(range(256)) * 40
    database.write(lambda c: c.execute(insert(note), {"batch": "", "text": "é\u2028𝄞", "data": data}) and None)
    with database.read() as connection:
        row = connection.execute(select(note)).one()
    assert (row.number, row.text, row.data) == (1, "é\u2028𝄞", data)


def test_threads_lose_no_update(database: Database) -> None:
    database.write(lambda c: c.execute(insert(counter), {"name": "n", "value": 0}) and None)

    def increase(connection: Connection) -> None:
        connection.execute(update(counter).values(value=counter.c.value + 1))

    def work() -> None:
        for _ in range(25):
            database.write(increase, timeout=20)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(select(counter.c.value)).scalar_one() == 200


_WRITER = """
import os, sys, threading
from database import open_database
from tests.unit.database.tables import adding

def work(thread):
    for number in range(int(sys.argv[3])):
        batch = f"{sys.argv[2]}-{thread}-{number}"
        database.write(adding(*(f"{batch}-{part}" for part in range(4)), batch=batch), timeout=30)
        os.write(1, f"{batch}\\n".encode())

with open_database(sys.argv[1]) as database:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def _start_writer(url: str, name: str, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, url, name, str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_with_eight_threads_each(database: Database, database_url: str) -> None:
    writers = [_start_writer(database_url, name, 15) for name in ("a", "b")]
    acknowledged = [line for writer in writers for line in writer.communicate(timeout=120)[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(acknowledged) == 2 * 8 * 15
    assert count(database) == 4 * len(acknowledged)


@pytest.mark.proof
def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(database: Database, database_url: str) -> None:
    rounds = 30 if os.environ.get("LIASSE_PROOF") == "1" else 4
    for attempt in range(rounds):
        victim, survivor = _start_writer(database_url, f"v{attempt}", 10_000), _start_writer(database_url, f"s{attempt}", 5)
        assert victim.stdout is not None
        seen = [victim.stdout.readline().strip() for _ in range(20 + 13 * attempt)]
        victim.kill()
        seen += victim.communicate()[0].splitlines()
        seen += survivor.communicate(timeout=120)[0].splitlines()
        assert survivor.returncode == 0
        with database.read() as connection:
            rows = connection.execute(text("SELECT batch, count(*) FROM note GROUP BY batch")).all()
        found: dict[str, int] = {str(batch): int(number) for batch, number in rows}
        assert set(found.values()) == {4}
        assert set(seen) <= set(found)
        database.write(lambda c: c.execute(delete(note)) and None)


def test_a_handle_of_another_process_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("database.handle.os.getpid", lambda: 1)
    for use in (lambda: database.write(adding("a")), lambda: texts(database), lambda: _read_raw(database, "SELECT 1")):
        with pytest.raises(DatabaseError, match="after fork"):
            use()


def test_closing_twice_and_writing_after(database: Database) -> None:
    database.write(adding("a"))
    database.close()
    database.close()
    for use in (lambda: database.write(adding("b")), lambda: texts(database), lambda: _read_raw(database, "SELECT 1")):
        with pytest.raises(DatabaseUnavailable, match="closed"):
            use()


@pytest.mark.parametrize(
    "where", ["mysql://host/x", "sqlite://", "sqlite:///:memory:", "nonsense://x", "://", "sqlite+x:///y"]
)
def test_other_kinds_of_database_are_refused(where: str) -> None:
    with pytest.raises(DatabaseError):
        open_database(where)


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    for where in (str(directory / "x.sqlite"), f"sqlite:///{directory}/x.sqlite"):
        with pytest.raises(DatabaseUnavailable, match="liasse init"):
            open_database(where)
    assert list(directory.iterdir()) == []
    open_database(f"sqlite:///{directory}/x.sqlite", create=True).close()
    assert (directory / "x.sqlite").is_file()


def test_work_in_the_queue_is_done_before_closing(database: Database) -> None:
    done: list[int] = []
    started = threading.Event()

    def slow(connection: Connection) -> None:
        started.set()
        time.sleep(0.2)
        adding("slow")(connection)

    def work() -> None:
        database.write(slow)
        done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    database.close()
    thread.join()
    assert done == [1]
