"""GetFolders, GetFolderAndContents and GetFoldersForDocument."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content

UUID, UNIQUE = "$XDSFolderEntryUUID", "$XDSFolderUniqueId"
E = "$XDSDocumentEntry"


@pytest.mark.parametrize("leaves", [True, False])
def test_get_folders(content: Content, leaves: bool) -> None:
    names = ("folder", "other")
    for parameter in (
        (UUID, quoted(*(content.ids[n] for n in names))),
        (UNIQUE, quoted(*(content.unique_id(n) for n in names))),
    ):
        assert content.named(content.side.find("GetFolders", [parameter], leaves=leaves).ids) == ["folder", "other"]
    assert content.side.find("GetFolders", [(UUID, quoted(content.ids["first"], content.ids["new"]))]).ids == ()


def test_get_folders_over_two_patients(content: Content) -> None:
    foreign = s.folder(patient_id=s.patient(4))
    content.side.accept(s.submission(folders=[foreign]))
    parameter = [(UNIQUE, quoted(content.unique_id("folder"), foreign.unique_id or ""))]
    assert content.side.query("GetFolders", parameter).codes == ["XDSResultNotSinglePatient"]
    assert len(content.side.find("GetFolders", parameter, leaves=False).ids) == 2


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("by", [UUID, UNIQUE])
def test_folder_and_contents(content: Content, leaves: bool, by: str) -> None:
    value = content.ids["folder"] if by == UUID else content.unique_id("folder")
    answer = content.side.find("GetFolderAndContents", [(by, f"'{value}'")], leaves=leaves)
    assert content.named(answer.ids) == ["folder", "link", "link", "new", "plain"]


def test_folder_contents_are_filtered_with_their_memberships(content: Content) -> None:
    none = (f"{E}FormatCode", quoted("format2^^1.2.250.1.999.5"))
    answer = content.side.find("GetFolderAndContents", [(UNIQUE, f"'{content.unique_id('folder')}'"), none])
    assert content.named(answer.ids) == ["folder"]
    empty = content.side.find("GetFolderAndContents", [(UNIQUE, f"'{content.unique_id('other')}'")])
    assert content.named(empty.ids) == ["other"]


@pytest.mark.parametrize("leaves", [True, False])
def test_folders_for_document(content: Content, leaves: bool) -> None:
    for name in ("plain", "new"):
        for parameter in (
            (f"{E}EntryUUID", f"'{content.ids[name]}'"),
            (f"{E}UniqueId", f"'{content.unique_id(name)}'"),
        ):
            answer = content.side.find("GetFoldersForDocument", [parameter], leaves=leaves)
            assert content.named(answer.ids) == ["folder"]
    assert content.side.find("GetFoldersForDocument", [(f"{E}EntryUUID", f"'{content.ids['dated']}'")]).ids == ()


@pytest.mark.parametrize(
    ("query", "one", "other"),
    [
        ("GetFolders", UUID, UNIQUE),
        ("GetFolderAndContents", UUID, UNIQUE),
        ("GetFoldersForDocument", f"{E}EntryUUID", f"{E}UniqueId"),
    ],
)
def test_errors(content: Content, query: str, one: str, other: str) -> None:
    uuid, unique_id = quoted(s.new_uuid()), quoted(s.oid())
    assert content.side.query(query, []).codes == ["XDSStoredQueryMissingParam"]
    assert content.side.query(query, [(one, uuid), (other, unique_id)]).codes == ["XDSStoredQueryParamNumber"]
    if query != "GetFolders":
        two = quoted(s.new_uuid(), s.new_uuid())
        assert content.side.query(query, [(one, two)]).codes == ["XDSStoredQueryParamNumber"]
