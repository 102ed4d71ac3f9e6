"""What a scope shows of entries, and what follows for sets, folders, associations, retries and relations."""

from __future__ import annotations

import pytest

from access_control.policy import Action
from access_control.scope import AllOf, AnyOf, CodesWithin, Condition, FieldIn, HasActor, HasCode, HasStatus, Not, Scope
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from xds_metadata import associations as types
from xds_metadata.model import Author, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.patients import patient_column

OPEN, SECRET = s.code("N"), s.code("S")
UNMASKED = Scope(Not(HasCode("confidentiality_code", (SECRET.pair,))))
PATIENT, OTHER = patient_column(s.patient(1)), patient_column(s.patient(2))


def plain(**changes: object) -> DocumentEntry:
    return s.entry(confidentiality_codes=(OPEN,), **changes)


def masked(**changes: object) -> DocumentEntry:
    return s.entry(confidentiality_codes=(OPEN, SECRET), **changes)


def seen(side: Side, entry: DocumentEntry) -> bool:
    return bool(side.documents(entry.unique_id or ""))


def holds(side: Side, condition: Condition, entry: DocumentEntry) -> bool:
    side.policy.shown = Scope(condition)
    return seen(side, entry)


DOCTOR = "801^Martin^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO"
OFFICE = "CABINET^^^^^&1.2.250.1.71.4.2.2&ISO^^^^499900"


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        (HasActor("person", ("801^1.2.250.1.71.4.2.1",)), True),
        (HasActor("person", ("801^1.2.250.1.71.4.2.2",)), False),
        (HasActor("institution", ("x", "499900^1.2.250.1.71.4.2.2")), True),
        (HasActor("institution", ("801^1.2.250.1.71.4.2.1",)), False),
        (HasActor("person", ()), False),
        (HasStatus(("Approved", "Archived")), True),
        (HasStatus(("Deprecated",)), False),
        (HasStatus(()), False),
        (CodesWithin((OPEN.pair, SECRET.pair)), True),
        (CodesWithin((OPEN.pair,)), False),
        (CodesWithin(()), False),
        (HasCode("confidentiality_code", (SECRET.pair,)), True),
        (HasCode("confidentiality_code", ()), False),
        (HasCode("event_code", (SECRET.pair,)), False),
        (AnyOf((CodesWithin((OPEN.pair,)), HasActor("person", ("801^1.2.250.1.71.4.2.1",)))), True),
        (AllOf((HasStatus(("Approved",)), Not(FieldIn("type_code", ("x^^y",))))), True),
    ],
)
def test_conditions(side: Side, condition: Condition, shown: bool) -> None:
    entry = masked(authors=(Author(person=DOCTOR, institutions=(OFFICE,)),))
    side.accept(s.submission(entry))
    assert holds(side, condition, entry) is shown


def test_nothing_of_another_patient_exists(side: Side) -> None:
    entry = plain()
    value = s.submission(entry)
    side.accept(value)
    owner = value.submission_sets[0]
    side.policy.shown = Scope(AllOf(()), patients=(OTHER,))
    assert not seen(side, entry)
    assert side.find("FindDocuments", find_documents()).ids == ()
    named = ("$XDSSubmissionSetUniqueId", f"'{owner.unique_id}'")
    assert side.find("GetSubmissionSetAndContents", [named]).ids == ()
    side.policy.shown = Scope(AllOf(()), patients=(OTHER, PATIENT))
    assert seen(side, entry)


def set_ids(side: Side, *sets: SubmissionSet) -> int:
    parameters = [("$XDSSubmissionSetPatientId", f"'{s.PATIENT}'"), ("$XDSSubmissionSetStatus", find_documents()[1][1])]
    found = {i.value for p in side.find("FindSubmissionSets", parameters).objects.packages for i in p.external_identifiers}
    return sum(one.unique_id in found for one in sets)


def test_a_set_is_there_as_long_as_something_in_it_is(side: Side) -> None:
    mixed, secret, empty = s.submission(plain(), masked()), s.submission(masked()), s.submission()
    for value in (mixed, secret, empty):
        side.accept(value)
    owners = [value.submission_sets[0] for value in (mixed, secret, empty)]
    assert set_ids(side, *owners) == 3
    side.policy.shown = UNMASKED
    assert [set_ids(side, one) for one in owners] == [1, 0, 1]
    named = ("$XDSSubmissionSetUniqueId", f"'{owners[0].unique_id}'")
    answer = side.find("GetSubmissionSetAndContents", [named])
    assert (len(answer.objects.extrinsic_objects), len(answer.objects.associations)) == (1, 1)


def filing(folder: Folder, entry: DocumentEntry) -> Submission:
    """A submission that files a new entry into a stored folder."""
    return s.submission(entry, links=[s.member(folder.entry_uuid, entry.entry_uuid)])


def last_update(side: Side, folder: Folder) -> str:
    (slot,) = [slot for slot in side.folder(folder.unique_id or "").slots if slot.name == "lastUpdateTime"]
    return slot.values[0]


def test_a_folder_is_as_if_its_hidden_members_had_never_been_filed(side: Side) -> None:
    folder = s.folder(entry_uuid=s.new_uuid())
    side.accept(s.submission(folders=[folder]))
    made = last_update(side, folder)
    open_, secret = plain(), masked()
    side.accept(filing(folder, open_))
    first = last_update(side, folder)
    second_set = filing(folder, secret)
    side.accept(second_set)
    assert made < first < last_update(side, folder)
    assert len(side.associations(folder.entry_uuid)) == 3
    side.policy.shown = UNMASKED
    assert last_update(side, folder) == first
    assert len(side.associations(folder.entry_uuid)) == 2
    assert set_ids(side, second_set.submission_sets[0]) == 0
    after = [("$XDSFolderPatientId", f"'{s.PATIENT}'"), ("$XDSFolderStatus", find_documents()[1][1])]
    since = ("$XDSFolderLastUpdateTimeFrom", str(int(first) + 1))
    assert side.find("FindFolders", [*after, since]).ids == ()
    assert len(side.find("FindFolders", [*after, ("$XDSFolderLastUpdateTimeFrom", first)]).ids) == 1
    side.policy.shown = Scope(AnyOf(()))
    assert last_update(side, folder) == made
    side.policy.shown = Scope(AllOf(()))
    assert len(side.find("FindFolders", [*after, since]).ids) == 1


def test_twins_of_a_patient_share_the_strictest_mask(side: Side) -> None:
    first = masked()
    twin = plain(unique_id=first.unique_id, hash=first.hash, size=first.size)
    elsewhere = plain(unique_id=first.unique_id, hash=first.hash, size=first.size, patient_id=s.patient(2))
    side.accept(s.submission(twin))
    side.policy.shown = UNMASKED
    assert seen(side, twin)
    side.policy.shown = Scope(AllOf(()))
    side.accept(s.submission(first))
    foreign = s.submission(elsewhere, owner=s.submission_set(patient_id=s.patient(2)))
    side.accept(foreign)
    side.policy.shown = UNMASKED
    (found,) = side.documents(first.unique_id or "")
    assert {i.value for i in found.external_identifiers} >= {s.patient(2)}


@pytest.mark.parametrize("type_", [types.RPLC, types.APND, types.XFRM, types.XFRM_RPLC])
def test_restrictions_follow_a_document(side: Side, type_: str) -> None:
    side.policy.following = frozenset({SECRET.pair})
    old = masked()
    side.accept(s.submission(old))
    stored = side.document(old.unique_id or "")
    new = plain()
    side.policy.asked.clear()
    side.accept(s.submission(new, links=[s.link(type_, new.entry_uuid, stored.id)]))
    codes = {c.node_representation for c in side.document(new.unique_id or "").classifications}
    assert {"N", "S"} <= codes
    side.policy.shown = UNMASKED
    assert not seen(side, new)
    changes = [change for action, target in side.policy.asked if action is Action.CHANGE for change in target.changes]
    kinds = {types.RPLC: "replace", types.XFRM_RPLC: "replace", types.APND: "append", types.XFRM: "transform"}
    assert [(change.kind, change.entry.unique_id) for change in changes] == [(kinds[type_], old.unique_id)] * 2
    assert set(changes[0].entry.confidentiality) == {OPEN.pair, SECRET.pair}


def test_what_follows_nowhere_is_left_alone(side: Side) -> None:
    old, new = masked(), plain()
    side.accept(s.submission(old))
    stored = side.document(old.unique_id or "")
    side.accept(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, stored.id)]))
    assert {c.node_representation for c in side.document(new.unique_id or "").classifications} >= {"N"}
    side.policy.shown = UNMASKED
    assert seen(side, new)


def test_a_list_is_a_list(side: Side) -> None:
    """GetAssociations of a hidden document is as that of nothing."""
    secret = masked()
    side.accept(s.submission(secret))
    stored = side.document(secret.unique_id or "")
    side.policy.shown = UNMASKED
    answer = side.find("GetAssociations", [("$uuid", quoted(stored.id))])
    assert answer.ids == ()
