"""Every rule of a registration: one valid submission, one thing broken, the rule and the code that follow.

The last test compares the rules named here with those in the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from inspect import getsource
from typing import Any

import pytest

from ebrim import model as rim
from tests import samples as s
from xds_metadata import associations as types
from xds_metadata import from_ebrim as reading
from xds_metadata.attributes import SUBMISSION_SET_NODE, Type
from xds_metadata.codes import Row, code_sets, load_codes
from xds_metadata.errors import Finding
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import ON_DEMAND, Association, Author, DocumentEntry, Submission
from xds_metadata.profile import DMP, IHE, Profile
from xds_metadata.rules import check_submission, datatype, structure, values
from xds_metadata.rules.structure import MAX_AUTHORS, MAX_DOCUMENTS, MAX_OBJECTS, MAX_VALUES, check_structure
from xds_metadata.rules.values import PROVIDE, REGISTER

ANY = load_codes("any")
NOW = datetime(2026, 3, 11, tzinfo=UTC)
METADATA = "MetadataError"


def judge(value: Submission, actor: str = REGISTER, profile: Profile = IHE, codes: Any = ANY) -> tuple[Finding, ...]:
    return check_submission(value, actor, profile, codes, NOW)


def _entry(**changes: Any) -> tuple[Finding, ...]:
    return judge(s.submission(s.entry(**changes)))


def _set(**changes: Any) -> tuple[Finding, ...]:
    return judge(s.submission(s.entry(), owner=s.submission_set(**changes)))


def _folder(**changes: Any) -> tuple[Finding, ...]:
    return judge(s.submission(folders=[s.folder(**changes)]))


def _linked(make: Callable[[DocumentEntry, Any], Association]) -> tuple[Finding, ...]:
    """A submission of one entry and its set, with one more association."""
    entry, owner = s.entry(), s.submission_set()
    return judge(s.submission(entry, links=[make(entry, owner)], owner=owner))


def _relation(type_: str, **changes: Any) -> tuple[Finding, ...]:
    return _linked(lambda entry, _: s.link(type_, entry.entry_uuid, s.new_uuid(), **changes))


def _without(drop: Callable[[Association], bool], value: Submission) -> tuple[Finding, ...]:
    return judge(replace(value, associations=tuple(a for a in value.associations if not drop(a))))


def _twin_entries() -> tuple[Finding, ...]:
    one = s.entry()
    two = s.entry(entry_uuid=one.entry_uuid)
    owner = s.submission_set()
    member = s.member(owner.entry_uuid, one.entry_uuid, types.ORIGINAL)
    return judge(Submission((owner,), (one, two), (), (member,)))


def _unfiled() -> tuple[Finding, ...]:
    entry, folder = s.entry(), s.folder()
    value = s.submission(entry, folders=[folder])
    return judge(replace(value, associations=(*value.associations, s.member(folder.entry_uuid, entry.entry_uuid))))


def _snapshot() -> tuple[Finding, ...]:
    entry = s.entry(object_type=ON_DEMAND)
    link = s.link(types.IS_SNAPSHOT_OF, entry.entry_uuid, s.new_uuid())
    return tuple(check_structure(s.submission(entry, links=[link]), IHE))


def _self_member() -> tuple[Finding, ...]:
    entry, owner = s.entry(), s.submission_set()
    value = s.submission(entry, owner=owner)
    of_set = value.associations[0].entry_uuid
    return judge(replace(value, associations=(*value.associations, s.member(owner.entry_uuid, of_set))))


def _code(**changes: Any) -> tuple[Finding, ...]:
    listed = code_sets("test", [Row("type_code", "type", "1.2.250.1.999.5")])
    return judge(s.submission(s.entry(**changes)), codes=listed)


def _appended_transformation() -> Sequence[Finding]:
    first, second, third = s.entry(), s.entry(), s.entry()
    links = [
        s.link(types.XFRM, second.entry_uuid, first.entry_uuid),
        s.link(types.APND, third.entry_uuid, second.entry_uuid),
    ]
    return judge(s.submission(first, second, third, links=links))


RULES: list[tuple[str, str, Callable[[], Sequence[Finding]]]] = [
    ("submission-size", METADATA, lambda: judge(s.submission(*(s.entry() for _ in range(MAX_DOCUMENTS + 1))))),
    ("submission-size", METADATA, lambda: judge(s.submission(folders=[s.folder() for _ in range(MAX_OBJECTS // 2 + 1)]))),
    ("submission-size", METADATA, lambda: _entry(authors=(s.author(),) * (MAX_AUTHORS + 1))),
    ("submission-size", METADATA, lambda: _entry(event_codes=(s.code(),) * (MAX_VALUES + 1))),
    ("submission-size", METADATA, lambda: _folder(codes=(s.code(),) * (MAX_VALUES + 1))),
    ("one-submission-set", METADATA, lambda: judge(Submission(()))),
    ("one-submission-set", METADATA, lambda: judge(Submission((s.submission_set(), s.submission_set())))),
    ("id-once", METADATA, _twin_entries),
    (
        "unique-id-once",
        "DuplicateUniqueIdInMessage",
        lambda: judge(s.submission(*(s.entry(unique_id="1.2.3", hash=s.sha1(""), size="0") for _ in range(2)))),
    ),
    (
        "patient-equal",
        "XDSPatientIdDoesNotMatch",
        lambda: judge(s.submission(s.entry(patient_id=s.patient(2)), owner=s.submission_set())),
    ),
    (
        "patient-equal",
        "XDSPatientIdDoesNotMatch",
        lambda: judge(s.submission(s.entry(), folders=[s.folder(patient_id=s.patient(2))])),
    ),
    ("member-of-set", METADATA, lambda: _without(lambda a: True, s.submission(s.entry()))),
    ("member-of-set", METADATA, lambda: _without(lambda a: True, s.submission(folders=[s.folder()]))),
    ("member-of-set", METADATA, _unfiled),
    ("association-type", METADATA, lambda: _relation("urn:ihe:iti:2007:AssociationType:Unknown")),
    ("association-type", METADATA, lambda: _relation(types.UPDATE_AVAILABILITY_STATUS)),
    ("association-self", METADATA, lambda: _linked(lambda e, _: s.link(types.APND, e.entry_uuid, e.entry_uuid))),
    ("append-transformation", METADATA, _appended_transformation),
    (
        "association-target-set",
        METADATA,
        lambda: _linked(lambda e, owner: s.link(types.SIGNS, e.entry_uuid, owner.entry_uuid)),
    ),
    (
        "association-reference",
        "UnresolvedReferenceException",
        lambda: _linked(lambda e, _: s.link(types.APND, e.entry_uuid, "nothing")),
    ),
    (
        "has-member-source",
        METADATA,
        lambda: judge(
            (lambda one, two: s.submission(one, two, links=[s.member(one.entry_uuid, two.entry_uuid)]))(s.entry(), s.entry())
        ),
    ),
    (
        "has-member-target",
        METADATA,
        lambda: judge(
            (lambda one, two: s.submission(folders=[one, two], links=[s.member(one.entry_uuid, two.entry_uuid)]))(
                s.folder(), s.folder()
            )
        ),
    ),
    ("has-member-target", METADATA, _self_member),
    (
        "submission-set-status",
        METADATA,
        lambda: judge(
            replace(
                (value := s.submission(s.entry())),
                associations=tuple(replace(a, submission_set_status=None) for a in value.associations),
            )
        ),
    ),
    (
        "submission-set-status",
        METADATA,
        lambda: _linked(lambda _, owner: s.member(owner.entry_uuid, s.new_uuid(), types.ORIGINAL)),
    ),
    ("submission-set-status", METADATA, lambda: _relation(types.RPLC, submission_set_status=types.ORIGINAL)),
    ("association-documentation", METADATA, lambda: _relation(types.SIGNS, documentation=s.code())),
    (
        "association-documentation",
        METADATA,
        lambda: _linked(
            lambda _, owner: replace(s.member(owner.entry_uuid, s.new_uuid(), types.REFERENCE), documentation=s.code())
        ),
    ),
    (
        "relationship-source",
        "UnresolvedReferenceException",
        lambda: _linked(lambda _, __: s.link(types.APND, s.new_uuid(), s.new_uuid())),
    ),
    (
        "relationship-target",
        "UnresolvedReferenceException",
        lambda: judge(
            (lambda one, two: s.submission(one, two, links=[s.link(types.RPLC, one.entry_uuid, two.entry_uuid)]))(
                s.entry(), s.entry()
            )
        ),
    ),
    (
        "relationship-ends",
        METADATA,
        lambda: judge(
            (lambda e, f: s.submission(e, folders=[f], links=[s.link(types.APND, e.entry_uuid, f.entry_uuid)]))(
                s.entry(), s.folder()
            )
        ),
    ),
    ("snapshot-source", METADATA, _snapshot),
    ("object-type", METADATA, lambda: _entry(object_type=ON_DEMAND)),
    ("object-type", METADATA, lambda: _entry(object_type=SUBMISSION_SET_NODE)),
    ("required", METADATA, lambda: _folder(title="")),
    ("required", METADATA, lambda: _entry(entry_uuid="")),
    ("forbidden", METADATA, lambda: _entry(limited_metadata=True)),
    ("forbidden", METADATA, lambda: _relation(types.RPLC, previous_version="1")),
    ("length", METADATA, lambda: _entry(title="t" * 128)),
    ("length", METADATA, lambda: _set(title="t" * 256)),
    ("length", METADATA, lambda: _folder(title="t" * 257)),
    ("length", METADATA, lambda: _entry(uri="u" * 257)),
    ("length", METADATA, lambda: _entry(source_patient_info=("PID-5|" + "x" * 251,))),
    ("length", METADATA, lambda: _set(unique_id="1." + "2" * 63)),
    ("code", METADATA, lambda: _code(type_code=s.code("unlisted"))),
    ("author-identified", METADATA, lambda: _entry(authors=(Author(roles=("attending",), specialties=("x",)),))),
    ("type-author", METADATA, lambda: _entry(authors=(Author(person="^^Anne"),))),
    ("type-author", METADATA, lambda: _entry(authors=(replace(s.author(), institutions=("^^^^^&1.2.3&ISO",)),))),
    ("type-author", METADATA, lambda: _entry(authors=(replace(s.author(), roles=("r" * 257,)),))),
    ("type-author", METADATA, lambda: _entry(authors=(replace(s.author(), specialties=("a^b",)),))),
    ("type-author", METADATA, lambda: _set(authors=(replace(s.author(), telecommunications=("a@b",)),))),
    ("service-times", METADATA, lambda: _entry(service_start_time="20240102", service_stop_time="20240101")),
    ("document-availability", METADATA, lambda: _entry(document_availability="Online")),
    ("not-future", METADATA, lambda: _entry(creation_time="2099")),
    ("not-future", METADATA, lambda: _set(submission_time="20260401")),
    ("type-cx", METADATA, lambda: _entry(source_patient_id="LOCAL1")),
    ("type-cxi", METADATA, lambda: _entry(reference_ids=("R1^^^&1.2.3&ISO",))),
    ("type-dtm", METADATA, lambda: _entry(creation_time="2024-01-01")),
    ("type-field", METADATA, lambda: _entry(source_patient_info=("Anne",))),
    ("patient-field-once", METADATA, lambda: _entry(source_patient_info=("PID-7|1950", "PID-7|1951"))),
    ("patient-field-once", METADATA, lambda: _entry(source_patient_info=("PID-8|F", "PID-5|A", "PID-8|F"))),
    ("type-integer", METADATA, lambda: _entry(size="4 kB")),
    ("type-language", METADATA, lambda: _entry(language_code="french language")),
    ("type-mime", METADATA, lambda: _entry(mime_type="text")),
    ("type-oid", METADATA, lambda: _entry(repository_unique_id="repository/1")),
    ("type-recipient", METADATA, lambda: _set(intended_recipients=("|||",))),
    ("type-sha1", METADATA, lambda: _entry(hash="0" * 64)),
    ("type-unique_id", METADATA, lambda: _entry(unique_id="urn:oid:1.2.3")),
    ("type-uri", METADATA, lambda: _entry(uri=" a ")),
    ("type-uuid", METADATA, lambda: _entry(entry_uuid=s.new_uuid().upper().replace("URN:UUID", "urn:uuid"))),
    ("type-uuid", METADATA, lambda: _entry(logical_id="document-1")),
    ("type-uuid", METADATA, lambda: _linked(lambda e, _: s.link(types.APND, e.entry_uuid, "urn:uuid:" + "A" * 36))),
    ("type-uuid", METADATA, lambda: _linked(lambda e, _: s.link(types.APND, e.entry_uuid, "urn:uuid:1234"))),
    ("type-xcn", METADATA, lambda: _entry(legal_authenticator="^^Anne")),
]


@pytest.mark.parametrize(("rule", "code", "broken"), RULES, ids=[f"{n}-{rule}" for n, (rule, *_) in enumerate(RULES)])
def test_breaking_one_thing_names_one_rule(rule: str, code: str, broken: Callable[[], Sequence[Finding]]) -> None:
    found = {(f.rule, f.code, f.severity) for f in broken()}
    assert found == {(rule, code, "Error")}


def test_a_patient_that_does_not_match_is_named() -> None:
    (found,) = judge(s.submission(s.entry(patient_id=s.patient(2)), owner=s.submission_set()))
    assert s.patient(2) in found.context


def test_a_valid_submission_has_no_finding() -> None:
    entry, other, folder = s.entry(), s.entry(), s.folder()
    links = [
        s.member(folder.entry_uuid, entry.entry_uuid),
        s.link(types.APND, entry.entry_uuid, other.entry_uuid, documentation=s.code()),
        s.link(types.RPLC, other.entry_uuid, s.new_uuid()),
    ]
    value = s.submission(entry, other, folders=[folder], links=links, references=[s.new_uuid()])
    assert judge(value) == ()
    assert judge(value, PROVIDE) == ()


@pytest.mark.parametrize(
    ("field", "at_provide"),
    [
        ("class_code", True), ("confidentiality_codes", True), ("creation_time", True), ("format_code", True),
        ("healthcare_facility_type_code", True), ("language_code", True), ("patient_id", True),
        ("practice_setting_code", True), ("source_patient_id", True), ("type_code", True), ("unique_id", True),
        ("hash", False), ("size", False), ("repository_unique_id", False),
    ],
)  # fmt: skip
def test_required_attributes_of_an_entry(field: str, at_provide: bool) -> None:
    value = s.submission(s.entry(**{field: () if field.endswith("codes") else None}), owner=s.submission_set())
    assert [f.rule for f in judge(value)] == ["required"]
    assert [f.rule for f in judge(value, PROVIDE)] == (["required"] if at_provide else [])


@pytest.mark.parametrize("field", ["content_type_code", "patient_id", "source_id", "submission_time", "unique_id"])
def test_required_attributes_of_a_set(field: str) -> None:
    assert [f.rule for f in _set(**{field: None})] == ["required"]


@pytest.mark.parametrize("field", ["codes", "patient_id", "title", "unique_id"])
def test_required_attributes_of_a_folder(field: str) -> None:
    value = s.submission(folders=[s.folder(**{field: () if field == "codes" else None})], owner=s.submission_set())
    assert [f.rule for f in judge(value)] == ["required"]


def test_all_findings_come_at_once_and_name_object_and_attribute() -> None:
    found = _entry(class_code=None, creation_time="x", title="t" * 200, hash=None, mime_type="y")
    assert len(found) == 5
    assert all(f.context.startswith("DocumentEntry 'document-") for f in found)
    for name in ("classCode", "creationTime", "title", "hash", "mimeType"):
        assert sum(name in f.context for f in found) == 1


def test_empty_documents_and_future_services_are_right() -> None:
    assert _entry(size="0", hash=s.sha1(""), service_start_time="20260101", service_stop_time="20991231") == ()
    assert _entry(service_start_time="202503010900", service_stop_time="20250301") == ()


def test_a_code_is_judged_with_its_scheme_and_without_its_name() -> None:
    assert _code(type_code=s.code("type", display="Whatever")) == ()
    (found,) = _code(type_code=s.code("type", scheme="1.2.3"))
    assert all(part in found.context for part in ("DocumentEntry", "typeCode", "'type'", "'1.2.3'"))


def test_what_the_french_profile_tolerates() -> None:
    listed = code_sets("test", [Row("type_code", "type", "1.2.250.1.999.5"), Row("class_code", "c", "1.2")])
    signature = s.entry(format_code=s.code("http://www.w3.org/2000/09/xmldsig#"), class_code=s.code("x"))
    owner = s.submission_set()
    signed = s.link(types.SIGNS, signature.entry_uuid, owner.entry_uuid, submission_set_status=types.ORIGINAL)
    value = s.submission(signature, links=[signed], owner=owner)
    assert judge(value, profile=DMP, codes=listed) == ()
    assert {f.rule for f in judge(value, codes=listed)} == {"association-target-set", "submission-set-status", "code"}
    unlisted = s.submission(s.entry(type_code=s.code("other"), class_code=s.code("c", "1.2")))
    assert judge(unlisted, profile=DMP, codes=listed) == ()
    assert [f.rule for f in judge(unlisted, codes=listed)] == ["code"]


# what stands in the wrong place of the ebRIM objects


@dataclass(frozen=True)
class Broken:
    """A submission of one entry and one folder, of which one object was changed on the wire."""

    objects: rim.RegistryObjectList

    def findings(self, profile: Profile = IHE) -> tuple[Finding, ...]:
        return from_ebrim(self.objects, profile)[1]


def _wire() -> rim.RegistryObjectList:
    return s.objects(s.submission(s.entry(), folders=[s.folder()]))


def _document(change: Callable[[rim.ExtrinsicObject], rim.ExtrinsicObject]) -> Broken:
    made = _wire()
    return Broken(replace(made, extrinsic_objects=(change(made.extrinsic_objects[0]),)))


def _slots(change: Callable[[tuple[rim.Slot, ...]], tuple[rim.Slot, ...]]) -> Broken:
    return _document(lambda d: replace(d, slots=change(d.slots)))


def _classification(place: int, **changes: Any) -> Broken:
    """Change one Classification of the entry: 0 is the author, others are codes."""
    return _document(
        lambda d: replace(
            d,
            classifications=tuple(
                replace(c, **changes) if n == place else c for n, c in enumerate(d.classifications)
            ),
        )
    )  # fmt: skip


def _identifier(**changes: Any) -> Broken:
    return _document(
        lambda d: replace(
            d, external_identifiers=(replace(d.external_identifiers[0], **changes), *d.external_identifiers[1:])
        )
    )


def _author_slots(*slots: rim.Slot) -> Broken:
    return _classification(0, slots=slots)


def _package(nodes: Sequence[str]) -> Broken:
    made = _wire()
    first = made.packages[0]
    markers = tuple(rim.Classification(s.symbolic(), first.id, node=node) for node in nodes)
    return Broken(
        replace(made, packages=(replace(first, classifications=(*markers, *first.classifications[1:])), *made.packages[1:]))
    )


UUID = s.new_uuid()
FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
WIRE: list[tuple[str, Callable[[], Broken]]] = [
    ("slot-once", lambda: _slots(lambda slots: (*slots, slots[0]))),
    ("slot-once", lambda: _author_slots(*[rim.Slot("authorPerson", ("801^A",))] * 2)),
    ("slot-value", lambda: _slots(lambda slots: (replace(slots[0], values=()), *slots[1:]))),
    ("slot-value", lambda: _slots(lambda slots: (replace(slots[0], values=("",)), *slots[1:]))),
    ("slot-value", lambda: _author_slots(rim.Slot("authorRole", ("",)), rim.Slot("authorPerson", ("801^A",)))),
    ("slot-single", lambda: _slots(lambda slots: (replace(slots[0], values=("2024", "2025")), *slots[1:]))),
    ("slot-name", lambda: _slots(lambda slots: (*slots, rim.Slot("extra", ("x",))))),
    ("slot-name", lambda: _slots(lambda slots: (*slots, rim.Slot("urn:ihe:iti:extra", ("x",))))),
    ("classified-object", lambda: _classification(1, classified_object="other")),
    ("classified-object", lambda: Broken(replace(_wire(), classifications=(rim.Classification("c", "nothing", node="n"),)))),
    ("scheme", lambda: _classification(1, scheme="urn:uuid:unknown")),
    (
        "code-single",
        lambda: _document(
            lambda d: replace(d, classifications=(*d.classifications, replace(d.classifications[1], id=s.symbolic())))
        ),
    ),
    (
        "node",
        lambda: _document(
            lambda d: replace(d, classifications=(*d.classifications, rim.Classification("n", d.id, node=FOLDER_NODE)))
        ),
    ),
    ("code-value", lambda: _classification(1, node_representation="")),
    ("code-value", lambda: _classification(1, node_representation=None)),
    ("coding-scheme", lambda: _classification(1, slots=())),
    ("coding-scheme", lambda: _classification(1, slots=(rim.Slot("codingScheme", ("a", "b")),))),
    ("coding-scheme", lambda: _classification(1, slots=(rim.Slot("codingScheme", ("a",)),) * 2)),
    ("code-display", lambda: _classification(1, name=())),
    ("author-node", lambda: _classification(0, node_representation=None)),
    ("author-slot", lambda: _author_slots(rim.Slot("authorName", ("x",)), rim.Slot("authorPerson", ("801^A",)))),
    ("author-one-person", lambda: _author_slots(rim.Slot("authorPerson", ("801^A", "802^B")))),
    ("identification-scheme", lambda: _identifier(scheme="urn:uuid:unknown")),
    ("registry-object", lambda: _identifier(registry_object="other")),
    (
        "identifier-once",
        lambda: _document(
            lambda d: replace(
                d, external_identifiers=(*d.external_identifiers, replace(d.external_identifiers[0], id=s.symbolic()))
            )
        ),
    ),
    ("identifier-name", lambda: _identifier(name=(rim.LocalizedString("patientId"),))),
    ("identifier-name", lambda: _identifier(name=())),
    ("object-kind", lambda: Broken(replace(_wire(), others=("Organization", "RegistryObjectList")))),
    ("package-marker", lambda: _package(())),
    ("package-marker", lambda: _package((SUBMISSION_SET_NODE, FOLDER_NODE))),
    (
        "part-id",
        lambda: _document(
            lambda d: replace(
                d, classifications=tuple(replace(c, id=UUID) for c in d.classifications[:2]) + d.classifications[2:]
            )
        ),
    ),
    ("part-id", lambda: _classification(1, id="urn:uuid:not-a-uuid")),
    ("part-id", lambda: _document(lambda d: replace(d, classifications=(replace(d.classifications[0], id=d.id),)))),
]


@pytest.mark.parametrize(("rule", "broken"), WIRE, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(WIRE)])
def test_one_thing_in_the_wrong_place_names_one_rule(rule: str, broken: Callable[[], Broken]) -> None:
    assert {(f.rule, f.code) for f in broken().findings()} == {(rule, METADATA)}


@pytest.mark.parametrize("nodes", [(), (SUBMISSION_SET_NODE, FOLDER_NODE)])
def test_references_to_a_package_without_its_marker_are_not_unresolved(nodes: Sequence[str]) -> None:
    submission, found = from_ebrim(_package(nodes).objects, IHE)
    assert {f.code for f in (*found, *judge(submission))} == {METADATA}


def test_the_wire_form_of_a_valid_submission_has_no_finding() -> None:
    assert from_ebrim(_wire(), IHE)[1] == ()


def test_switches_of_reading() -> None:
    lenient = replace(IHE, code_without_display=True, author_without_node_representation=True, foreign_slots=True)
    assert _classification(1, name=()).findings(lenient) == ()
    assert _classification(0, node_representation=None).findings(DMP) == ()
    assert _slots(lambda slots: (*slots, rim.Slot("extra", ("x",)))).findings(lenient) == ()


def test_symbolic_ids_of_parts_may_repeat() -> None:
    assert _document(
        lambda d: replace(d, classifications=tuple(replace(c, id="cl01") for c in d.classifications))
    ).findings() == ()  # fmt: skip


def test_values_are_shown_shortened_and_without_control_characters() -> None:
    assert reading.shown("a\r\nb\u202e") == "'a\\x0d\\x0ab\\x202e'"
    assert len(reading.shown("x" * 1000)) < 120


def test_every_rule_in_the_source_is_tested() -> None:
    sources = "".join(getsource(module) for module in (reading, structure, values, datatype))
    named = set(re.findall(r'finding\(\s*"([a-z-]+)"', sources)) | set(re.findall(r'rule="([a-z-]+)"', sources))
    named |= {f"type-{type_.name.lower()}" for type_ in Type if type_ in datatype.CHECKS}
    assert {rule for rule, *_ in (*RULES, *WIRE)} == named - {"type-"}
