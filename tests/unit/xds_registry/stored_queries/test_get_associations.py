"""GetAssociations and GetRelatedDocuments."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content
from xds_metadata import associations as types
from xds_metadata.model import ON_DEMAND, STABLE

E = "$XDSDocumentEntry"
RELATIONS = quoted(types.RPLC, types.APND, types.XFRM)


def _links(content: Content, *names: str) -> set[tuple[str, str, str]]:
    name_of = {value: name for name, value in content.ids.items()}
    answer = content.side.find("GetAssociations", [("$uuid", quoted(*(content.ids[n] for n in names)))])
    return {
        (name_of.get(a.source, "link"), a.association_type.rpartition(":")[2], name_of.get(a.target, "link"))
        for a in answer.objects.associations
    }


def test_what_touches_an_object(content: Content) -> None:
    assert _links(content, "new") == {
        ("second", "HasMember", "new"),
        ("folder", "HasMember", "new"),
        ("new", "RPLC", "plain"),
        ("addendum", "APND", "new"),
    }
    assert _links(content, "other", "dated") == {("second", "HasMember", "other"), ("first", "HasMember", "dated")}


def test_references(content: Content) -> None:
    parameter = [("$uuid", quoted(content.ids["new"]))]
    full = content.side.find("GetAssociations", parameter).ids
    assert content.side.find("GetAssociations", parameter, leaves=False).ids == full


def test_associations_of_two_patients_are_allowed(content: Content) -> None:
    assert (
        len(content.side.find("GetAssociations", [("$uuid", quoted(content.ids["new"], content.ids["foreign"]))]).ids) == 6
    )


def test_associations_of_nothing(content: Content) -> None:
    assert content.side.find("GetAssociations", [("$uuid", quoted(s.new_uuid()))]).ids == ()
    assert content.side.query("GetAssociations", []).codes == ["XDSStoredQueryMissingParam"]


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize(
    ("name", "kinds", "names"),
    [
        ("new", RELATIONS, ["addendum", "link", "link", "new", "plain"]),
        ("new", quoted(types.APND), ["addendum", "link", "new"]),
        ("plain", RELATIONS, ["link", "new", "plain"]),
        ("addendum", RELATIONS, ["addendum", "link", "new"]),
        ("dated", RELATIONS, []),
        ("new", quoted(types.HAS_MEMBER), []),
        ("new", quoted(types.SIGNS), []),
        ("new", quoted(types.RPLC, "urn:unknown"), ["link", "new", "plain"]),
    ],
)
def test_related_documents(content: Content, leaves: bool, name: str, kinds: str, names: list[str]) -> None:
    for parameter in ((f"{E}EntryUUID", f"'{content.ids[name]}'"), (f"{E}UniqueId", f"'{content.unique_id(name)}'")):
        answer = content.side.find("GetRelatedDocuments", [parameter, ("$AssociationTypes", kinds)], leaves=leaves)
        assert content.named(answer.ids) == names


def test_related_documents_of_a_type(content: Content) -> None:
    one = [(f"{E}EntryUUID", f"'{content.ids['new']}'"), ("$AssociationTypes", RELATIONS)]
    assert len(content.side.find("GetRelatedDocuments", [*one, (f"{E}Type", quoted(STABLE, ON_DEMAND))]).ids) == 5
    assert content.side.find("GetRelatedDocuments", [*one, (f"{E}Type", quoted(ON_DEMAND))]).ids == ()


def test_errors(content: Content) -> None:
    query, kinds = content.side.query, ("$AssociationTypes", RELATIONS)
    uuid, unique_id = (f"{E}EntryUUID", quoted(s.new_uuid())), (f"{E}UniqueId", quoted(s.oid()))
    assert query("GetRelatedDocuments", [uuid]).codes == ["XDSStoredQueryMissingParam"]
    assert query("GetRelatedDocuments", [kinds]).codes == ["XDSStoredQueryMissingParam"]
    assert query("GetRelatedDocuments", [uuid, unique_id, kinds]).codes == ["XDSStoredQueryParamNumber"]
    assert query("GetRelatedDocuments", [uuid, ("$AssociationTypes", quoted("urn:x"))]).codes == [
        "XDSStoredQueryMissingParam"
    ]
