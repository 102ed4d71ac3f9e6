"""GetDocuments and GetDocumentsAndAssociations."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content

UUID, UNIQUE = "$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId"
BOTH = pytest.mark.parametrize("query", ["GetDocuments", "GetDocumentsAndAssociations"])


@pytest.mark.parametrize("leaves", [True, False])
def test_by_either_id(content: Content, leaves: bool) -> None:
    names = ("new", "plain")
    for parameter in (
        (UUID, quoted(*(content.ids[n] for n in names))),
        (UNIQUE, quoted(*(content.unique_id(n) for n in names))),
    ):
        assert content.named(content.side.find("GetDocuments", [parameter], leaves=leaves).ids) == ["new", "plain"]


def test_with_associations(content: Content) -> None:
    answer = content.side.find("GetDocumentsAndAssociations", [(UNIQUE, quoted(content.unique_id("new")))])
    # set → new, RPLC, APND, folder → new
    assert content.named(answer.ids) == ["link"] * 4 + ["new"]
    ends = {content.ids["new"]}
    assert all({a.source, a.target} & ends for a in answer.objects.associations)


@BOTH
def test_ids_of_other_kinds_of_objects_find_nothing(content: Content, query: str) -> None:
    for name in ("first", "folder"):
        assert content.side.find(query, [(UUID, quoted(content.ids[name]))]).ids == ()
        assert content.side.find(query, [(UNIQUE, quoted(content.unique_id(name)))]).ids == ()


@BOTH
def test_unknown_ids_find_nothing(content: Content, query: str) -> None:
    for value in (s.new_uuid(), content.ids["new"].upper(), content.ids["new"].removeprefix("urn:uuid:"), "%", "_"):
        assert content.side.find(query, [(UUID, quoted(value))]).ids == ()
    for value in (s.oid(), "%", content.ids["new"]):
        assert content.side.find(query, [(UNIQUE, quoted(value))]).ids == ()


@BOTH
def test_one_of_the_two_ids(content: Content, query: str) -> None:
    one, other = (UUID, quoted(content.ids["new"])), (UNIQUE, quoted(content.unique_id("new")))
    assert content.side.query(query, [one, other]).codes == ["XDSStoredQueryParamNumber"]
    assert content.side.query(query, []).codes == ["XDSStoredQueryMissingParam"]
    assert content.side.query(query, [(UUID, [])]).codes == ["XDSStoredQueryMissingParam"]


@BOTH
def test_leaves_of_several_patients_are_refused_and_references_are_not(content: Content, query: str) -> None:
    parameter = [(UUID, quoted(content.ids["new"], content.ids["foreign"]))]
    answer = content.side.query(query, parameter)
    assert (answer.status, answer.codes, answer.ids) == ("Failure", ["XDSResultNotSinglePatient"], ())
    names = content.named(content.side.find(query, parameter, leaves=False).ids)
    assert [n for n in names if n != "link"] == ["foreign", "new"]
