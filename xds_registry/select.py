"""A selection under a scope, as one parameterised statement of objects. There is no select without a scope.

Statements are compiled once for each shape and run on the driver's cursor.
Source: DESIGN 4; IHE ITI TF-2 3.18.4.1.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import CTE, Integer, Select, Table, and_, bindparam, literal_column, select, union, union_all
from sqlalchemy.engine.interfaces import DBAPICursor

from access_control.scope import Scope
from database.handle import Database
from database.prepared import Prepared
from ebrim import model as rim
from ebrim.write import leaf_prefix
from xds_registry import tables as t
from xds_registry.conditions import TABLES, Clause, Names, clause, shape, values
from xds_registry.found import Found
from xds_registry.leaves import LeafStore
from xds_registry.rows import last_update_slot
from xds_registry.stored_queries.selection import Anchor, Pick, Selection
from xds_registry.visibility import scope_shape, scope_values, visible
from xds_registry.vocabulary import STATUS_URN, Kind

_MAX_STATEMENTS = 2_000
_CLASSES: dict[Kind, type[rim.RegistryObject]] = {
    Kind.ENTRY: rim.ExtrinsicObject,
    Kind.SUBMISSION_SET: rim.RegistryPackage,
    Kind.FOLDER: rim.RegistryPackage,
    Kind.ASSOCIATION: rim.Association,
}
_PREFIX: dict[tuple[int, int], bytes] = {
    (int(kind), status): leaf_prefix(class_, urn) for kind, class_ in _CLASSES.items() for status, urn in STATUS_URN.items()
}


def serialise(found: Sequence[Found], leaves: Sequence[bytes]) -> list[bytes]:
    """The objects' ebRIM elements in pieces: stored leaves, with what may have changed since between them."""
    pieces: list[bytes] = []
    for row, leaf in zip(found, leaves, strict=True):
        pieces.append(_PREFIX[row.kind, row.status])
        at = row.splice
        if at:
            pieces += (leaf[:at], last_update_slot(row.last_update), leaf[at:])
        else:
            pieces.append(leaf)
    return pieces


class Selector:
    """Runs selections on one database. Thread-safe: statements are immutable once made."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect = database.dialect.name
        self._statements: dict[tuple[Any, ...], Prepared] = {}
        self.leaves = LeafStore(database)

    def run(self, cursor: DBAPICursor, selection: Selection, scope: Scope, limit: int) -> list[Found]:
        """At most `limit` objects of the selection that the scope shows, in the order of registration."""
        key = (tuple((p.name, p.kind, *map(shape, p.conditions)) for p in selection.picks), scope_shape(scope.visible))
        prepared = self._statements.get(key)
        if prepared is None:
            if len(self._statements) >= _MAX_STATEMENTS:
                self._statements.clear()
            prepared = self._database.prepare(build(selection, scope, self._dialect))
            self._statements[key] = prepared
        parameters = {f"p{i}": v for i, v in enumerate(self._values(selection, scope))}
        parameters["most"] = limit
        prepared.execute(cursor, parameters)
        rows = [Found._make(row) for row in cursor.fetchall()]
        rows.sort(key=itemgetter(1, 0, 2))
        return rows

    def _values(self, selection: Selection, scope: Scope) -> Iterator[Any]:
        for pick in selection.picks:
            for condition in pick.conditions:
                yield from values(condition, self._dialect)
            yield from _visible_values(pick, scope)

    def locate(self, cursor: DBAPICursor, anchor: Anchor) -> tuple[str, ...]:
        """The patients whose objects a query by id may touch: of the objects, and of those one association away."""
        key = ("locate", len(anchor.ids), len(anchor.unique_ids))
        prepared = self._statements.get(key)
        if prepared is None:
            prepared = self._database.prepare(_locate(len(anchor.ids), len(anchor.unique_ids)))
            self._statements[key] = prepared
        every = (*anchor.ids, *anchor.unique_ids)
        prepared.execute(cursor, {f"p{i}": v for i, v in enumerate(every)})
        return tuple(sorted(row[0] for row in cursor.fetchall()))


def _visible_values(pick: Pick, scope: Scope) -> Iterator[Any]:
    names = Names()
    visible(pick.kind, TABLES[pick.kind], scope, names)
    items = list(scope_values(scope.visible))
    for _ in range(names.count // len(items) if items else 0):
        yield from items


def build(selection: Selection, scope: Scope, dialect: str) -> Any:
    """The statement of a selection under a scope."""
    names = Names()
    if len(selection.picks) == 1:
        pick = selection.picks[0]
        where = _where(pick, {}, scope, names, dialect)
        return _objects(pick.kind).where(where).limit(bindparam("most", type_=Integer))
    picks: dict[str, CTE] = {}
    for pick in selection.picks:
        table = TABLES[pick.kind]
        ends = [table.c.source, table.c.target] if pick.kind is Kind.ASSOCIATION else []
        where = _where(pick, picks, scope, names, dialect)
        picks[pick.name] = select(table.c.patient, table.c.id, *ends).where(where).cte(pick.name)
    parts = []
    for kind in Kind:
        returned = [picks[p.name] for p in selection.picks if p.returned and p.kind is kind]
        if returned:
            table = TABLES[kind]
            chosen = union(*(select(c.c.patient, c.c.id) for c in returned)).subquery()
            joined = and_(table.c.patient == chosen.c.patient, table.c.id == chosen.c.id)
            parts.append(_objects(kind).select_from(chosen.join(table, joined)))
    return union_all(*parts).limit(bindparam("most", type_=Integer))


def _where(pick: Pick, picks: dict[str, CTE], scope: Scope, names: Names, dialect: str) -> Clause:
    table = TABLES[pick.kind]
    clauses = [clause(condition, table, picks, names, dialect) for condition in pick.conditions]
    return and_(*clauses, visible(pick.kind, table, scope, names))


def _objects(kind: Kind) -> Select[Any]:
    table: Table = TABLES[kind]
    last_update = table.c.last_update if kind is Kind.FOLDER else literal_column("''")
    splice = table.c.splice if kind is Kind.FOLDER else literal_column("0")
    c = table.c
    return select(
        literal_column(str(int(kind))).label("kind"),
        c.registered_at,
        c.id,
        c.patient,
        c.status,
        last_update.label("last_update"),
        splice.label("splice"),
    )


def _locate(ids: int, unique_ids: int) -> Any:
    names = Names()
    given = names.some(ids)
    a, k = t.association.c, t.object_key.c
    queries: list[Select[Any]] = []
    if ids:
        queries += _around(given)
    if unique_ids:
        wanted = names.some(unique_ids)
        queries.append(select(t.document_locator.c.patient).where(t.document_locator.c.unique_id.in_(wanted)))
        queries.append(select(t.set_identity.c.patient).where(t.set_identity.c.unique_id.in_(wanted)))
        for table in (t.entry, t.submission_set, t.folder):
            own = select(table.c.id).where(table.c.unique_id.in_(wanted))
            queries.append(select(a.patient).where(a.source.in_(own)))
            queries.append(select(a.patient).where(a.target.in_(own)))
            ends = select(a.target).where(a.source.in_(own))
            queries.append(select(k.patient).where(k.id.in_(ends)))
    return union(*queries)


def _around(given: Sequence[Any]) -> list[Select[Any]]:
    a, k = t.association.c, t.object_key.c
    return [
        select(k.patient).where(k.id.in_(given)),
        select(a.patient).where(a.source.in_(given)),
        select(a.patient).where(a.target.in_(given)),
        select(k.patient).where(k.id.in_(select(a.target).where(a.source.in_(given)))),
        select(k.patient).where(k.id.in_(select(a.source).where(a.target.in_(given)))),
    ]
