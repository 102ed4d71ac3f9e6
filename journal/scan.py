"""Reading the journal in the order in which it was written, and finding rows without a number.

SQLite: one writes at a time, so `rowid` is the order of commits, and what lies behind the last one seen is new. PostgreSQL:
rows are read by id, which begins with the time; transactions end in any order, so new rows are looked for in a window of
time. On both a patrol walks through the whole journal, a stretch at a time, for what these miss: a row that came in late, a
clock that was set back, a row put in by another hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, bindparam, exists, func, literal_column, select, tuple_
from sqlalchemy.engine.interfaces import DBAPICursor

from database.handle import Database
from database.prepared import Prepared
from journal.line import ID, PATIENT, Values, row_columns
from journal.tables import journal_number, journal_row

Position = tuple[Any, ...]
"""Where a walk through the journal is; of one engine, and of one process."""

WINDOW: Final = 60 * 1_000_000
"""Microseconds: how long a request may take before its row is committed and still be looked for at every run."""

START_WINDOW: Final = 2 * 3600 * 1_000_000
"""The window of the first run of a process."""

_r, _n = journal_row.c, journal_number.c
_limit: ColumnElement[int] = bindparam("limit", type_=Integer)
_has_number = exists().where(_n.row_id == _r.id, _n.patient == _r.patient)


class JournalScan(Protocol):
    """Statements over `journal_row` of one engine, compiled once. All are run on the cursor of `Database.read_raw`."""

    def rows(self, cursor: DBAPICursor, after: Position | None, limit: int) -> tuple[list[Values], Position | None]:
        """The next rows in the order of writing, and the position of the last one; None when there is none."""
        ...

    def one(self, cursor: DBAPICursor, patient: str, row_id: str) -> Values | None:
        """One row by its key."""
        ...

    def fresh(self, cursor: DBAPICursor, limit: int, at: int) -> list[Values]:
        """New rows without number, at most `limit`, in the order of writing. `at`: the wall clock in microseconds."""
        ...

    def patrol(self, cursor: DBAPICursor, limit: int) -> list[Values]:
        """Rows without number among the next `limit` rows of an endless walk."""
        ...

    def forget(self) -> None:
        """Look for new rows as a new process does: what was given last was not numbered."""
        ...


def journal_scan(database: Database) -> JournalScan:
    """The statements for this database."""
    return _ByRowid(database) if database.kind == "sqlite" else _ById(database)


@dataclass(frozen=True, slots=True)
class _Statements:
    rows: Prepared
    first: Prepared
    one: Prepared
    fresh: Prepared
    stretch: Prepared
    within: Prepared
    last_sealed: Prepared


def _statements(
    database: Database,
    position: Sequence[ColumnElement[Any]],
    names: Sequence[str],
    fresh: Select[Any],
    last_sealed: Select[Any],
) -> _Statements:
    columns = (*position, *row_columns())
    beyond = tuple_(*position) > tuple_(*(bindparam(name) for name in names))
    before = tuple_(*position) <= tuple_(*(bindparam(f"end_{name}") for name in names))
    ordered = select(*columns).order_by(*position).limit(_limit)
    keys = select(*position).select_from(journal_row).order_by(*position).offset(bindparam("offset", type_=Integer)).limit(1)
    key = (_r.patient == bindparam("patient")) & (_r.id == bindparam("row_id"))
    return _Statements(
        rows=database.prepare(ordered.where(beyond)),
        first=database.prepare(ordered),
        one=database.prepare(select(*row_columns()).where(key)),
        fresh=database.prepare(fresh),
        stretch=database.prepare(keys.where(beyond)),
        within=database.prepare(select(*row_columns()).where(beyond, before, ~_has_number).order_by(*position)),
        last_sealed=database.prepare(last_sealed),
    )


class _Scan:
    """What both engines have in common. `names` are the bind names of a position."""

    def __init__(self, statements: _Statements, names: Sequence[str], nowhere: Position) -> None:
        self._do, self._names, self._nowhere = statements, tuple(names), nowhere
        self._patrol = nowhere

    def rows(self, cursor: DBAPICursor, after: Position | None, limit: int) -> tuple[list[Values], Position | None]:
        if after is None:
            found = self._do.first.execute(cursor, {"limit": limit}).fetchall()
        else:
            found = self._do.rows.execute(cursor, {"limit": limit, **self._bound(after)}).fetchall()
        width = len(self._names)
        last = tuple(found[-1][:width]) if found else None
        return [tuple(row[width:]) for row in found], last

    def one(self, cursor: DBAPICursor, patient: str, row_id: str) -> Values | None:
        found = self._do.one.execute(cursor, {"patient": patient, "row_id": row_id}).fetchone()
        return None if found is None else tuple(found)

    def patrol(self, cursor: DBAPICursor, limit: int) -> list[Values]:
        bound = self._bound(self._patrol)
        end = self._do.stretch.execute(cursor, {"offset": limit - 1, **bound}).fetchone()
        if end is None:
            end, after = self._last(), self._nowhere
        else:
            after = tuple(end)
        ends = {f"end_{name}": value for name, value in zip(self._names, end, strict=True)}
        self._patrol = after
        return [tuple(row) for row in self._do.within.execute(cursor, {**bound, **ends}).fetchall()]

    def _bound(self, position: Position) -> dict[str, object]:
        return dict(zip(self._names, position, strict=True))

    def _last(self) -> Position:
        raise NotImplementedError


class _ByRowid(_Scan):
    """SQLite. VACUUM may give rows new rowids, in the same order: the patrol finds what that hides from `fresh`."""

    def __init__(self, database: Database) -> None:
        rowid: ColumnElement[int] = literal_column("journal_row.rowid", BigInteger)
        last = journal_number.alias()
        newest = select(func.max(last.c.number)).scalar_subquery()
        key = select(_n.patient, _n.row_id).where(_n.number == newest).subquery()
        super().__init__(
            _statements(
                database,
                [rowid],
                ["after"],
                select(rowid, *row_columns()).where(rowid > bindparam("after"), ~_has_number).order_by(rowid).limit(_limit),
                select(rowid).where(_r.patient == key.c.patient, _r.id == key.c.row_id),
            ),
            ["after"],
            (-(2**63),),
        )
        self._newest = database.prepare(select(func.max(rowid)).select_from(journal_row))
        self._after: int | None = None

    def fresh(self, cursor: DBAPICursor, limit: int, at: int) -> list[Values]:  # noqa: ARG002
        if self._after is None:
            last = self._do.last_sealed.execute(cursor).fetchone()
            self._after = last[0] if last else 0
        found = self._do.fresh.execute(cursor, {"after": self._after, "limit": limit}).fetchall()
        if len(found) == limit:
            self._after = found[-1][0]
        else:
            self._after = self._newest.execute(cursor).fetchone()[0] or 0  # type: ignore[index]
        return [tuple(row[1:]) for row in found]

    def forget(self) -> None:
        self._after = None

    def _last(self) -> Position:
        return (2**63 - 1,)


class _ById(_Scan):
    """PostgreSQL."""

    def __init__(self, database: Database) -> None:
        since: ColumnElement[str] = bindparam("since")
        in_window = exists().where(_n.row_id == _r.id, _n.patient == _r.patient, _n.row_id >= since)
        super().__init__(
            _statements(
                database,
                [_r.id, _r.patient],
                ["after_id", "after_patient"],
                select(*row_columns()).where(_r.id >= since, ~in_window).order_by(_r.id, _r.patient).limit(_limit),
                select(_n.row_id).order_by(_n.number.desc()).limit(1),
            ),
            ["after_id", "after_patient"],
            ("", ""),
        )
        self._since: str | None = None

    def fresh(self, cursor: DBAPICursor, limit: int, at: int) -> list[Values]:
        if self._since is None:
            last = self._do.last_sealed.execute(cursor).fetchone()
            self._since = _earlier(last[0], START_WINDOW) if last else ""
        found = [tuple(row) for row in self._do.fresh.execute(cursor, {"since": self._since, "limit": limit}).fetchall()]
        if len(found) < limit:
            self._since = f"{max(at - WINDOW, 0):016x}"
        return found

    def forget(self) -> None:
        self._since = None

    def _last(self) -> Position:
        return ("g", "")  # behind every id: they are hexadecimal


def _earlier(row_id: str, by: int) -> str:
    """The beginning of ids of an earlier time; of an id that is not ours, the beginning of all."""
    try:
        return f"{max(int(row_id[:16], 16) - by, 0):016x}"
    except ValueError:
        return ""


def key_of(values: Values) -> tuple[str, str]:
    """Patient and id of a row."""
    return values[PATIENT], values[ID]
