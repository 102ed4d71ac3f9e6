"""Stored facts that a submission refers to, read inside the transaction that will write it.

`Facts` is plain data: `lifecycle.plan` decides on it without a database. Rows are locked where the engine locks rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.sql import ColumnElement

from database.prepared import Lookup
from xds_metadata.associations import APND, HAS_MEMBER, XFRM
from xds_registry import tables as t
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind, Status, bare

_s, _d = t.set_identity.c, t.document_identity.c
_SETS = Lookup(_s.unique_id, _s.unique_id, _s.kind, _s.sender, _s.digest, _s.message_id, _s.answered_at, _s.answer)
_DOCUMENTS = Lookup(_d.unique_id, _d.unique_id, _d.hash, _d.size)
_PATIENTS = Lookup(t.patient.c.key, t.patient.c.key)
_OBJECT_IDS = Lookup(t.object_key.c.id, t.object_key.c.id)
_PART_IDS = Lookup(t.part_key.c.id, t.part_key.c.id)
_CHILD_TYPES = (ASSOCIATION_TYPE[XFRM], ASSOCIATION_TYPE[APND])
_HAS_MEMBER = ASSOCIATION_TYPE[HAS_MEMBER]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored entry or folder: what the rules need to know of it."""

    id: str
    patient: str
    kind: Kind
    status: int
    stable: bool = True


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """What is known of a submission set's or folder's uniqueId."""

    kind: int
    sender: str
    digest: str
    message_id: str
    answered_at: int
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything stored that bears on one submission. Ids are bare (no `urn:uuid:`), patients are keys.

    `used_ids`: submitted UUIDs that exist already. `objects`: referenced entries and folders that are visible.
    `folders_of`: by entry, the Approved folders that hold it. `children`: entries below a replaced one, as (id, patient).
    `transformations`: referenced entries that transform another.
    `known_patients`: None where any patient is accepted.
    """

    used_ids: frozenset[str] = frozenset()
    objects: dict[str, StoredObject] = field(default_factory=dict)
    folders_of: dict[str, tuple[StoredObject, ...]] = field(default_factory=dict)
    children: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    sets: dict[str, SetIdentity] = field(default_factory=dict)
    documents: dict[str, tuple[str | None, int | None]] = field(default_factory=dict)
    transformations: frozenset[str] = frozenset()
    known_patients: frozenset[str] | None = None


def load_sets(connection: Connection, unique_ids: Sequence[str]) -> dict[str, SetIdentity]:
    """Known submission set and folder uniqueIds among `unique_ids`."""
    return {row[0]: SetIdentity(*row[1:]) for row in _SETS.rows(connection, unique_ids)}


def load_documents(connection: Connection, unique_ids: Sequence[str]) -> dict[str, tuple[str | None, int | None]]:
    """(hash, size) of known document uniqueIds among `unique_ids`."""
    return {row[0]: (row[1], row[2]) for row in _DOCUMENTS.rows(connection, unique_ids)}


def load_patients(connection: Connection, keys: Iterable[str]) -> frozenset[str]:
    """Those of `keys` that the feed or an operator made known."""
    return frozenset(row[0] for row in _PATIENTS.rows(connection, keys))


def load_used_ids(connection: Connection, ids: Sequence[str], parts: Sequence[str]) -> frozenset[str]:
    """Those of the submitted UUIDs (of objects, of parts) that name something already; as they were submitted."""
    every = [bare(i) for i in (*ids, *parts)]
    return frozenset(row[0] for lookup in (_OBJECT_IDS, _PART_IDS) for row in lookup.rows(connection, every))


def load_known(connection: Connection, ids: Iterable[str]) -> list[str]:
    """Those of `ids` (bare) that name an object: hundreds that name nothing cost little this way."""
    return [row[0] for row in _OBJECT_IDS.rows(connection, ids)]


def _stored(rows: Iterable[Any], kind: Kind) -> dict[str, StoredObject]:
    return {row[0]: StoredObject(row[0], row[1], kind, row[2], row[3] == 1) for row in rows}


def load_objects(
    connection: Connection, ids: Sequence[str], visible: Callable[[Kind], ColumnElement[bool]], *, lock: bool
) -> dict[str, StoredObject]:
    """Stored entries and folders among `ids` (bare) that are `visible`; `lock`: until the transaction ends."""
    if not ids:
        return {}
    e, f = t.entry.c, t.folder.c
    entries = select(e.id, e.patient, e.status, e.stable).where(e.id.in_(ids), visible(Kind.ENTRY))
    found = _stored(connection.execute(entries.with_for_update() if lock else entries), Kind.ENTRY)
    rest = [i for i in ids if i not in found]
    if rest:
        folders = select(f.id, f.patient, f.status, f.withdrawn + 1).where(f.id.in_(rest), visible(Kind.FOLDER))
        found.update(_stored(connection.execute(folders.with_for_update() if lock else folders), Kind.FOLDER))
    return found


def load_folders_of(connection: Connection, entry_ids: Sequence[str]) -> dict[str, tuple[StoredObject, ...]]:
    """By entry: the folders that are Approved and hold it by an Approved membership."""
    a, f = t.association.c, t.folder.c
    rows = connection.execute(
        select(a.target, f.id, f.patient, f.status)
        .select_from(t.association.join(t.folder, a.source == f.id))
        .where(
            a.target.in_(entry_ids),
            a.type == _HAS_MEMBER,
            a.status == Status.APPROVED,
            a.withdrawn == 0,
            f.status == Status.APPROVED,
            f.withdrawn == 0,
        )
    )
    found: dict[str, list[StoredObject]] = {}
    for target, folder_id, patient, status in rows:
        found.setdefault(target, []).append(StoredObject(folder_id, patient, Kind.FOLDER, status))
    return {entry: tuple(folders) for entry, folders in found.items()}


def load_transformations(connection: Connection, entry_ids: Sequence[str]) -> frozenset[str]:
    """Those of `entry_ids` that are the transformation of another entry."""
    a = t.association.c
    found = select(a.source).where(
        a.source.in_(entry_ids), a.type == ASSOCIATION_TYPE[XFRM], a.status == Status.APPROVED, a.withdrawn == 0
    )
    return frozenset(connection.execute(found).scalars())


def load_children(connection: Connection, entry_id: str, *, lock: bool = True) -> tuple[tuple[str, str], ...]:
    """Every entry that transforms or appends to the entry, directly or through others: (id, patient).

    With `lock` each layer is locked before the next is read, so that nobody appends to a child meanwhile.
    """
    a, e = t.association.c, t.entry.c
    seen: dict[str, str] = {}
    layer = [entry_id]
    while layer:
        below = (
            select(e.id, e.patient)
            .select_from(t.association.join(t.entry, a.source == e.id))
            .where(a.target.in_(layer), a.type.in_(_CHILD_TYPES), a.status == Status.APPROVED, a.withdrawn == 0)
        )
        rows = connection.execute(below.with_for_update(of=t.entry) if lock else below)
        fresh = {row[0]: row[1] for row in rows if row[0] not in seen and row[0] != entry_id}
        seen.update(fresh)
        layer = list(fresh)
    return tuple(seen.items())
