"""Stored leaves by object version, with a bounded cache in memory.

A stored leaf never changes, so a cached one is never stale; the key holds the time of registration too, should an id ever
be registered anew after a purge. The cache matters because each commit, and every query commits a journal row, makes SQLite
forget the pages it had read: without it the same 50 entries come from the operating system again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from itertools import groupby

from sqlalchemy import bindparam, select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql import ColumnElement

from database.handle import Database
from database.prepared import Prepared
from xds_registry.conditions import TABLES
from xds_registry.found import Found
from xds_registry.vocabulary import Kind

CACHE_BYTES = 33_554_432
_BATCHES = (1, 8, 64, 400)
"""Sizes of the lists of ids that are compiled; a shorter list repeats its last id."""

Key = tuple[str, int]


class LeafStore:
    """Reads leaves. Thread-safe. `capacity` in bytes of leaves held in memory; the oldest are given up first."""

    def __init__(self, database: Database, capacity: int = CACHE_BYTES) -> None:
        self._database = database
        self._capacity = capacity
        self._held: dict[Key, bytes] = {}
        self._size = 0
        self._lock = threading.Lock()
        self._statements: dict[tuple[int, int], Prepared] = {}

    def fetch(self, cursor: DBAPICursor, rows: Sequence[Found]) -> list[bytes]:
        """The leaf of each row, in order, from memory or by the cursor of the snapshot in which the rows were found."""
        held = self._held
        leaves = [held.get((row.id, row.registered_at)) for row in rows]
        if None in leaves:
            missing = [row for row, leaf in zip(rows, leaves, strict=True) if leaf is None]
            read = self._read(cursor, missing)
            self._keep((row.id, row.registered_at, read[row.id]) for row in missing)
            leaves = [read[row.id] if leaf is None else leaf for row, leaf in zip(rows, leaves, strict=True)]
        return leaves  # type: ignore[return-value]

    def _read(self, cursor: DBAPICursor, rows: Sequence[Found]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        ordered = sorted(rows, key=lambda row: (row.kind, row.patient))
        for (kind, patient), group in groupby(ordered, key=lambda row: (row.kind, row.patient)):
            ids = [row.id for row in group]
            for start in range(0, len(ids), _BATCHES[-1]):
                some = ids[start : start + _BATCHES[-1]]
                size = next(size for size in _BATCHES if size >= len(some))
                padded = some + some[-1:] * (size - len(some))
                parameters: dict[str, object] = {f"i{n}": one for n, one in enumerate(padded)}
                parameters["patient"] = patient
                self._statement(kind, size).execute(cursor, parameters)
                found.update(cursor.fetchall())
        return found

    def _statement(self, kind: int, size: int) -> Prepared:
        prepared = self._statements.get((kind, size))
        if prepared is None:
            c = TABLES[Kind(kind)].c
            ids: list[ColumnElement[str]] = [bindparam(f"i{n}") for n in range(size)]
            statement = select(c.id, c.leaf).where(c.patient == bindparam("patient"), c.id.in_(ids))
            prepared = self._statements[kind, size] = self._database.prepare(statement)
        return prepared

    def _keep(self, items: Iterable[tuple[str, int, bytes]]) -> None:
        with self._lock:
            for object_id, registered_at, leaf in items:
                if self._held.setdefault((object_id, registered_at), leaf) is leaf:
                    self._size += len(leaf)
            while self._size > self._capacity:
                oldest = next(iter(self._held))
                self._size -= len(self._held.pop(oldest))
