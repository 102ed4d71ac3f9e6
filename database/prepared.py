"""Statements compiled once by SQLAlchemy Core and run on the driver's cursor.

Core's result layer costs more than a short query itself; the hot path does without it and keeps Core's rendering, its
dialects and its bind types. Rows come back as the driver's tuples: integers, text, bytes, None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, Connection, Dialect, bindparam, select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler

from database.errors import DatabaseError


class Prepared:
    """One compiled statement. Immutable, shared by threads.

    Expanding parameters (`column.in_(bindparam(..., expanding=True))`) cannot be compiled in advance: list the bind
    parameters one by one, and keep a statement for each number of them.
    """

    __slots__ = ("_defaults", "_in_order", "_positional", "_processors", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler) or compiled.literal_execute_params or compiled.post_compile_params:
            raise DatabaseError("the statement cannot be compiled in advance: it has parameters that expand at execution")
        self.sql = str(compiled)
        self._defaults: dict[str, Any] = dict(compiled.construct_params(_check=False))
        self._positional = bool(compiled.positional)
        names = compiled.positiontup if compiled.positional else list(self._defaults)
        self._in_order = _values_in_order(names or ())
        self._processors: tuple[tuple[str, Callable[[Any], Any]], ...] = tuple(
            (compiled.bind_names[bind], processor)
            for bind in compiled.bind_names
            if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        )

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement inside a `Database.write`, once for each row of parameters; cheaper than Core does it."""
        bound = [self._bound(row) for row in rows]
        if self._positional:  # SQLite: Core would spend more than the statement
            raw: Any = connection.connection.driver_connection
            if len(bound) > 1:
                raw.executemany(self.sql, bound)
            else:
                raw.execute(self.sql, bound[0])
            return
        connection.exec_driver_sql(self.sql, bound if len(bound) > 1 else bound[0])

    def fetch(self, connection: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows of a query inside a transaction of Core, as the driver's tuples."""
        if self._positional:
            raw: Any = connection.connection.driver_connection
            return list(raw.execute(self.sql, self._bound(parameters)).fetchall())
        return [tuple(row) for row in connection.exec_driver_sql(self.sql, self._bound(parameters))]

    def execute(self, cursor: DBAPICursor, parameters: Mapping[str, Any] | None = None) -> DBAPICursor:
        """Run the statement on `cursor`, with `parameters` by bind name; returns the cursor, to fetch from."""
        cursor.execute(self.sql, self._bound(parameters or {}))
        return cursor

    def _bound(self, parameters: Mapping[str, Any]) -> Any:
        values = self._defaults | parameters  # type: ignore[operator]
        for name, process in self._processors:
            values[name] = process(values[name])
        return self._in_order(values) if self._positional else values


def _values_in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) < 2:
        return lambda values: tuple(values[name] for name in names)
    return itemgetter(*names)


class Statement:
    """A statement compiled once for each dialect that it meets. `make` gives it for the name of a dialect."""

    __slots__ = ("_make", "_prepared")

    def __init__(self, make: Callable[[str], ClauseElement]) -> None:
        self._make = make
        self._prepared: dict[str, Prepared] = {}

    def on(self, dialect: Dialect) -> Prepared:
        """The compiled statement."""
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = self._prepared[dialect.name] = Prepared(self._make(dialect.name), dialect)
        return prepared

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """As `Prepared.write`."""
        self.on(connection.dialect).write(connection, rows)


class Lookup:
    """The `columns` of the rows whose `key` is one of some values; lists of a few lengths are compiled, once each."""

    __slots__ = ("_columns", "_key", "_statements")
    _LENGTHS = (1, 2, 4, 16, 64, 256)

    def __init__(self, key: Column[str], *columns: Column[Any]) -> None:
        self._key = key
        self._columns = columns
        self._statements = {length: Statement(self._maker(length)) for length in self._LENGTHS}

    def rows(self, connection: Connection, values: Iterable[str]) -> list[Any]:
        """The rows as tuples, in no order."""
        found: list[Any] = []
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), self._LENGTHS[-1]):
            some = wanted[start : start + self._LENGTHS[-1]]
            length = next(length for length in self._LENGTHS if length >= len(some))
            some += some[-1:] * (length - len(some))
            parameters = {f"v{number}": value for number, value in enumerate(some)}
            found += self._statements[length].on(connection.dialect).fetch(connection, parameters)
        return found

    def _maker(self, length: int) -> Callable[[str], ClauseElement]:
        values: list[ColumnElement[str]] = [bindparam(f"v{number}") for number in range(length)]
        return lambda _dialect: select(*self._columns).where(self._key.in_(values))
