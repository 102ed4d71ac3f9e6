"""The schema's version: what this program needs, what the database has, and what to run when they differ."""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from database.errors import SchemaMismatch
from database.handle import Database

REVISIONS = ("0001", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""All schema versions, oldest first; the last one is what this program needs. One file each in `migrations/versions`."""

_VERSIONS = table("alembic_version", column("version_num"))


def current_schema(database: Database) -> str | None:
    """The version that the database has; None where nothing was ever created."""
    with database.read() as connection:
        return _current(connection)


def check_schema(database: Database) -> None:
    """Raise SchemaMismatch, saying what to run, unless the database has exactly the version that this program needs."""
    found, needed = current_schema(database), REVISIONS[-1]
    if found == needed:
        return
    if found is None:
        raise SchemaMismatch("the database has no tables yet: run `liasse init`")
    if found in REVISIONS:
        raise SchemaMismatch(f"the database has schema {found}, this program needs {needed}: run `liasse migrate`")
    raise SchemaMismatch(
        f"the database has schema {found}, made by a newer release; this program knows {needed}: install that release"
    )


def pending_revisions(database: Database) -> tuple[str, ...]:
    """The versions that `migrate` would apply, in order. Raises SchemaMismatch when the database is the newer one."""
    found = current_schema(database)
    if found is None:
        return REVISIONS
    if found not in REVISIONS:
        check_schema(database)
    return REVISIONS[REVISIONS.index(found) + 1 :]


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    found = connection.execute(select(_VERSIONS.c.version_num)).scalar()
    return None if found is None else str(found)
