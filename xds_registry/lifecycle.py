"""The life-cycle rules of a registration, as a pure function of the submission and the stored facts.

Source: IHE ITI TF-2 3.42.4.1.3 (registry actions); TF-3 4.2.2 (document relationships, folder membership).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from itertools import chain, islice

from xds_metadata import associations as types
from xds_metadata.errors import METADATA_ERROR, MOST_SOUGHT, Finding
from xds_metadata.from_ebrim import finding, shown
from xds_metadata.model import Association, DocumentEntry, Submission
from xds_metadata.patients import patient_column
from xds_registry.references import Facts, StoredObject
from xds_registry.vocabulary import Kind, Status, bare


@dataclass(frozen=True, slots=True)
class Membership:
    """A folder membership that the registry adds because a member was replaced: folder, new entry (both bare)."""

    folder: str
    entry: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a registration does to stored objects. Empty `findings` of severity Error mean: carry it out.

    `deprecate`: entries as (id, patient); `memberships`: associations to add; `touched`: stored folders whose lastUpdateTime
    becomes the time of this submission, as (id, patient).
    """

    findings: tuple[Finding, ...] = ()
    deprecate: tuple[tuple[str, str], ...] = ()
    memberships: tuple[Membership, ...] = ()
    touched: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    """`patient_id`: the submission set's, as submitted; `filed`: the memberships (source, target) of the submission itself;
    `replaced`: targets of its replacements.
    """

    patient_id: str = ""
    filed: set[tuple[str, str]] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    deprecate: dict[str, str] = field(default_factory=dict)
    memberships: dict[Membership, None] = field(default_factory=dict)
    touched: dict[str, str] = field(default_factory=dict)


def plan(submission: Submission, facts: Facts) -> Plan:
    """Judge `submission` against `facts` and say what else changes. All findings at once, up to MOST_SOUGHT of them."""
    draft = _Draft(submission.submission_sets[0].patient_id or "")
    findings = chain(
        check_identifiers(submission, facts),
        *(check_document(entry, facts) for entry in submission.entries),
        _check_links(submission, facts, draft),
    )
    found = tuple(islice(findings, MOST_SOUGHT))
    return Plan(found, tuple(draft.deprecate.items()), tuple(draft.memberships), tuple(draft.touched.items()))


def check_identifiers(submission: Submission, facts: Facts) -> Iterator[Finding]:
    """Patients are known; ids of objects, submission set and folders are free."""
    yield from _check_patients(submission, facts)
    yield from _check_used_ids(facts)
    yield from _check_set_ids(submission, facts)


def _check_links(submission: Submission, facts: Facts, draft: _Draft) -> Iterator[Finding]:
    entries = {bare(e.entry_uuid): e for e in submission.entries}
    folders = {bare(f.entry_uuid): patient_column(f.patient_id) for f in submission.folders}
    set_id = submission.submission_sets[0].entry_uuid
    inside = entries.keys() | folders.keys() | {bare(a.entry_uuid) for a in submission.associations}
    draft.filed = {(bare(a.source), bare(a.target)) for a in submission.associations if a.type == types.HAS_MEMBER}
    for link in submission.associations:
        if link.type == types.HAS_MEMBER:
            yield from _check_member(link, set_id, inside, entries, folders, facts, draft)
        else:
            yield from _check_relationship(link, set_id, entries, facts, draft)


def _check_patients(submission: Submission, facts: Facts) -> Iterator[Finding]:
    if facts.known_patients is None:
        return
    seen: set[str] = set()
    for patient_id in patient_ids(submission):
        key = patient_column(patient_id)
        if key not in facts.known_patients and key not in seen:
            seen.add(key)
            yield Finding("XDSUnknownPatientId", patient_id, rule="patient-known")


def patient_ids(submission: Submission) -> list[str]:
    """Every patientId of the submission, as submitted, with repetitions."""
    found = [s.patient_id for s in submission.submission_sets]
    found += [e.patient_id for e in submission.entries]
    found += [f.patient_id for f in submission.folders]
    return [patient_id for patient_id in found if patient_id is not None]


def _check_used_ids(facts: Facts) -> Iterator[Finding]:
    for used in sorted(facts.used_ids):
        yield Finding(METADATA_ERROR, f"the id 'urn:uuid:{used}' is already in use", rule="uuid-unused")


def _check_set_ids(submission: Submission, facts: Facts) -> Iterator[Finding]:
    uses = [("SubmissionSet", s.unique_id) for s in submission.submission_sets]
    uses += [("Folder", f.unique_id) for f in submission.folders]
    for kind, unique_id in uses:
        if unique_id in facts.sets or unique_id in facts.documents:
            yield Finding(
                "XDSDuplicateUniqueIdInRegistry",
                f"{unique_id} ({kind}.uniqueId is already registered)",
                rule="unique-id-unused",
            )


def check_document(entry: DocumentEntry, facts: Facts) -> Iterator[Finding]:
    """The uniqueId stands for no other bytes."""
    known = facts.documents.get(entry.unique_id or "")
    if known is None:
        return
    stored_hash, stored_size = known
    if stored_hash is None:
        yield Finding(METADATA_ERROR, f"{entry.unique_id} is the uniqueId of an on-demand entry", rule="unique-id-on-demand")
        return
    if stored_size != int(entry.size or -1):
        yield Finding("XDSNonIdenticalSize", f"{entry.unique_id} is registered with another size", rule="document-identical")
    if stored_hash != (entry.hash or "").lower():
        yield non_identical_hash(entry.unique_id or "")


def non_identical_hash(unique_id: str) -> Finding:
    """The uniqueId stands for other bytes."""
    return Finding("XDSNonIdenticalHash", f"{unique_id} is registered with another hash", rule="document-identical")


def _unresolved(link: Association, end: str, value: str) -> Finding:
    return Finding(
        "UnresolvedReferenceException",
        f"Association {shown(link.entry_uuid)}: {end} {shown(value)} is not registered",
        rule="association-reference",
    )


def _deprecated(link: Association, value: str) -> Finding:
    return Finding(
        "XDSRegistryDeprecatedDocumentError",
        f"Association {shown(link.entry_uuid)}: {shown(value)} is deprecated, only an approved object may be linked",
        rule="association-approved",
    )


def _replaced_twice(link: Association, value: str) -> Finding:
    return Finding(
        "XDSRegistryDeprecatedDocumentError",
        f"Association {shown(link.entry_uuid)}: {shown(value)} is replaced twice by this submission, once is allowed",
        rule="association-approved",
    )


def _other_patient(link: Association, patient_id: str) -> Finding:
    """Names the submission's patient, never the stored object's: that one is not the sender's to know."""
    return Finding(
        "XDSPatientIdDoesNotMatch",
        f"Association {shown(link.entry_uuid)}: its two ends do not both belong to the patient {shown(patient_id)}",
        rule="association-patient",
    )


def _check_member(
    link: Association,
    set_id: str,
    inside: Set[str],
    entries: dict[str, DocumentEntry],
    folders: dict[str, str],
    facts: Facts,
    draft: _Draft,
) -> Iterator[Finding]:
    source, target = bare(link.source), bare(link.target)
    if link.source == set_id:
        if target not in inside and (target not in facts.objects or facts.objects[target].kind is not Kind.ENTRY):
            yield _unresolved(link, "targetObject", link.target)
        return
    folder = facts.objects.get(source)
    if source not in folders and (folder is None or folder.kind is not Kind.FOLDER):
        if folder is None:
            yield _unresolved(link, "sourceObject", link.source)
        else:
            yield finding("has-member-source", f"Association {shown(link.entry_uuid)}", "sourceObject is not a Folder")
        return
    member = facts.objects.get(target)
    if target not in entries and (member is None or member.kind is not Kind.ENTRY):
        yield _unresolved(link, "targetObject", link.target)
        return
    if folder is not None and folder.status != Status.APPROVED:
        yield _deprecated(link, link.source)
    if member is not None and member.status != Status.APPROVED:
        yield _deprecated(link, link.target)
    folder_patient = folders[source] if folder is None else folder.patient
    member_patient = patient_column(entries[target].patient_id) if member is None else member.patient
    if folder_patient != member_patient or member_patient != patient_column(draft.patient_id):
        yield _other_patient(link, draft.patient_id)
    if folder is not None:
        draft.touched[folder.id] = folder.patient


def _check_relationship(
    link: Association, set_id: str, entries: dict[str, DocumentEntry], facts: Facts, draft: _Draft
) -> Iterator[Finding]:
    source, target = bare(link.source), bare(link.target)
    entry = entries.get(source)
    if entry is None or link.target == set_id:
        return  # judged by the metadata rules
    if target in entries:
        if patient_column(entries[target].patient_id) != patient_column(entry.patient_id):
            yield _other_patient(link, draft.patient_id)
        return
    stored = facts.objects.get(target)
    if stored is None or stored.kind is not Kind.ENTRY:
        yield _unresolved(link, "targetObject", link.target)
        return
    if stored.status != Status.APPROVED:
        yield _deprecated(link, link.target)
    if stored.patient != patient_column(entry.patient_id):
        yield _other_patient(link, draft.patient_id)
    if link.type == types.APND and stored.id in facts.transformations:
        yield finding(
            "append-transformation",
            f"Association {shown(link.entry_uuid)}",
            f"{shown(link.target)} is a transformation, an addendum belongs to the document that was transformed",
        )
    if link.type == types.IS_SNAPSHOT_OF and stored.stable:
        yield finding(
            "snapshot-target", f"Association {shown(link.entry_uuid)}", "the target of IsSnapshotOf is an on-demand entry"
        )
    if link.type in types.REPLACING:
        if stored.id in draft.replaced:
            yield _replaced_twice(link, link.target)
        draft.replaced.add(stored.id)
        yield from _replace(link, stored, source, facts, draft)


def _replace(link: Association, stored: StoredObject, source: str, facts: Facts, draft: _Draft) -> Iterator[Finding]:
    """The target and all below it are deprecated; its approved folders get the new entry."""
    draft.deprecate[stored.id] = stored.patient
    for child, patient in facts.children.get(stored.id, ()):
        draft.deprecate[child] = patient
    for folder in facts.folders_of.get(stored.id, ()):
        if folder.patient != stored.patient:
            yield _other_patient(link, draft.patient_id)
        if (folder.id, source) not in draft.filed:
            draft.memberships[Membership(folder.id, source)] = None
        draft.touched[folder.id] = folder.patient
