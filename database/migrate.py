"""Bringing a database to the schema this program needs.

Migrations live in `database/migrations` (Alembic), one numbered file each; they expand first, and contract one release
later, so that the previous release still runs on the new schema.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from database.engine import open_database
from database.errors import DatabaseUnavailable
from database.handle import Database
from database.schema import REVISIONS, pending_revisions
from database.sqlite import SqliteDatabase, sync_directory

MIGRATION_TIMEOUT = 3600.0
"""Seconds for all steps together: copying a large table takes its time."""

_ADVISORY_LOCK = 0x4C494153


def migrate(database: Database) -> tuple[str, ...]:
    """Bring the database to the version this program needs, all steps in one transaction; returns the versions applied.

    Several processes may call it at once: one does the work, the others find it done.
    """
    pending = pending_revisions(database)
    if pending:
        database.write(_upgrade, timeout=MIGRATION_TIMEOUT)
    return pending


def init_database(where: str | PathLike[str]) -> Database:
    """Create what is missing at `where` (see `open_database`), migrate it, and return it open.

    SQLite: the directories are made (mode 0700) and made durable, the database file's own entry included.
    """
    path = _sqlite_path(where)
    if path is not None:
        _make_directory(path.parent)
    database = open_database(where, create=True)
    try:
        migrate(database)
        if isinstance(database, SqliteDatabase):
            sync_directory(database.path.parent)
    except BaseException:
        database.close()
        raise
    return database


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISIONS[-1])


def _sqlite_path(where: str | PathLike[str]) -> Path | None:
    where = str(where)
    if where.startswith("sqlite:///"):
        where = where.removeprefix("sqlite:///")
    return None if "://" in where else Path(where).absolute()


def _make_directory(directory: Path) -> None:
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    try:
        for d in reversed(missing):
            d.mkdir(mode=0o700, exist_ok=True)
            sync_directory(d.parent)
    except OSError as error:
        raise DatabaseUnavailable(f"the directory {directory} cannot be made", code=type(error).__name__) from None
