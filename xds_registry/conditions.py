"""Conditions to SQL: each condition of a selection becomes one clause with bound values, never text from a message.

The same walk gives the clause (once per shape) and the values (each time), in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

from sqlalchemy import CTE, Select, Table, and_, bindparam, false, or_, select
from sqlalchemy.sql import ColumnElement

from xds_registry import lookups
from xds_registry import tables as t
from xds_registry.stored_queries.selection import (
    AtEndOf,
    AuthorLike,
    CodesIn,
    ColumnIn,
    Condition,
    EndIn,
    EndInPick,
    FolderCodesIn,
    InPick,
    ReferencesIn,
    TimeRange,
)
from xds_registry.vocabulary import Kind

Clause = ColumnElement[bool]
TABLES: dict[Kind, Table] = {
    Kind.ENTRY: t.entry,
    Kind.SUBMISSION_SET: t.submission_set,
    Kind.FOLDER: t.folder,
    Kind.ASSOCIATION: t.association,
}
_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
_LIKE = str.maketrans({"\\": "\\\\"})


class Names:
    """Gives bind parameters p0, p1, … in the order of the walk.

    `dialect` is that of the statement; `last_update` stands for a folder's column of that name.
    """

    def __init__(self, dialect: str, last_update: ColumnElement[str]) -> None:
        self.dialect = dialect
        self.last_update = last_update
        self._count = 0

    def next(self) -> ColumnElement[Any]:
        """The next bind parameter."""
        self._count += 1
        return bindparam(f"p{self._count - 1}")

    def some(self, count: int) -> list[ColumnElement[Any]]:
        """The next `count` bind parameters."""
        return [self.next() for _ in range(count)]


def shape(condition: Condition) -> tuple[Any, ...]:
    """What of a condition decides the text of its clause: all but the values."""
    match condition:
        case ColumnIn(column, values):
            return ("in", column, len(values))
        case TimeRange(column, start, stop):
            return ("time", column, start is not None, stop is not None)
        case CodesIn(kind, groups):
            return ("codes", kind, *map(len, groups))
        case FolderCodesIn(groups) | ReferencesIn(groups):
            return (type(condition).__name__, *map(len, groups))
        case AuthorLike(patterns):
            return ("author", len(patterns))
        case EndIn(end, ids):
            return ("end", end, len(ids))
        case EndInPick() | AtEndOf() | InPick():
            return (condition,)
        case _:
            assert_never(condition)


def values(condition: Condition, dialect: str) -> Iterator[Any]:
    """The values of a condition in the order in which `clause` names them."""
    match condition:
        case ColumnIn(_, items):
            yield from items
        case TimeRange(_, start, stop):
            yield from (time for time in (start, stop) if time is not None)
        case CodesIn(_, groups) | FolderCodesIn(groups) | ReferencesIn(groups):
            for group in groups:
                yield from group
        case AuthorLike(patterns):
            yield from (p.translate(_GLOB if dialect == "sqlite" else _LIKE) for p in patterns)
        case EndIn(_, ids):
            yield from ids
        case EndInPick() | AtEndOf() | InPick():
            return
        case _:
            assert_never(condition)


Driver = EndIn | EndInPick | AtEndOf | InPick
"""Conditions that can lead to the rows, from submitted ids or from earlier picks."""
Lead = Callable[[lookups.Columns, Clause], Select[Any]]
"""Gives columns of the rows that it leads to and that meet a clause."""


def leads(driver: Driver, table: Table, picks: Mapping[str, CTE], names: Names) -> Sequence[Lead]:
    """The ways in which a condition leads to rows of `table`: their union meets it."""
    dialect = names.dialect
    match driver:
        case EndIn(end, ids):
            k = t.object_key.c
            given = select(k.id).where(k.id.in_(names.some(len(ids))) if ids else false()).cte("given_ids")
            return [partial(lookups.at, dialect, given, "id", table.c[e]) for e in _ends(end)]
        case EndInPick(end, named):
            return [partial(lookups.at, dialect, picks[n], "id", table.c[e]) for n in named for e in _ends(end)]
        case AtEndOf(pick, end):
            return [partial(lookups.by_id, dialect, picks[pick], e, table) for e in _ends(end)]
        case InPick(pick):
            return [partial(lookups.same, dialect, picks[pick], table)]
        case _:
            assert_never(driver)


def _ends(end: str) -> tuple[str, ...]:
    return ("source", "target") if end == "either" else (end,)


def clause(condition: Condition, table: Table, picks: Mapping[str, CTE], names: Names) -> Clause:
    """The clause of one condition on `table`."""
    match condition:
        case ColumnIn(column, items):
            return table.c[column].in_(names.some(len(items))) if items else false()
        case TimeRange(column, start, stop):
            of = names.last_update if table is t.folder and column == "last_update" else table.c[column]
            return _time_range(of, start is not None, stop is not None, names)
        case CodesIn(kind, groups):
            return and_(*(_has_code(table, int(kind), len(group), names) for group in groups))
        case FolderCodesIn(groups):
            return and_(*(_has_detail(table, t.folder_code, "folder", "code", len(g), names) for g in groups))
        case ReferencesIn(groups):
            return and_(*(_has_detail(table, t.entry_reference, "entry", "reference", len(g), names) for g in groups))
        case AuthorLike(patterns):
            return _author_like(table, len(patterns), names)
        case EndIn(end, ids):
            given = names.some(len(ids))
            return or_(*(table.c[e].in_(given) if ids else false() for e in _ends(end)))
        case EndInPick(end, named):
            return or_(*(table.c[e].in_(_all(picks[name], "id")) for e in _ends(end) for name in named))
        case AtEndOf(pick, end):
            return or_(*(table.c.id.in_(_all(picks[pick], e)) for e in _ends(end)))
        case InPick(pick):
            return table.c.id.in_(_all(picks[pick], "id"))
        case _:
            assert_never(condition)


def _all(pick: CTE, column: str) -> Select[Any]:
    return select(pick.c[column]).correlate(None)


def _time_range(column: ColumnElement[str], start: bool, stop: bool, names: Names) -> Clause:
    bounds: list[Clause] = []
    if start:
        bounds.append(column >= names.next())
    if stop:
        bounds.append(column < names.next())
    return or_(column.is_(None), and_(*bounds))


def _has_code(table: Table, kind: int, count: int, names: Names) -> Clause:
    if not count:
        return false()
    code = t.entry_code.c
    return lookups.some_row(
        names.dialect,
        code.patient == table.c.patient,
        code.entry == table.c.id,
        code.kind == kind,
        code.code.in_(names.some(count)),
    )


def _has_detail(table: Table, detail: Table, owner: str, column: str, count: int, names: Names) -> Clause:
    if not count:
        return false()
    return lookups.some_row(
        names.dialect,
        detail.c.patient == table.c.patient,
        detail.c[owner] == table.c.id,
        detail.c[column].in_(names.some(count)),
    )


def _author_like(table: Table, count: int, names: Names) -> Clause:
    detail, owner = (t.entry_author, "entry") if table is t.entry else (t.set_author, "set_id")
    person = detail.c.person
    patterns = names.some(count)
    matches = [person.op("GLOB")(p) if names.dialect == "sqlite" else person.like(p, escape="\\") for p in patterns]
    return lookups.some_row(
        names.dialect, detail.c.patient == table.c.patient, detail.c[owner] == table.c.id, or_(false(), *matches)
    )
