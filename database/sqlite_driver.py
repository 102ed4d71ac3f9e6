"""The SQLite library in use, how a connection to it is made, and what its errors mean.

`pysqlite3` carries a fixed engine of its own; where it has no wheel the interpreter's `sqlite3` does the same work.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from database.errors import (
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    OutcomeUnknown,
)

driver: ModuleType = sqlite3
try:
    import pysqlite3.dbapi2

    driver = pysqlite3.dbapi2
except ImportError:  # no wheel for this platform: aarch64, musl
    pass

BUSY_TIMEOUT = 3.0
"""Seconds that SQLite itself waits for a lock that a foreign program holds."""

_FIXED = ((3, 44, 6), (3, 50, 7))
_FIXED_FROM = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class SqliteEngine:
    """Which SQLite runs: the Python module, its version, and whether it has the WAL-reset fault (3.7.0 to 3.51.2)."""

    module: str
    version: str
    affected: bool


PAGE_SIZE = 8192
"""Bytes. The metadata of a document, some 6 kB, fits in one page: reading many is a third cheaper than with 4096."""


def sqlite_engine() -> SqliteEngine:
    """The engine that `open_database` uses for SQLite."""
    version: tuple[int, int, int] = driver.sqlite_version_info
    return SqliteEngine(driver.__name__.split(".")[0], driver.sqlite_version, has_wal_reset_fault(version))


def has_wal_reset_fault(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite version may corrupt a database when a checkpoint meets a commit."""
    repaired = any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED)
    return (3, 7, 0) <= version < _FIXED_FROM and not repaired


def connect(path: Path, *, writer: bool = False, create: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> Any:
    """A driver connection with our settings, in autocommit mode; only a `writer` may change anything.

    Raises the driver's errors; a missing file is created only when `create` says so.
    """
    uri = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"
    connection = driver.connect(
        uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA mmap_size=0")
        connection.execute(f"PRAGMA page_size={PAGE_SIZE}")  # of a file that is about to be made; else without effect
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        if writer:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        else:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def translate(error: BaseException, *, committing: bool = False) -> DatabaseError:
    """Our error for what the driver raised; `committing` when it came from COMMIT."""
    code = str(getattr(error, "sqlite_errorname", "") or "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy("the database is locked by another program", code=code)
    if code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
        return DatabaseFull("no space is left for the database", code=code)
    if code.startswith("SQLITE_CONSTRAINT"):
        return ConstraintViolated("a statement broke a constraint of the database", code=code)
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DatabaseUnavailable("the database file is damaged: restore a backup", code=code)
    if committing and code.startswith("SQLITE_IOERR") and code != "SQLITE_IOERR_WRITE":
        return OutcomeUnknown("the disk failed while a transaction was made durable", code=code)
    if code.startswith(
        ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_PROTOCOL", "SQLITE_NOMEM")
    ):
        return DatabaseUnavailable("the database file cannot be used", code=code)
    return DatabaseError("the database refused a statement", code=code or type(error).__name__)
