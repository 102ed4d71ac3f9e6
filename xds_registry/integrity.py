"""Is what the registry stores whole and in agreement with itself? Checks that only read, beside a running server.

Every object against its leaf, its identity rows, its submission and its submission set; every identity row against its
object; every association against its ends. A batch and what it is compared with are one state of the database.
Source: IHE ITI TF-3 4.2.2 (HasMember of the submission set), 4.2.3.2 (entryUUID, logicalID, uniqueId).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Table, select

from database.handle import Database
from database.problem import Problem, batches
from xds_metadata.associations import HAS_MEMBER
from xds_registry import tables as t
from xds_registry.latest import wrong_marks
from xds_registry.leaf_index import OBJECT_TABLES, Detail, LeafIndex, load_details, read_indexes
from xds_registry.masks import stale_documents
from xds_registry.vocabulary import ASSOCIATION_TYPE, LEAF_FORMAT, STATUS_URN, Kind

Progress = Callable[[int], None]
"""Called with the number of rows just checked."""

_HAS_MEMBER = ASSOCIATION_TYPE[HAS_MEMBER]
_PERSONAL = frozenset({"patient"})
_NAMES = {
    Kind.ENTRY: "entry",
    Kind.SUBMISSION_SET: "submission set",
    Kind.FOLDER: "folder",
    Kind.ASSOCIATION: "association",
}
_VERSIONED = (Kind.ENTRY, Kind.FOLDER)
_IDENTIFIED = (Kind.SUBMISSION_SET, Kind.FOLDER)
CHECKED: tuple[Table, ...] = (
    *OBJECT_TABLES.values(),
    t.object_key,
    t.object_version,
    t.part_key,
    t.document_identity,
    t.document_locator,
    t.document_mask,
    t.set_identity,
)
"""The tables whose rows `check_registry` goes through: what a progress bar counts."""


def check_registry(
    database: Database, progress: Progress = lambda _count: None, following: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Every problem of the registry's tables. `following`: as the access policy has it. Raises a DatabaseError."""
    for kind in Kind:
        yield from check_objects(database, kind, progress, following)
    for check in (_object_keys, _object_versions, _part_keys, _document_identities, _locators, _masks, _set_identities):
        yield from check(database, progress)


def check_objects(database: Database, kind: Kind, progress: Progress, following: frozenset[str]) -> Iterator[Problem]:
    """The objects of one kind."""
    table = OBJECT_TABLES[kind]
    for connection, rows in batches(database, list(table.c), [table.c.patient, table.c.id]):
        ids = [row.id for row in rows]
        yield from _against_leaves(connection, kind, rows)
        yield from _against_keys(connection, kind, rows)
        if kind in _VERSIONED:
            yield from _against_versions(connection, kind, rows)
        if kind is Kind.ENTRY:
            yield from _against_documents(connection, rows)
            yield from _against_masks(connection, rows, following)
        if kind in _IDENTIFIED:
            yield from _against_identities(connection, kind, rows)
        if kind is Kind.ASSOCIATION:
            yield from _against_ends(connection, rows)
        if kind is not Kind.SUBMISSION_SET:
            yield from _against_submissions(connection, kind, rows, ids)
        progress(len(rows))


def _place(kind: Kind, object_id: str) -> str:
    return f"{_NAMES[kind]} {object_id}"


def _against_leaves(connection: Connection, kind: Kind, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    details = load_details(connection, kind, [row.id for row in rows])
    for row, index in zip(rows, read_indexes(kind, [row.leaf for row in rows]), strict=True):
        place = _place(kind, row.id)
        if row.leaf_format != LEAF_FORMAT:
            yield Problem("leaf-format", place, f"leaf_format is {row.leaf_format}, this program knows {LEAF_FORMAT}")
        elif index is None:
            yield Problem("leaf", place, "the stored leaf cannot be read as one object of this kind")
        else:
            yield from _differences(place, row._mapping, index, details.get(row.id, frozenset()))
        if row.status not in STATUS_URN:
            yield Problem("status", place, f"status is {row.status}, which stands for nothing")
        if row.withdrawn not in (0, 1):
            yield Problem("withdrawn", place, f"withdrawn is {row.withdrawn}, 0 or 1 is expected")
        if kind is Kind.FOLDER and not (len(row.last_update) == 14 and row.last_update.isdecimal()):
            yield Problem("last-update", place, "last_update is no UTC time of 14 digits")


def _differences(place: str, row: RowMapping, index: LeafIndex, details: frozenset[Detail]) -> Iterator[Problem]:
    """Column by column, and detail table by detail table; values that say who the patient is are not shown."""
    for name, expected in index.columns.items():
        if row[name] != expected:
            shown = "" if name in _PERSONAL else f": found {row[name]!r}, the leaf says {expected!r}"
            yield Problem("index-column", place, f"column {name} is not what the leaf says{shown}; run `liasse reindex`")
    for table in sorted({name for name, _ in details ^ index.details}):
        lacking = sum(1 for name, _ in index.details - details if name == table)
        foreign = sum(1 for name, _ in details - index.details if name == table)
        text = f"{table}: {lacking} rows that the leaf asks for are missing, {foreign} are there that it does not know"
        yield Problem("index-detail", place, f"{text}; run `liasse reindex`")


def _against_keys(connection: Connection, kind: Kind, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    k = t.object_key.c
    known = _by(connection, select(k.id, k.kind, k.patient).where(k.id.in_([row.id for row in rows])))
    for row in rows:
        found = known.get(row.id)
        if found is None:
            yield Problem("object-key", _place(kind, row.id), "no object_key row reserves its entryUUID")
        elif found != (int(kind), row.patient):
            text = f"its object_key row is that of kind {found[0]} or of another patient, kind {int(kind)} is expected"
            yield Problem("object-key", _place(kind, row.id), text)


def _against_versions(connection: Connection, kind: Kind, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    v = t.object_version.c
    known = _by(connection, select(v.id, v.lid, v.version).where(v.id.in_([row.id for row in rows])))
    for row in rows:
        if known.get(row.id) != (row.lid, row.version):
            text = f"no object_version row says that it is version {row.version} of {row.lid}"
            yield Problem("object-version", _place(kind, row.id), text)


def _against_documents(connection: Connection, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    unique_ids = sorted({row.unique_id for row in rows})
    d, where = t.document_identity.c, t.document_locator.c
    known = _by(connection, select(d.unique_id, d.hash, d.size).where(d.unique_id.in_(unique_ids)))
    located = {
        tuple(row)
        for row in connection.execute(select(where.unique_id, where.patient).where(where.unique_id.in_(unique_ids)))
    }
    for row in rows:
        place = _place(Kind.ENTRY, row.id)
        found = known.get(row.unique_id)
        if found is None:
            yield Problem("document-identity", place, f"no document_identity row for its uniqueId {row.unique_id}")
        elif found != (row.hash, row.size):
            text = f"uniqueId {row.unique_id}: document_identity says hash {found[0]}, size {found[1]}"
            yield Problem("document-identity", place, f"{text}; the entry hash {row.hash}, size {row.size}")
        if (row.unique_id, row.patient) not in located:
            text = f"no document_locator row for its uniqueId {row.unique_id} and its patient"
            yield Problem("document-locator", place, text)


def _against_masks(connection: Connection, rows: Sequence[Row[Any]], following: frozenset[str]) -> Iterator[Problem]:
    stale = stale_documents(connection, ((row.patient, row.unique_id) for row in rows), following)
    for row in rows:
        if (row.patient, row.unique_id) in stale:
            text = "the confidentiality codes in force are not those of the document's entries; run `liasse reindex`"
            yield Problem("document-mask", _place(Kind.ENTRY, row.id), text)


def _against_identities(connection: Connection, kind: Kind, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    s = t.set_identity.c
    known = _by(connection, select(s.unique_id, s.kind, s.patient).where(s.unique_id.in_([r.unique_id for r in rows])))
    for row in rows:
        if known.get(row.unique_id) != (int(kind), row.patient):
            text = f"no set_identity row of this kind and patient for its uniqueId {row.unique_id}"
            yield Problem("set-identity", _place(kind, row.id), text)


def _against_submissions(
    connection: Connection, kind: Kind, rows: Sequence[Row[Any]], ids: Sequence[str]
) -> Iterator[Problem]:
    """Each object belongs to a submission set, which holds it by HasMember unless it is itself such a membership."""
    s, a = t.submission_set.c, t.association.c
    wanted = sorted({row.submission for row in rows})
    sets = _by(connection, select(s.id, s.withdrawn).where(s.id.in_(wanted)))
    members = {
        (row.source, row.target): row.withdrawn
        for row in connection.execute(
            select(a.source, a.target, a.withdrawn).where(a.target.in_(ids), a.type == _HAS_MEMBER, a.source.in_(wanted))
        )
    }
    for row in rows:
        place = _place(kind, row.id)
        found = sets.get(row.submission)
        if found is None:
            yield Problem("submission", place, f"its submission set {row.submission} is not stored")
        elif found[0] and not row.withdrawn:
            yield Problem("withdrawn-set", place, f"it is visible, its submission set {row.submission} is withdrawn")
        if kind is Kind.ASSOCIATION:
            continue
        member = members.get((row.submission, row.id))
        if member is None:
            yield Problem("has-member", place, f"its submission set {row.submission} does not hold it by HasMember")
        elif bool(member) != bool(row.withdrawn):
            yield Problem(
                "withdrawn-member", place, "it and its membership in the submission set are not withdrawn together"
            )


def _against_ends(connection: Connection, rows: Sequence[Row[Any]]) -> Iterator[Problem]:
    ends = sorted({end for row in rows for end in (row.source, row.target)})
    known: dict[str, int] = {}
    for table in OBJECT_TABLES.values():
        for found in connection.execute(select(table.c.id, table.c.withdrawn).where(table.c.id.in_(ends))):
            known[found[0]] = found[1]
    for row in rows:
        for name, end in (("sourceObject", row.source), ("targetObject", row.target)):
            place = _place(Kind.ASSOCIATION, row.id)
            if end not in known:
                yield Problem("association-end", place, f"its {name} {end} is not stored")
            elif known[end] and not row.withdrawn:
                yield Problem("withdrawn-end", place, f"it is visible, its {name} {end} is withdrawn")


def _by(connection: Connection, statement: Any) -> dict[str, tuple[Any, ...]]:
    """Rows by their first column."""
    return {row[0]: tuple(row[1:]) for row in connection.execute(statement)}


def _stored(connection: Connection, ids: Iterable[str]) -> set[tuple[int, str, str]]:
    """(kind, id, patient) of stored objects among `ids`."""
    wanted = list(ids)
    return {
        (int(kind), row[0], row[1])
        for kind, table in OBJECT_TABLES.items()
        for row in connection.execute(select(table.c.id, table.c.patient).where(table.c.id.in_(wanted)))
    }


def _object_keys(database: Database, progress: Progress) -> Iterator[Problem]:
    k = t.object_key.c
    for connection, rows in batches(database, [k.id, k.kind, k.patient], [k.id]):
        stored = _stored(connection, (row.id for row in rows))
        for row in rows:
            if (row.kind, row.id, row.patient) not in stored:
                yield Problem("key-without-object", f"object_key {row.id}", f"no object of kind {row.kind} has this id")
        progress(len(rows))


def _object_versions(database: Database, progress: Progress) -> Iterator[Problem]:
    v = t.object_version.c
    for connection, rows in batches(database, [v.lid, v.version, v.id, v.latest], [v.lid, v.version]):
        stored = {object_id for _, object_id, _ in _stored(connection, (row.id for row in rows))}
        wrong = {(lid, version): latest for lid, version, latest in wrong_marks(connection, (row.lid for row in rows))}
        for row in rows:
            place = f"object_version {row.lid} {row.version}"
            if row.id not in stored:
                yield Problem("version-without-object", place, f"no object has the id {row.id}")
            if (row.lid, row.version) in wrong:
                expected = wrong[row.lid, row.version]
                text = f"its mark as the latest is {row.latest}, {expected} is expected; run `liasse reindex`"
                yield Problem("version-latest", place, text)
        progress(len(rows))


def _part_keys(database: Database, progress: Progress) -> Iterator[Problem]:
    p, k = t.part_key.c, t.object_key.c
    for connection, rows in batches(database, [p.id, p.owner], [p.id]):
        known = _by(connection, select(k.id).where(k.id.in_({row.owner for row in rows})))
        for row in rows:
            if row.owner not in known:
                yield Problem("part-without-owner", f"part_key {row.id}", f"its owner {row.owner} is not stored")
        progress(len(rows))


def _document_identities(database: Database, progress: Progress) -> Iterator[Problem]:
    d, e = t.document_identity.c, t.entry.c
    for connection, rows in batches(database, [d.unique_id], [d.unique_id]):
        known = _by(connection, select(e.unique_id).where(e.unique_id.in_([row.unique_id for row in rows])))
        for row in rows:
            if row.unique_id not in known:
                yield Problem("identity-without-entry", f"document_identity {row.unique_id}", "no entry has this uniqueId")
        progress(len(rows))


def _locators(database: Database, progress: Progress) -> Iterator[Problem]:
    w, e = t.document_locator.c, t.entry.c
    for connection, rows in batches(database, [w.unique_id, w.patient], [w.unique_id, w.patient]):
        asked = select(e.unique_id, e.patient).where(e.unique_id.in_({row.unique_id for row in rows}))
        known = {tuple(row) for row in connection.execute(asked)}
        for row in rows:
            if tuple(row) not in known:
                text = "no entry of the patient it names has this uniqueId"
                yield Problem("locator-without-entry", f"document_locator {row.unique_id}", text)
        progress(len(rows))


def _masks(database: Database, progress: Progress) -> Iterator[Problem]:
    m, w = t.document_mask.c, t.document_locator.c
    for connection, rows in batches(database, [m.unique_id, m.patient, m.code], [m.unique_id, m.patient, m.code]):
        asked = select(w.unique_id, w.patient).where(w.unique_id.in_({row.unique_id for row in rows}))
        known = {tuple(row) for row in connection.execute(asked)}
        for row in rows:
            if tuple(row)[:2] not in known:
                text = "the patient it names has no document of this uniqueId"
                yield Problem("mask-without-document", f"document_mask {row.unique_id}", text)
        progress(len(rows))


def _set_identities(database: Database, progress: Progress) -> Iterator[Problem]:
    s = t.set_identity.c
    for connection, rows in batches(database, [s.unique_id, s.kind, s.patient], [s.unique_id]):
        unique_ids = [row.unique_id for row in rows]
        known = {
            (int(kind), *row)
            for kind, table in ((k, OBJECT_TABLES[k]) for k in _IDENTIFIED)
            for row in connection.execute(
                select(table.c.unique_id, table.c.patient).where(table.c.unique_id.in_(unique_ids))
            )
        }
        for row in rows:
            if (row.kind, row.unique_id, row.patient) not in known:
                text = f"no object of kind {row.kind} has this uniqueId"
                yield Problem("identity-without-set", f"set_identity {row.unique_id}", text)
        progress(len(rows))
