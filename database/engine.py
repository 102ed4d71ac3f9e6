"""Opening the database: a file for SQLite, a URL for PostgreSQL."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from database.errors import DatabaseError, DatabaseUnavailable
from database.handle import Database
from database.postgresql import PostgresDatabase
from database.sqlite import SqliteDatabase

POOL_SIZE = 16
"""Connections for reading: as many as threads that serve requests."""


def open_database(where: str | PathLike[str], *, create: bool = False, pool_size: int = POOL_SIZE) -> Database:
    """Open the database at `where`: a path, `sqlite:///path`, or `postgresql://…` (through psycopg 3).

    A missing SQLite file is made only when `create` says so; a PostgreSQL database must exist. PostgreSQL is first
    contacted when used. The schema is not checked here: see `database.schema`.
    Raises DatabaseUnavailable (nothing there, no driver), DatabaseError (a URL of another kind).
    """
    text = str(where)
    if "://" not in text:
        return SqliteDatabase(Path(text).absolute(), pool_size=pool_size, create=create)
    url = _url(text)
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database not in (None, "", ":memory:"):
        return SqliteDatabase(Path(str(url.database)).absolute(), pool_size=pool_size, create=create)
    if backend != "postgresql":
        raise DatabaseError(
            f"databases of kind {backend!r} are not supported: give the path of a file or a postgresql:// URL"
        )
    try:
        return PostgresDatabase(url.set(drivername="postgresql+psycopg"), pool_size=pool_size)
    except ModuleNotFoundError:
        raise DatabaseUnavailable("PostgreSQL needs the driver psycopg: install liasse[postgres]") from None


def _url(text: str) -> URL:
    try:
        url = make_url(text)
        url.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise DatabaseError("the database setting is neither the path of a file nor a URL") from None
    return url
