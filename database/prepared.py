"""Statements compiled once by SQLAlchemy Core and run on the driver's cursor.

Core's result layer costs more than a short query itself; the hot path does without it and keeps Core's rendering, its
dialects and its bind types. Rows come back as the driver's tuples: integers, text, bytes, None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from database.errors import DatabaseError


class Prepared:
    """One compiled statement. Immutable, shared by threads.

    Expanding parameters (`column.in_(bindparam(..., expanding=True))`) cannot be compiled in advance: list the bind
    parameters one by one, and keep a statement for each number of them.
    """

    __slots__ = ("_defaults", "_names", "_positional", "_processors", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler) or compiled.literal_execute_params or compiled.post_compile_params:
            raise DatabaseError("the statement cannot be compiled in advance: it has parameters that expand at execution")
        self.sql = str(compiled)
        self._defaults: dict[str, Any] = dict(compiled.construct_params(_check=False))
        self._positional = bool(compiled.positional)
        names = compiled.positiontup if compiled.positional else list(self._defaults)
        self._names: tuple[str, ...] = tuple(names or ())
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

    def execute(self, cursor: DBAPICursor, parameters: Mapping[str, Any] | None = None) -> DBAPICursor:
        """Run the statement on `cursor`, with `parameters` by bind name; returns the cursor, to fetch from."""
        cursor.execute(self.sql, self._bound(parameters or {}))
        return cursor

    def _bound(self, parameters: Mapping[str, Any]) -> Any:
        values = self._defaults | parameters  # type: ignore[operator]
        for name, process in self._processors:
            values[name] = process(values[name])
        return [values[name] for name in self._names] if self._positional else values
