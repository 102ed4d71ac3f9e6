"""Rules of a metadata update (ITI-57) that need no stored data: each part of the message is an operation that is known.

Operations on document entries are a new version and a change of availabilityStatus. Folders and associations cannot be
updated yet.
Source: IHE XDS Metadata Update supplement, ITI-57 (3.57.4.1.3); TF-3 4.2.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from xds_metadata import associations as types
from xds_metadata.errors import Finding
from xds_metadata.from_ebrim import finding, shown
from xds_metadata.model import Association, DocumentEntry, Submission
from xds_metadata.rules.structure import (
    Index,
    check_ends,
    check_has_member,
    check_ids,
    check_members,
    check_one_set,
    check_patients,
    check_sizes,
)

OPERATION_ERROR = "XDSMetadataUpdateOperationError"
PROPAGATION = {None: True, "yes": True, "no": False}
"""AssociationPropagation, and whether associations of the previous version are carried over."""


def place_of(entry: DocumentEntry) -> str:
    """What an error on a new version names as its location: its entryUUID, or the logical id where it has only a symbolic
    one.
    """
    return entry.entry_uuid if entry.entry_uuid.startswith("urn:uuid:") else entry.logical_id or ""


def located(findings: Iterable[Finding], submission: Submission) -> Iterator[Finding]:
    """The findings, those on an entry of the message with its location."""
    places = {f"DocumentEntry {shown(e.entry_uuid)}:": place_of(e) for e in submission.entries}
    for found in findings:
        label = found.context[: found.context.find("':") + 2]
        yield found if found.location or label not in places else replace(found, location=places[label])


def check_update(submission: Submission) -> Iterator[Finding]:
    """All findings between objects; a submission beyond the limits gets no other finding."""
    oversize = list(check_sizes(submission))
    if oversize:
        yield from oversize
        return
    yield from check_one_set(submission)
    yield from check_ids(submission)
    yield from check_patients(submission)
    yield from check_members(submission)
    for folder in submission.folders:
        yield _no_operation(f"Folder {shown(folder.entry_uuid)}", "folders cannot be updated yet", folder.entry_uuid)
    yield from _check_versions(submission)
    index = Index(submission)
    for link in submission.associations:
        yield from _check_association(link, index)
    targets = Counter(a.target for a in submission.associations if a.type == types.UPDATE_AVAILABILITY_STATUS)
    for target, count in targets.items():
        if count > 1:
            yield _no_operation(f"Object {shown(target)}", f"its status is changed {count} times, once is allowed", target)
    if not submission.entries and not submission.associations and not submission.folders:
        yield _no_operation("submission", "it holds no operation: a new version, or a change of status, is expected")


def _no_operation(label: str, problem: str, location: str = "") -> Finding:
    return Finding(OPERATION_ERROR, f"{label}: {problem}", location, "update-operation")


def _check_versions(submission: Submission) -> Iterator[Finding]:
    """Each entry says which logical object it is a new version of, and of which previous version."""
    members = {a.target: a for a in submission.associations if a.type == types.HAS_MEMBER}
    lids = Counter(e.logical_id for e in submission.entries if e.logical_id)
    for entry in submission.entries:
        label, place = f"DocumentEntry {shown(entry.entry_uuid)}", place_of(entry)
        lid, member = entry.logical_id, members.get(entry.entry_uuid)
        if lid is None or lid == entry.entry_uuid:
            problem = "lid is missing" if lid is None else "lid is the entry's own id"
            expected = "expected the logical id of a registered entry; a first version is registered by ITI-42"
            yield Finding("XDSInvalidRequestException", f"{label}: {problem}, {expected}", place, "update-initial-version")
        elif member is not None and member.previous_version is None:
            yield _no_operation(label, "its HasMember lacks the Slot PreviousVersion, the version it follows", place)
        elif lids[lid] > 1:
            yield _no_operation(label, f"{lids[lid]} new versions of {shown(lid)}, one at a time is allowed", place)


def _check_association(link: Association, index: Index) -> Iterator[Finding]:
    label = f"Association {shown(link.entry_uuid)}"
    if link.type == types.UPDATE_AVAILABILITY_STATUS:
        yield from check_ends(link, index, label)
        yield from _check_status(link, index, label)
    elif (
        link.type == types.HAS_MEMBER and link.source in index.sets and link.target in (index.entries.keys() | index.folders)
    ):
        yield from check_ends(link, index, label)
        yield from check_has_member(link, index, label)
        if link.association_propagation not in PROPAGATION:
            problem = f"AssociationPropagation {shown(link.association_propagation or '')}, expected 'yes' or 'no'"
            yield finding("association-propagation", label, problem)
        yield from _check_absent(link, label, ("NewStatus", link.new_status), ("OriginalStatus", link.original_status))
    elif link.type == types.SUBMIT_ASSOCIATION:
        yield _no_operation(label, "associations cannot be submitted yet (SubmitAssociation)", _uuid(link.target))
    else:
        problem = f"associationType {shown(link.type)} from {shown(link.source)} to {shown(link.target)} is no operation"
        expected = "expected a HasMember from the submission set to a new version, or UpdateAvailabilityStatus"
        yield _no_operation(label, f"{problem}; {expected}", _uuid(link.target))


def _check_status(link: Association, index: Index, label: str) -> Iterator[Finding]:
    place = _uuid(link.target)
    if link.source not in index.sets:
        problem = f"sourceObject {shown(link.source)} of UpdateAvailabilityStatus is not the submission set"
        yield _no_operation(label, problem, place)
    if link.target in index.associations:
        yield _no_operation(label, "an Association of the message has no status to change", place)
    for name, value in (("OriginalStatus", link.original_status), ("NewStatus", link.new_status)):
        if value is None:
            yield replace(finding("required", label, f"{name} is required and missing"), location=place)
    yield from _check_absent(
        link,
        label,
        ("PreviousVersion", link.previous_version),
        ("AssociationPropagation", link.association_propagation),
        ("SubmissionSetStatus", link.submission_set_status),
    )
    if link.documentation is not None:
        yield finding("association-documentation", label, "UpdateAvailabilityStatus carries no documentation code")


def _check_absent(link: Association, label: str, *attributes: tuple[str, str | None]) -> Iterator[Finding]:
    for name, value in attributes:
        if value is not None:
            yield finding("forbidden", label, f"{name} has no place on {link.type.rpartition(':')[2]}")


def _uuid(target: str) -> str:
    return target if target.startswith("urn:uuid:") else ""
