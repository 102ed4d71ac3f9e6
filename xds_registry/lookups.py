"""Following ids from one relation into a table in such a way that each engine uses the table's index.

SQLite follows an IN by the index. PostgreSQL guesses how many rows a common table expression gives, guesses high, and would
rather read a whole table than probe its index: `OFFSET 0` keeps it from rearranging, so that it probes row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Column, ColumnElement, FromClause, Select, Subquery, Table, and_, literal_column, select, true

from xds_registry import tables as t

POSTGRESQL = "postgresql"
Source = CTE | Subquery
Columns = Sequence[ColumnElement[Any]]


def some_row(dialect: str, *criteria: ColumnElement[bool]) -> ColumnElement[bool]:
    """EXISTS, decided for each row of the statement around it."""
    query: Select[Any] = select(literal_column("1")).where(*criteria)
    if dialect == POSTGRESQL:
        query = query.offset(literal_column("0"))
    return query.exists()


def looked_up(dialect: str, table: Table, column: str, value: ColumnElement[str]) -> tuple[FromClause, ColumnElement[bool]]:
    """The rows of `table` whose `column` is a value of a relation that stands before it in a FROM, and what joins them."""
    other = table.alias()
    if dialect != POSTGRESQL:
        return other, other.c[column] == value
    found = select(other).where(other.c[column] == value).offset(literal_column("0")).lateral()
    return found, found.c[column] == value


def at(
    dialect: str, source: Source, key: str, column: Column[str], result: Columns, *where: ColumnElement[bool]
) -> Select[Any]:
    """`result` of the rows whose `column` is the `key` of some row of `source`, and that meet `where`, once each."""
    if dialect != POSTGRESQL:
        return select(*result).where(column.in_(select(source.c[key])), *where)
    return _each(source, select(*result).where(column == source.c[key], *where)).distinct()


def by_id(dialect: str, source: Source, key: str, table: Table, result: Columns, *where: ColumnElement[bool]) -> Select[Any]:
    """As `at` for the id of an object: its patient, and so its partition, is looked up first."""
    if dialect != POSTGRESQL:
        return at(dialect, source, key, table.c.id, result, *where)
    k = t.object_key
    own = k.join(table, and_(table.c.patient == k.c.patient, table.c.id == k.c.id))
    return _each(source, select(*result).select_from(own).where(k.c.id == source.c[key], *where)).distinct()


def same(dialect: str, source: Source, table: Table, result: Columns, *where: ColumnElement[bool]) -> Select[Any]:
    """`result` of the rows of `table` that are those of `source`, by patient and id."""
    joined = and_(table.c.patient == source.c.patient, table.c.id == source.c.id)
    if dialect != POSTGRESQL:
        return select(*result).select_from(source.join(table, joined)).where(*where)
    return _each(source, select(*result).where(joined, *where))


def _each(source: FromClause, query: Select[Any]) -> Select[Any]:
    inner = query.offset(literal_column("0")).lateral()
    return select(*inner.c).select_from(source.join(inner, true()))
