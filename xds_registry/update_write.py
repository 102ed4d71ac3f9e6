"""One metadata update as statements: facts read, plan carried out, all in the transaction that is handed in.

The leaf of the previous version stays as it is; a new version is a row of its own.
Source: IHE XDS Metadata Update supplement, ITI-57 (3.57.4.1.3.3); DESIGN: no parsing and no network inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update

from ebrim import model as rim
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.patients import patient_column
from xds_metadata.profile import IHE
from xds_registry import masks, references, write
from xds_registry import tables as t
from xds_registry.identifiers import Assigned, new_uuid
from xds_registry.lifecycle import patient_ids
from xds_registry.references import Facts
from xds_registry.rows import Rows, association_rows, membership_rows
from xds_registry.update import Operations, Plan
from xds_registry.update_facts import UpdateFacts, Visible, load_latest, load_links, load_named, load_others, lock_versions
from xds_registry.vocabulary import UUID_PREFIX, Status, bare

_CARRIED_AT = 500_000
"""Microseconds after the update at which associations that the registry adds stand in an answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How facts are read: `known_only`, patients must have been announced; `lock`, to write next."""

    visible: Visible
    known_only: bool
    lock: bool


def as_versions(assigned: Assigned, asked: Operations) -> Assigned:
    """The objects with the logical ids and the numbers of the versions that they are."""
    numbers = {UUID_PREFIX + new.id: (UUID_PREFIX + new.lid, str(new.previous + 1)) for new in asked.versions}
    objects = assigned.objects
    entries = tuple(
        replace(item, lid=numbers[item.id][0], version=numbers[item.id][1]) for item in objects.extrinsic_objects
    )
    return replace(assigned, objects=replace(objects, extrinsic_objects=entries))


def load_facts(connection: Connection, assigned: Assigned, asked: Operations, reading: Reading) -> UpdateFacts:
    """Read all that bears on the update. Entries are locked before what is linked to them is read."""
    submission = assigned.submission
    owner = submission.submission_sets[0].unique_id or ""
    own = {new.id for new in asked.versions}
    targets = sorted({change.target for change in asked.statuses} - own)
    lids = sorted(new.lid for new in asked.versions)
    if reading.lock:
        lock_versions(connection, lids, targets)
    latest = load_latest(connection, lids, reading.visible, lock=reading.lock)
    named = load_named(connection, targets, reading.visible, lock=reading.lock)
    others = load_others(connection, set(targets) - named.keys(), reading.visible)
    concerned = sorted({version.id for version in (*latest.values(), *named.values())})
    links, ends = load_links(connection, concerned) if concerned else ((), {})
    parts = [part for part, _ in assigned.part_uuids]
    documents = [entry.unique_id or "" for entry in submission.entries]
    patients = {patient_column(cx) for cx in patient_ids(submission)}
    identifiers = Facts(
        used_ids=references.load_used_ids(connection, assigned.submitted_uuids, parts),
        sets=references.load_sets(connection, [owner]),
        documents=references.load_documents(connection, [owner, *documents]),
        known_patients=references.load_patients(connection, patients) if reading.known_only else None,
    )
    return UpdateFacts(identifiers, latest, named, others, links, ends)


def carry_out(
    connection: Connection,
    assigned: Assigned,
    facts: UpdateFacts,
    plan: Plan,
    links: Mapping[str, rim.Association],
    rows: Rows,
    retry: write.RetryKey,
    now: str,
    following: frozenset[str],
) -> None:
    """Write what a plan without errors says. `rows`: of the submission itself; `links`: by id, what the plan's links copy.
    `following`: the codes that follow a document.

    Raises XdsFailure where another writer was first with an identifier.
    """
    submission = assigned.submission
    rows = _with_statuses(rows, plan)
    moment = retry.at + _CARRIED_AT
    for membership in plan.memberships:
        membership_rows(rows, submission, membership.folder, membership.entry, (new_uuid(), new_uuid()), moment)
        moment += 2
    for link in plan.links:
        item = _copy(links[link.id], link.source, link.target)
        (made,) = from_ebrim(rim.RegistryObjectList(associations=(item,)), IHE)[0].associations
        association_rows(rows, submission, made, item, moment)
        moment += 1
    previous = {version.id: version for version in facts.latest.values()}
    for old in plan.replaced:
        superseded = t.object_version.c.id == old
        connection.execute(update(t.object_version).where(superseded).values(latest=0))
        write.set_status(connection, old, previous[old].patient, Status.DEPRECATED)
    write.insert_rows(connection, submission, rows, retry)
    for entry_id, status in plan.changed.items():
        write.set_status(connection, entry_id, facts.named[entry_id].patient, status)
    for lid, status in plan.ended.items():
        _end(connection, lid, status)
    write.touch_folders(connection, plan.touched, now)
    masks.refresh(connection, _documents(assigned, facts), following)


def _end(connection: Connection, lid: str, status: int) -> None:
    """Give every version of a logical object a status."""
    e, v = t.entry.c, t.object_version.c
    every = select(e.id, e.patient).select_from(t.entry.join(t.object_version, v.id == e.id)).where(v.lid == lid)
    for entry_id, patient in connection.execute(every).all():
        write.set_status(connection, entry_id, patient, status)


def _with_statuses(rows: Rows, plan: Plan) -> Rows:
    """A copy, to be added to; the new versions with their statuses."""
    tables = {name: list(values) for name, values in rows.tables.items()}
    if "entry" in tables:
        tables["entry"] = [row | {"status": int(plan.created[row["id"]])} for row in tables["entry"]]
    return Rows(tables)


def _copy(item: rim.Association, source: str, target: str) -> rim.Association:
    """A stored association as a new one between other ends (bare ids), with new ids for its parts."""
    own = new_uuid()
    parts = tuple(replace(part, id=new_uuid(), classified_object=own) for part in item.classifications)
    return replace(
        item,
        id=own,
        lid=own,
        version="1",
        status=None,
        classifications=parts,
        source=UUID_PREFIX + source,
        target=UUID_PREFIX + target,
    )


def _documents(assigned: Assigned, facts: UpdateFacts) -> set[tuple[str, str]]:
    """(patient, uniqueId) of what has a new latest version: of its patient, and of the one whom it had before."""
    new = {(patient_column(entry.patient_id), entry.unique_id or "") for entry in assigned.submission.entries}
    return new | {(version.patient, version.unique_id) for version in facts.latest.values()}


def version_numbers(asked: Operations) -> dict[str, tuple[str, int]]:
    """By id, the logical id and the number of each new version."""
    return {bare(new.id): (new.lid, new.previous + 1) for new in asked.versions}
