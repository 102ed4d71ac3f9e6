"""Faults that people met in products of this trade, as tests of ITI-42 and ITI-18; each named after its row in our list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ebrim import model as rim
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from xds_metadata import associations as types
from xds_metadata.codes import Row, code_sets
from xds_metadata.model import APPROVED, DEPRECATED

E = "$XDSDocumentEntry"


def _changed(made: rim.RegistryObjectList, **changes: object) -> rim.RegistryObjectList:
    """The objects with the entry changed."""
    return replace(made, extrinsic_objects=(replace(made.extrinsic_objects[0], **changes),))  # type: ignore[arg-type]


def test_f5_an_update_under_the_action_of_a_registration(side: Side) -> None:
    entry = s.entry()
    side.accept(s.submission(entry))
    stored = side.document(entry.unique_id or "")
    update = replace(entry, entry_uuid=s.symbolic(), logical_id=stored.id)
    value = s.submission(update)
    links = tuple(replace(a, previous_version="1") for a in value.associations)
    answer = side.submit(replace(value, associations=links))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "ITI-57" in answer.text
    assert [(d.id, d.version) for d in side.documents(entry.unique_id or "")] == [(stored.id, "1")]


def test_f40_an_association_type_as_the_type_of_a_reference(side: Side) -> None:
    reference = f"7f3a10c2^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:2007:AssociationType:RPLC"
    entry = s.entry(reference_ids=(reference,))
    side.accept(s.submission(entry))
    (values,) = [x.values for x in side.document(entry.unique_id or "").slots if "referenceIdList" in x.name]
    assert values == (reference,)
    assert len(side.associations(side.document(entry.unique_id or "").id)) == 1


def test_f41_every_missing_attribute_is_named_with_its_entry(side: Side) -> None:
    fields = {
        "creation_time": "creationTime",
        "language_code": "languageCode",
        "type_code": "typeCode",
        "practice_setting_code": "practiceSettingCode",
        "healthcare_facility_type_code": "healthcareFacilityTypeCode",
        "source_patient_id": "sourcePatientId",
    }
    entries = [s.entry(**{field: None}) for field in fields]
    answer = side.submit(s.submission(*entries))
    assert answer.codes == ["XDSRegistryMetadataError"] * 6
    for entry, name in zip(entries, fields.values(), strict=True):
        assert [e for e in answer.errors if entry.entry_uuid in e.context and name in e.context]


def test_f42_blanks_before_the_repository_id(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(repository_unique_id="  1.2.3.4")))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "'  1.2.3.4'" in answer.text


@pytest.mark.parametrize("time", ["20240229", "2024", "202402", "2024022910"])
def test_f43_coarse_times_are_kept(side: Side, time: str) -> None:
    entry = s.entry(creation_time=time)
    side.accept(s.submission(entry))
    assert rim.Slot("creationTime", (time,)) in side.document(entry.unique_id or "").slots


def test_f44_sha256_as_hash(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(hash="a" * 64)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "SHA-1" in answer.text
    assert "40" in answer.text


@pytest.mark.parametrize(
    "unique_id", ["urn:uuid:5c1f7a7e-3a52-4f6e-8f7e-0d8a3b1c2d3e", "https://h.example/doc/1", "1.2.3^ABC-2024"]
)
def test_f45_document_ids_that_are_no_oids(side: Side, unique_id: str) -> None:
    side.accept(s.submission(s.entry(unique_id=unique_id)))
    assert len(side.documents(unique_id)) == 1
    assert side.documents(unique_id + "0") == ()


def test_f46_the_sixth_component_of_a_reference(side: Side) -> None:
    reference = f"E77^^^&{s.AUTHORITY}&ISO^urn:ihe:iti:xds:2015:encounterId^&1.2.9&ISO"
    entry = s.entry(reference_ids=(reference,))
    side.accept(s.submission(entry))
    assert any(x.values == (reference,) for x in side.document(entry.unique_id or "").slots)


@pytest.mark.parametrize("unique_id", [" 1.2.3.4", "1.2.3.4 ", "1.2.3.4\t"])
def test_f47_blanks_at_the_ends_of_an_identifier(side: Side, unique_id: str) -> None:
    answer = side.submit(s.submission(s.entry(unique_id=unique_id)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "white space" in answer.text


def test_f48_a_time_with_a_zone(side: Side) -> None:
    assert side.submit(s.submission(s.entry(creation_time="20240311110436-0400"))).codes == ["XDSRegistryMetadataError"]


def test_f49_a_line_break_inside_an_organisation(side: Side) -> None:
    author = replace(s.author(), institutions=("CH DEMO^^^^^&\n      1.2.3&ISO^^^^42",))
    answer = side.submit(s.submission(s.entry(authors=(author,))))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "line breaks" in answer.text
    assert "missing" not in answer.text


def test_f50_a_birth_date_with_hyphens_names_pid_7(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(source_patient_info=("PID-7|1948-02-29",))))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "PID-7" in answer.text


def test_f51_long_document_ids(side: Side) -> None:
    entry = s.entry(unique_id="1.2.250.1.999.1^" + "x" * 90)
    side.accept(s.submission(entry))
    assert side.document(entry.unique_id or "").external_identifiers[1].value == entry.unique_id
    answer = side.submit(s.submission(s.entry(unique_id="1.2^" + "x" * 253)))
    assert answer.codes[0] == "XDSRegistryMetadataError"


def test_f52_one_classification_id_for_two_authors(side: Side) -> None:
    used = s.new_uuid()
    made = s.objects(s.submission(s.entry()))
    (entry,), (owner,) = made.extrinsic_objects, made.packages
    same = replace(
        made,
        extrinsic_objects=(
            replace(entry, classifications=(replace(entry.classifications[0], id=used), *entry.classifications[1:])),
        ),
        packages=(
            replace(owner, classifications=(*owner.classifications[:-1], replace(owner.classifications[-1], id=used))),
        ),
    )
    answer = side.submit(same)
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert used in answer.text
    assert side.find("FindDocuments", find_documents()).ids == ()


def test_f53_a_submission_set_without_patient(side: Side) -> None:
    answer = side.submit(s.submission(s.entry(), owner=s.submission_set(patient_id=None)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "SubmissionSet" in answer.text
    assert "patientId" in answer.text


def test_f54_an_empty_home_is_no_home(side: Side) -> None:
    entry = s.entry()
    body = s.body(s.submission(entry))
    for element in body.iter("{*}ExtrinsicObject", "{*}RegistryPackage", "{*}Association"):
        element.set("home", "")
    for element in body.iter("{*}Classification"):
        element.set("lid", s.new_uuid())
    answer = side.send(side.iti42, body)
    assert "Success" in answer.get("status", "")
    assert side.document(entry.unique_id or "").home is None


def test_f55_children_in_the_wrong_order(side: Side) -> None:
    body = s.body(s.submission(s.entry()))
    (document,) = body.iter("{*}ExtrinsicObject")
    document.append(document[0])
    answer = side.send(side.iti42, body)
    texts = [e.get("codeContext", "") for e in answer.iter("{*}RegistryError")]
    assert any("Slot" in text and "ExtrinsicObject" in text for text in texts)


def test_f56_limited_metadata(side: Side) -> None:
    node = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
    made = s.objects(s.submission(s.entry()))
    (entry,) = made.extrinsic_objects
    by_node = rim.Classification(s.symbolic(), entry.id, node=node)
    answer = side.submit(_changed(made, classifications=(*entry.classifications, by_node)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "limitedMetadata" in answer.text
    by_scheme = rim.Classification(s.symbolic(), entry.id, scheme=node, node_representation="limited")
    answer = side.submit(_changed(made, classifications=(*entry.classifications, by_scheme)))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert "classificationScheme" in answer.text


def test_f57_an_association_to_nothing(side: Side) -> None:
    entry = s.entry()
    nothing = s.new_uuid()
    answer = side.submit(s.submission(entry, links=[s.link(types.RPLC, entry.entry_uuid, nothing)]))
    assert answer.codes == ["UnresolvedReferenceException"]
    assert nothing in answer.text


def test_f58_a_classification_that_points_elsewhere(side: Side) -> None:
    made = s.objects(s.submission(s.entry()))
    (entry,), (owner,) = made.extrinsic_objects, made.packages
    moved = replace(owner.classifications[-1], classified_object=entry.id)
    answer = side.submit(replace(made, packages=(replace(owner, classifications=(*owner.classifications[:-1], moved)),)))
    assert "XDSRegistryMetadataError" in answer.codes
    assert any(entry.id in e.context and owner.id in e.context for e in answer.errors)


def test_f59_classification_ids_from_message_to_message(side: Side) -> None:
    def submission(part_id: str) -> rim.RegistryObjectList:
        made = s.objects(s.submission(s.entry()))
        first, *rest = made.extrinsic_objects[0].classifications
        return _changed(made, classifications=(replace(first, id=part_id), *rest))

    side.accept(submission("cl01"))
    side.accept(submission("cl01"))
    used = s.new_uuid()
    side.accept(submission(used))
    answer = side.submit(submission(used))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert used in answer.text


def test_f60_a_list_between_line_breaks(side: Side) -> None:
    side.accept(s.submission(s.entry(unique_id="1.2.3^B2")))
    answer = side.find("GetDocuments", [(f"{E}UniqueId", "\n('1.2.3^A1null','1.2.3^B2')\n")])
    assert len(answer.ids) == 1


def test_f61_a_unique_id_in_the_slot_of_uuids(side: Side) -> None:
    side.accept(s.submission(s.entry(unique_id="1.2.3^X")))
    assert side.find("GetDocuments", [(f"{E}EntryUUID", "('1.2.3^X')")]).ids == ()


def test_f62_a_missing_list_of_association_types(side: Side) -> None:
    answer = side.query("GetRelatedDocuments", [(f"{E}EntryUUID", f"'{s.new_uuid()}'")])
    assert answer.codes == ["XDSStoredQueryMissingParam"]


def test_f63_patients_separated_by_semicolons(side: Side) -> None:
    value = f"('{s.patient(1)}';'{s.patient(2)}')"
    answer = side.query("FindDocuments", [(f"{E}PatientId", value), *find_documents()[1:]])
    assert answer.codes == ["XDSRegistryError"]
    assert f"{E}PatientId" in answer.text


def test_f64_a_pattern_of_authors(side: Side) -> None:
    authors = tuple(s.author(f"80{n}^{name}^X") for n, name in enumerate(("Autre", "Dem_", "Encore")))
    side.accept(s.submission(s.entry(authors=authors, class_code=s.code("c%"))))
    pattern = find_documents(s.PATIENT, (f"{E}AuthorPerson", "('%^Dem_^%')"))
    assert len(side.find("FindDocuments", pattern).ids) == 1
    for value in ("%", "c_"):
        literal = find_documents(s.PATIENT, (f"{E}ClassCode", quoted(f"{value}^^1.2.250.1.999.5")))
        assert side.find("FindDocuments", literal).ids == ()


def test_f65_logical_ids_belong_to_the_update_option(side: Side) -> None:
    logical = (f"{E}LogicalID", quoted(s.new_uuid()))
    assert side.query("GetDocuments", [logical]).codes == ["XDSStoredQueryMissingParam"]


def test_f66_patient_and_status_suffice(side: Side) -> None:
    assert side.query("FindDocuments", find_documents()).status == "Success"


def test_f68_no_match_is_success(side: Side) -> None:
    answer = side.query("FindDocuments", find_documents(s.patient(99)))
    assert (answer.status, answer.ids, answer.errors) == ("Success", (), ())


def test_f69_the_home_community_of_a_query(side: Side) -> None:
    entry = s.entry()
    side.accept(s.submission(entry))
    parameter = (f"{E}UniqueId", quoted(entry.unique_id or ""))
    by_attribute = side.query("GetDocuments", [parameter], home="urn:oid:1.2.9")
    by_slot = side.query("GetDocuments", [parameter, ("$homeCommunityId", "'urn:oid:1.2.9'")])
    assert by_attribute.ids == by_slot.ids
    assert len(by_slot.ids) == 1


def test_f70_both_statuses(side: Side) -> None:
    old, new = s.entry(), s.entry()
    side.accept(s.submission(old))
    side.accept(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, side.document(old.unique_id or "").id)]))
    both = [find_documents()[0], (f"{E}Status", quoted(APPROVED, DEPRECATED))]
    assert len(side.find("FindDocuments", both).ids) == 2


def test_f71_parameter_errors_have_codes_of_their_own(side: Side) -> None:
    assert side.query("FindDocuments", find_documents()[:1]).codes == ["XDSStoredQueryMissingParam"]
    two = quoted(s.new_uuid(), s.new_uuid())
    assert side.query("GetFolderAndContents", [("$XDSFolderEntryUUID", two)]).codes == ["XDSStoredQueryParamNumber"]


def test_f73_a_reference_search_under_the_wrong_id(side: Side) -> None:
    parameters = [find_documents()[1], (f"{E}ReferenceIdList", "('x')")]
    assert side.query("FindDocuments", parameters).codes == ["XDSStoredQueryMissingParam"]


def test_f77_the_unique_id_of_a_deprecated_entry(side: Side) -> None:
    old, new = s.entry(), s.entry()
    side.accept(s.submission(old))
    side.accept(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, side.document(old.unique_id or "").id)]))
    answer = side.submit(s.submission(replace(old, entry_uuid=s.symbolic(), hash=s.sha1("other"))))
    assert answer.codes == ["XDSNonIdenticalHash"]


def test_f80_a_replacement_of_what_is_replaced(side: Side) -> None:
    a, b, c = s.entry(), s.entry(), s.entry()
    side.accept(s.submission(a))
    target = side.document(a.unique_id or "").id
    side.accept(s.submission(b, links=[s.link(types.RPLC, b.entry_uuid, target)]))
    answer = side.submit(s.submission(c, links=[s.link(types.RPLC, c.entry_uuid, target)]))
    assert answer.codes == ["XDSRegistryDeprecatedDocumentError"]
    assert side.document(b.unique_id or "").status == APPROVED
    assert side.documents(c.unique_id or "") == ()


def test_f85_an_unknown_code_is_named_with_its_attribute(side: Side) -> None:
    scheme = "1.2.250.1.999.5"
    listed = code_sets("test", [Row("type_code", "T", scheme), Row("format_code", "F", scheme)])
    entry = s.entry(type_code=s.code("x"), format_code=s.code("y"))
    answer = Side(side.database, codes=listed).submit(s.submission(entry))
    assert len(answer.errors) == 2
    for value, name in (("x", "typeCode"), ("y", "formatCode")):
        assert [e for e in answer.errors if all(p in e.context for p in (entry.entry_uuid, name, f"'{value}'", scheme))]


def test_f87_a_missing_attribute_is_a_metadata_error_with_its_exact_name(side: Side) -> None:
    nobody = replace(s.author(), person=None, institutions=(), telecommunications=())
    answer = side.submit(s.submission(s.entry(), owner=s.submission_set(authors=(nobody,))))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert all(word in answer.text for word in ("SubmissionSet", "authorInstitution"))
    known = side.with_settings(known_patients_only=True).submit(s.submission(s.entry()))
    assert [(e.code, e.context) for e in known.errors] == [("XDSUnknownPatientId", s.PATIENT)]


def test_f88_sets_are_returned_with_lid_and_version(side: Side) -> None:
    owner = s.submission_set()
    side.accept(s.submission(s.entry(), owner=owner))
    found = side.submission_set(owner.unique_id or "")
    assert (found.lid, found.version) == (found.id, "1")


def test_f86_f89_answers_hold_no_stack_trace_and_exact_uris(side: Side) -> None:
    bad = side.submit(s.submission(s.entry(hash="x", size="y", creation_time="z")))
    refused = side.query("FindDocuments", [(f"{E}Status", "('")])
    for answer in (bad, refused):
        assert answer.element is not None
        for error in answer.element.iter("{*}RegistryError"):
            assert error.get("severity") == "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
            assert error.get("location") == ""
            assert not any(word in error.get("codeContext", "") for word in ("Traceback", ".py", "line "))
