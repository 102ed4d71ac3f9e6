"""Attacks by metadata and query parameters (group E): refused with a clear answer, or taken literally."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from database import Database
from ebrim import model as rim
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, Submission
from xds_registry import tables as t

E = "$XDSDocumentEntry"
HOSTILE = (
    "'x'' OR 1=1--'",
    "x' OR '1'='1",
    "'; DROP TABLE entry; --",
    "\\' OR 1=1 --",
    "\u2019 OR 1=1",
    "%",
    "_",
    "%' ESCAPE '%",
    "*",
    "[a-z]*",
    "${jndi:ldap://x}",
    ":p0",
    "%(p0)s",
    "?",
)


@pytest.fixture
def side(database: Database) -> Side:
    """A registry that holds one entry."""
    side = Side(database)
    side.accept(s.submission(s.entry()))
    return side


def _count(side: Side) -> int:
    with side.database.read() as connection:
        return connection.execute(select(func.count()).select_from(t.object_key)).scalar_one()


def _refused(side: Side, value: Submission | rim.RegistryObjectList, code: str = "XDSRegistryMetadataError") -> str:
    before = _count(side)
    answer = side.submit(value)
    assert answer.status == "Failure"
    assert code in answer.codes
    assert _count(side) == before
    return answer.text


@pytest.mark.parametrize("value", HOSTILE)
def test_e1_sql_in_query_parameters_is_only_a_value(side: Side, value: str) -> None:
    for name, parameters in (
        ("FindDocuments", find_documents(s.PATIENT, (f"{E}ClassCode", quoted(f"{value}^^{value}")))),
        ("FindDocumentsByReferenceId", find_documents(s.PATIENT, (f"{E}ReferenceIdList", quoted(value)))),
        ("GetDocuments", [(f"{E}UniqueId", quoted(value))]),
        ("GetDocuments", [(f"{E}EntryUUID", quoted(value))]),
        ("GetAssociations", [("$uuid", quoted(value))]),
    ):
        assert side.query(name, parameters).ids == ()


@pytest.mark.parametrize("value", [v for v in HOSTILE if v != "%"])
def test_e1_sql_in_an_author_pattern(side: Side, value: str) -> None:
    assert side.find("FindDocuments", find_documents(s.PATIENT, (f"{E}AuthorPerson", quoted(value)))).ids == ()


@pytest.mark.parametrize(
    "value", ["%", "_", "PAT_^^^&1.2.250.1.999.77&ISO", "PAT%^^^&1.2.250.1.999.77&ISO", "PAT1' OR '1'='1"]
)
def test_e1_wildcards_in_the_patient(side: Side, value: str) -> None:
    answer = side.query("FindDocuments", [(f"{E}PatientId", quoted(value)), find_documents()[1]])
    assert answer.ids == ()
    assert answer.codes in ([], ["XDSRegistryError"])


@pytest.mark.parametrize("value", [v for v in HOSTILE if v.isascii()])
def test_e1_sql_in_slots_is_stored_as_it_is(side: Side, value: str) -> None:
    entry = s.entry(
        unique_id=value,
        title=value,
        comments=value,
        class_code=s.code(value, value),
        authors=(s.author(f"1^{_hl7(value)}"),),
    )
    side.accept(s.submission(entry))
    assert side.document(value).name[0].value == value
    coded = find_documents(s.PATIENT, (f"{E}ClassCode", quoted(f"{value}^^{value}")))
    assert len(side.find("FindDocuments", coded).ids) == 1


def _hl7(value: str) -> str:
    return "".join({"\\": "\\E\\", "&": "\\T\\", "^": "\\S\\", "~": "\\R\\", "|": "\\F\\"}.get(c, c) for c in value)


@pytest.mark.parametrize(
    "value", ["(((('x'))))", "('x'", "'x", "('x','y'", "('x'),('y')", "()", "(,)", "'" * 201, "(" * 200, "''" * 100 + "x'"]
)
def test_e2_broken_literals(side: Side, value: str) -> None:
    for name in (f"{E}ClassCode", f"{E}AuthorPerson"):
        answer = side.query("FindDocuments", find_documents(s.PATIENT, (name, value)))
        assert (answer.status, answer.codes) == ("Failure", ["XDSRegistryError"])
        assert name in answer.text
        assert len(answer.text) < 400


def test_e2_values_beyond_the_limits(side: Side) -> None:
    many = ["('" + f"{n}^^1.2" + "')" for n in range(1001)]
    spread = [rim.Slot(f"{E}EventCodeList", tuple(many[:600])), rim.Slot(f"{E}EventCodeList", tuple(many[600:]))]
    for parameters in (
        [(f"{E}ClassCode", many)],
        [(slot.name, slot.values) for slot in spread],
        [(f"{E}EventCodeList", "('a^^b')")] * 21,
        [(f"{E}AuthorPerson", ["('a')"] * 101)],
    ):
        answer = side.query("FindDocuments", [*find_documents(), *parameters])
        assert answer.codes == ["XDSRegistryError"]


def test_e2_as_many_as_allowed(side: Side) -> None:
    codes = [f"('{n}^^1.2')" for n in range(1000)]
    ids = [f"('{s.new_uuid()}')" for _ in range(1000)]
    persons = [f"('%{n}x%')" for n in range(100)]
    assert side.find("FindDocuments", [*find_documents(), (f"{E}ClassCode", codes)]).ids == ()
    assert side.find("FindDocuments", [*find_documents(), (f"{E}AuthorPerson", persons)]).ids == ()
    assert side.find("FindDocuments", [*find_documents(), *[(f"{E}EventCodeList", codes[:50])] * 20]).ids == ()
    for name, key in (
        ("GetDocuments", f"{E}EntryUUID"),
        ("GetDocumentsAndAssociations", f"{E}EntryUUID"),
        ("GetDocumentsAndAssociations", f"{E}UniqueId"),
        ("GetFolders", "$XDSFolderUniqueId"),
        ("GetAssociations", "$uuid"),
        ("GetSubmissionSets", "$uuid"),
    ):
        assert side.find(name, [(key, ids)]).ids == ()


def test_e3_repetition_narrows_and_lists_widen(side: Side) -> None:
    entry = s.entry(confidentiality_codes=(s.code("V"),), patient_id=s.patient(2))
    side.accept(s.submission(entry))
    scheme = "1.2.250.1.999.5"
    name = f"{E}ConfidentialityCode"
    both = quoted(f"N^^{scheme}", f"V^^{scheme}")
    assert len(side.find("FindDocuments", find_documents(s.patient(2), (name, both))).ids) == 1
    narrow = [(name, quoted(f"V^^{scheme}")), (name, quoted(f"N^^{scheme}"))]
    assert side.find("FindDocuments", find_documents(s.patient(2), *narrow)).ids == ()
    patients = [(f"{E}PatientId", f"'{s.patient(1)}'"), *find_documents(s.patient(2))]
    assert side.query("FindDocuments", patients).codes == ["XDSStoredQueryParamNumber"]


@pytest.mark.parametrize(
    "changes",
    [
        {"repository_unique_id": "1.2/../3"},
        {"repository_unique_id": "1." + "2" * 65_000},
        {"repository_unique_id": "..%2f..%2fetc"},
        {"unique_id": "urn:oid:1.2.3"},
        {"unique_id": "1.2.3\u202e4"},
        {"entry_uuid": "urn:uuid:../../x"},
        {"entry_uuid": "urn:uuid:5C1F7A7E-3A52-4F6E-8F7E-0D8A3B1C2D3E"},
    ],
)
def test_e4_identifiers_that_are_no_identifiers(side: Side, changes: dict[str, str]) -> None:
    _refused(side, s.submission(s.entry(**changes)))


def test_e4_ids_of_sets_and_folders_are_oids(side: Side) -> None:
    _refused(side, s.submission(s.entry(), owner=s.submission_set(unique_id="../../x")))
    _refused(side, s.submission(folders=[s.folder(unique_id="1.2.3/4")]))


@pytest.mark.parametrize(
    "value", ["a\r\nINFO forged", "\x1b[31mred".replace("\x1b", "\x9b"), "${jndi:x}", "<85>1 x", "\u202etxt"]
)
def test_e5_nothing_submitted_reaches_a_log(side: Side, value: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    side.submit(s.submission(s.entry(title=value, comments=value, hash="wrong" + value)))
    side.query("FindDocuments", find_documents(s.PATIENT, (f"{E}ClassCode", value)))
    for record in caplog.records:
        shown = record.getMessage() + repr(record.__dict__)
        assert value not in shown
        assert repr(value)[1:-1] not in shown


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "javascript:x", "]]><!--"])
def test_e6_markup_is_text_in_answers_and_errors(side: Side, value: str) -> None:
    entry = s.entry(title=value, comments=value, class_code=s.code("c", display=value))
    side.accept(s.submission(entry))
    found = side.document(entry.unique_id or "")
    assert (found.name[0].value, found.description[0].value) == (value, value)
    text = _refused(side, s.submission(s.entry(hash=value)))
    assert value in text
    assert side.query(value, []).codes[0] in ("XDSUnknownStoredQuery", "XDSRegistryError")


@pytest.mark.parametrize(
    "patient",
    [
        f"P\u0410T1^^^&{s.AUTHORITY}&ISO",  # a Cyrillic letter
        f"PAT\u200b1^^^&{s.AUTHORITY}&ISO",
        f"PAT\u0661^^^&{s.AUTHORITY}&ISO",  # an Arabic digit
        f"\u202ePAT1^^^&{s.AUTHORITY}&ISO",
        f"PAT1\u0301^^^&{s.AUTHORITY}&ISO",
    ],
)
def test_e7_look_alike_patients_are_refused(side: Side, patient: str) -> None:
    _refused(side, s.submission(s.entry(patient_id=patient)))
    query = [(f"{E}PatientId", quoted(patient)), find_documents()[1]]
    assert side.query("FindDocuments", query).codes == ["XDSRegistryError"]


def test_e7_look_alike_document_ids_are_refused(side: Side) -> None:
    for unique_id in ("1.2.\uff13", "1.2.3\u200b", "1\u20242"):
        _refused(side, s.submission(s.entry(unique_id=unique_id)))


def test_e8_colliding_symbolic_ids(side: Side) -> None:
    one = s.entry()
    value = s.submission(one)
    twin = s.folder(entry_uuid=one.entry_uuid)
    _refused(side, replace(value, folders=(twin,)))
    made = s.objects(s.submission(s.entry()))
    (entry,) = made.extrinsic_objects
    stolen = replace(entry.classifications[0], id=made.packages[0].id)
    _refused(side, replace(made, extrinsic_objects=(replace(entry, classifications=(stolen, *entry.classifications[1:])),)))


def test_e8_associations_that_go_round(side: Side) -> None:
    entry, folder, owner = s.entry(), s.folder(), s.submission_set()
    for links in (
        [s.link(types.APND, entry.entry_uuid, entry.entry_uuid)],
        [s.member(folder.entry_uuid, owner.entry_uuid)],
        [s.member(folder.entry_uuid, folder.entry_uuid)],
        [replace(s.member(owner.entry_uuid, "round"), entry_uuid="round")],
        [replace(s.member("one", "two"), entry_uuid="two"), replace(s.member("two", "one"), entry_uuid="one")],
    ):
        _refused(side, s.submission(entry, folders=[folder], links=links, owner=owner))


def test_e8_addenda_in_a_ring_fall_together(side: Side) -> None:
    one, two = s.entry(), s.entry()
    ring = [s.link(types.APND, one.entry_uuid, two.entry_uuid), s.link(types.APND, two.entry_uuid, one.entry_uuid)]
    side.accept(s.submission(one, two, links=ring))
    new = s.entry()
    target = side.document(one.unique_id or "").id
    side.accept(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, target)]))
    assert {side.document(e.unique_id or "").status for e in (one, two)} == {f"{APPROVED[:-8]}Deprecated"}


def test_e8_too_many_objects(side: Side) -> None:
    entry, owner = s.entry(), s.submission_set()
    links = [s.link(types.APND, entry.entry_uuid, s.new_uuid()) for _ in range(1001)]
    assert "1000 of each are allowed" in _refused(side, s.submission(entry, links=links, owner=owner))
    assert "100 are allowed" in _refused(side, s.submission(*(s.entry() for _ in range(101))))
    authors = tuple(s.author(f"{n}^X") for n in range(1000))
    assert "100 are allowed" in _refused(side, s.submission(s.entry(authors=authors)))
    assert "100 are allowed" in _refused(side, s.submission(s.entry(), owner=s.submission_set(authors=authors)))


def test_e8_unknown_types_foreign_folders_and_doubled_identifiers(side: Side) -> None:
    entry = s.entry()
    _refused(side, s.submission(entry, links=[s.link("urn:example:Owns", entry.entry_uuid, s.new_uuid())]))
    folder = s.folder(patient_id=s.patient(2))
    side.accept(s.submission(folders=[folder]))
    foreign = s.member(side.folder(folder.unique_id or "").id, entry.entry_uuid)
    _refused(side, s.submission(entry, links=[foreign]), "XDSPatientIdDoesNotMatch")
    made = s.objects(s.submission(s.entry()))
    (document,) = made.extrinsic_objects
    second = replace(document.external_identifiers[0], id=s.symbolic(), value=s.patient(2))
    doubled = replace(document, external_identifiers=(*document.external_identifiers, second))
    _refused(side, replace(made, extrinsic_objects=(doubled,)))


def test_e8_a_version_number_is_not_the_sender_s(side: Side) -> None:
    entry = s.entry(version="999")
    side.accept(s.submission(entry))
    assert side.document(entry.unique_id or "").version == "1"


@pytest.mark.parametrize(
    "time", ["2099", "0000", "00000101", "20240230", "20240101000060", "20240101000000+12345", "2024.5"]
)
def test_e11_impossible_times(side: Side, time: str) -> None:
    _refused(side, s.submission(s.entry(creation_time=time)))


@pytest.mark.parametrize("time", ["0000", "20241301", "2024010100+12345", "x"])
def test_e11_impossible_times_in_queries(side: Side, time: str) -> None:
    answer = side.query("FindDocuments", find_documents(s.PATIENT, (f"{E}CreationTimeFrom", quoted(time))))
    assert answer.codes == ["XDSRegistryError"]


_LONG = 60_000


@pytest.mark.parametrize(
    "value",
    [
        "1" + ".1" * _LONG + "!",
        "a" * _LONG + "!",
        "20240101" * (_LONG // 8),
        "^" * _LONG,
        "&" * _LONG + "ISO",
        "x;" * _LONG,
        "a-" * _LONG,
    ],
)
def test_e12_long_values_are_refused_by_their_length(side: Side, value: str) -> None:
    """In linear time: a grammar that backtracks would not end within the time limit of the tests."""
    for parameters in (
        find_documents(s.PATIENT, (f"{E}CreationTimeFrom", quoted(value))),
        find_documents(s.PATIENT, (f"{E}ClassCode", quoted(value))),
        [(f"{E}PatientId", quoted(value)), find_documents()[1]],
    ):
        assert side.query("FindDocuments", parameters).codes == ["XDSRegistryError"]
    for field in ("unique_id", "source_patient_id", "repository_unique_id", "language_code", "hash", "creation_time"):
        _refused(side, s.submission(s.entry(**{field: value})))


def test_e12_a_pattern_of_many_wildcards_ends(side: Side) -> None:
    side.accept(s.submission(s.entry(authors=(s.author("1^" + "a" * 250),))))
    for pattern in ("%a" * 120 + "b", "%_" * 120 + "b", "%" * 200 + "b"):
        assert side.find("FindDocuments", find_documents(s.PATIENT, (f"{E}AuthorPerson", quoted(pattern)))).ids == ()
