"""The rules of a metadata update, as pure functions of the message and the stored facts. Entries and their statuses only.

A new version takes the status of the one before, which becomes Deprecated. Approved relationships and folder memberships of
the previous version are carried over to the new one, all new versions first, so that a link between two updated entries is
carried over once.
Source: IHE XDS Metadata Update supplement, ITI-57 (3.57.4.1.3.3); TF-3 4.2.4 (error codes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from access_control.policy import Change, EntryFacts
from xds_metadata.associations import HAS_MEMBER, UPDATE_AVAILABILITY_STATUS
from xds_metadata.errors import MOST_SOUGHT, Finding
from xds_metadata.from_ebrim import shown
from xds_metadata.model import ON_DEMAND, STABLE, Association, DocumentEntry, Submission
from xds_metadata.patients import patient_column
from xds_metadata.profile import Profile
from xds_metadata.rules.update import OPERATION_ERROR, PROPAGATION
from xds_registry import lifecycle
from xds_registry.identifiers import Assigned
from xds_registry.lifecycle import Membership
from xds_registry.update_facts import MEMBERSHIP, End, StoredLink, UpdateFacts, Version
from xds_registry.vocabulary import STATUS_OF_URN, STATUS_URN, Kind, Status, bare

MOST_VERSIONS = 32_000
"""Of one logical object."""
UPDATE_ERROR = "XDSMetadataUpdateError"
_KINDS = {Kind.SUBMISSION_SET: "a SubmissionSet", Kind.FOLDER: "a Folder", Kind.ASSOCIATION: "an Association"}


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The operation that adds a version. `id`, `lid` bare; `place` is the location of errors on it."""

    entry: DocumentEntry
    id: str
    lid: str
    previous: int
    propagate: bool
    place: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The operation that changes a status; `target` bare, statuses as URNs."""

    link: Association
    target: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Operations:
    """What a message that passed the metadata rules asks for."""

    versions: tuple[NewVersion, ...]
    statuses: tuple[StatusChange, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an update does. Empty `findings` of severity Error mean: carry it out. Ids are bare.

    `replaced`: by id of a previous version, which becomes Deprecated, that of the new one. `created`: by id, the status of a
    new version. `changed`: by id, the new status of a stored entry. `ended`: by logical id, the final status that all
    versions take: what is deleted is not found again as an older version.
    `memberships` and `links`: associations to add, the latter copies of the stored ones with other ends. `touched`: folders
    whose lastUpdateTime becomes the time of this update, as (id, patient).
    """

    findings: tuple[Finding, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    created: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    memberships: tuple[Membership, ...] = ()
    links: tuple[StoredLink, ...] = ()
    touched: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    """`carried`: ids of previous versions whose associations are carried over, with that of the new one.

    `added`: the associations that are new; `ends`: what the message makes of ends; `places`: where errors on these are.
    """

    replaced: dict[str, str] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    created: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    added: dict[tuple[int, str, str], StoredLink] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def operations(assigned: Assigned) -> Operations:
    """The operations of a submission that passed the metadata rules."""
    submission = assigned.submission
    members = {a.target: a for a in submission.associations if a.type == HAS_MEMBER}
    versions = []
    for entry in submission.entries:
        member = members[entry.entry_uuid]
        versions.append(
            NewVersion(
                entry,
                bare(entry.entry_uuid),
                bare(entry.logical_id or ""),
                int(member.previous_version or 0),
                PROPAGATION[member.association_propagation],
                place=(entry.logical_id or "") if entry.entry_uuid in assigned.symbolic else entry.entry_uuid,
            )
        )
    statuses = [
        StatusChange(a, bare(a.target), a.original_status or "", a.new_status or "")
        for a in submission.associations
        if a.type == UPDATE_AVAILABILITY_STATUS
    ]
    return Operations(tuple(versions), tuple(statuses))


def plan(submission: Submission, asked: Operations, facts: UpdateFacts, profile: Profile) -> Plan:
    """Judge an update against `facts` and say what it does. All findings at once, up to MOST_SOUGHT of them."""
    draft = _Draft()
    findings = chain(
        lifecycle.check_identifiers(submission, facts.identifiers),
        _check_versions(asked.versions, facts, profile, draft),
        _check_statuses(submission, asked.statuses, facts, profile, draft),
        _check_related(asked.versions, facts, draft),
    )
    found = list(islice(findings, MOST_SOUGHT))
    _carry_over(facts, draft)
    found += islice(_check_patients(facts, draft), MOST_SOUGHT - len(found))
    added = draft.added.values()
    memberships = [link for link in added if link.type == MEMBERSHIP]
    return Plan(
        tuple(found),
        draft.replaced,
        draft.created,
        draft.changed,
        _ended(asked, facts, profile, draft),
        tuple(Membership(link.source, link.target) for link in memberships),
        tuple(link for link in added if link.type != MEMBERSHIP),
        tuple(dict.fromkeys((link.source, facts.ends[link.source].patient) for link in memberships)),
    )


def _ended(asked: Operations, facts: UpdateFacts, profile: Profile, draft: _Draft) -> dict[str, int]:
    statuses = {new.lid: draft.created[new.id] for new in asked.versions if new.id in draft.created}
    statuses |= {facts.named[entry].lid: status for entry, status in draft.changed.items()}
    return {lid: status for lid, status in statuses.items() if profile.is_final(STATUS_URN[status])}


def _check_versions(
    versions: Sequence[NewVersion], facts: UpdateFacts, profile: Profile, draft: _Draft
) -> Iterator[Finding]:
    for new in versions:
        label = f"DocumentEntry {shown(new.entry.entry_uuid)}"
        current = facts.latest.get(new.lid)
        if current is None:
            lid = shown(new.entry.logical_id or "")
            yield Finding(
                "UnresolvedReferenceException", f"{label}: lid {lid} is not registered", new.place, "update-reference"
            )
            continue
        yield from _check_version(new, current, label, profile)
        for found in lifecycle.check_document(new.entry, facts.identifiers):
            yield replace(found, location=new.place)
        draft.replaced[current.id] = new.id
        if new.propagate:
            draft.carried[current.id] = new.id
        draft.created[new.id] = current.status
        draft.ends[current.id] = End(current.patient, Kind.ENTRY, Status.DEPRECATED)
        draft.ends[new.id] = End(patient_column(new.entry.patient_id), Kind.ENTRY, current.status)
        draft.places[new.id] = new.place


def _check_version(new: NewVersion, current: Version, label: str, profile: Profile) -> Iterator[Finding]:
    if new.previous != current.version:
        problem = f"PreviousVersion is {new.previous}, the current version is {current.version}"
        yield Finding("XDSMetadataVersionError", f"{label}: {problem}", new.place, "update-version")
    if current.version >= MOST_VERSIONS:
        yield Finding(
            UPDATE_ERROR, f"{label}: it has {current.version} versions, no more are kept", new.place, "update-number"
        )
    expected = STABLE if current.stable else ON_DEMAND
    for name, value, stored in (
        ("uniqueId", new.entry.unique_id or "", current.unique_id),
        ("objectType", new.entry.object_type, expected),
    ):
        if value != stored:
            problem = f"{name} {shown(value)} is not that of the previous version, {shown(stored)}"
            yield Finding("XDSMetadataIdentifierError", f"{label}: {problem}", new.place, "update-identifier")
    if profile.is_final(STATUS_URN[current.status]):
        problem = f"its status {STATUS_URN[current.status]} is final"
        yield Finding(UPDATE_ERROR, f"{label}: {problem}", new.place, "update-final")


def _check_statuses(
    submission: Submission, statuses: Sequence[StatusChange], facts: UpdateFacts, profile: Profile, draft: _Draft
) -> Iterator[Finding]:
    patient = patient_column(submission.submission_sets[0].patient_id)
    own = {bare(entry.entry_uuid) for entry in submission.entries}
    for change in statuses:
        label, place = f"Association {shown(change.link.entry_uuid)}", draft.places.get(change.target, change.link.target)
        if change.target in own:
            if change.target in draft.created:  # otherwise the new version was refused already
                current = draft.created[change.target]
                yield from _check_status(change, current, label, place, profile)
                draft.created[change.target] = STATUS_OF_URN.get(change.after, Status.DEPRECATED)
                draft.ends[change.target] = replace(draft.ends[change.target], status=draft.created[change.target])
            continue
        target = facts.named.get(change.target)
        if target is None:
            yield _no_entry(change, label, place, facts)
            continue
        if target.patient != patient:
            problem = f"{shown(change.link.target)} does not belong to the patient of the submission set"
            yield Finding("XDSPatientIdDoesNotMatch", f"{label}: {problem}", place, "update-patient")
        if not target.latest or target.id in draft.replaced:
            problem = f"{shown(change.link.target)} is not the latest version of its entry"
            yield Finding(UPDATE_ERROR, f"{label}: {problem}", place, "update-latest")
        yield from _check_status(change, target.status, label, place, profile)
        draft.changed[target.id] = STATUS_OF_URN.get(change.after, Status.DEPRECATED)
        draft.ends[target.id] = End(target.patient, Kind.ENTRY, draft.changed[target.id])
        draft.places[target.id] = place


def _no_entry(change: StatusChange, label: str, place: str, facts: UpdateFacts) -> Finding:
    kind = facts.others.get(change.target)
    if kind is not None:
        problem = f"{shown(change.link.target)} is {_KINDS[kind]}; the status of a DocumentEntry is all that can be changed"
        return Finding(OPERATION_ERROR, f"{label}: {problem}", place, "update-operation")
    problem = f"targetObject {shown(change.link.target)} is not registered"
    return Finding("UnresolvedReferenceException", f"{label}: {problem}", place, "update-reference")


def _check_status(change: StatusChange, current: int, label: str, place: str, profile: Profile) -> Iterator[Finding]:
    if STATUS_URN[current] != change.before:
        problem = f"OriginalStatus is {shown(change.before)}, the status is {STATUS_URN[current]}"
        yield Finding(UPDATE_ERROR, f"{label}: {problem}", place, "update-original-status")
    elif (change.before, change.after) not in profile.status_changes:
        allowed = sorted(after for before, after in profile.status_changes if before == change.before)
        expected = f"expected {' or '.join(allowed)}" if allowed else "that status is final"
        problem = f"NewStatus {shown(change.after)} cannot follow {change.before}, {expected}"
        yield Finding(UPDATE_ERROR, f"{label}: {problem}", place, "update-new-status")


def _check_related(versions: Sequence[NewVersion], facts: UpdateFacts, draft: _Draft) -> Iterator[Finding]:
    """Two updated entries that are linked carry their links over, both or neither."""
    for new in versions:
        linked = (link for link in facts.links if draft.replaced.get(link.source) == new.id)
        if any(
            link.target in draft.replaced and (link.source in draft.carried) != (link.target in draft.carried)
            for link in linked
        ):
            problem = (
                "AssociationPropagation differs from that of another update of the message, whose entry is linked to it"
            )
            label = f"DocumentEntry {shown(new.entry.entry_uuid)}"
            yield Finding(UPDATE_ERROR, f"{label}: {problem}", new.place, "update-propagation")


def _carry_over(facts: UpdateFacts, draft: _Draft) -> None:
    """Repeat each link with the new versions in place of the previous ones, once."""
    for link in facts.links:
        source, target = draft.carried.get(link.source, link.source), draft.carried.get(link.target, link.target)
        to_folder = link.type == MEMBERSHIP and facts.ends[link.source].status != Status.APPROVED
        if (source, target) != (link.source, link.target) and not to_folder:
            draft.added.setdefault((link.type, source, target), StoredLink(link.id, link.type, source, target))


def _check_patients(facts: UpdateFacts, draft: _Draft) -> Iterator[Finding]:
    """What is Approved in the end and linked with what the message changed is of the same patient."""
    ends = facts.ends | draft.ends
    for link in (*facts.links, *draft.added.values()):
        source, target = ends[link.source], ends[link.target]
        if source.patient == target.patient or {source.status, target.status} != {Status.APPROVED}:
            continue
        changed = next((end for end in (link.source, link.target) if end in draft.places), None)
        if changed is not None:
            place = draft.places[changed]
            problem = "another approved object that is linked with it belongs to another patient"
            yield Finding(
                "XDSPatientIDReconciliationError", f"DocumentEntry {shown(place)}: {problem}", place, "update-reconciliation"
            )


def changes(
    asked: Operations, facts: UpdateFacts, contents: Mapping[str, DocumentEntry], stored: Mapping[str, EntryFacts]
) -> tuple[Change, ...]:
    """What would happen to stored entries, for the access decision.

    `contents`: the metadata of latest versions, `stored`: the facts of all entries concerned, each by id.
    """
    found: list[Change] = []
    previous = {new.id: facts.latest[new.lid].id for new in asked.versions if new.lid in facts.latest}
    for new in asked.versions:
        if new.id in previous:
            found.append(_metadata_change(new.entry, contents[previous[new.id]], stored[previous[new.id]]))
    for change in asked.statuses:
        entry = stored.get(previous.get(change.target, change.target))
        after = STATUS_OF_URN.get(change.after)
        if entry is not None and after is not None:
            found.append(Change("status", entry, status=after.name.capitalize()))
    return tuple(found)


def _metadata_change(new: DocumentEntry, old: DocumentEntry, stored: EntryFacts) -> Change:
    before, after = ({code.pair for code in one.confidentiality_codes} for one in (old, new))
    return Change(
        "metadata",
        stored,
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        other=_comparable(new) != _comparable(old),
    )


def _comparable(entry: DocumentEntry) -> DocumentEntry:
    """The metadata apart from confidentiality and what the registry itself says; a patient is the same however written."""
    return replace(
        entry,
        entry_uuid="",
        logical_id=None,
        version=None,
        availability_status=None,
        home_community_id=None,
        confidentiality_codes=(),
        hash=entry.hash.lower() if entry.hash else None,
        patient_id=patient_column(entry.patient_id),
    )
