"""A small table of the tests' own, in any database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, MetaData, Table, UniqueConstraint, func, insert, select

from database import Database
from database.tables import auto_key, code_text

own = MetaData()
note = Table(
    "note",
    own,
    Column("number", auto_key(), primary_key=True),
    Column("batch", code_text(), nullable=False),
    Column("text", code_text(), nullable=False),
    Column("data", LargeBinary, nullable=True),
    UniqueConstraint("text"),
)
counter = Table("counter", own, Column("name", code_text(), primary_key=True), Column("value", BigInteger, nullable=False))


def make(database: Database) -> None:
    """Create the tables."""
    database.write(own.create_all)


def adding(*texts: str, batch: str = "") -> Callable[[Connection], int]:
    """A function for `write` that adds notes and returns their number."""

    def add(connection: Connection) -> int:
        for text in texts:
            connection.execute(insert(note), {"batch": batch, "text": text, "data": text.encode()})
        return len(texts)

    return add


def texts(database: Database) -> list[str]:
    """All notes, in order."""
    with database.read() as connection:
        return list(connection.execute(select(note.c.text).order_by(note.c.text)).scalars())


def count(database: Database) -> int:
    """How many notes there are."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(note)).scalar_one()
