"""What all stored queries have in common: ids, return types, limits, the journal, the policy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from access_control.decision import Decision
from access_control.policy import Action
from access_control.scope import EVERYTHING, NOTHING
from journal.tables import journal_row
from soap.faults import Fault
from tests import samples as s
from tests.registry_side import ALLOWED, Side, find_documents, quoted
from tests.unit.xds_registry.stored_queries.content import Content
from xds_metadata.patients import key_of_text, patient_column
from xds_registry import iti18


def _with_limit(side: Side, limit: int) -> Side:
    return side.with_settings(result_limit=limit)


def test_an_unknown_query_id(content: Content) -> None:
    answer = content.side.query("urn:uuid:00000000-0000-4000-8000-000000000000", [])
    assert answer.codes == ["XDSUnknownStoredQuery"]
    assert content.side.query("FindNothing<&>", []).codes == ["XDSUnknownStoredQuery"]


def test_a_limit_is_an_error_without_objects(content: Content) -> None:
    three = _with_limit(content.side, 3).query("FindDocuments", find_documents())
    assert (three.status, len(three.ids)) == ("Success", 3)
    two = _with_limit(content.side, 2).query("FindDocuments", find_documents())
    assert (two.status, two.codes, two.ids) == ("Failure", ["XDSTooManyResults"], ())


def test_references_are_given_where_objects_are_too_many(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = _with_limit(content.side, 1)
    assert len(limited.query("FindDocuments", find_documents(), leaves=False).ids) == 3
    monkeypatch.setattr(iti18, "REFERENCES_PER_OBJECT", 2)
    answer = limited.query("FindDocuments", find_documents(), leaves=False)
    assert (answer.status, answer.codes, answer.ids) == ("Failure", ["XDSTooManyResults"], ())


def test_hidden_objects_do_not_count(content: Content) -> None:
    limited = _with_limit(content.side, 1)
    limited.policy.shown = NOTHING
    assert limited.query("FindDocuments", find_documents()).status == "Success"


def test_a_refusing_policy_is_a_fault(content: Content) -> None:
    content.side.policy.decision = Decision(allowed=False, rule="no", code="NotAllowed")
    try:
        with pytest.raises(Fault):
            content.side.query("FindDocuments", find_documents())
    finally:
        content.side.policy.decision = ALLOWED


def test_the_policy_is_asked_for_the_patients_of_the_objects(content: Content) -> None:
    content.side.policy.asked.clear()
    content.side.find("FindDocuments", find_documents())
    content.side.find("GetDocuments", [("$XDSDocumentEntryEntryUUID", quoted(content.ids["foreign"]))])
    content.side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(content.unique_id("dated")))])
    content.side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(s.oid()))])
    one, two = (key_of_text(patient_column(s.patient(n))) for n in (1, 2))
    asked = [(action, set(target.patients)) for action, target in content.side.policy.asked]
    assert asked == [
        (Action.FIND, {one}),
        (Action.GET, {one, two}),  # a set of patient 1 holds that entry, too
        (Action.GET, {one}),
        (Action.GET, set()),
    ]


def test_each_query_leaves_a_journal_row(content: Content) -> None:
    content.side.find("FindDocuments", find_documents())
    at = content.side.clock.now
    content.side.query("FindDocuments", [])
    with content.side.database.read() as connection:
        rows = connection.execute(select(journal_row).where(journal_row.c.at >= at).order_by(journal_row.c.at)).all()
    assert [(r.patient, r.action, r.outcome, r.decision) for r in rows] == [
        (patient_column(s.PATIENT), "query", "Success", "allowed"),
        ("", "query", "Failure", "refused"),
    ]
    assert json.loads(rows[0].objects) == [["query", "FindDocuments"]]


LONG = "x" * 300


@pytest.mark.parametrize(
    ("name", "patient", "expected"),
    [
        ("FindDocuments", f"'{s.PATIENT}'", (patient_column(s.PATIENT), [["query", "FindDocuments"]])),
        ("FindDocuments", f"('{s.PATIENT}')", (patient_column(s.PATIENT), [["query", "FindDocuments"]])),
        ("FindDocuments", f"('{s.PATIENT}','{s.PATIENT}')", ("", [["query", "FindDocuments"]])),
        ("FindDocuments", f"'{LONG}^^^&1.2.3&ISO'", ("", [["query", "FindDocuments"]])),
        ("FindDocuments", "'nobody'", ("", [["query", "FindDocuments"]])),
        ("FindDocuments", "('open", ("", [["query", "FindDocuments"]])),
        ("GetDocuments", f"'{s.PATIENT}'", ("", [["query", "GetDocuments"]])),
        ("urn:uuid:00000000-0000-4000-8000-000000000000", f"'{s.PATIENT}'", ("", [])),
    ],
)
def test_the_row_of_a_refused_query_names_its_patient(
    content: Content, name: str, patient: str, expected: tuple[str, list[list[str]]]
) -> None:
    content.side.query_as("Nothing", name, [("$XDSDocumentEntryPatientId", patient)])
    with content.side.database.read() as connection:
        row = connection.execute(select(journal_row).order_by(journal_row.c.id.desc()).limit(1)).one()
    assert (row.outcome, row.patient, json.loads(row.objects)) == ("Failure", *expected)


def test_home_on_the_query_is_accepted(content: Content) -> None:
    answer = content.side.query("FindDocuments", find_documents(), home="urn:oid:1.2.9")
    assert (answer.status, len(answer.ids)) == ("Success", 3)


def test_return_types_of_gateways_are_refused(content: Content) -> None:
    for return_type in ("RegistryObject", "LeafClassWithRepositoryItem"):
        answer = content.side.query_as(return_type, "FindDocuments", find_documents())
        assert answer.codes == ["XDSRegistryError"]


def test_the_scope_decides_everywhere(content: Content) -> None:
    content.side.policy.shown = NOTHING
    try:
        hidden = content.side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(content.unique_id("new")))])
    finally:
        content.side.policy.shown = EVERYTHING
    unknown = content.side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", quoted(s.oid()))])
    assert replace(hidden, element=None) == replace(unknown, element=None)
