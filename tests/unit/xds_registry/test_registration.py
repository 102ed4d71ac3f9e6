"""ITI-42 on a real database: identifiers, versions, statuses, uniqueId rules, patients, all or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from access_control.decision import Decision
from access_control.scope import NOTHING, FieldIn, Scope
from database.errors import DatabaseBusy, DatabaseError, DatabaseFull
from ebrim import model as rim
from soap.faults import Fault
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, DEPRECATED, ON_DEMAND, Submission
from xds_registry.actor import store_failure
from xds_registry.patients import add_patients

LABELS = ("XDSDocumentEntry.uniqueId", "XDSSubmissionSet.uniqueId", "XDSFolder.uniqueId")


def _unique_id(item: rim.RegistryObject) -> str:
    return next(e.value for e in item.external_identifiers if e.name[0].value in LABELS)


def test_symbolic_ids_become_uuids_that_refer_to_each_other(side: Side) -> None:
    entry, folder = s.entry(), s.folder()
    owner = s.submission_set()
    side.accept(s.submission(entry, folders=[folder], links=[s.member(folder.entry_uuid, entry.entry_uuid)], owner=owner))
    answer = side.find("GetSubmissionSetAndContents", [("$XDSSubmissionSetUniqueId", f"'{owner.unique_id}'")])
    (found,) = answer.objects.extrinsic_objects
    packages = {_unique_id(p): p.id for p in answer.objects.packages}
    links = answer.objects.associations
    assert all(i.startswith("urn:uuid:") for i in answer.ids)
    ends = {(a.source, a.target) for a in links}
    set_id, folder_id = packages[owner.unique_id or ""], packages[folder.unique_id or ""]
    (filed,) = [a.id for a in links if a.source == folder_id]
    assert ends == {(set_id, found.id), (set_id, folder_id), (folder_id, found.id), (set_id, filed)}
    parts = {c.id for c in found.classifications} | {e.id for e in found.external_identifiers}
    assert all(part.startswith("urn:uuid:") for part in parts)
    assert {c.classified_object for c in found.classifications} == {found.id}
    assert {e.registry_object for e in found.external_identifiers} == {found.id}


def test_a_submitted_uuid_is_kept(side: Side) -> None:
    entry = s.entry(entry_uuid=s.new_uuid())
    side.accept(s.submission(entry))
    assert side.document(entry.unique_id or "").id == entry.entry_uuid


def test_every_object_is_returned_with_lid_version_and_status(side: Side) -> None:
    entry, folder, owner = s.entry(), s.folder(), s.submission_set()
    side.accept(s.submission(entry, folders=[folder], owner=owner))
    answer = side.find("GetSubmissionSetAndContents", [("$XDSSubmissionSetUniqueId", f"'{owner.unique_id}'")])
    objects = (*answer.objects.extrinsic_objects, *answer.objects.packages, *answer.objects.associations)
    assert len(objects) == 5
    for item in objects:
        assert (item.lid, item.version, item.status) == (item.id, "1", APPROVED)


def test_submitted_status_version_and_lid_are_ignored(side: Side) -> None:
    entry = s.entry(availability_status=DEPRECATED, version="7", logical_id=s.new_uuid())
    side.accept(s.submission(entry))
    found = side.document(entry.unique_id or "")
    assert (found.status, found.version, found.lid) == (APPROVED, "1", found.id)


def test_metadata_is_returned_as_it_was_submitted(side: Side) -> None:
    entry = s.entry(
        title='Compte rendu <&> "é"',
        comments="line one\nline two\ttab",
        source_patient_info=("PID-5|Martin^Anne", "PID-7|19800101"),
        event_codes=(s.code("E1"), s.code("E2")),
        reference_ids=(f"R1^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:xds:2013:order",),
        legal_authenticator="802^Legal",
        uri="report.xml",
        hash=s.sha1("x").upper(),
        extra=(("urn:example:extra", ("one", "two")),),
    )
    value = s.submission(entry)
    made = s.objects(value)
    side.accept(made)
    (sent,) = made.extrinsic_objects
    found = side.document(entry.unique_id or "")
    assert (found.slots, found.name, found.description, found.mime_type) == (
        sent.slots, sent.name, sent.description, sent.mime_type,
    )  # fmt: skip
    assert [(c.scheme, c.node_representation, c.slots, c.name) for c in found.classifications] == [
        (c.scheme, c.node_representation, c.slots, c.name) for c in sent.classifications
    ]
    assert [(e.scheme, e.value, e.name) for e in found.external_identifiers] == [
        (e.scheme, e.value, e.name) for e in sent.external_identifiers
    ]


def test_the_marker_of_a_package_may_stand_beside_it(side: Side) -> None:
    owner = s.submission_set()
    made = s.objects(s.submission(s.entry(), owner=owner))
    (package,) = made.packages
    marker, rest = package.classifications[0], package.classifications[1:]
    side.accept(replace(made, packages=(replace(package, classifications=rest),), classifications=(marker,)))
    assert marker.node in {c.node for c in side.submission_set(owner.unique_id or "").classifications}


def test_submitted_home_is_stripped_and_the_registry_s_own_is_given(side: Side) -> None:
    entry, other = s.entry(home_community_id="urn:oid:1.2.3"), s.entry(home_community_id="urn:oid:1.2.3")
    side.accept(s.submission(entry))
    assert side.document(entry.unique_id or "").home is None
    side.with_settings(home_community_id="urn:oid:1.2.9").accept(s.submission(other))
    stored = side.document(other.unique_id or "")
    assert stored.home == "urn:oid:1.2.9"
    assert [link.home for link in side.associations(stored.id)] == [None]


def test_a_uuid_in_use_is_refused_with_its_name(side: Side) -> None:
    entry = s.entry(entry_uuid=s.new_uuid())
    side.accept(s.submission(entry))
    answer = side.submit(s.submission(s.entry(entry_uuid=entry.entry_uuid)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert entry.entry_uuid in answer.text


def test_a_uuid_in_use_by_an_object_of_another_kind_is_refused(side: Side) -> None:
    folder = s.folder(entry_uuid=s.new_uuid())
    side.accept(s.submission(folders=[folder]))
    assert side.submit(s.submission(s.entry(entry_uuid=folder.entry_uuid))).codes == ["XDSRegistryMetadataError"]


def test_same_unique_id_with_same_bytes_gives_a_second_entry(side: Side) -> None:
    entry = s.entry()
    side.accept(s.submission(entry))
    again = replace(entry, entry_uuid=s.symbolic(), hash=(entry.hash or "").upper(), patient_id=s.patient(2))
    side.accept(s.submission(again))
    answer = side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(entry.unique_id or ""))], leaves=False)
    assert len(answer.ids) == 2


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"hash": s.sha1("other")}, ["XDSNonIdenticalHash"]),
        ({"size": "1"}, ["XDSNonIdenticalSize"]),
        ({"hash": s.sha1("other"), "size": "1"}, ["XDSNonIdenticalHash", "XDSNonIdenticalSize"]),
    ],
)
def test_same_unique_id_with_other_bytes_is_refused(side: Side, changes: dict[str, Any], codes: list[str]) -> None:
    entry = s.entry()
    side.accept(s.submission(entry))
    answer = side.submit(s.submission(replace(entry, entry_uuid=s.symbolic(), **changes)))
    assert answer.codes == codes
    assert all((entry.unique_id or "") in e.context for e in answer.errors)
    assert len(side.documents(entry.unique_id or "")) == 1


@pytest.mark.parametrize("earlier", ["set", "folder", "document"])
@pytest.mark.parametrize("later", ["set", "folder"])
def test_set_and_folder_unique_ids_are_unique_against_everything(side: Side, earlier: str, later: str) -> None:
    used = s.oid()
    first = s.entry(unique_id=used) if earlier == "document" else s.entry()
    side.accept(
        s.submission(
            first,
            folders=[s.folder(unique_id=used)] if earlier == "folder" else [],
            owner=s.submission_set(unique_id=used) if earlier == "set" else None,
        )
    )
    answer = side.submit(
        s.submission(
            s.entry(),
            folders=[s.folder(unique_id=used)] if later == "folder" else [],
            owner=s.submission_set(unique_id=used) if later == "set" else None,
        )
    )
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]
    assert used in answer.text


def test_the_same_unique_id_twice_in_one_message(side: Side) -> None:
    entry = s.entry()
    answer = side.submit(s.submission(entry, replace(entry, entry_uuid=s.symbolic())))
    assert answer.codes == ["XDSRegistryDuplicateUniqueIdInMessage"]


def test_an_on_demand_entry_is_not_registered_by_iti_42(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(object_type=ON_DEMAND)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "ITI-61" in answer.text


def test_nothing_of_a_refused_submission_is_visible(side: Side) -> None:
    good, owner, folder = s.entry(), s.submission_set(), s.folder()
    bad = s.link(types.RPLC, good.entry_uuid, s.new_uuid())
    answer = side.submit(s.submission(good, folders=[folder], links=[bad], owner=owner))
    assert answer.codes == ["UnresolvedReferenceException"]
    assert side.documents(good.unique_id or "") == ()
    assert side.find("FindDocuments", find_documents()).ids == ()
    side.accept(s.submission(good, folders=[folder], owner=owner))


def test_findings_on_stored_data_come_together(side: Side) -> None:
    entry, folder = s.entry(), s.folder()
    side.accept(s.submission(entry, folders=[folder]))
    side.clock()
    twin = replace(entry, entry_uuid=s.symbolic(), hash=s.sha1("other"))
    answer = side.submit(
        s.submission(
            twin,
            folders=[replace(folder, entry_uuid=s.symbolic())],
            links=[s.link(types.APND, twin.entry_uuid, s.new_uuid())],
        )
    )
    assert answer.codes == ["UnresolvedReferenceException", "XDSDuplicateUniqueIdInRegistry", "XDSNonIdenticalHash"]


def test_patients_must_be_known_where_the_domain_says_so(side: Side) -> None:
    known_only = side.with_settings(known_patients_only=True)
    entry = s.entry()
    answer = known_only.submit(s.submission(entry, folders=[s.folder()]))
    assert [(e.code, e.context) for e in answer.errors] == [("XDSUnknownPatientId", s.PATIENT)]
    add_patients(side.database, [s.PATIENT], "operator", 1)
    known_only.accept(s.submission(entry))


def test_another_authority_is_an_unknown_patient(side: Side) -> None:
    strict = side.with_settings(authorities=frozenset({s.AUTHORITY}))
    foreign = "PAT1^^^&1.2.3.4.5&ISO"
    answer = strict.submit(s.submission(s.entry(patient_id=foreign)))
    assert [(e.code, e.context) for e in answer.errors] == [("XDSUnknownPatientId", foreign)]
    strict.accept(s.submission(s.entry()))


def test_two_patients_in_one_submission(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(), folders=[s.folder(patient_id=s.patient(2))]))
    assert answer.codes == ["XDSPatientIdDoesNotMatch"]


def test_folder_time_is_the_registry_s(side: Side) -> None:
    folder = s.folder(last_update_time="19990101000000")
    side.accept(s.submission(folders=[folder]))
    found = side.folder(folder.unique_id or "")
    assert [slot.values for slot in found.slots if slot.name == "lastUpdateTime"] != [("19990101000000",)]
    (time,) = next(slot.values for slot in found.slots if slot.name == "lastUpdateTime")
    assert len(time) == 14
    assert time.startswith("2025")


def test_all_folders_of_a_submission_get_one_time(side: Side) -> None:
    old = s.folder()
    side.accept(s.submission(folders=[old]))
    before = _last_update(side, old.unique_id or "")
    side.clock.now += 60_000_000
    new, entry = s.folder(), s.entry()
    old_id = side.folder(old.unique_id or "").id
    side.accept(
        s.submission(
            entry,
            folders=[new],
            links=[s.member(old_id, entry.entry_uuid), s.member(new.entry_uuid, entry.entry_uuid)],
        )
    )
    times = {_last_update(side, f.unique_id or "") for f in (old, new)}
    assert len(times) == 1
    assert times.pop() > before


def _last_update(side: Side, unique_id: str) -> str:
    return next(slot.values[0] for slot in side.folder(unique_id).slots if slot.name == "lastUpdateTime")


def test_a_refused_submission_does_not_touch_a_folder(side: Side) -> None:
    folder = s.folder()
    side.accept(s.submission(folders=[folder]))
    found, before = side.folder(folder.unique_id or ""), _last_update(side, folder.unique_id or "")
    side.clock.now += 60_000_000
    entry = s.entry()
    links = [s.member(found.id, entry.entry_uuid), s.link(types.RPLC, entry.entry_uuid, s.new_uuid())]
    assert side.submit(s.submission(entry, links=links)).status == "Failure"
    assert _last_update(side, folder.unique_id or "") == before


def test_an_old_document_is_filed_in_an_old_folder(side: Side) -> None:
    entry, folder = s.entry(), s.folder()
    side.accept(s.submission(entry))
    side.accept(s.submission(folders=[folder]))
    document, place = side.document(entry.unique_id or ""), side.folder(folder.unique_id or "")
    side.accept(s.submission(links=[s.member(place.id, document.id)]))
    answer = side.find("GetFolderAndContents", [("$XDSFolderUniqueId", f"'{folder.unique_id}'")])
    assert [d.id for d in answer.objects.extrinsic_objects] == [document.id]


def test_a_reference_may_cross_patients(side: Side) -> None:
    mother = s.entry()
    side.accept(s.submission(mother))
    document = side.document(mother.unique_id or "")
    child = s.entry(patient_id=s.patient(2))
    side.accept(s.submission(child, references=[document.id]))


def test_a_reference_to_nothing_is_unresolved(side: Side) -> None:
    assert side.submit(s.submission(s.entry(), references=[s.new_uuid()])).codes == ["UnresolvedReferenceException"]


def test_a_hidden_document_is_as_unknown_as_none(side: Side) -> None:
    entry = s.entry()
    side.accept(s.submission(entry))
    document = side.document(entry.unique_id or "")
    new = s.entry()
    replacement = s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, document.id)])
    side.policy.shown = Scope(FieldIn("class_code", ("nothing^^1.2",)))
    hidden = side.submit(replacement)
    side.policy.shown = NOTHING
    assert side.submit(replacement).errors == hidden.errors
    assert hidden.codes == ["UnresolvedReferenceException"]
    unknown = s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, "urn:uuid:" + "0" * 8 + document.id[17:])])
    assert side.submit(unknown).codes == hidden.codes


def test_a_refusing_policy_is_a_fault_and_stores_nothing(side: Side) -> None:
    entry = s.entry()
    side.policy.decision = Decision(allowed=False, rule="no", code="NotAllowed")
    with pytest.raises(Fault):
        side.submit(s.submission(entry))
    side.policy.decision = Decision(allowed=True, rule="yes")
    assert side.documents(entry.unique_id or "") == ()


def test_a_submission_without_entries_and_folders_is_accepted(side: Side) -> None:
    owner = s.submission_set()
    side.accept(Submission((owner,)))
    assert side.submission_set(owner.unique_id or "").status == APPROVED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseBusy("x"), "Busy"),
        (DatabaseFull("x"), "OutOfResources"),
        (DatabaseError("x"), "Error"),
    ],
)
def test_database_failures_have_codes_of_their_own(error: DatabaseError, code: str) -> None:
    assert store_failure(error).for_actor("Registry") == f"XDSRegistry{code}"


def test_schema_faults_are_metadata_errors_that_name_the_element(side: Side) -> None:
    made = s.objects(s.submission(s.entry()))
    body = s.body(made)
    (document,) = body.iter("{*}ExtrinsicObject")
    document.append(document[0])  # a Slot behind the Classifications
    answer = side.send(side.iti42, body)
    assert "XDSRegistryMetadataError" in {e.get("errorCode") for e in answer.iter("{*}RegistryError")}
    assert "Slot" in next(e.get("codeContext", "") for e in answer.iter("{*}RegistryError"))
