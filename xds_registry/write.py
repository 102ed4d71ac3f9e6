"""One registration as statements: facts read, plan judged, rows written, all in the transaction that is handed in.

Source: IHE ITI TF-2 3.42.4.1.3 (all or nothing); DESIGN: no parsing and no network inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Table, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement

from database.prepared import Statement
from xds_metadata import associations as types
from xds_metadata.errors import XdsFailure, errors
from xds_metadata.model import Submission
from xds_metadata.patients import patient_column
from xds_registry import lifecycle, masks, references
from xds_registry import tables as t
from xds_registry.identifiers import Assigned, new_uuid
from xds_registry.references import Facts, SetIdentity
from xds_registry.rows import Rows, membership_rows
from xds_registry.vocabulary import Kind, Status, bare

INSERT_ORDER: tuple[Table, ...] = (
    t.object_key,
    t.part_key,
    t.object_version,
    t.submission_set,
    t.set_author,
    t.entry,
    t.entry_code,
    t.entry_author,
    t.entry_actor,
    t.entry_reference,
    t.folder,
    t.folder_code,
    t.association,
)
"""The tables of a submission's rows in an order that foreign keys allow."""


def _inserting(table: Table) -> Statement:
    return Statement(lambda _dialect: insert(table))


def _inserting_or_nothing(table: Table) -> Statement:
    return Statement(
        lambda dialect: (postgresql if dialect == "postgresql" else sqlite).insert(table).on_conflict_do_nothing()
    )


_INSERTS = tuple((table.name, _inserting(table)) for table in INSERT_ORDER)
_INSERT_SETS = _inserting(t.set_identity)
_INSERT_LOCATORS = _inserting_or_nothing(t.document_locator)
_INSERT_MASKS = _inserting_or_nothing(t.document_mask)
_INSERT_DOCUMENTS = _inserting_or_nothing(t.document_identity)


@dataclass(frozen=True, slots=True)
class RetryKey:
    """What recognises a repeated submission, and the answer it is to get."""

    sender: str
    digest: str
    message_id: str
    at: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Concern:
    """What a submission makes one look up: the submission, and the UUIDs that its sender chose for objects and parts."""

    submission: Submission
    objects: Sequence[str]
    parts: Sequence[str]


def external_ids(submission: Submission) -> list[str]:
    """Bare ids that associations name outside the message."""
    own = {
        item.entry_uuid
        for group in (submission.submission_sets, submission.entries, submission.folders, submission.associations)
        for item in group
    }
    ends = [end for link in submission.associations for end in (link.source, link.target)]
    return sorted({bare(end) for end in ends if end not in own})


def load_facts(
    connection: Connection,
    concern: Concern,
    visible: Callable[[Kind], ColumnElement[bool]],
    *,
    known_only: bool,
    lock: bool = True,
) -> Facts:
    """Read all that bears on the submission; with `lock`, which a snapshot for reading does not allow, to write next."""
    submission = concern.submission
    package_ids = [s.unique_id or "" for s in submission.submission_sets] + [f.unique_id or "" for f in submission.folders]
    document_ids = [e.unique_id or "" for e in submission.entries]
    named = references.load_known(connection, external_ids(submission))
    objects = references.load_objects(connection, named, visible, lock=lock) if named else {}
    replaced = [
        bare(link.target)
        for link in submission.associations
        if link.type in types.REPLACING and bare(link.target) in objects
    ]
    appended = [
        bare(link.target) for link in submission.associations if link.type == types.APND and bare(link.target) in objects
    ]
    patients = [patient_column(cx) for cx in lifecycle.patient_ids(submission)]
    return Facts(
        used_ids=references.load_used_ids(connection, concern.objects, concern.parts),
        objects=objects,
        transformations=references.load_transformations(connection, appended) if appended else frozenset(),
        folders_of=references.load_folders_of(connection, replaced) if replaced else {},
        children={entry: references.load_children(connection, entry, lock=lock) for entry in replaced},
        sets=references.load_sets(connection, package_ids),
        documents=references.load_documents(connection, document_ids + package_ids),
        known_patients=references.load_patients(connection, set(patients)) if known_only else None,
    )


def find_set(connection: Connection, unique_id: str) -> SetIdentity | None:
    """What is known of a submission set's uniqueId."""
    return references.load_sets(connection, [unique_id]).get(unique_id)


def carry_out(
    connection: Connection,
    assigned: Assigned,
    facts: Facts,
    rows: Rows,
    retry: RetryKey,
    now: str,
    following: frozenset[str],
) -> lifecycle.Plan:
    """Judge and write. `following`: the codes that follow a document to what is related to it.

    Raises XdsFailure, having written nothing that outlives the savepoint, when a finding is an error.
    """
    plan = lifecycle.plan(assigned.submission, facts)
    if errors(plan.findings):
        raise XdsFailure([replace(f, context=assigned.in_sender_words(f.context)) for f in plan.findings])
    for offset, link in enumerate(plan.memberships):
        ids = (new_uuid(), new_uuid())
        moment = retry.at + 500_000 + 2 * offset
        membership_rows(rows, assigned.submission, link.folder, link.entry, ids, moment)
    insert_rows(connection, assigned.submission, rows, retry)
    for entry_id, patient in plan.deprecate:
        set_status(connection, entry_id, patient, Status.DEPRECATED)
    touch_folders(connection, plan.touched, now)
    if following and _has_relatives(assigned.submission, facts):
        documents = {(patient_column(e.patient_id), e.unique_id or "") for e in assigned.submission.entries}
        masks.refresh(connection, documents, following)
    return plan


def _has_relatives(submission: Submission, facts: Facts) -> bool:
    """Whether there may be documents that restrictions of the submission pass to, or come from."""
    return any(link.type in types.DOCUMENTED for link in submission.associations) or any(
        entry.unique_id in facts.documents for entry in submission.entries
    )


def insert_rows(connection: Connection, submission: Submission, rows: Rows, retry: RetryKey) -> None:
    """Insert the rows of a submission and those that reserve its identifiers. Raises XdsFailure for one that is taken."""
    for name, statement in _INSERTS:
        values = rows.tables.get(name)
        if values:
            statement.write(connection, values)
    _insert_identities(connection, submission, rows, retry)


def set_status(connection: Connection, entry_id: str, patient: str, status: int) -> None:
    """Change the availabilityStatus of an entry."""
    row = (t.entry.c.patient == patient, t.entry.c.id == entry_id)
    connection.execute(update(t.entry).where(*row).values(status=int(status)))


def touch_folders(connection: Connection, folders: Iterable[tuple[str, str]], now: str) -> None:
    """Set the lastUpdateTime of folders, given as (id, patient)."""
    for folder_id, patient in folders:
        connection.execute(
            update(t.folder).where(t.folder.c.patient == patient, t.folder.c.id == folder_id).values(last_update=now)
        )


def _insert_identities(connection: Connection, submission: Submission, rows: Rows, retry: RetryKey) -> None:
    owner = submission.submission_sets[0]
    identities: list[dict[str, object]] = [
        {
            "unique_id": owner.unique_id,
            "patient": patient_column(owner.patient_id),
            "kind": int(Kind.SUBMISSION_SET),
            "sender": retry.sender,
            "digest": retry.digest,
            "message_id": retry.message_id,
            "answered_at": retry.at,
            "answer": retry.answer,
        }
    ]
    identities += [
        {
            "unique_id": f.unique_id,
            "patient": patient_column(f.patient_id),
            "kind": int(Kind.FOLDER),
            "sender": "",
            "digest": "",
            "message_id": "",
            "answered_at": retry.at,
            "answer": None,
        }
        for f in submission.folders
    ]
    _INSERT_SETS.write(connection, identities)
    if rows.tables.get("entry"):
        _INSERT_LOCATORS.write(connection, _unique(rows.tables["document_locator"]))
        if masks := rows.tables.get("document_mask"):
            _INSERT_MASKS.write(connection, masks)
        _INSERT_DOCUMENTS.write(
            connection,
            [{"unique_id": r["unique_id"], "hash": r["hash"], "size": r["size"]} for r in rows.tables["entry"]],
        )
        _check_identities(connection, rows)


def _unique(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return list({(row["unique_id"], row["patient"]): row for row in rows}.values())


def _check_identities(connection: Connection, rows: Rows) -> None:
    """Another writer may have registered the same uniqueId meanwhile: what is stored now decides."""
    stored = references.load_documents(connection, [row["unique_id"] for row in rows.tables["entry"]])
    for row in rows.tables["entry"]:
        if stored.get(row["unique_id"]) != (row["hash"], row["size"]):
            raise XdsFailure(lifecycle.non_identical_hash(row["unique_id"]))
