"""A selection under a scope, as one parameterised statement of objects. There is no select without a scope.

Statements are compiled once for each shape and run on the driver's cursor.
Source: DESIGN 4; IHE ITI TF-2 3.18.4.1.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import CTE, CompoundSelect, Integer, Select, and_, bindparam, literal_column, select, union, union_all
from sqlalchemy.engine.interfaces import DBAPICursor

from access_control.scope import EVERYTHING, Scope
from database.handle import Database
from database.prepared import Prepared
from ebrim import model as rim
from ebrim.write import leaf_prefix
from xds_registry import tables as t
from xds_registry.conditions import TABLES, Clause, Driver, Lead, Names, clause, leads, shape, values
from xds_registry.found import Found
from xds_registry.leaves import LeafStore
from xds_registry.lookups import at, same
from xds_registry.rows import last_update_slot
from xds_registry.stored_queries.selection import Anchor, Pick, Selection
from xds_registry.visibility import ScopeNames, last_update, scope_parameters, scope_shape, visible
from xds_registry.vocabulary import STATUS_URN, Kind

_MAX_STATEMENTS = 2_000
HOLDERS = select(t.document_locator.c.patient).where(t.document_locator.c.unique_id == bindparam("unique_id"))
"""The patients who have an entry of a uniqueId, whoever asks."""
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
        key = (limit, tuple((p.name, p.kind, *map(shape, p.conditions)) for p in selection.picks), scope_shape(scope))
        prepared = self._statements.get(key)
        if prepared is None:
            if len(self._statements) >= _MAX_STATEMENTS:
                self._statements.clear()
            prepared = self._database.prepare(build(selection, scope, limit, self._dialect))
            self._statements[key] = prepared
        parameters = {} if scope is EVERYTHING else scope_parameters(scope)
        parameters.update((f"p{i}", v) for i, v in enumerate(self._values(selection)))
        prepared.execute(cursor, parameters)
        if _is_plain(selection):
            # The hot path of large answers: what is the same in every row is not fetched, and each row is made once.
            kind, new = int(selection.picks[0].kind), tuple.__new__
            rows = [new(Found, (kind, at, id_, patient, status, "", 0)) for at, id_, patient, status in cursor.fetchall()]
        else:
            rows = [Found._make(row) for row in cursor.fetchall()]
        rows.sort(key=itemgetter(1, 0, 2))
        return rows

    def _values(self, selection: Selection) -> Iterator[Any]:
        for pick in selection.picks:
            for condition in pick.conditions:
                yield from values(condition, self._dialect)

    def locate(self, cursor: DBAPICursor, anchor: Anchor) -> tuple[str, ...]:
        """The patients whose objects a query by id may touch: of the objects, and of those one association away."""
        key = ("locate", len(anchor.ids), len(anchor.unique_ids))
        prepared = self._statements.get(key)
        if prepared is None:
            prepared = self._database.prepare(_locate(len(anchor.ids), len(anchor.unique_ids), self._dialect))
            self._statements[key] = prepared
        every = (*anchor.ids, *anchor.unique_ids)
        prepared.execute(cursor, {f"p{i}": v for i, v in enumerate(every)})
        return tuple(sorted(row[0] for row in cursor.fetchall()))

    def holders(self, cursor: DBAPICursor, unique_ids: Sequence[str], scope: Scope) -> dict[str, tuple[str, ...]]:
        """By uniqueId, the patients of whom the scope shows an entry of it."""
        key = ("holders", scope_shape(scope))
        prepared = self._statements.get(key)
        if prepared is None:
            prepared = self._statements[key] = self._database.prepare(_holders(scope, self._dialect))
        own = scope_parameters(scope)
        found: dict[str, tuple[str, ...]] = {}
        for unique_id in dict.fromkeys(unique_ids):
            rows = prepared.execute(cursor, own | {"unique_id": unique_id}).fetchall()
            found[unique_id] = tuple(row[0] for row in rows)
        return found


def _holders(scope: Scope, dialect: str) -> Select[Any]:
    if scope == EVERYTHING:
        return HOLDERS
    seen = visible(Kind.ENTRY, t.entry, scope, ScopeNames(dialect))
    return select(t.entry.c.patient).where(t.entry.c.unique_id == bindparam("unique_id"), seen).distinct()


def _is_plain(selection: Selection) -> bool:
    """Whether the statement is a select from one table whose rows need no more than four columns."""
    picks = selection.picks
    return len(picks) == 1 and picks[0].kind is not Kind.FOLDER and not _is_led(picks[0])


def _is_led(pick: Pick) -> bool:
    return any(isinstance(condition, Driver) for condition in pick.conditions)


def build(selection: Selection, scope: Scope, limit: int, dialect: str) -> Any:
    """The statement of a selection under a scope.

    The limit is written out: for one that is bound, SQLite makes the plan anew at each execution.
    """
    most, first = literal_column(str(int(limit)), Integer), literal_column("0", Integer)
    scoped = ScopeNames(dialect)
    names = Names(dialect, last_update(scope, scoped))
    if len(selection.picks) == 1 and not _is_led(selection.picks[0]):
        pick = selection.picks[0]
        clauses = [clause(c, TABLES[pick.kind], {}, names) for c in pick.conditions]
        where = and_(*clauses, visible(pick.kind, TABLES[pick.kind], scope, scoped))
        columns = _columns(pick.kind, names)
        return select(*(columns[1:5] if _is_plain(selection) else columns)).where(where).limit(most).offset(first)
    picks: dict[str, CTE] = {}
    for pick in selection.picks:
        seen = visible(pick.kind, TABLES[pick.kind], scope, scoped)
        picks[pick.name] = _pick(pick, picks, seen, names).cte(pick.name)
    parts = []
    for kind in Kind:
        returned = [picks[p.name] for p in selection.picks if p.returned and p.kind is kind]
        if returned:
            chosen = union(*(select(c.c.patient, c.c.id) for c in returned)).subquery()
            parts.append(same(dialect, chosen, TABLES[kind], _columns(kind, names)))
    return union_all(*parts).limit(most).offset(first)


def _pick(pick: Pick, picks: Mapping[str, CTE], seen: Clause, names: Names) -> Select[Any] | CompoundSelect[Any]:
    table = TABLES[pick.kind]
    ends = [table.c.source, table.c.target] if pick.kind is Kind.ASSOCIATION else []
    result = [table.c.patient, table.c.id, *ends]
    found: Sequence[Lead] | None = None
    clauses: list[Clause] = []
    for condition in pick.conditions:
        if found is None and isinstance(condition, Driver):
            found = leads(condition, table, picks, names)
        else:
            clauses.append(clause(condition, table, picks, names))
    where = and_(*clauses, seen)
    if found is None:
        return select(*result).where(where)
    return union(*(lead(result, where) for lead in found))


def _columns(kind: Kind, names: Names) -> Sequence[Any]:
    c = TABLES[kind].c
    updated = names.last_update if kind is Kind.FOLDER else literal_column("''")
    splice = c.splice if kind is Kind.FOLDER else literal_column("0")
    return (
        literal_column(str(int(kind))).label("kind"),
        c.registered_at,
        c.id,
        c.patient,
        c.status,
        updated.label("last_update"),
        splice.label("splice"),
    )


def _locate(ids: int, unique_ids: int, dialect: str) -> Any:
    names = Names(dialect, t.folder.c.last_update)
    a, k = t.association.c, t.object_key
    given: list[Select[Any]] = []
    found: list[Select[Any]] = []
    if ids:
        named = k.c.id.in_(names.some(ids))
        found.append(select(k.c.patient).where(named))
        given.append(select(k.c.id).where(named))
    if unique_ids:
        wanted = names.some(unique_ids)
        found.append(select(t.document_locator.c.patient).where(t.document_locator.c.unique_id.in_(wanted)))
        found.append(select(t.set_identity.c.patient).where(t.set_identity.c.unique_id.in_(wanted)))
        given += [select(table.c.id).where(table.c.unique_id.in_(wanted)) for table in (t.entry, t.submission_set, t.folder)]
    own = union(*given).cte("own")
    around = [a.patient, a.source, a.target]
    touching = union(*(at(dialect, own, "id", a[end], around) for end in ("source", "target"))).cte("touching")
    found.append(select(touching.c.patient))
    found += [at(dialect, touching, end, k.c.id, [k.c.patient]) for end in ("source", "target")]
    return union(*found)
