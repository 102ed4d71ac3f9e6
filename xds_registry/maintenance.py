"""`liasse reindex`: index columns, detail rows and identity rows made anew from the stored leaves.

Objects are gone through in the order of their keys, a batch at a time, beside a running server. What the leaf does not say
(status, submission, times, patient of an association) stays as it is; so does the patient of an object, which is part of
its key. Source: DESIGN 5: the leaf is never changed, the other columns index it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from database.handle import Database
from database.problem import batches
from xds_registry import tables as t
from xds_registry.latest import mark_latest
from xds_registry.leaf_index import DETAIL_TABLES, OBJECT_TABLES, Detail, LeafIndex, load_details, read_indexes
from xds_registry.masks import refresh
from xds_registry.vocabulary import Kind

_Details = dict[str, frozenset[Detail]]
_Read = tuple[Sequence[Row[Any]], _Details]
_KEY = ("id", "patient")
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last object that was dealt with: where to go on. Holds a patient key: it is not for logs."""

    kind: Kind
    patient: str
    id: str


@dataclass(frozen=True, slots=True)
class Step:
    """One batch: where it ended, how many objects it had, how many were put right, the ids of unreadable leaves."""

    cursor: Cursor
    objects: int
    changed: int
    unreadable: tuple[str, ...]


def reindex(database: Database, after: Cursor | None = None, *, following: frozenset[str] = frozenset()) -> Iterator[Step]:
    """Go through all objects after `after`; each step is durable when it is given. Raises a DatabaseError.

    `following`: as the access policy has it.
    """
    for kind in Kind:
        if after is not None and kind < after.kind:
            continue
        table = OBJECT_TABLES[kind]
        start = (after.patient, after.id) if after is not None and kind == after.kind else None
        key = [table.c.patient, table.c.id]
        for rows, details in _read(batches(database, list(table.c), key, after=start, size=_BATCH), kind):
            cursor = Cursor(kind, rows[-1].patient, rows[-1].id)
            yield _put_right(database, kind, rows, details, cursor, following)


def _read(found: Iterator[tuple[Connection, Sequence[Row[Any]]]], kind: Kind) -> Iterator[_Read]:
    for connection, rows in found:
        yield rows, load_details(connection, kind, [row.id for row in rows])


def _put_right(
    database: Database,
    kind: Kind,
    rows: Sequence[Row[Any]],
    details: _Details,
    cursor: Cursor,
    following: frozenset[str],
) -> Step:
    wrong: list[tuple[Row[Any], LeafIndex]] = []
    unreadable: list[str] = []
    right: list[tuple[Row[Any], LeafIndex]] = []
    for row, index in zip(rows, read_indexes(kind, [row.leaf for row in rows]), strict=True):
        if index is None:
            unreadable.append(row.id)
            continue
        right.append((row, index))
        columns = {name: value for name, value in index.columns.items() if name not in _KEY}
        same = all(row._mapping[name] == value for name, value in columns.items())
        if not same or details.get(row.id, frozenset()) != index.details:
            wrong.append((row, index))
    statements = _statements(kind, wrong, right, following)
    restored = database.write(statements) if right else 0
    return Step(cursor, len(rows), len(wrong) + restored, tuple(unreadable))


def _statements(
    kind: Kind,
    wrong: Sequence[tuple[Row[Any], LeafIndex]],
    right: Sequence[tuple[Row[Any], LeafIndex]],
    following: frozenset[str],
) -> Callable[[Connection], int]:
    """Statements that rewrite what is wrong and add missing identity rows; their result is the number of the latter."""

    def run(connection: Connection) -> int:
        table = OBJECT_TABLES[kind]
        present = _present(connection, table, [row.id for row, _ in right])
        for row, index in wrong:
            if row.id in present:
                _rewrite(connection, kind, row, index)
        restored = sum(
            _add_missing(connection, target, values)
            for target, values in _identities(kind, [pair for pair in right if pair[0].id in present])
            if values
        )
        if kind in (Kind.ENTRY, Kind.FOLDER):
            restored += mark_latest(connection, (index.columns["lid"] for _, index in right))
        if kind is Kind.ENTRY:
            documents = ((row.patient, index.columns["unique_id"]) for row, index in right)
            restored += refresh(connection, documents, following)
        return restored

    return run


def _present(connection: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    """Those that were not purged since they were read."""
    return set(connection.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars())


def _rewrite(connection: Connection, kind: Kind, row: Row[Any], index: LeafIndex) -> None:
    table = OBJECT_TABLES[kind]
    columns = {name: value for name, value in index.columns.items() if name not in _KEY}
    connection.execute(update(table).where(table.c.patient == row.patient, table.c.id == row.id).values(**columns))
    for detail in DETAIL_TABLES[kind]:
        patient, owner, *names = detail.c
        connection.execute(delete(detail).where(patient == row.patient, owner == row.id))
        fresh = [
            {"patient": row.patient, owner.key: row.id} | dict(zip((c.key for c in names), values, strict=True))
            for name, values in sorted(index.details)
            if name == detail.name
        ]
        if fresh:
            connection.execute(insert(detail), fresh)


def _identities(kind: Kind, pairs: Sequence[tuple[Row[Any], LeafIndex]]) -> Iterator[tuple[Table, list[dict[str, object]]]]:
    """Identity rows that must be there, with what the leaf knows of them."""
    yield t.object_key, [{"id": row.id, "patient": row.patient, "kind": int(kind)} for row, _ in pairs]
    if kind in (Kind.ENTRY, Kind.FOLDER):
        yield (
            t.object_version,
            [
                {"lid": index.columns["lid"], "version": index.columns["version"], "id": row.id, "latest": 1}
                for row, index in pairs
            ],
        )
    if kind is Kind.ENTRY:
        of = [(row, index.columns) for row, index in pairs]
        yield t.document_locator, [{"unique_id": c["unique_id"], "patient": row.patient} for row, c in of]
        yield t.document_identity, [{name: c[name] for name in ("unique_id", "hash", "size")} for _, c in of]


def _add_missing(connection: Connection, table: Table, values: list[dict[str, object]]) -> int:
    """Insert the rows that are not there; returns how many there were."""
    keys = [column.key for column in table.primary_key]
    every = list({tuple(value[key] for key in keys): value for value in values}.values())
    first = table.c[keys[0]]
    known = {
        tuple(row)
        for row in connection.execute(
            select(*(table.c[key] for key in keys)).where(first.in_({value[keys[0]] for value in every}))
        )
    }
    missing = [value for value in every if tuple(value[key] for key in keys) not in known]
    if missing:
        dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(dialect(table).on_conflict_do_nothing(), missing)
    return len(missing)
