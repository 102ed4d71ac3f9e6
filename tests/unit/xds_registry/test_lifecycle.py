"""`lifecycle.plan` as a pure function: each rule of document relationships and folder membership, without a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests import samples as s
from xds_metadata import associations as types
from xds_metadata.model import Association, DocumentEntry, Submission
from xds_metadata.patients import patient_column
from xds_registry.lifecycle import Membership, Plan, plan
from xds_registry.references import Facts, SetIdentity, StoredObject
from xds_registry.vocabulary import Kind, Status, bare

PATIENT = patient_column(s.PATIENT)
OTHER = patient_column(s.patient(2))
ALL = (types.RPLC, types.XFRM_RPLC, types.XFRM, types.APND, types.SIGNS, types.IS_SNAPSHOT_OF)


def _stored(kind: Kind = Kind.ENTRY, **changes: Any) -> StoredObject:
    made = StoredObject(bare(s.new_uuid()), PATIENT, kind, int(Status.APPROVED))
    return replace(made, **changes)


def _target(type_: str, **changes: Any) -> StoredObject:
    """A stored entry that a relationship of the type may point at."""
    return _stored(stable=type_ != types.IS_SNAPSHOT_OF, **changes)


def _facts(*objects: StoredObject, **more: Any) -> Facts:
    return Facts(objects={o.id: o for o in objects}, **more)


def _entry(**changes: Any) -> DocumentEntry:
    return s.entry(entry_uuid=s.new_uuid(), **changes)


def _submission(*entries: DocumentEntry, links: Iterable[Association] = (), **more: Any) -> Submission:
    return s.submission(*entries, links=links, owner=s.submission_set(entry_uuid=s.new_uuid()), **more)


def _rules(result: Plan) -> list[tuple[str, str]]:
    return sorted({(f.code, f.rule) for f in result.findings})


def _relate(type_: str, target: StoredObject, **facts: Any) -> Plan:
    entry = _entry()
    link = s.link(type_, entry.entry_uuid, f"urn:uuid:{target.id}")
    return plan(_submission(entry, links=[link]), _facts(target, **facts))


@pytest.mark.parametrize("type_", ALL)
def test_an_approved_target_of_the_same_patient_is_accepted(type_: str) -> None:
    assert _relate(type_, _target(type_)).findings == ()


@pytest.mark.parametrize("type_", ALL)
def test_an_unknown_target_is_unresolved(type_: str) -> None:
    entry = _entry()
    result = plan(_submission(entry, links=[s.link(type_, entry.entry_uuid, s.new_uuid())]), Facts())
    assert _rules(result) == [("UnresolvedReferenceException", "association-reference")]


@pytest.mark.parametrize("type_", ALL)
def test_a_folder_is_no_target(type_: str) -> None:
    assert _rules(_relate(type_, _stored(Kind.FOLDER))) == [("UnresolvedReferenceException", "association-reference")]


@pytest.mark.parametrize("type_", ALL)
@pytest.mark.parametrize("status", [Status.DEPRECATED, Status.ARCHIVED, Status.DELETED])
def test_a_target_must_be_approved(type_: str, status: Status) -> None:
    result = _relate(type_, _target(type_, status=int(status)))
    assert _rules(result) == [("XDSRegistryDeprecatedDocumentError", "association-approved")]


@pytest.mark.parametrize("type_", ALL)
def test_both_ends_belong_to_one_patient(type_: str) -> None:
    assert _rules(_relate(type_, _target(type_, patient=OTHER))) == [("XDSPatientIdDoesNotMatch", "association-patient")]


def test_a_snapshot_is_of_an_on_demand_entry() -> None:
    assert _rules(_relate(types.IS_SNAPSHOT_OF, _stored(stable=True))) == [("MetadataError", "snapshot-target")]


@pytest.mark.parametrize("type_", ALL)
def test_only_replacement_deprecates_its_target(type_: str) -> None:
    target = _target(type_)
    deprecated = _relate(type_, target).deprecate
    assert deprecated == (((target.id, PATIENT),) if type_ in types.REPLACING else ())


@pytest.mark.parametrize("type_", [types.RPLC, types.XFRM_RPLC])
def test_replacement_deprecates_all_below(type_: str) -> None:
    target = _stored()
    children = (("child", PATIENT), ("grandchild", PATIENT))
    result = _relate(type_, target, children={target.id: children})
    assert result.deprecate == ((target.id, PATIENT), *children)


@pytest.mark.parametrize("type_", [types.XFRM, types.APND, types.SIGNS])
def test_other_relationships_leave_children_and_folders_alone(type_: str) -> None:
    target, folder = _stored(), _stored(Kind.FOLDER)
    result = _relate(type_, target, children={target.id: (("child", PATIENT),)}, folders_of={target.id: (folder,)})
    assert result == Plan()


@pytest.mark.parametrize("type_", [types.RPLC, types.XFRM_RPLC])
def test_the_replacement_joins_the_folders_of_its_target(type_: str) -> None:
    target, one, two = _stored(), _stored(Kind.FOLDER), _stored(Kind.FOLDER)
    entry = _entry()
    value = _submission(entry, links=[s.link(type_, entry.entry_uuid, f"urn:uuid:{target.id}")])
    result = plan(value, _facts(target, folders_of={target.id: (one, two)}))
    new = bare(entry.entry_uuid)
    assert result.memberships == (Membership(one.id, new), Membership(two.id, new))
    assert result.touched == ((one.id, PATIENT), (two.id, PATIENT))


def test_a_membership_that_the_sender_files_is_not_added_again() -> None:
    target, folder = _stored(), _stored(Kind.FOLDER)
    entry = _entry()
    links = [
        s.link(types.RPLC, entry.entry_uuid, f"urn:uuid:{target.id}"),
        replace(s.member(f"urn:uuid:{folder.id}", entry.entry_uuid), entry_uuid=s.new_uuid()),
    ]
    result = plan(_submission(entry, links=links), _facts(target, folder, folders_of={target.id: (folder,)}))
    assert (result.memberships, result.touched, result.findings) == ((), ((folder.id, PATIENT),), ())


def test_a_folder_of_another_patient_is_not_joined() -> None:
    target, folder = _stored(), _stored(Kind.FOLDER, patient=OTHER)
    result = _relate(types.RPLC, target, folders_of={target.id: (folder,)})
    assert _rules(result) == [("XDSPatientIdDoesNotMatch", "association-patient")]


def test_one_replacement_of_two_documents() -> None:
    one, two = _stored(), _stored()
    entry = _entry()
    links = [s.link(types.RPLC, entry.entry_uuid, f"urn:uuid:{o.id}") for o in (one, two)]
    result = plan(_submission(entry, links=links), _facts(one, two))
    assert (result.findings, result.deprecate) == ((), ((one.id, PATIENT), (two.id, PATIENT)))


def test_two_replacements_of_one_document_are_refused() -> None:
    target = _stored()
    entries = [_entry(), _entry()]
    links = [s.link(types.RPLC, e.entry_uuid, f"urn:uuid:{target.id}") for e in entries]
    result = plan(_submission(*entries, links=links), _facts(target))
    assert _rules(result) == [("XDSRegistryDeprecatedDocumentError", "association-approved")]


@pytest.mark.parametrize("type_", [types.XFRM, types.APND, types.SIGNS])
def test_a_target_in_the_same_submission(type_: str) -> None:
    one, two = _entry(), _entry()
    assert plan(_submission(one, two, links=[s.link(type_, one.entry_uuid, two.entry_uuid)]), Facts()) == Plan()
    other = replace(two, patient_id=s.patient(2))
    result = plan(_submission(one, other, links=[s.link(type_, one.entry_uuid, two.entry_uuid)]), Facts())
    assert _rules(result) == [("XDSPatientIdDoesNotMatch", "association-patient")]


def _file(folder: str, target: str, *entries: DocumentEntry, folders: Iterable[Any] = (), facts: Facts) -> Plan:
    link = replace(s.member(folder, target), entry_uuid=s.new_uuid())
    return plan(_submission(*entries, folders=folders, links=[link]), facts)


def test_four_ways_to_file() -> None:
    old_folder, old_entry = _stored(Kind.FOLDER), _stored()
    facts = _facts(old_folder, old_entry)
    new_folder, new_entry = s.folder(entry_uuid=s.new_uuid()), _entry()
    old_place, old_document = f"urn:uuid:{old_folder.id}", f"urn:uuid:{old_entry.id}"
    touched = ((old_folder.id, PATIENT),)
    assert _file(old_place, new_entry.entry_uuid, new_entry, facts=facts) == Plan(touched=touched)
    assert _file(old_place, old_document, facts=facts) == Plan(touched=touched)
    for target in (new_entry.entry_uuid, old_document):
        assert _file(new_folder.entry_uuid, target, new_entry, folders=[new_folder], facts=facts) == Plan()


@pytest.mark.parametrize("which", ["folder", "entry"])
def test_filing_needs_both_approved(which: str) -> None:
    deprecated = int(Status.DEPRECATED)
    folder = _stored(Kind.FOLDER, status=deprecated if which == "folder" else 1)
    entry = _stored(status=deprecated if which == "entry" else 1)
    result = _file(f"urn:uuid:{folder.id}", f"urn:uuid:{entry.id}", facts=_facts(folder, entry))
    assert _rules(result) == [("XDSRegistryDeprecatedDocumentError", "association-approved")]


@pytest.mark.parametrize("which", ["folder", "entry"])
def test_filing_in_or_of_nothing_is_unresolved(which: str) -> None:
    folder, entry = _stored(Kind.FOLDER), _stored()
    facts = _facts(*([entry] if which == "folder" else [folder]))
    result = _file(f"urn:uuid:{folder.id}", f"urn:uuid:{entry.id}", facts=facts)
    assert _rules(result) == [("UnresolvedReferenceException", "association-reference")]


def test_filing_across_patients_is_refused() -> None:
    folder, entry = _stored(Kind.FOLDER), _stored(patient=OTHER)
    result = _file(f"urn:uuid:{folder.id}", f"urn:uuid:{entry.id}", facts=_facts(folder, entry))
    assert _rules(result) == [("XDSPatientIdDoesNotMatch", "association-patient")]


def test_a_stored_document_is_filed_by_a_set_of_its_own_patient() -> None:
    folder, entry = _stored(Kind.FOLDER, patient=OTHER), _stored(patient=OTHER)
    result = _file(f"urn:uuid:{folder.id}", f"urn:uuid:{entry.id}", facts=_facts(folder, entry))
    assert _rules(result) == [("XDSPatientIdDoesNotMatch", "association-patient")]
    assert s.PATIENT in result.findings[0].context
    assert s.patient(2) not in result.findings[0].context


def test_a_stored_document_holds_nothing_and_a_folder_holds_no_folder() -> None:
    one, two, folder = _stored(), _stored(), _stored(Kind.FOLDER)
    facts = _facts(one, two, folder)
    held = _file(f"urn:uuid:{one.id}", f"urn:uuid:{two.id}", facts=facts)
    assert _rules(held) == [("MetadataError", "has-member-source")]
    nested = _file(f"urn:uuid:{folder.id}", f"urn:uuid:{_stored(Kind.FOLDER).id}", facts=facts)
    assert _rules(nested) == [("UnresolvedReferenceException", "association-reference")]


def test_a_set_refers_to_stored_entries_only_of_any_patient() -> None:
    entry, folder = _stored(patient=OTHER, status=int(Status.DEPRECATED)), _stored(Kind.FOLDER)
    facts = _facts(entry, folder)
    assert plan(_submission(references=[f"urn:uuid:{entry.id}"]), facts) == Plan()
    result = plan(_submission(references=[f"urn:uuid:{folder.id}"]), facts)
    assert _rules(result) == [("UnresolvedReferenceException", "association-reference")]


def test_unknown_patients_are_named_once_each() -> None:
    value = _submission(_entry(), _entry(patient_id=s.patient(2)))
    result = plan(value, Facts(known_patients=frozenset({PATIENT})))
    assert [(f.code, f.context) for f in result.findings] == [("XDSUnknownPatientId", s.patient(2))]
    assert plan(value, Facts(known_patients=frozenset({PATIENT, OTHER}))) == Plan()


def test_used_ids_are_metadata_errors() -> None:
    result = plan(_submission(_entry()), Facts(used_ids=frozenset({"a", "b"})))
    assert [f.context.split("'")[1] for f in result.findings] == ["urn:uuid:a", "urn:uuid:b"]
    assert _rules(result) == [("MetadataError", "uuid-unused")]


def test_unique_ids_of_documents() -> None:
    entry = _entry()
    unique_id, value = entry.unique_id or "", _submission(entry)
    assert plan(value, Facts(documents={unique_id: (entry.hash, 4096)})) == Plan()
    assert _rules(plan(value, Facts(documents={unique_id: (entry.hash, 1)}))) == [
        ("XDSNonIdenticalSize", "document-identical")
    ]
    assert _rules(plan(value, Facts(documents={unique_id: ("0" * 40, 4096)}))) == [
        ("XDSNonIdenticalHash", "document-identical")
    ]
    assert _rules(plan(value, Facts(documents={unique_id: (None, None)}))) == [("MetadataError", "unique-id-on-demand")]


def test_an_empty_document_is_a_document() -> None:
    entry = _entry(size="0", hash=s.sha1(""))
    assert plan(_submission(entry), Facts(documents={entry.unique_id or "": (entry.hash, 0)})) == Plan()


@pytest.mark.parametrize("known", ["sets", "documents"])
def test_unique_ids_of_sets_and_folders(known: str) -> None:
    folder = s.folder(entry_uuid=s.new_uuid())
    value = _submission(folders=[folder])
    identity: Any = SetIdentity(2, "", "", "", 0, None) if known == "sets" else ("0" * 40, 1)
    for unique_id in (folder.unique_id, value.submission_sets[0].unique_id):
        stored: Any = {known: {unique_id or "": identity}}
        result = plan(value, Facts(**stored))
        assert _rules(result) == [("XDSDuplicateUniqueIdInRegistry", "unique-id-unused")]


@pytest.mark.parametrize(("type_", "rules"), [(types.APND, ["append-transformation"]), (types.XFRM, []), (types.SIGNS, [])])
def test_what_may_refer_to_a_transformation(type_: str, rules: list[str]) -> None:
    target = _stored()
    result = _relate(type_, target, transformations=frozenset({target.id}))
    assert [rule for _, rule in _rules(result)] == rules
