"""What is particular to PostgreSQL: a server that stops, freezes, cuts connections, is full or read-only, and comes back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

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
from database.postgresql import translate
from tests import postgres
from tests.postgres import PostgresServer
from tests.unit.database.tables import adding, make, texts

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def fragile() -> Iterator[PostgresServer]:
    """A server of this module's own, to be stopped at will."""
    if not postgres.wanted():
        pytest.skip(f"PostgreSQL is not wanted: set {postgres.SWITCH}=1")
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def served(fragile: PostgresServer) -> Iterator[Database]:
    """A fresh database of the fragile server, with the tests' tables."""
    name = fragile.create()
    with open_database(fragile.url(name)) as opened:
        make(opened)
        yield opened
    fragile.drop(name)


def test_a_server_that_stops_is_unavailable_and_its_return_heals(fragile: PostgresServer, served: Database) -> None:
    served.write(adding("before"))
    fragile.stop()
    try:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                served.write(adding("into nothing"))
            with pytest.raises(DatabaseUnavailable):
                texts(served)
    finally:
        fragile.start()
    served.write(adding("after"))
    assert texts(served) == ["after", "before"]


def test_a_server_that_crashes_in_the_middle_stores_nothing(fragile: PostgresServer, served: Database) -> None:
    def crash(connection: Connection) -> None:
        adding("half")(connection)
        fragile.stop(signal.SIGQUIT)
        connection.execute(text("SELECT 1"))

    try:
        with pytest.raises(DatabaseUnavailable):
            served.write(crash)
    finally:
        fragile.start()
    assert texts(served) == []


def test_a_connection_lost_at_commit_is_an_unknown_outcome(fragile: PostgresServer, served: Database) -> None:
    def cut(connection: Connection) -> None:
        adding("perhaps")(connection)
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with fragile.connect() as administrator:
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))

    with pytest.raises(OutcomeUnknown):
        served.write(cut)
    assert texts(served) in ([], ["perhaps"])
    served.write(adding("after"))


def test_a_row_locked_by_another_is_busy_in_time(fragile: PostgresServer) -> None:
    name = fragile.create()
    with (
        open_database(f"{fragile.url(name)}&options=-c%20lock_timeout%3D100") as first,
        open_database(fragile.url(name)) as other,
    ):
        make(first)
        first.write(adding("a"))

        def lock_twice(connection: Connection) -> None:
            connection.execute(text("LOCK TABLE note"))
            with pytest.raises(DatabaseBusy, match="55P03"):
                other.write(lambda c: c.execute(text("SET LOCAL lock_timeout = 100")) and adding("b")(c))

        first.write(lock_twice)
        assert texts(first) == ["a"]
    fragile.drop(name)


def test_a_statement_that_takes_too_long_is_busy_and_more_time_can_be_given(served: Database) -> None:
    def slow(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(0.4)"))

    with pytest.raises(DatabaseBusy, match="57014"):
        served.write(slow, timeout=0.1)
    served.write(slow, timeout=30)


def test_a_deadlock_is_repeated_and_both_succeed(served: Database) -> None:
    served.write(adding("a", "b"))
    both = threading.Barrier(2)
    runs: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            runs.append(first)
            connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            connection.execute(text("UPDATE note SET batch = :t WHERE text = :t"), {"t": first})
            if len(runs) <= 2:
                both.wait(10)
            connection.execute(text("UPDATE note SET batch = :f WHERE text = :t"), {"t": second, "f": first})

        served.write(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) >= 3
    with served.read() as connection:
        assert len(set(connection.execute(text("SELECT batch FROM note")).scalars())) == 1


def test_a_server_without_connections_left_is_unavailable(fragile: PostgresServer) -> None:
    name = fragile.create()
    with fragile.connect() as administrator:
        administrator.execute("CREATE ROLE guest LOGIN CONNECTION LIMIT 0")
    guest = fragile.url(name).replace("postgres@", "guest@")
    with open_database(guest) as opened, pytest.raises(DatabaseUnavailable):
        texts(opened)
    with fragile.connect() as administrator:
        administrator.execute("DROP ROLE guest")
    fragile.drop(name)


def test_a_read_only_server_is_unavailable_for_writing_and_can_be_read(fragile: PostgresServer, served: Database) -> None:
    served.write(adding("before"))
    with served.read() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    with fragile.connect() as administrator:
        administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with open_database(fragile.url(name)) as opened:
        with pytest.raises(DatabaseUnavailable, match="25006"):
            opened.write(adding("refused"))
        assert texts(opened) == ["before"]


def test_a_database_that_does_not_exist(fragile: PostgresServer) -> None:
    with open_database(fragile.url("nowhere")) as opened, pytest.raises(DatabaseUnavailable):
        texts(opened)


def test_commits_are_durable_whatever_the_server_s_default_is(fragile: PostgresServer, served: Database) -> None:
    with served.read() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    for default, expected in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        with fragile.connect() as administrator:
            administrator.execute(f"ALTER DATABASE {name} SET synchronous_commit = {default}")
        with open_database(fragile.url(name)) as opened:
            assert opened.write(lambda c: c.execute(text("SHOW synchronous_commit")).scalar_one()) == expected


def test_a_frozen_server_does_not_hold_its_callers(fragile: PostgresServer, served: Database) -> None:
    served.write(adding("before"))
    fragile.freeze()
    try:
        with pytest.raises((DatabaseUnavailable, DatabaseBusy, OutcomeUnknown)):
            served.write(adding("frozen"))
        with pytest.raises((DatabaseUnavailable, DatabaseBusy)):
            texts(served)
    finally:
        fragile.thaw()
    served.write(adding("after"))
    assert {"before", "after"} <= set(texts(served))


@pytest.mark.parametrize(("asks_again", "expected"), [(True, DatabaseUnavailable), (False, OutcomeUnknown)])
def test_a_server_that_freezes_during_a_transaction(
    fragile: PostgresServer,
    served: Database,
    monkeypatch: pytest.MonkeyPatch,
    asks_again: bool,
    expected: type[DatabaseError],
) -> None:
    monkeypatch.setattr("database.postgresql.PATIENCE", 0.2)

    def freeze(connection: Connection) -> None:
        adding("perhaps")(connection)
        fragile.freeze()
        if asks_again:
            connection.execute(text("SELECT 1"))

    try:
        with pytest.raises(expected):
            served.write(freeze)
    finally:
        fragile.thaw()
    served.write(adding("after"))
    assert "after" in texts(served)


class _DriverError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("a text that may quote a row")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "committing", "expected"),
    [
        ("40001", False, DatabaseBusy),
        ("55P03", False, DatabaseBusy),
        ("53100", False, DatabaseFull),
        ("53200", False, DatabaseUnavailable),
        ("23505", False, ConstraintViolated),
        ("57P01", False, DatabaseUnavailable),
        ("57P01", True, OutcomeUnknown),
        ("08006", False, DatabaseUnavailable),
        (None, True, OutcomeUnknown),
        (None, False, DatabaseError),
        ("42601", False, DatabaseError),
    ],
)
def test_what_the_server_s_codes_mean(sqlstate: str | None, committing: bool, expected: type[DatabaseError]) -> None:
    found = translate(_DriverError(sqlstate), committing=committing)
    assert type(found) is expected
    assert "quote" not in str(found)
