"""Group commit for SQLite: one thread of a process writes for all others, one commit for all that queued meanwhile.

SQLite lets one connection write at a time and its waiting is not fair: many writers starve each other. Here they queue.
Between processes a file lock, which blocks instead of polling and dies with its process, decides whose turn it is; those
who queue for it stand at a turnstile, a second file lock, because the first goes to whoever asks first when it is free.
A short piece of work that finds nobody before it is done by its own thread: waking another costs more than the work.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from database.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable, OutcomeUnknown
from database.handle import GRACE
from database.sqlite_driver import driver, translate

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_LIMIT = 64
"""Most pieces of work in one commit: others waiting for the file lock get their turn."""

RETRY_PAUSE = 0.05


class WriterLock:
    """The lock file beside the database: whoever holds it may write and checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = str(path)
        self._turnstile = f"{path}.next"

    def try_take(self) -> int | None:
        """Take the lock if it is free: the descriptor to close when done. OSError where the file cannot be made."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open(self, name: str = "") -> int:
        return os.open(name or self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """As `held`, without a process that gives the lock back getting it again before one that has waited for it.

        Only the next in turn waits for the lock itself: the others, whoever held it last among them, wait behind it.
        """
        turnstile = self._open(self._turnstile)
        try:
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except BaseException:
                os.close(descriptor)
                raise
        finally:
            os.close(turnstile)
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def held(self, timeout: float | None = None) -> Iterator[None]:
        """Wait for the lock, however long, or `timeout` seconds (DatabaseBusy). OSError where the file cannot be made."""
        descriptor = self._open()
        try:
            if timeout is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            else:
                _lock_within(descriptor, timeout)
            yield
        finally:
            os.close(descriptor)


def _lock_within(descriptor: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise DatabaseBusy(f"another process held the lock of the database for {timeout:g} s") from None
            time.sleep(RETRY_PAUSE)


class WriterConnection(Protocol):
    """What the writer needs of its connection's owner."""

    def connection(self) -> Connection:
        """The open connection, opened anew where it was lost; its transaction as Core sees it never ends.

        Raises a DatabaseError.
        """
        ...

    def commit(self, raw: Any) -> None:
        """Commit on the driver's connection. Raises the driver's errors."""
        ...

    def drop(self) -> None:
        """Close it: it is not to be trusted any more."""
        ...

    def committed(self) -> bool:
        """A batch was committed and the lock is given back; returns whether it is time for a checkpoint."""
        ...

    def checkpoint_now(self) -> None:
        """Checkpoint; the lock is held. Never raises."""
        ...


class _State(Enum):
    QUEUED = auto()
    STARTED = auto()
    DONE = auto()
    WITHDRAWN = auto()


class _Work:
    """One piece of work between the thread that asks and the thread that writes."""

    __slots__ = ("done", "error", "fn", "result", "state")

    def __init__(self, fn: Callable[[Connection], Any], *, waits: bool) -> None:
        self.fn = fn
        self.state = _State.QUEUED
        self.done = threading.Event() if waits else None
        self.result: Any = None
        self.error: BaseException | None = None


class _BatchLost(Exception):
    """The whole transaction is gone; `error` says why, for each piece of work in it."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(str(error))
        self.error = error


class GroupWriter:
    """The queue and its thread. The thread starts with the first work."""

    def __init__(self, owner: WriterConnection, lock: WriterLock) -> None:
        self._owner = owner
        self._lock = lock
        self._queue: dict[int, _Work] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._writing_here = 0

    def submit(self, fn: Callable[[Connection], T], timeout: float) -> T:
        """Queue `fn`, wait for its commit, return its result; see `Database.write` for what it raises."""
        work = _Work(fn, waits=True)
        assert work.done is not None
        with self._changed:
            if self._closing:
                raise DatabaseUnavailable("the database is being closed")
            if threading.get_ident() in (self._writing_here, self._thread and self._thread.ident):
                raise DatabaseError("write() was called inside a function given to write(): it would wait for itself")
            self._queue[id(work)] = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
                self._thread.start()
            self._changed.notify()
        if not work.done.wait(timeout):
            self._withdraw(work, timeout)
            if not work.done.wait(GRACE):
                raise OutcomeUnknown("the write was started and has not ended in time")
        return cast(T, _outcome(work))

    def submit_short(self, fn: Callable[[Connection], T], timeout: float) -> T:
        """As `submit`, in the calling thread where nobody else is writing or waiting to; see `Database.write_short`."""
        if self._queue or self._closing or not self._turn.acquire(blocking=False):
            return self.submit(fn, timeout)
        self._writing_here = threading.get_ident()
        try:
            work = self._do_here(fn)
        finally:
            self._writing_here = 0
            self._turn.release()
        return self.submit(fn, timeout) if work is None else cast(T, _outcome(work))

    def _do_here(self, fn: Callable[[Connection], T]) -> _Work | None:
        """The work, done; None when another process is writing."""
        try:
            descriptor = self._lock.try_take()
        except OSError as error:
            raise _lock_unusable(error) from None
        if descriptor is None:
            return None
        work = _Work(fn, waits=False)
        done: list[_Work] = []
        try:
            done = self._round([work])
        except DatabaseError:
            raise
        except Exception:
            log.exception("the database writer failed")
            self._owner.drop()
            raise DatabaseUnavailable("the database writer failed") from None
        finally:
            os.close(descriptor)
        self._tell(done)
        return work

    def close(self, timeout: float) -> bool:
        """Finish what is queued and stop; False when the thread did not end within `timeout` seconds."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify()
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _withdraw(self, work: _Work, timeout: float) -> None:
        with self._changed:
            if work.state is _State.QUEUED:
                work.state = _State.WITHDRAWN
                self._queue.pop(id(work), None)
                raise DatabaseBusy(f"the write did not get its turn within {timeout:g} s")

    def _run(self) -> None:
        while self._wait():
            try:
                with self._turn:
                    with self._lock.in_turn():
                        done = self._round()
                    self._tell(done)
            except DatabaseBusy:
                time.sleep(RETRY_PAUSE)  # a foreign program holds SQLite's own lock: the queue waits for its deadlines
            except DatabaseError as error:
                self._fail_queued(error)
            except OSError as error:
                self._fail_queued(_lock_unusable(error))
            except Exception:  # the thread must live: whatever it was, those who wait hear of it
                log.exception("the database writer failed")
                self._owner.drop()
                self._fail_queued(DatabaseUnavailable("the database writer failed"))

    def _wait(self) -> bool:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return bool(self._queue)

    def _tell(self, done: list[_Work]) -> None:
        """Wake those whose work is committed, then checkpoint where that is due.

        The lock is free when they wake: they compete with this thread for the interpreter, and another process must not wait
        for that.
        """
        if not done:
            return
        self._finish(done, None)
        if self._owner.committed():
            try:
                with self._lock.in_turn():
                    self._owner.checkpoint_now()
            except OSError as error:
                log.warning("a checkpoint failed and will be tried again: %s", _lock_unusable(error))

    def _round(self, batch: list[_Work] | None = None) -> list[_Work]:
        """Begin, carry out the batch, or what is in the queue then, commit. Returns the work whose waiters are to be told:
        none where the batch as a whole failed, which they were told.
        """
        connection = self._owner.connection()
        raw: Any = connection.connection.driver_connection
        try:
            raw.execute("BEGIN IMMEDIATE")
        except driver.Error as error:
            self._owner.drop()
            raise translate(error) from None
        if batch is None:
            batch = self._take()
        try:
            for work in batch:
                self._execute(connection, raw, work, alone=len(batch) == 1)
            if raw.in_transaction:
                self._owner.commit(raw)
        except _BatchLost as lost:
            self._owner.drop()
            self._finish(batch, lost.error)
        except driver.Error as error:
            self._owner.drop()
            self._finish(batch, translate(error, committing=True))
        else:
            return batch
        return []

    def _take(self) -> list[_Work]:
        with self._changed:
            batch = list(self._queue.values())[:BATCH_LIMIT]
            for work in batch:
                work.state = _State.STARTED
                del self._queue[id(work)]
        return batch

    def _execute(self, connection: Connection, raw: Any, work: _Work, *, alone: bool) -> None:
        transaction = connection.get_transaction()
        try:
            if not alone:
                raw.execute("SAVEPOINT work")
            try:
                work.result = work.fn(connection)
            except BaseException as error:  # of whatever kind: it belongs to the caller, not to this thread
                work.error = _translated(error)
            if connection.get_transaction() is not transaction:
                raise _BatchLost(OutcomeUnknown("a function given to write() ended the transaction itself"))
            if not raw.in_transaction:  # SQLite gave up the whole transaction: disk full, input/output error
                raise _BatchLost(
                    work.error if isinstance(work.error, DatabaseError) else DatabaseUnavailable("it was rolled back")
                )
            if alone:
                if work.error is not None:
                    raw.execute("ROLLBACK")
                return
            if work.error is not None:
                raw.execute("ROLLBACK TO work")
            raw.execute("RELEASE work")
        except driver.Error as error:
            raise _BatchLost(translate(error)) from None

    def _finish(self, batch: list[_Work], error: DatabaseError | None) -> None:
        for work in batch:
            work.state = _State.DONE
            if error is not None and (work.error is None or isinstance(error, OutcomeUnknown)):
                work.error = _copy(error)
            if work.done is not None:
                work.done.set()

    def _fail_queued(self, error: DatabaseError) -> None:
        self._finish(self._take_all(), error)

    def _take_all(self) -> list[_Work]:
        with self._changed:
            batch = list(self._queue.values())
            self._queue.clear()
        return batch


def _outcome(work: _Work) -> Any:
    if work.error is not None:
        raise work.error
    return work.result


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError):
        return translate(error.orig or error)
    return translate(error) if isinstance(error, driver.Error) else error


def _lock_unusable(error: OSError) -> DatabaseUnavailable:
    return DatabaseUnavailable("the lock file of the database cannot be used", code=type(error).__name__)


def _copy(error: DatabaseError) -> DatabaseError:
    """An exception of its own for each thread that raises it."""
    copy = type(error)("")
    copy.args, copy.code = error.args, error.code
    return copy
