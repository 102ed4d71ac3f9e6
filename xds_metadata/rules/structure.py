"""Rules between the objects of one submission: membership, associations, ids, patients.

Source: IHE ITI TF-2 3.42.4.1.3; TF-3 4.2.1.4 (SubmissionSet), 4.2.2 (associations), 4.2.3.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from xds_metadata import associations as types
from xds_metadata import attributes as table
from xds_metadata.attributes import ObjectTable, Type
from xds_metadata.errors import DUPLICATE_IN_MESSAGE, METADATA_ERROR, Finding
from xds_metadata.from_ebrim import finding, shown
from xds_metadata.model import ON_DEMAND, STABLE, Association, Author, Submission
from xds_metadata.patients import patient_column
from xds_metadata.profile import Profile

MAX_OBJECTS = 1000
MAX_DOCUMENTS = 100
MAX_AUTHORS = 100
MAX_VALUES = 1000
"""Of one attribute that may be repeated."""
MAX_AUTHOR_VALUES = 100
"""Of one attribute of an author."""


class Index:
    """The ids of a submission by kind of object."""

    def __init__(self, submission: Submission) -> None:
        self.sets = {item.entry_uuid for item in submission.submission_sets}
        self.entries = {item.entry_uuid: item for item in submission.entries}
        self.folders = {item.entry_uuid for item in submission.folders}
        self.unmarked = frozenset(submission.unmarked)
        self.associations = {item.entry_uuid for item in submission.associations}
        self.no_documents = self.folders | self.associations
        self.transformations = {item.source for item in submission.associations if item.type == types.XFRM}
        self.of_set = {
            item.entry_uuid for item in submission.associations if item.type == types.HAS_MEMBER and item.source in self.sets
        }

    def holds(self, object_id: str) -> bool:
        """Whether the id is an object of the message."""
        return (
            object_id in self.entries
            or object_id in self.sets
            or object_id in self.no_documents
            or object_id in self.unmarked
        )


def check_structure(submission: Submission, profile: Profile) -> Iterator[Finding]:
    """All findings between objects; needs no stored data. A submission beyond the limits gets no other finding."""
    oversize = list(check_sizes(submission))
    if oversize:
        yield from oversize
        return
    yield from check_one_set(submission)
    yield from check_ids(submission)
    yield from _check_unique_ids(submission)
    yield from check_patients(submission)
    yield from check_members(submission)
    index = Index(submission)
    for link in submission.associations:
        yield from _check_association(link, index, profile)


def check_sizes(submission: Submission) -> Iterator[Finding]:
    """Nothing is there in such numbers that judging it would take long."""
    count = len(submission.entries) + len(submission.folders) + len(submission.associations)
    if len(submission.entries) > MAX_DOCUMENTS:
        yield finding("submission-size", "submission", f"{len(submission.entries)} documents, {MAX_DOCUMENTS} are allowed")
    if count > MAX_OBJECTS:
        yield finding("submission-size", "submission", f"{count} objects, {MAX_OBJECTS} are allowed")
    groups: tuple[tuple[ObjectTable, Sequence[Any]], ...] = (
        (table.DOCUMENT_ENTRY, submission.entries),
        (table.SUBMISSION_SET, submission.submission_sets),
        (table.FOLDER, submission.folders),
    )
    for rows, items in groups:
        for row in (row for row in rows.rows if row.many):
            most = MAX_AUTHORS if row.type is Type.AUTHOR else MAX_VALUES
            for item in items:
                found = len(getattr(item, row.field))
                if found > most:
                    yield finding(
                        "submission-size",
                        f"{rows.kind} {shown(item.entry_uuid)}",
                        f"{row.name} has {found} values, {most} are allowed",
                    )
                elif found and row.type is Type.AUTHOR:
                    yield from _check_authors(f"{rows.kind} {shown(item.entry_uuid)}", getattr(item, row.field))


def _check_authors(label: str, authors: Sequence[Author]) -> Iterator[Finding]:
    for author in authors:
        for name, field in table.AUTHOR_SLOTS.items():
            found = getattr(author, field)
            if isinstance(found, tuple) and len(found) > MAX_AUTHOR_VALUES:
                yield finding("submission-size", label, f"{name} has {len(found)} values, {MAX_AUTHOR_VALUES} are allowed")


def check_one_set(submission: Submission) -> Iterator[Finding]:
    """Exactly one submission set."""
    count = len(submission.submission_sets)
    if count != 1:
        yield finding("one-submission-set", "submission", f"{count} submission sets, exactly one is required")


def check_ids(submission: Submission) -> Iterator[Finding]:
    """Each object has an id of its own."""
    ids = Counter(
        item.entry_uuid
        for group in (submission.submission_sets, submission.entries, submission.folders, submission.associations)
        for item in group
    )
    for value, count in ids.items():
        if count > 1:
            yield finding("id-once", "submission", f"the id {shown(value)} is given to {count} objects")


def _check_unique_ids(submission: Submission) -> Iterator[Finding]:
    values = Counter(
        item.unique_id
        for group in (submission.submission_sets, submission.entries, submission.folders)
        for item in group
        if item.unique_id
    )
    for value, count in values.items():
        if count > 1:
            yield Finding(
                DUPLICATE_IN_MESSAGE,
                f"uniqueId {shown(value)} is given to {count} objects of the message",
                rule="unique-id-once",
            )


def check_patients(submission: Submission) -> Iterator[Finding]:
    """Every object submitted by value belongs to the submission set's patient."""
    if not submission.submission_sets:
        return
    expected = patient_column(submission.submission_sets[0].patient_id)
    if not expected:
        return
    objects = [("DocumentEntry", e.entry_uuid, e.patient_id) for e in submission.entries]
    objects += [("Folder", f.entry_uuid, f.patient_id) for f in submission.folders]
    for kind, object_id, patient_id in objects:
        found = patient_column(patient_id)
        if found and found != expected:
            yield Finding(
                "XDSPatientIdDoesNotMatch",
                f"{kind} {shown(object_id)}: patientId {shown(patient_id or '')} differs from the submission set's",
                rule="patient-equal",
            )


def check_members(submission: Submission) -> Iterator[Finding]:
    """Each entry and folder has exactly one HasMember from the submission set; folder memberships are filed too."""
    if not submission.submission_sets:
        return
    set_id = submission.submission_sets[0].entry_uuid
    members = Counter(a.target for a in submission.associations if a.type == types.HAS_MEMBER and a.source == set_id)
    folders = {f.entry_uuid for f in submission.folders}
    for kind, ids in (
        ("DocumentEntry", [e.entry_uuid for e in submission.entries]),
        ("Folder", [f.entry_uuid for f in submission.folders]),
    ):
        for item in ids:
            if members[item] != 1:
                yield finding(
                    "member-of-set",
                    f"{kind} {shown(item)}",
                    f"{members[item]} HasMember from the submission set, one is required",
                )
    for link in submission.associations:
        in_folder = link.type == types.HAS_MEMBER and link.source != set_id
        if in_folder and (link.source in folders or link.source.startswith("urn:uuid:")) and members[link.entry_uuid] != 1:
            yield finding(
                "member-of-set",
                f"Association {shown(link.entry_uuid)}",
                "a folder membership needs one HasMember from the submission set to it",
            )


def _check_association(link: Association, index: Index, profile: Profile) -> Iterator[Finding]:
    label = f"Association {shown(link.entry_uuid)}"
    if link.type not in types.KNOWN:
        hint = "; it belongs to a metadata update (ITI-57)" if link.type in types.METADATA_UPDATE else ""
        yield finding("association-type", label, f"associationType {shown(link.type)} may not be registered{hint}")
        return
    signs_set = profile.signs_submission_set and link.type == types.SIGNS
    yield from check_ends(link, index, label, to_set=signs_set)
    if link.type == types.HAS_MEMBER:
        yield from check_has_member(link, index, label)
    else:
        yield from _check_relationship(link, index, label, signs_set)


def check_ends(link: Association, index: Index, label: str, *, to_set: bool = False) -> Iterator[Finding]:
    """Both ends are objects, and different ones; `to_set`: the target may be the submission set."""
    if link.source == link.target:
        yield finding("association-self", label, "sourceObject and targetObject are the same object")
    if link.entry_uuid in (link.source, link.target):
        yield finding("association-self", label, "an Association may not link itself")
    if link.target in index.sets and not to_set:
        yield finding("association-target-set", label, "a SubmissionSet may not be a targetObject")
    for end, value in (("sourceObject", link.source), ("targetObject", link.target)):
        if not value.startswith("urn:uuid:") and not index.holds(value):
            yield Finding(
                "UnresolvedReferenceException",
                f"{label}: {end} {shown(value)} is no object of the message and no urn:uuid",
                rule="association-reference",
            )


def check_has_member(link: Association, index: Index, label: str) -> Iterator[Finding]:
    """A HasMember leads from what has members to what may be one, with the right SubmissionSetStatus."""
    from_set = link.source in index.sets
    status = link.submission_set_status
    if link.source in index.entries:
        yield finding("has-member-source", label, "a DocumentEntry has no members")
    if link.source in index.associations:
        yield finding("has-member-source", label, "an Association has no members")
    if not from_set and link.target in index.no_documents:
        yield finding("has-member-target", label, "a Folder holds DocumentEntries only")
    if from_set and link.target in index.of_set:
        yield finding("has-member-target", label, "a membership of the submission set is not itself its member")
    if from_set and link.target in index.entries and status != types.ORIGINAL:
        yield finding(
            "submission-set-status",
            label,
            f"SubmissionSetStatus is {shown(status or '')}, expected 'Original' for a submitted entry",
        )
    elif from_set and not index.holds(link.target) and status != types.REFERENCE:
        yield finding(
            "submission-set-status",
            label,
            f"SubmissionSetStatus is {shown(status or '')}, expected 'Reference' for a stored entry",
        )
    if link.documentation is not None:
        yield finding("association-documentation", label, "HasMember carries no documentation code")


def _check_relationship(link: Association, index: Index, label: str, signs_set: bool) -> Iterator[Finding]:
    source = index.entries.get(link.source)
    short = link.type.rpartition(":")[2]
    if source is None:
        yield Finding(
            "UnresolvedReferenceException",
            f"{label}: sourceObject {shown(link.source)} of {short} is no DocumentEntry of this submission",
            rule="relationship-source",
        )
    elif link.type == types.IS_SNAPSHOT_OF and source.object_type != STABLE:
        yield finding("snapshot-source", label, "the source of IsSnapshotOf is a stable entry")
    if link.target in index.entries and link.type not in types.IN_SUBMISSION_TARGET:
        yield Finding(
            "UnresolvedReferenceException",
            f"{label}: targetObject {shown(link.target)} of {short} must already be registered",
            rule="relationship-target",
        )
    if link.type == types.APND and link.target in index.transformations and link.target in index.entries:
        yield finding(
            "append-transformation",
            label,
            f"{shown(link.target)} is a transformation, an addendum belongs to the document that was transformed",
        )
    if link.target in index.no_documents:
        yield finding("relationship-ends", label, f"{short} links documents")
    if link.submission_set_status is not None and not signs_set:
        yield finding("submission-set-status", label, f"SubmissionSetStatus has no place on {short}")
    if link.documentation is not None and link.type not in types.DOCUMENTED:
        yield finding("association-documentation", label, f"{short} carries no documentation code")


def check_on_demand(submission: Submission) -> Iterator[Finding]:
    """A registration (ITI-41, ITI-42) carries stable entries only."""
    for entry in submission.entries:
        label = f"DocumentEntry {shown(entry.entry_uuid)}"
        if entry.object_type == ON_DEMAND:
            yield finding("object-type", label, "an on-demand entry is registered by ITI-61")
        elif entry.object_type != STABLE:
            yield Finding(
                METADATA_ERROR, f"{label}: objectType {shown(entry.object_type)}, expected {STABLE}", rule="object-type"
            )
