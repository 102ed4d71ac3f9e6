"""ITI-57 refusals: one thing broken in each message, the exact code, the location, and nothing stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from database import Database
from ebrim.rs import write_submit_objects_request
from tests import samples as s
from tests.registry_side import Side
from tests.update_side import (
    Stored,
    accept_update,
    register,
    send_update,
    status_link,
    status_update,
    update_of,
    updated,
    version_of,
    versions,
)
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, ARCHIVED, DELETED, DEPRECATED, ON_DEMAND, Association, Submission
from xds_metadata.profile import DMP, IHE, Profile
from xds_registry import update
from xds_registry.actor import RegistrySettings

OPERATION = "XDSMetadataUpdateOperationError"
METADATA = "XDSRegistryMetadataError"
Make = Callable[[Stored], Submission]


def member(value: Submission, **changes: object) -> Submission:
    """The submission with another HasMember of its only entry."""
    (link,) = value.associations
    return replace(value, associations=(replace(link, **changes),))  # type: ignore[arg-type]


def only(link: Association, *more: Association) -> Submission:
    """An update of these links alone; the set is that at which the first starts."""
    return update_of(links=(link, *more), owner=s.submission_set(entry_uuid=link.source))


def twice(stored: Stored) -> Submission:
    first, second = version_of(stored), version_of(stored)
    return update_of(first, second)


def two_statuses(stored: Stored) -> Submission:
    owner = s.submission_set()
    return update_of(links=(status_link(owner, stored.id), status_link(owner, stored.id)), owner=owner)


def beside_new_version(stored: Stored) -> Submission:
    owner = s.submission_set()
    return update_of(version_of(stored), links=(status_link(owner, stored.id),), owner=owner)


def own_status_wrong(stored: Stored) -> Submission:
    entry, owner = version_of(stored), s.submission_set()
    return update_of(entry, links=(status_link(owner, entry.entry_uuid, DEPRECATED, APPROVED),), owner=owner)


def plain(link_type: str, target: str) -> Submission:
    return only(s.link(link_type, "set", target))


OLD, NEW = "of the stored entry", "of the new version"
BROKEN: dict[str, tuple[Make, str, str]] = {
    "previous version too low": (lambda e: update_of(version_of(e), previous=0), "XDSMetadataVersionError", NEW),
    "previous version too high": (lambda e: update_of(version_of(e), previous=2), "XDSMetadataVersionError", NEW),
    "previous version no number": (lambda e: update_of(version_of(e), previous="first"), METADATA, ""),
    "previous version absent": (lambda e: member(update_of(version_of(e)), previous_version=None), OPERATION, NEW),
    "another uniqueId": (lambda e: update_of(version_of(e, unique_id=s.oid())), "XDSMetadataIdentifierError", NEW),
    "another objectType": (lambda e: update_of(version_of(e, object_type=ON_DEMAND)), "XDSMetadataIdentifierError", NEW),
    "another hash": (lambda e: update_of(version_of(e, hash=s.sha1("x"))), "XDSNonIdenticalHash", NEW),
    "another size": (lambda e: update_of(version_of(e, size="1")), "XDSNonIdenticalSize", NEW),
    "lid unknown": (lambda e: update_of(version_of(e, logical_id=s.new_uuid())), "UnresolvedReferenceException", NEW),
    "lid absent": (lambda e: update_of(version_of(e, logical_id=None)), "XDSInvalidRequestException", NEW),
    "lid is the id": (lambda e: update_of(version_of(e, entry_uuid=e.lid)), "XDSInvalidRequestException", OLD),
    "lid symbolic": (lambda e: update_of(version_of(e, logical_id="old")), METADATA, NEW),
    "attribute missing": (lambda e: update_of(version_of(e, type_code=None)), METADATA, NEW),
    "not a member of the set": (
        lambda e: replace(update_of(version_of(e), previous=1), associations=()),
        METADATA,
        NEW,
    ),
    "membership by reference": (
        lambda e: member(update_of(version_of(e)), submission_set_status=types.REFERENCE),
        METADATA,
        "",
    ),
    "propagation neither yes nor no": (lambda e: update_of(version_of(e), propagation="maybe"), METADATA, ""),
    "two versions of one entry": (twice, OPERATION, NEW),
    "two status changes of one entry": (two_statuses, OPERATION, OLD),
    "status of the version that is replaced": (beside_new_version, "XDSMetadataUpdateError", OLD),
    "status of the new version is another": (own_status_wrong, "XDSMetadataUpdateError", NEW),
    "original status is another": (
        lambda e: status_update(e.id, DEPRECATED, APPROVED),
        "XDSMetadataUpdateError",
        OLD,
    ),
    "status to itself": (lambda e: status_update(e.id, APPROVED, APPROVED), "XDSMetadataUpdateError", OLD),
    "status unknown": (lambda e: status_update(e.id, APPROVED, "urn:status:new"), "XDSMetadataUpdateError", OLD),
    "status of the DMP": (lambda e: status_update(e.id, APPROVED, ARCHIVED), "XDSMetadataUpdateError", OLD),
    "original status absent": (lambda e: status_update(e.id, None), METADATA, OLD),
    "new status absent": (lambda e: status_update(e.id, after=None), METADATA, OLD),
    "status of another patient's entry": (
        lambda e: status_update(e.id, patient_id=s.patient(2)),
        "XDSPatientIdDoesNotMatch",
        OLD,
    ),
    "status change that starts at an entry": (
        lambda e: update_of(links=(replace(status_link(s.submission_set(), e.id), source=s.new_uuid()),)),
        OPERATION,
        OLD,
    ),
    "status change that says a version": (
        lambda e: only(replace(status_link(s.submission_set(), e.id), previous_version="1")),
        METADATA,
        "",
    ),
    "status of an association of the message": (
        lambda e: only(
            replace(status_link(s.submission_set(entry_uuid="set"), "other"), entry_uuid="one"),
            replace(status_link(s.submission_set(entry_uuid="set"), e.id), entry_uuid="other"),
        ),
        OPERATION,
        "",
    ),
    "submitted association": (lambda e: plain(types.SUBMIT_ASSOCIATION, e.id), OPERATION, OLD),
    "relationship": (lambda e: plain(types.RPLC, e.id), OPERATION, OLD),
    "stored entry filed by reference": (
        lambda e: only(s.member("set", e.id, types.REFERENCE)),
        OPERATION,
        OLD,
    ),
    "association of an unknown type": (lambda e: plain("urn:oasis:type:unknown", e.id), OPERATION, OLD),
    "no operation": (lambda e: update_of(), OPERATION, ""),
    "set's uniqueId is the document's": (
        lambda e: status_update(e.id, unique_id=e.unique_id),
        "XDSDuplicateUniqueIdInRegistry",
        "",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_thing_broken(side: Side, case: str) -> None:
    stored = register(side)
    make, code, where = BROKEN[case]
    value = make(stored)
    before = versions(side, stored)
    answer = send_update(side, value)
    assert answer.status == "Failure"
    assert set(answer.codes) == {code}, answer.text
    places = {OLD: {stored.id}, NEW: {entry.entry_uuid for entry in value.entries}, "": {""}}[where]
    assert {e.location for e in answer.errors} == places
    assert versions(side, stored) == before


def test_the_id_of_a_new_version_is_new(side: Side) -> None:
    stored, other = register(side), register(side)
    answer = send_update(side, update_of(version_of(stored, entry_uuid=other.id)))
    assert answer.codes == [METADATA]
    assert "already in use" in answer.text


@pytest.mark.parametrize("lid", [None, ""])
def test_f75_the_text_says_that_the_logical_id_is_missing(side: Side, lid: str | None) -> None:
    made = s.objects(update_of(version_of(register(side), logical_id=lid)))
    assert (b'lid=""' in write_submit_objects_request(made)) == (lid == "")
    answer = send_update(side, made)
    assert answer.codes == ["XDSInvalidRequestException"]
    assert "lid is missing" in answer.text


def test_the_location_of_a_symbolic_version_is_its_logical_id(side: Side) -> None:
    stored = register(side)
    answer = send_update(side, update_of(version_of(stored, entry_uuid="next"), previous=4))
    assert [(e.code, e.location) for e in answer.errors] == [("XDSMetadataVersionError", stored.lid)]
    assert "DocumentEntry 'next'" in answer.text


def test_every_problem_is_reported_at_once(side: Side) -> None:
    stored = register(side)
    answer = send_update(side, update_of(version_of(stored, unique_id=s.oid(), object_type=ON_DEMAND), previous=7))
    assert answer.codes == ["XDSMetadataIdentifierError", "XDSMetadataIdentifierError", "XDSMetadataVersionError"]


def test_an_id_of_a_later_version_is_no_logical_id(side: Side) -> None:
    second = updated(side, register(side))
    answer = send_update(side, update_of(version_of(second, logical_id=second.id), previous=2))
    assert answer.codes == ["UnresolvedReferenceException"]


def test_the_status_of_an_old_version_stays(side: Side) -> None:
    first = register(side)
    updated(side, first)
    answer = send_update(side, status_update(first.id, DEPRECATED, APPROVED))
    assert [(e.code, e.location) for e in answer.errors] == [("XDSMetadataUpdateError", first.id)]


def test_only_entries_have_a_status_to_change(side: Side) -> None:
    entry, folder = s.entry(), s.folder()
    value = s.submission(entry, folders=[folder], links=[s.member(folder.entry_uuid, entry.entry_uuid)])
    side.accept(value)
    set_id = side.submission_set(value.submission_sets[0].unique_id or "").id
    folder_id = side.folder(folder.unique_id or "").id
    for target in (set_id, folder_id, side.associations(folder_id)[0].id):
        answer = send_update(side, status_update(target))
        assert [(e.code, e.location) for e in answer.errors] == [(OPERATION, target)]


def test_a_folder_is_not_updated(side: Side) -> None:
    folder = s.folder()
    side.accept(s.submission(folders=[folder]))
    new = replace(folder, entry_uuid="next", logical_id=side.folder(folder.unique_id or "").id)
    owner = s.submission_set()
    link = replace(s.member(owner.entry_uuid, "next"), previous_version="1")
    answer = send_update(side, Submission((owner,), (), (new,), (link,)))
    assert answer.codes == [OPERATION]


def test_an_unknown_target_is_unresolved(side: Side) -> None:
    target = s.new_uuid()
    answer = send_update(side, status_update(target))
    assert [(e.code, e.location) for e in answer.errors] == [("UnresolvedReferenceException", target)]


def test_two_sets_are_not_one_update(side: Side) -> None:
    value = update_of(version_of(register(side)))
    answer = send_update(side, replace(value, submission_sets=(*value.submission_sets, s.submission_set())))
    assert set(answer.codes) == {METADATA}


def test_an_update_sent_as_a_registration_adds_nothing(side: Side) -> None:
    stored = register(side)
    answer = side.submit(update_of(version_of(stored)))
    assert answer.codes == [METADATA]
    assert len(side.documents(stored.unique_id)) == 1


def test_a_patient_who_is_not_known(database: Database) -> None:
    side = Side(database)
    stored = register(side)
    strict = side.with_settings(known_patients_only=True)
    answer = send_update(strict, update_of(version_of(stored)))
    assert answer.codes == ["XDSUnknownPatientId"]


def test_a_patient_of_a_foreign_authority(database: Database) -> None:
    stored = register(Side(database))
    side = Side(database, RegistrySettings(authorities=frozenset({"1.2.3"})))
    answer = send_update(side, update_of(version_of(stored)))
    assert answer.codes == ["XDSUnknownPatientId"]


CHANGES = [
    (before, after)
    for before in (APPROVED, DEPRECATED, ARCHIVED, DELETED)
    for after in (APPROVED, DEPRECATED, ARCHIVED, DELETED)
]
ALLOWED = {
    "ihe": {(APPROVED, DEPRECATED), (DEPRECATED, APPROVED)},
    "dmp": {
        (APPROVED, DEPRECATED),
        (DEPRECATED, APPROVED),
        (APPROVED, ARCHIVED),
        (ARCHIVED, APPROVED),
        (APPROVED, DELETED),
        (ARCHIVED, DELETED),
    },
}
WAY: dict[str, tuple[str, ...]] = {APPROVED: (), DEPRECATED: (DEPRECATED,), ARCHIVED: (ARCHIVED,), DELETED: (DELETED,)}


@pytest.mark.parametrize("profile", [IHE, DMP], ids=lambda p: p.name)
def test_the_profile_says_what_may_become_of_a_status(database: Database, profile: Profile) -> None:
    side = Side(database, profile=DMP)
    judged = Side(database, profile=profile)
    for before, after in CHANGES:
        stored = register(side)
        for step in WAY[before]:
            accept_update(side, status_update(stored.id, APPROVED, step))
        answer = send_update(judged, status_update(stored.id, before, after))
        expected = [] if (before, after) in ALLOWED[profile.name] else ["XDSMetadataUpdateError"]
        assert answer.codes == expected, (before, after)


def test_what_is_deleted_gets_no_new_version(database: Database) -> None:
    side = Side(database, profile=DMP)
    stored = register(side)
    accept_update(side, status_update(stored.id, APPROVED, DELETED))
    answer = send_update(side, update_of(version_of(stored)))
    assert answer.codes == ["XDSMetadataUpdateError"]
    assert "final" in answer.text


def test_versions_are_not_without_end(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "MOST_VERSIONS", 2)
    second = updated(side, register(side))
    answer = send_update(side, update_of(version_of(second), previous=2))
    assert answer.codes == ["XDSMetadataUpdateError"]
