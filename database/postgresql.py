"""PostgreSQL through psycopg 3: an ordinary transaction for each write, everything bounded in time.

The pool tries a connection before it hands it out, so the server may restart at any time. The server's own time limits do
not help when it is frozen or the network is gone: the client stops waiting by itself. Commits are durable: a session that
the server configures with `synchronous_commit` off or local is put right.
Source: PostgreSQL documentation, appendix A (SQLSTATE), section 30.4 (asynchronous commit).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from database.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    OutcomeUnknown,
)
from database.handle import DEFAULT_TIMEOUT, GRACE, Database

T = TypeVar("T")

CONNECT_TIMEOUT = 2
CHECK_PATIENCE = 1.0
PATIENCE = DEFAULT_TIMEOUT + GRACE
"""Seconds that we wait for a new connection, for the check of a pooled one, for the answer to a statement."""

ATTEMPTS = 3
"""Runs of a transaction that the server asks to repeat: serialisation failure, deadlock."""

_REPEAT = ("40001", "40P01")
_BUSY = ("55P03", "57014", "53300", *_REPEAT)
_FULL = ("53100",)
_UNAVAILABLE = ("08", "57P", "58", "53", "25006", "28", "3D000", "XX")


class PostgresDatabase(Database):
    """One PostgreSQL database. See `Database` for the methods."""

    kind = "postgresql"

    def __init__(self, url: URL, *, pool_size: int) -> None:
        # compiling a statement over many partitions takes seconds, running it milliseconds: no just-in-time compilation
        options = (
            f"-c jit=off -c statement_timeout={int(DEFAULT_TIMEOUT * 1000)} -c lock_timeout={int(DEFAULT_TIMEOUT * 1000)}"
        )
        given = url.query.get("options", "")
        engine = create_engine(
            url.difference_update_query(["options"]),
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=DEFAULT_TIMEOUT,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                "tcp_user_timeout": int(DEFAULT_TIMEOUT * 1000),
                "application_name": "liasse",
                "options": f"{given} {options}".strip(),
            },
        )
        bounded = _bounded_connection(engine.dialect.dbapi)
        event.listen(engine, "do_connect", lambda _dialect, _record, args, kwargs: bounded.connect(*args, **kwargs))
        event.listen(engine, "connect", _make_durable)
        event.listen(engine, "checkout", _check(engine))
        super().__init__(engine)
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._in_use(), self._translated(), self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read_raw(self) -> Iterator[DBAPICursor]:
        with self.read() as connection:
            raw: Any = connection.connection
            with raw.cursor() as cursor:
                yield cursor

    def write(self, fn: Callable[[Connection], T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        deadline = time.monotonic() + timeout
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(fn, timeout)
            except DatabaseBusy as error:
                if error.code not in _REPEAT or attempt == ATTEMPTS or time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.005, 0.02) * attempt)  # noqa: S311 - two that collided must not meet again
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._close_to_users():
            self._engine.dispose()

    def _attempt(self, fn: Callable[[Connection], T], timeout: float) -> T:
        with self._in_use(), self._translated(), self._engine.connect() as connection:
            transaction = connection.begin()
            if timeout != DEFAULT_TIMEOUT:
                connection.execute(text(f"SET LOCAL statement_timeout = {int(timeout * 1000)}"))
                connection.connection.driver_connection.patience = timeout + GRACE  # type: ignore[union-attr]
            result = fn(connection)
            if connection.get_transaction() is not transaction:
                raise OutcomeUnknown("a function given to write() ended the transaction itself")
            try:
                transaction.commit()
            except DBAPIError as error:
                raise translate(error.orig or error, committing=error.connection_invalidated) from None
        return result

    @contextmanager
    def _translated(self) -> Iterator[None]:
        driver: Any = self._engine.dialect.dbapi
        try:
            yield
        except DBAPIError as error:
            raise translate(error.orig or error) from None
        except driver.Error as error:
            raise translate(error) from None
        except PoolTimeout:
            raise DatabaseBusy("no connection to the database became free in time") from None
        except InvalidRequestError:  # the pool's words for connections that fail their check one after the other
            raise DatabaseUnavailable("the database server cannot be used") from None


def translate(error: BaseException, *, committing: bool = False) -> DatabaseError:
    """Our error for what psycopg raised; `committing` when the connection was lost at COMMIT."""
    code = str(getattr(error, "sqlstate", None) or "")
    if committing:
        return OutcomeUnknown("the connection to the database was lost at commit", code=code)
    if code.startswith(_BUSY):
        return DatabaseBusy("the database did not do the work in time", code=code)
    if code.startswith(_FULL):
        return DatabaseFull("no space is left for the database", code=code)
    if code.startswith("23"):
        return ConstraintViolated("a statement broke a constraint of the database", code=code)
    if code.startswith(_UNAVAILABLE) or (not code and type(error).__name__ in ("OperationalError", "ConnectionTimeout")):
        return DatabaseUnavailable("the database server cannot be used", code=code or type(error).__name__)
    return DatabaseError("the database refused a statement", code=code or type(error).__name__)


def _make_durable(dbapi_connection: Any, _record: Any) -> None:
    """A session whose commits are not durable is made so; a stricter setting (remote_apply) stays."""
    with dbapi_connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] in ("off", "local"):
            cursor.execute("SET synchronous_commit = on")
    dbapi_connection.commit()


def _check(engine: Engine) -> Callable[[Any, Any, Any], None]:
    """Try a connection before it is handed out; a dead one is replaced, with all that are as old."""
    driver: Any = engine.dialect.dbapi

    def check(dbapi_connection: Any, _record: Any, _fairy: Any) -> None:
        dbapi_connection.patience = CHECK_PATIENCE
        try:
            engine.dialect.do_ping(dbapi_connection)
        except driver.Error:
            dead = DisconnectionError()
            dead.invalidate_pool = True
            raise dead from None
        dbapi_connection.patience = PATIENCE

    return check


def _bounded_connection(driver: Any) -> Any:
    """A connection class that gives up, and is closed, when the server is silent for `patience` seconds."""

    class BoundedConnection(driver.Connection):  # type: ignore[misc]
        patience = PATIENCE

        def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
            try:
                return super().wait(_bounded(gen, self.patience), *args, **kwargs)
            except _Silent:
                self.close()
                raise driver.OperationalError("the server does not answer") from None

    return BoundedConnection


class _Silent(Exception):
    """The server gave no sign in time."""


def _bounded(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """psycopg's conversation with the server, ended after `seconds`: nothing being ready, it asks ten times a second."""
    deadline = time.monotonic() + seconds
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready and time.monotonic() > deadline:
                raise _Silent
            state = gen.send(ready)
    except StopIteration as stop:
        return stop.value
