"""What a check of stored data reports, and the walk over a table that checks are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select, tuple_

from database.handle import Database

BATCH = 500
"""Rows that are read, and checked against the rows around them, in one read transaction."""


class Severity(StrEnum):
    """`ERROR`: something promised is not there or is wrong. `NOTE`: harmless, worth knowing."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `rule` is a stable id; `place` names a kind of row and its identifier, never a patient."""

    rule: str
    place: str
    text: str
    severity: Severity = Severity.ERROR


def count_rows(database: Database, table: Table) -> int:
    """How many rows a table has."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def batches(
    database: Database,
    columns: Sequence[ColumnElement[Any]],
    key: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool] | None = None,
    *,
    after: Sequence[Any] | None = None,
    size: int = BATCH,
) -> Iterator[tuple[Connection, Sequence[Row[Any]]]]:
    """All rows of a table in the order of `key` (its primary key, among `columns`) after `after`, `size` at a time.

    Each batch comes with the read transaction it was read in: what is looked up there belongs to the same state. Between
    batches others may write. Raises a DatabaseError.
    """
    names = [column.key for column in key]
    base = select(*columns).order_by(*key).limit(size)
    if where is not None:
        base = base.where(where)
    while True:
        statement = base if after is None else base.where(tuple_(*key) > tuple_(*after))
        with database.read() as connection:
            rows = connection.execute(statement).all()
            if rows:
                yield connection, rows
        if len(rows) < size:
            return
        after = [getattr(rows[-1], str(name)) for name in names]
