"""An operator takes back a wrong deposit, brings it back, or removes it for good. Statements only, for one `write`.

Withdrawn objects are never found: every select says so. With an entry go its associations, the memberships of these, and
its submission set if that then holds nothing visible. What an entry had replaced is approved again while it is withdrawn.
Source: IHE ITI TF-2 3.42.4.1.3.3 (replacement); DESIGN 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, delete, or_, select, update

from xds_metadata.associations import HAS_MEMBER, REPLACING
from xds_registry import tables as t
from xds_registry.latest import mark_latest
from xds_registry.masks import Document, family, refresh
from xds_registry.references import load_children
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind, Status

_HAS_MEMBER = ASSOCIATION_TYPE[HAS_MEMBER]
_REPLACING = tuple(ASSOCIATION_TYPE[name] for name in sorted(REPLACING))
_TABLES: dict[Kind, Table] = {
    Kind.ENTRY: t.entry,
    Kind.SUBMISSION_SET: t.submission_set,
    Kind.FOLDER: t.folder,
    Kind.ASSOCIATION: t.association,
}
_OWNED = (t.object_key, t.object_version)
_MANY = 500


@dataclass(frozen=True, slots=True)
class Deposit:
    """What an identifier names: bare ids by kind, with the patients and the uniqueIds of the entries."""

    sets: frozenset[str] = frozenset()
    entries: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()
    unique_ids: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.sets or self.entries or self.folders)


@dataclass(slots=True)
class Effect:
    """What was done: ids of the objects changed, by kind; entries whose status changed with them."""

    changed: dict[Kind, set[str]] = field(default_factory=dict)
    status: set[str] = field(default_factory=set)

    def count(self, kind: Kind) -> int:
        """How many objects of a kind were changed."""
        return len(self.changed.get(kind, ()))

    def add(self, kind: Kind, ids: Iterable[str]) -> None:
        """Note objects as changed."""
        self.changed.setdefault(kind, set()).update(ids)


def find_deposit(connection: Connection, identifier: str) -> Deposit:
    """What `identifier` names: a submission set (entryUUID or uniqueId), or entries (entryUUID or document uniqueId)."""
    bare = identifier.removeprefix("urn:uuid:")
    s, e = t.submission_set.c, t.entry.c
    sets = connection.execute(select(s.id).where(or_(s.id == bare, s.unique_id == identifier))).scalars().all()
    if sets:
        return _deposit_of_sets(connection, sets)
    rows = connection.execute(select(e.id, e.patient, e.unique_id).where(or_(e.id == bare, e.unique_id == identifier))).all()
    return Deposit(
        entries=frozenset(row.id for row in rows),
        patients=frozenset(row.patient for row in rows),
        unique_ids=frozenset(row.unique_id for row in rows),
    )


def _deposit_of_sets(connection: Connection, sets: Sequence[str]) -> Deposit:
    s, e, f = t.submission_set.c, t.entry.c, t.folder.c
    owners = connection.execute(select(s.patient).where(s.id.in_(sets))).scalars().all()
    entries = connection.execute(select(e.id, e.patient, e.unique_id).where(e.submission.in_(sets))).all()
    folders = connection.execute(select(f.id, f.patient).where(f.submission.in_(sets))).all()
    return Deposit(
        sets=frozenset(sets),
        entries=frozenset(row.id for row in entries),
        folders=frozenset(row.id for row in folders),
        patients=frozenset((*owners, *(row.patient for row in entries), *(row.patient for row in folders))),
        unique_ids=frozenset(row.unique_id for row in entries),
    )


def withdraw(connection: Connection, deposit: Deposit, following: frozenset[str]) -> Effect:
    """Hide the deposit and what hangs on it. Objects that are withdrawn already are left alone.

    `following`: the codes that follow a document to what is related to it, as the access policy has it; so below.
    """
    effect = Effect()
    related = family(connection, _documents_of(connection, deposit.entries))
    _mark(connection, Kind.ENTRY, deposit.entries, 1, effect)
    _mark(connection, Kind.FOLDER, deposit.folders, 1, effect)
    _mark(connection, Kind.SUBMISSION_SET, deposit.sets, 1, effect)
    links = _links_of(connection, deposit)
    _mark(connection, Kind.ASSOCIATION, links, 1, effect)
    _mark(connection, Kind.SUBMISSION_SET, _emptied(connection, deposit.entries), 1, effect)
    _forget_answers(connection, deposit.entries, deposit.sets)
    for replaced in _replaced_by(connection, effect.changed.get(Kind.ENTRY, set())):
        if not _visibly_replaced(connection, replaced):
            _set_status(connection, _family(connection, replaced), Status.APPROVED, effect)
    refresh(connection, related, following)
    return effect


def reinstate(connection: Connection, deposit: Deposit, following: frozenset[str]) -> Effect:
    """Undo `withdraw`: the objects, their submission sets, and every association both of whose ends are visible again."""
    effect = Effect()
    e = t.entry.c
    owners = set(deposit.sets)
    owners.update(connection.execute(select(e.submission).where(e.id.in_(deposit.entries))).scalars())
    _mark(connection, Kind.ENTRY, deposit.entries, 0, effect)
    _mark(connection, Kind.FOLDER, deposit.folders, 0, effect)
    _mark(connection, Kind.SUBMISSION_SET, owners, 0, effect)
    for connected in _in_layers(connection, _links_of(connection, deposit)):
        _mark(connection, Kind.ASSOCIATION, connected, 0, effect)
    for replaced in _replaced_by(connection, effect.changed.get(Kind.ENTRY, set())):
        _set_status(connection, _family(connection, replaced), Status.DEPRECATED, effect)
    refresh(connection, _documents_of(connection, deposit.entries), following)
    return effect


def visible_part(connection: Connection, deposit: Deposit) -> int:
    """How many entries, folders and submission sets of the deposit are not withdrawn."""
    pairs = ((t.entry, deposit.entries), (t.folder, deposit.folders), (t.submission_set, deposit.sets))
    return sum(
        len(connection.execute(select(table.c.id).where(table.c.id.in_(ids), table.c.withdrawn == 0)).all())
        for table, ids in pairs
    )


def visible_unique_ids(connection: Connection, unique_ids: Iterable[str]) -> frozenset[str]:
    """Those of `unique_ids` that a visible entry has."""
    e = t.entry.c
    rows = connection.execute(select(e.unique_id).where(e.unique_id.in_(list(unique_ids)), e.withdrawn == 0))
    return frozenset(rows.scalars())


def unused_unique_ids(connection: Connection, unique_ids: Iterable[str]) -> frozenset[str]:
    """Those of `unique_ids` that no entry has any more."""
    wanted = frozenset(unique_ids)
    e = t.entry.c
    return wanted - frozenset(connection.execute(select(e.unique_id).where(e.unique_id.in_(wanted))).scalars())


def purge(connection: Connection, deposit: Deposit, following: frozenset[str]) -> Effect:
    """Delete the rows of a withdrawn deposit, its identifiers included: they may then be used again.

    A submission set goes with the last object it held. Refuses nothing: call it for what `visible_part` says is withdrawn.
    """
    effect = Effect()
    links = _links_of(connection, deposit)
    sets = deposit.sets | _abandoned(connection, deposit, links)
    links = _links_of(connection, Deposit(sets, deposit.entries, deposit.folders))
    effect.add(Kind.ASSOCIATION, links)
    effect.add(Kind.ENTRY, deposit.entries)
    effect.add(Kind.FOLDER, deposit.folders)
    effect.add(Kind.SUBMISSION_SET, sets)
    packages: set[str] = set()
    for table, ids in ((t.submission_set, sets), (t.folder, deposit.folders)):
        packages.update(connection.execute(select(table.c.unique_id).where(table.c.id.in_(ids))).scalars())
    documents = _documents_of(connection, deposit.entries)
    related = family(connection, documents)
    v = t.object_version.c
    lids = connection.execute(select(v.lid).where(v.id.in_(deposit.entries | deposit.folders))).scalars().all()
    for kind, gone in effect.changed.items():
        _delete(connection, _TABLES[kind], "id", gone)
        for table in _OWNED:
            _delete(connection, table, "id", gone)
        _delete(connection, t.part_key, "owner", gone)
    mark_latest(connection, lids)
    _delete(connection, t.set_identity, "unique_id", packages)
    _forget_documents(connection, documents)
    refresh(connection, related, following)
    return effect


def _documents_of(connection: Connection, entries: Iterable[str]) -> set[Document]:
    e = t.entry.c
    return {(row[0], row[1]) for row in connection.execute(select(e.patient, e.unique_id).where(e.id.in_(list(entries))))}


def _forget_documents(connection: Connection, documents: Iterable[Document]) -> None:
    """Remove identity and locator rows that no entry needs any more."""
    e, w = t.entry.c, t.document_locator
    for patient, unique_id in sorted(documents):
        if not connection.execute(select(e.id).where(e.unique_id == unique_id, e.patient == patient)).first():
            connection.execute(delete(w).where(w.c.unique_id == unique_id, w.c.patient == patient))
    _delete(connection, t.document_identity, "unique_id", unused_unique_ids(connection, (u for _, u in documents)))


def _delete(connection: Connection, table: Table, column: str, ids: Iterable[str]) -> None:
    every = sorted(ids)
    for start in range(0, len(every), _MANY):
        connection.execute(delete(table).where(table.c[column].in_(every[start : start + _MANY])))


def _mark(connection: Connection, kind: Kind, ids: Iterable[str], withdrawn: int, effect: Effect) -> None:
    """Set the column where it differs."""
    table, wanted = _TABLES[kind], sorted(ids)
    differing = (
        connection.execute(select(table.c.id).where(table.c.id.in_(wanted), table.c.withdrawn != withdrawn)).scalars().all()
    )
    if differing:
        connection.execute(update(table).where(table.c.id.in_(differing)).values(withdrawn=withdrawn))
        effect.add(kind, differing)


def _links_of(connection: Connection, deposit: Deposit) -> set[str]:
    """Associations made by the deposit's sets, those that touch its objects, and the memberships of these associations."""
    a = t.association.c
    objects = deposit.entries | deposit.folders | deposit.sets
    found = set(
        connection.execute(
            select(a.id).where(or_(a.submission.in_(deposit.sets), a.source.in_(objects), a.target.in_(objects)))
        ).scalars()
    )
    layer = set(found)
    while layer:
        around = connection.execute(select(a.id).where(or_(a.source.in_(layer), a.target.in_(layer)))).scalars()
        layer = set(around) - found
        found |= layer
    return found


def _in_layers(connection: Connection, links: set[str]) -> Iterable[list[str]]:
    """Associations whose ends are visible, layer by layer: one that holds another association waits for it."""
    a = t.association.c
    rest = {
        row.id: (row.source, row.target)
        for row in connection.execute(select(a.id, a.source, a.target).where(a.id.in_(links), a.withdrawn == 1))
    }
    while rest:
        ends = {end for pair in rest.values() for end in pair}
        visible: set[str] = set()
        for table in _TABLES.values():
            asked = select(table.c.id).where(table.c.id.in_(ends), table.c.withdrawn == 0)
            visible.update(connection.execute(asked).scalars())
        ready = [link for link, pair in rest.items() if visible.issuperset(pair)]
        if not ready:
            return
        yield ready
        for link in ready:
            del rest[link]


def _emptied(connection: Connection, entries: Iterable[str]) -> set[str]:
    """The submission sets of entries that have no visible member left."""
    e, a = t.entry.c, t.association.c
    owners = set(connection.execute(select(e.submission).where(e.id.in_(list(entries)))).scalars())
    holding = connection.execute(
        select(a.source).where(a.source.in_(owners), a.type == _HAS_MEMBER, a.withdrawn == 0).distinct()
    )
    return owners - set(holding.scalars())


def _abandoned(connection: Connection, deposit: Deposit, links: set[str]) -> set[str]:
    """The submission sets of the deposit's entries to which nothing else belongs, be it withdrawn."""
    e = t.entry.c
    owners = set(connection.execute(select(e.submission).where(e.id.in_(deposit.entries))).scalars())
    gone = deposit.entries | deposit.folders | links
    for table in (t.entry, t.folder, t.association):
        rows = connection.execute(select(table.c.id, table.c.submission).where(table.c.submission.in_(owners)))
        owners -= {row.submission for row in rows if row.id not in gone}
    return owners


def _forget_answers(connection: Connection, entries: Iterable[str], sets: Iterable[str]) -> None:
    """A repetition of what was taken back, in whole or in part, is no longer answered with the Success of the first time."""
    e, s, identity = t.entry.c, t.submission_set.c, t.set_identity
    owners = set(connection.execute(select(e.submission).where(e.id.in_(list(entries)))).scalars())
    unique_ids = connection.execute(select(s.unique_id).where(s.id.in_(owners.union(sets)))).scalars().all()
    connection.execute(update(identity).where(identity.c.unique_id.in_(unique_ids)).values(answer=None))


def _replaced_by(connection: Connection, entries: Iterable[str]) -> list[str]:
    """What entries replaced by their own associations."""
    a = t.association.c
    asked = select(a.target).where(a.source.in_(list(entries)), a.type.in_(_REPLACING))
    return sorted(set(connection.execute(asked).scalars()))


def _visibly_replaced(connection: Connection, entry: str) -> bool:
    a = t.association.c
    asked = select(a.id).where(a.target == entry, a.type.in_(_REPLACING), a.withdrawn == 0)
    return connection.execute(asked).first() is not None


def _family(connection: Connection, replaced: str) -> list[str]:
    """A replaced entry and those below it, which had its fate; not those that something visible replaced by itself."""
    children = [child for child, _ in load_children(connection, replaced)]
    return [replaced, *(child for child in children if not _visibly_replaced(connection, child))]


def _set_status(connection: Connection, entries: Sequence[str], status: Status, effect: Effect) -> None:
    e = t.entry
    before = Status.DEPRECATED if status is Status.APPROVED else Status.APPROVED
    asked = select(e.c.id).where(e.c.id.in_(entries), e.c.status == int(before))
    differing = connection.execute(asked).scalars().all()
    if differing:
        connection.execute(update(e).where(e.c.id.in_(differing)).values(status=int(status)))
        effect.status.update(differing)
