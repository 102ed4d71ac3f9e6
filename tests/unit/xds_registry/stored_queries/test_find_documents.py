"""FindDocuments and FindDocumentsByReferenceId."""

from __future__ import annotations

import pytest

from ebrim import model as rim
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from tests.unit.xds_registry.stored_queries.content import ACCESSION, AUTHOR_TWO, ORDER, Content
from xds_metadata.model import APPROVED, DEPRECATED, ON_DEMAND, STABLE, Code

E = "$XDSDocumentEntry"
CURRENT = ["addendum", "dated", "new"]


def _code(*values: str) -> str:
    return quoted(*(f"{value}^^1.2.250.1.999.5" for value in values))


def test_patient_and_status_suffice(content: Content) -> None:
    answer = content.side.find("FindDocuments", find_documents())
    assert content.named(answer.ids) == CURRENT
    assert content.named(content.side.find("FindDocuments", find_documents(), leaves=False).objects.object_refs) == CURRENT


def test_answers_come_in_the_order_of_registration(content: Content) -> None:
    answer = content.side.find("FindDocuments", find_documents())
    assert list(answer.ids) == [content.ids[name] for name in ("dated", "new", "addendum")]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ([(f"{E}ClassCode", _code("class2"))], ["dated"]),
        ([(f"{E}ClassCode", _code("class2", "class", "other"))], CURRENT),
        ([(f"{E}ClassCode", quoted("class2^^1.2.3"))], []),
        ([(f"{E}ClassCode", quoted("class_^^1.2.250.1.999.5"))], []),
        ([(f"{E}TypeCode", _code("type2"))], ["dated"]),
        ([(f"{E}FormatCode", _code("format2"))], ["dated"]),
        ([(f"{E}PracticeSettingCode", _code("practice2"))], ["dated"]),
        ([(f"{E}HealthcareFacilityTypeCode", _code("facility2"))], ["dated"]),
        ([(f"{E}EventCodeList", _code("E1", "E2"))], ["dated", "new"]),
        ([(f"{E}EventCodeList", _code("E1")), (f"{E}EventCodeList", _code("E2"))], ["dated"]),
        ([(f"{E}ConfidentialityCode", _code("R"))], ["dated"]),
        ([(f"{E}ConfidentialityCode", _code("R")), (f"{E}ConfidentialityCode", _code("N"))], []),
        ([(f"{E}ConfidentialityCode", _code("R")), (f"{E}ConfidentialityCode", _code("V", "N"))], ["dated"]),
        ([(f"{E}ConfidentialityCode", _code("E1"))], []),
        ([(f"{E}AuthorPerson", quoted(AUTHOR_TWO))], ["dated"]),
        ([(f"{E}AuthorPerson", quoted("%^Martin^%"))], CURRENT),
        ([(f"{E}AuthorPerson", quoted("%^Du_pont^%"))], ["dated"]),
        ([(f"{E}AuthorPerson", quoted("%^du_pont^%"))], []),
        ([(f"{E}AuthorPerson", quoted("%^Du?pont^%"))], []),
        ([(f"{E}AuthorPerson", quoted("*Du*"))], []),
        ([(f"{E}AuthorPerson", quoted("%[D]u%"))], []),
        ([(f"{E}AuthorPerson", quoted("Martin"))], []),
        ([(f"{E}AuthorPerson", quoted("no one", "%Du%"))], ["dated"]),
        ([(f"{E}CreationTimeFrom", "20240229101500")], ["addendum", "new"]),
        ([(f"{E}CreationTimeFrom", "'20240229101501'")], []),
        ([(f"{E}CreationTimeTo", "20240229101500")], ["dated"]),
        ([(f"{E}CreationTimeTo", "20240229101501")], CURRENT),
        ([(f"{E}CreationTimeFrom", "2023"), (f"{E}CreationTimeTo", "2024")], ["dated"]),
        ([(f"{E}CreationTimeFrom", "20230101000000"), (f"{E}CreationTimeTo", "20230101")], []),
        ([(f"{E}ServiceStartTimeFrom", "2024")], ["addendum", "new"]),
        ([(f"{E}ServiceStartTimeTo", "2023")], ["addendum", "new"]),
        ([(f"{E}ServiceStartTimeTo", "20230102")], CURRENT),
        ([(f"{E}ServiceStopTimeFrom", "20230102")], CURRENT),
        ([(f"{E}ServiceStopTimeTo", "2023010212")], ["addendum", "new"]),
        ([(f"{E}Type", quoted(STABLE))], CURRENT),
        ([(f"{E}Type", quoted(ON_DEMAND))], []),
        ([(f"{E}Type", quoted(ON_DEMAND, STABLE))], CURRENT),
        ([(f"{E}Type", quoted("urn:uuid:unknown"))], []),
        ([(f"{E}Unknown", "('")], CURRENT),
    ],
)
def test_filters(content: Content, more: list[tuple[str, str]], names: list[str]) -> None:
    for leaves in (True, False):
        answer = content.side.find("FindDocuments", find_documents(s.PATIENT, *more), leaves=leaves)
        assert content.named(answer.ids) == names


def test_the_patient_s_identifier_is_compared_whole(content: Content) -> None:
    for patient in (s.patient("%"), s.patient("_"), s.patient(9), "PAT1^^^&1.2.3&ISO", f"pat1^^^&{s.AUTHORITY}&ISO"):
        assert content.side.find("FindDocuments", find_documents(patient)).ids == ()
    assert content.named(content.side.find("FindDocuments", find_documents(s.patient(2))).ids) == ["foreign"]


def test_statuses(content: Content) -> None:
    both = [(f"{E}PatientId", f"'{s.PATIENT}'"), (f"{E}Status", quoted(APPROVED, DEPRECATED))]
    assert content.named(content.side.find("FindDocuments", both).ids) == [*CURRENT, "plain"]
    assert content.named(content.side.find("FindDocuments", find_documents(status="Deprecated")).ids) == ["plain"]


@pytest.mark.parametrize(
    ("slots", "names"),
    [
        ([quoted(ORDER)], ["addendum", "dated"]),
        ([quoted(ORDER, ACCESSION)], ["addendum", "dated"]),
        ([quoted(ORDER), quoted(ACCESSION)], ["dated"]),
        ([quoted(ORDER.replace("ORD1", "ORD_"))], []),
        ([quoted("%")], []),
    ],
)
def test_by_reference_id(content: Content, slots: list[str], names: list[str]) -> None:
    more = [(f"{E}ReferenceIdList", slot) for slot in slots]
    for leaves in (True, False):
        answer = content.side.find("FindDocumentsByReferenceId", find_documents(s.PATIENT, *more), leaves=leaves)
        assert content.named(answer.ids) == names


def test_by_reference_id_with_filters(content: Content) -> None:
    more = [(f"{E}ReferenceIdList", quoted(ORDER)), (f"{E}ClassCode", _code("class2"))]
    answer = content.side.find("FindDocumentsByReferenceId", find_documents(s.PATIENT, *more))
    assert content.named(answer.ids) == ["dated"]


@pytest.mark.parametrize("name", ["FindDocuments", "FindDocumentsByReferenceId"])
def test_missing_parameters_are_all_named(content: Content, name: str) -> None:
    answer = content.side.query(name, [])
    assert set(answer.codes) == {"XDSStoredQueryMissingParam"}
    assert ("ReferenceIdList" in answer.text) == (name == "FindDocumentsByReferenceId")
    assert f"{E}PatientId" in answer.text
    assert f"{E}Status" in answer.text


@pytest.mark.parametrize("one", ["ClassCode", "CreationTimeFrom", "AuthorPerson", "Type", "Status", "PatientId"])
def test_a_slot_that_may_not_repeat(content: Content, one: str) -> None:
    value = {"ClassCode": _code("a"), "Type": quoted(STABLE), "Status": quoted(APPROVED), "PatientId": f"'{s.PATIENT}'"}.get(
        one, "'20240101'"
    )
    parameters = [p for p in find_documents() if p[0] != E + one] + [(E + one, value)] * 2
    assert content.side.query("FindDocuments", parameters).codes == ["XDSStoredQueryParamNumber"]


def test_names_in_another_normal_form_match(content: Content) -> None:
    decomposed, patient = "803^Rene\u0301^Zoe\u0308", s.patient(3)
    entry = s.entry(authors=(s.author(decomposed),), class_code=s.code("cafe\u0301"), patient_id=patient)
    content.side.accept(s.submission(entry))
    for filter_ in (
        (f"{E}AuthorPerson", quoted("%Ren\u00e9%")),
        (f"{E}AuthorPerson", quoted("%Rene\u0301%")),
        (f"{E}ClassCode", _code("caf\u00e9")),
    ):
        assert len(content.side.find("FindDocuments", find_documents(patient, filter_)).ids) == 1


def test_a_scheme_is_the_same_oid_with_and_without_its_urn(side: Side) -> None:
    entry = s.entry(class_code=Code("prefixed", "urn:oid:1.2.3", "Prefixed"))
    side.accept(s.submission(entry))
    for scheme in ("1.2.3", "urn:oid:1.2.3"):
        answer = side.find("FindDocuments", [*find_documents(), (f"{E}ClassCode", quoted(f"prefixed^^{scheme}"))])
        assert answer.ids == (side.document(entry.unique_id or "").id,)
    stored = side.document(entry.unique_id or "")
    assert rim.Slot("codingScheme", ("urn:oid:1.2.3",)) in [slot for c in stored.classifications for slot in c.slots]
