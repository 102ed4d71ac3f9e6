"""What a database is to the rest of the program, whatever engine stands behind it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Literal, TypeVar

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ClauseElement

from database.errors import DatabaseError, DatabaseUnavailable
from database.prepared import Prepared

T = TypeVar("T")

DEFAULT_TIMEOUT = 3.0
"""Seconds that a caller waits for its turn to write, a lock or a pooled connection."""

GRACE = 1.5
"""Further seconds that a caller waits for the outcome of work that has started."""


class Database(ABC):
    """An open database. Thread-safe; belongs to the process that opened it: a forked child opens its own."""

    kind: ClassVar[Literal["sqlite", "postgresql"]]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pid = os.getpid()
        self._users = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def dialect(self) -> Dialect:
        """The SQL dialect, for statements compiled in advance."""
        return self._engine.dialect

    def prepare(self, statement: ClauseElement) -> Prepared:
        """Compile `statement` once, to run many times on the cursor of `read_raw`."""
        return Prepared(statement, self._engine.dialect)

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """One read transaction: all statements see the same state; writing is refused.

        Raises DatabaseUnavailable, DatabaseBusy or another DatabaseError, also for what its statements raise.
        """

    @abstractmethod
    def read_raw(self) -> AbstractContextManager[DBAPICursor]:
        """As `read`, giving the driver's own cursor: the hot path, for statements of `prepare`."""

    @abstractmethod
    def write(self, fn: Callable[[Connection], T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        """Run `fn` in a transaction and return what it returns, once it is durable.

        `fn` holds statements only (no parsing, no network, no commit), returns plain values, uses no deferred constraint,
        and may be run more than once: only the last run counts. What `fn` raises undoes its own statements alone and is
        raised here. `timeout` in seconds is how long it may wait for its turn.
        Raises DatabaseBusy, DatabaseUnavailable, DatabaseFull, ConstraintViolated: nothing was stored; OutcomeUnknown.
        """

    def write_short(self, fn: Callable[[Connection], T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        """As `write`, for an insert or two whose outcome nobody needs to follow up.

        It may be carried out in the calling thread, which then waits as long as the disk takes. OutcomeUnknown is raised
        for a failed commit only, not for a slow one.
        """
        return self.write(fn, timeout=timeout)

    @abstractmethod
    def close(self) -> None:
        """Finish what was queued, give everything back. Safe to call twice."""

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Around each use: refuses a closed handle and one of another process, and lets `close` wait."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        if os.getpid() != self._pid:
            raise DatabaseError("the database was opened in another process: open it anew after fork")
        with self._changed:
            if self._closed:
                raise DatabaseUnavailable("the database is closed")
            self._users += 1

    def _leave(self) -> None:
        with self._changed:
            self._users -= 1
            if self._closed:
                self._changed.notify_all()

    def _close_to_users(self) -> bool:
        """Refuse new uses and wait for those under way; False when it was closed already."""
        with self._changed:
            if self._closed:
                return False
            self._closed = True
            self._changed.wait_for(lambda: self._users == 0, DEFAULT_TIMEOUT + GRACE)
            return True
