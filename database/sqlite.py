"""SQLite as the embedded engine: readers from a pool, one writer, checkpoints only under the writer's lock.

SQLite 3.7.0 to 3.51.2 may corrupt a database when one connection checkpoints while another commits (fixed in 3.51.3,
3.50.7, 3.44.6). That never meets here, whichever version is found: both happen under one lock.
Source: sqlite.org, "Write-Ahead Logging", "Release notes 3.51.3".
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from database.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from database.handle import DEFAULT_TIMEOUT, Database
from database.readers import Readers
from database.sqlite_driver import connect, driver, sqlite_engine, translate
from database.writer import GroupWriter, WriterLock

log = logging.getLogger(__name__)
T = TypeVar("T")

FRAMES_WANTED = 1000
"""Pages in the write-ahead log after which a checkpoint is worth its cost."""

LOG_GROWTH = 8 << 20
LOG_LIMIT = 64 << 20
"""Bytes: growth of the log file that forces a checkpoint, and its size beyond which it is cut."""


class SqliteDatabase(Database):
    """One database file. See `Database` for the methods."""

    kind = "sqlite"

    def __init__(self, path: Path, *, pool_size: int, create: bool = False) -> None:
        self.path = path
        self.lock = WriterLock(path.with_name(path.name + ".lock"))
        self._writing = _Writing(path, create=create)
        if create:
            with self.lock.held():
                self._writing.connection()
        elif not path.is_file():
            raise DatabaseUnavailable(f"there is no database at {path}: run `liasse init`")
        engine = create_engine(
            "sqlite+pysqlite://",
            module=driver,
            creator=lambda: connect(path),
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=DEFAULT_TIMEOUT,
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin_deferred)
        super().__init__(engine)
        self._readers = Readers(lambda: connect(path), pool_size)
        self._writer = GroupWriter(self._writing, self.lock)
        self._path = str(path)
        self._file = file_identity(path)

    def _check_file(self) -> None:
        """Readers, too, leave a file that was removed or replaced (restored from a backup, for instance)."""
        found = file_identity(self._path)
        if found != self._file:
            self._engine.dispose()
            self._readers.dispose()
            self._file = found

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._in_use(), _translated():
            self._check_file()
            with self._engine.connect() as connection, connection.begin():
                yield connection

    def read_raw(self) -> AbstractContextManager[DBAPICursor]:
        return _Snapshot(self)

    def write(self, fn: Callable[[Connection], T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        with self._in_use():
            return self._writer.submit(fn, timeout)

    def write_short(self, fn: Callable[[Connection], T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        self._enter()
        try:
            return self._writer.submit_short(fn, timeout)
        finally:
            self._leave()

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the database to a new file, durably, while others read and write.

        On an engine with the WAL-reset fault writers wait meanwhile. Raises DatabaseUnavailable.
        """
        waiting = self.lock.held() if sqlite_engine().affected else nullcontext()
        with self._in_use(), _translated(), self._engine.connect() as connection, waiting:
            source: Any = connection.connection.driver_connection
            try:
                with closing(driver.connect(str(target))) as copy:
                    copy.execute("PRAGMA synchronous=FULL")
                    source.backup(copy)
                sync_directory(target.parent)
            except (driver.Error, OSError) as error:
                raise DatabaseUnavailable("the copy could not be written", code=type(error).__name__) from None

    def close(self) -> None:
        """Finish, move the log into the database file and close, all under the lock: the last close may checkpoint too."""
        if not self._close_to_users():
            return
        ended = self._writer.close(DEFAULT_TIMEOUT)
        try:
            with self.lock.held(DEFAULT_TIMEOUT if ended else 0):
                self._readers.dispose()
                self._writing.close()
                self._engine.dispose()
        except (OSError, DatabaseError) as error:
            log.warning("the database was closed without a last checkpoint, its log stays for the next start: %s", error)
            self._readers.dispose()
            self._engine.dispose()


class _Snapshot:
    """One transaction on a driver connection; a class, because it is entered for every query."""

    __slots__ = ("_connection", "_cursor", "_database", "_generation")

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def __enter__(self) -> DBAPICursor:
        database = self._database
        database._enter()
        try:
            database._check_file()
            self._connection, self._generation = database._readers.take(DEFAULT_TIMEOUT)
            try:
                cursor: DBAPICursor = self._connection.cursor()
                self._cursor = cursor
                cursor.execute("BEGIN")
            except BaseException:
                database._readers.drop(self._connection)
                raise
        except BaseException as error:
            database._leave()
            if isinstance(error, driver.Error):
                raise translate(error) from None
            raise
        return cursor

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        database = self._database
        try:
            self._cursor.close()
            self._connection.rollback()
        except driver.Error:
            database._readers.drop(self._connection)
        else:
            database._readers.give(self._connection, self._generation)
        finally:
            database._leave()
        if isinstance(error, driver.Error):
            raise translate(error) from None


class _Writing:
    """The writer's connection, its checkpoints and its certainty that the file is still the one it opened."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._name = str(path)
        self._log = f"{path}-wal"
        self._create = create
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._batches = 0
        self._every = 100
        self._log_size = 0
        self._engine = create_engine(
            "sqlite+pysqlite://", module=driver, creator=self._open, poolclass=NullPool, hide_parameters=True
        )

    def connection(self) -> Connection:
        if self._connection is not None and file_identity(self._name) != self._file:
            self.drop()  # the file was replaced or removed: writing on would be lost
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
                self._connection.begin()  # for Core only: the writer begins and commits on the driver's connection
            except DBAPIError as error:
                raise translate(error.orig or error) from None
            self._create = False
            self._file = file_identity(self._path)
        return self._connection

    def commit(self, raw: Any) -> None:
        raw.execute("COMMIT")

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def committed(self) -> bool:
        self._batches += 1
        return self._batches >= self._every or self._size() - self._log_size > LOG_GROWTH

    def checkpoint_now(self) -> None:
        try:
            self.checkpoint("TRUNCATE" if self._size() > LOG_LIMIT else "PASSIVE")
        except DatabaseError as error:
            log.warning("a checkpoint failed and will be tried again: %s", error)

    def close(self) -> None:
        """Leave an empty log, if this process wrote; the caller holds the lock and has stopped the writer."""
        try:
            if self._connection is not None:
                self.checkpoint("TRUNCATE")
        finally:
            self.drop()

    def checkpoint(self, mode: str) -> None:
        """Move the log into the database file; the caller holds the lock."""
        raw: Any = self.connection().connection.driver_connection
        try:
            raw.execute(f"PRAGMA busy_timeout={100 if mode == 'TRUNCATE' else 3000}")
            _, frames, _ = raw.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            raw.execute("PRAGMA busy_timeout=3000")
        except driver.Error as error:
            raise translate(error) from None
        finally:
            self._batches, self._log_size = 0, self._size()
        if frames < FRAMES_WANTED // 2:
            self._every = min(self._every * 2, FRAMES_WANTED)
        elif frames > FRAMES_WANTED * 2:
            self._every = max(self._every // 2, 1)

    def _open(self) -> Any:
        return connect(self._path, writer=True, create=self._create)

    def _size(self) -> int:
        try:
            return os.stat(self._log).st_size
        except OSError:
            return 0


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, driver.Error) as error:
        raise translate(getattr(error, "orig", None) or error) from None
    except PoolTimeout:
        raise DatabaseBusy("no connection for reading became free in time") from None


def file_identity(path: Path | str) -> tuple[int, int] | None:
    """Which file stands at `path` now: device and inode; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _begin_deferred(connection: Connection) -> None:
    raw: Any = connection.connection.driver_connection
    raw.execute("BEGIN")
