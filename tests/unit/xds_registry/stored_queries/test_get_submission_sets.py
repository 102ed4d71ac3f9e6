"""GetSubmissionSets and GetSubmissionSetAndContents."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content

UUID, UNIQUE = "$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId"


@pytest.mark.parametrize("leaves", [True, False])
def test_sets_of_entries_and_folders(content: Content, leaves: bool) -> None:
    for name, sets in (("new", ["second"]), ("other", ["second"]), ("addendum", ["third"]), ("plain", ["first"])):
        answer = content.side.find("GetSubmissionSets", [("$uuid", quoted(content.ids[name]))], leaves=leaves)
        assert content.named(answer.ids) == sorted(["link", *sets])
    answer = content.side.find("GetSubmissionSets", [("$uuid", quoted(content.ids["new"], content.ids["other"]))])
    assert content.named(answer.ids) == ["link", "link", "second"]


def test_sets_of_sets_and_of_nothing(content: Content) -> None:
    for value in (content.ids["first"], s.new_uuid(), "nothing"):
        assert content.side.find("GetSubmissionSets", [("$uuid", quoted(value))]).ids == ()
    assert content.side.query("GetSubmissionSets", []).codes == ["XDSStoredQueryMissingParam"]


def test_a_document_in_the_sets_of_two_patients(content: Content) -> None:
    parameter = [("$uuid", quoted(content.ids["foreign"]))]
    assert content.side.query("GetSubmissionSets", parameter).codes == ["XDSResultNotSinglePatient"]
    names = content.named(content.side.find("GetSubmissionSets", parameter, leaves=False).ids)
    assert names == ["abroad", "link", "link", "third"]


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("by", [UUID, UNIQUE])
def test_set_and_contents(content: Content, leaves: bool, by: str) -> None:
    value = content.ids["first"] if by == UUID else content.unique_id("first")
    answer = content.side.find("GetSubmissionSetAndContents", [(by, f"'{value}'")], leaves=leaves)
    # memberships of two entries and the folder, the filing, and the membership of the filing
    assert content.named(answer.ids) == ["dated", "first", "folder"] + ["link"] * 5 + ["plain"]


def test_filtered_contents_take_their_associations_along(content: Content) -> None:
    confidential = ("$XDSDocumentEntryConfidentialityCode", quoted("R^^1.2.250.1.999.5"))
    answer = content.side.find("GetSubmissionSetAndContents", [(UNIQUE, f"'{content.unique_id('first')}'"), confidential])
    assert content.named(answer.ids) == ["dated", "first", "folder", "link", "link"]


def test_contents_by_reference_may_be_of_another_patient(content: Content) -> None:
    parameter = [(UNIQUE, f"'{content.unique_id('third')}'")]
    assert content.side.query("GetSubmissionSetAndContents", parameter).codes == ["XDSResultNotSinglePatient"]
    answer = content.side.find("GetSubmissionSetAndContents", parameter, leaves=False)
    assert content.named(answer.ids) == ["addendum", "foreign", "link", "link", "third"]


def test_errors(content: Content) -> None:
    query = content.side.query
    assert query("GetSubmissionSetAndContents", []).codes == ["XDSStoredQueryMissingParam"]
    both = [(UUID, quoted(s.new_uuid())), (UNIQUE, quoted(s.oid()))]
    assert query("GetSubmissionSetAndContents", both).codes == ["XDSStoredQueryParamNumber"]
    two = [(UUID, quoted(s.new_uuid(), s.new_uuid()))]
    assert query("GetSubmissionSetAndContents", two).codes == ["XDSStoredQueryParamNumber"]
    for name in ("new", "folder"):
        assert content.side.find("GetSubmissionSetAndContents", [(UUID, f"'{content.ids[name]}'")]).ids == ()
