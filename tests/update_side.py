"""Metadata updates (ITI-57) for tests: each function makes a correct message; a test then breaks exactly one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ebrim import model as rim
from ebrim.read import read_registry_errors, read_status
from tests import samples as s
from tests.registry_side import Answer, Side, schema
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, DEPRECATED, Association, DocumentEntry, Submission, SubmissionSet
from xds_registry import iti57


def send_update(side: Side, value: Submission | rim.RegistryObjectList, message_id: str | None = None) -> Answer:
    """ITI-57."""
    answer = side.send(iti57.transaction(side.registry), s.body(value), message_id)
    assert schema().is_valid(answer)
    return Answer(read_status(answer), read_registry_errors(answer), rim.RegistryObjectList(), element=answer)


def accept_update(side: Side, value: Submission | rim.RegistryObjectList) -> None:
    """ITI-57 that must succeed."""
    answer = send_update(side, value)
    assert answer.status == "Success", answer.text


@dataclass(frozen=True)
class Stored:
    """An entry that a test registered: as it was submitted, with its logical id and the id of a version."""

    entry: DocumentEntry
    lid: str
    id: str

    @property
    def unique_id(self) -> str:
        """DocumentEntry.uniqueId."""
        return self.entry.unique_id or ""


def register(side: Side, *links: tuple[str, str], **changes: Any) -> Stored:
    """Register an entry, related as `links` (type, target) say."""
    entry = s.entry(entry_uuid=s.new_uuid(), **changes)
    side.accept(s.submission(entry, links=[s.link(type_, entry.entry_uuid, target) for type_, target in links]))
    return Stored(entry, entry.entry_uuid, entry.entry_uuid)


def version_of(stored: Stored, **changes: Any) -> DocumentEntry:
    """The entry as a new version with an id of its own."""
    return replace(stored.entry, **{"entry_uuid": s.new_uuid(), "logical_id": stored.lid, **changes})


def update_of(
    *entries: DocumentEntry,
    previous: int | str = 1,
    propagation: str | None = None,
    links: tuple[Association, ...] = (),
    owner: SubmissionSet | None = None,
) -> Submission:
    """An update that makes these entries new versions, and holds `links` that start at its submission set `owner`."""
    owner = owner or s.submission_set(patient_id=entries[0].patient_id if entries else s.PATIENT)
    members = tuple(
        replace(
            s.member(owner.entry_uuid, entry.entry_uuid, types.ORIGINAL),
            previous_version=str(previous),
            association_propagation=propagation,
        )
        for entry in entries
    )
    return Submission((owner,), entries, (), (*members, *links))


def status_link(
    owner: SubmissionSet, target: str, before: str | None = APPROVED, after: str | None = DEPRECATED
) -> Association:
    """An UpdateAvailabilityStatus."""
    return s.link(types.UPDATE_AVAILABILITY_STATUS, owner.entry_uuid, target, original_status=before, new_status=after)


def status_update(target: str, before: str | None = APPROVED, after: str | None = DEPRECATED, **changes: Any) -> Submission:
    """An update that changes one status. `changes`: of the submission set."""
    owner = s.submission_set(**changes)
    return update_of(links=(status_link(owner, target, before, after),), owner=owner)


def updated(side: Side, stored: Stored, previous: int = 1, propagation: str | None = None, **changes: Any) -> Stored:
    """Make a new version; it must succeed."""
    entry = version_of(stored, **changes)
    accept_update(side, update_of(entry, previous=previous, propagation=propagation))
    return Stored(entry, stored.lid, entry.entry_uuid)


def versions(side: Side, stored: Stored) -> list[tuple[str, str, str]]:
    """(version, status, id) of every version, by GetDocuments; the status by its last word."""
    found = side.documents(stored.unique_id)
    return sorted((d.version or "", (d.status or "").rpartition(":")[2], d.id) for d in found)


def statuses(side: Side, stored: Stored) -> list[str]:
    """The status of each version, in their order."""
    return [status for _, status, _ in versions(side, stored)]
