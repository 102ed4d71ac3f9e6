"""Document relationships on a real database: what a later query sees of them."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import Side, find_documents
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, DEPRECATED, DocumentEntry


def _add(side: Side, type_: str = "", target: DocumentEntry | None = None, **changes: str) -> DocumentEntry:
    """Register a new entry, related to a registered one."""
    entry = s.entry(**changes)
    links = []
    if target is not None:
        links = [s.link(type_, entry.entry_uuid, side.documents(target.unique_id or "")[0].id)]
    side.accept(s.submission(entry, links=links))
    return entry


def _status(side: Side, entry: DocumentEntry) -> str | None:
    return side.document(entry.unique_id or "").status


def _members(side: Side, folder: str) -> set[str]:
    answer = side.find("GetFolderAndContents", [("$XDSFolderUniqueId", f"'{folder}'")])
    return {d.id for d in answer.objects.extrinsic_objects}


@pytest.mark.parametrize("type_", [types.RPLC, types.XFRM_RPLC])
def test_replacement_deprecates_the_target_and_every_depth_below(side: Side, type_: str) -> None:
    old = _add(side)
    addendum = _add(side, types.APND, old)
    transformed = _add(side, types.XFRM, addendum)
    deepest = _add(side, types.XFRM, transformed)
    signature = _add(side, types.SIGNS, old)
    bystander = _add(side)
    new = _add(side, type_, old)
    assert {_status(side, e) for e in (old, addendum, transformed, deepest)} == {DEPRECATED}
    assert {_status(side, e) for e in (new, signature, bystander)} == {APPROVED}


def test_a_transformation_is_not_appended_to(side: Side) -> None:
    old = _add(side)
    transformed = _add(side, types.XFRM, old)
    target = side.document(transformed.unique_id or "").id
    new = s.entry()
    answer = side.submit(s.submission(new, links=[s.link(types.APND, new.entry_uuid, target)]))
    assert answer.codes == ["XDSRegistryMetadataError"]
    assert f"'{target}' is a transformation" in answer.text
    replacing = _add(side, types.XFRM_RPLC, old)  # stands in the place of the document: it may be appended to
    _add(side, types.APND, replacing)


def test_deprecated_entries_stay_queryable(side: Side) -> None:
    old = _add(side)
    new = _add(side, types.RPLC, old)
    current = side.find("FindDocuments", find_documents())
    assert current.ids == (side.document(new.unique_id or "").id,)
    former = side.find("FindDocuments", find_documents(status="Deprecated"))
    assert former.ids == (side.document(old.unique_id or "").id,)


@pytest.mark.parametrize("type_", [types.XFRM, types.APND, types.SIGNS])
def test_other_relationships_deprecate_nothing(side: Side, type_: str) -> None:
    old = _add(side)
    _add(side, type_, old)
    assert _status(side, old) == APPROVED


def test_the_replacement_is_filed_in_the_folders_and_the_set_says_so(side: Side) -> None:
    old, folder = s.entry(), s.folder()
    side.accept(s.submission(old, folders=[folder], links=[s.member(folder.entry_uuid, old.entry_uuid)]))
    place, old_id = side.folder(folder.unique_id or ""), side.document(old.unique_id or "").id
    side.clock.now += 60_000_000
    new, owner = s.entry(), s.submission_set()
    side.accept(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, old_id)], owner=owner))
    new_id = side.document(new.unique_id or "").id
    assert _members(side, folder.unique_id or "") == {old_id, new_id}
    assert side.folder(folder.unique_id or "").slots != place.slots
    contents = side.find("GetSubmissionSetAndContents", [("$XDSSubmissionSetUniqueId", f"'{owner.unique_id}'")])
    links = contents.objects.associations
    assert {a.target for a in links} == {new_id}  # the folder is not in this set, so its membership is not shown
    set_id = side.submission_set(owner.unique_id or "").id
    (filed,) = [a for a in side.associations(new_id) if a.source == place.id]
    assert (filed.association_type, filed.status, filed.version, filed.lid) == (types.HAS_MEMBER, APPROVED, "1", filed.id)
    (by_set,) = [a for a in side.associations(filed.id) if a.target == filed.id]
    assert by_set.source == set_id


def test_a_replacement_of_the_replacement_is_filed_too(side: Side) -> None:
    first, folder = s.entry(), s.folder()
    side.accept(s.submission(first, folders=[folder], links=[s.member(folder.entry_uuid, first.entry_uuid)]))
    second = _add(side, types.RPLC, first)
    third = _add(side, types.RPLC, second)
    assert _members(side, folder.unique_id or "") == {
        side.document(e.unique_id or "").id for e in (first, second, third)
    }  # fmt: skip


def test_a_document_replaced_by_itself_to_change_its_metadata(side: Side) -> None:
    old = _add(side)
    _add(side, types.RPLC, old, unique_id=old.unique_id or "", hash=old.hash or "", title="Another title")
    statuses = sorted((d.status or "", d.name[0].value) for d in side.documents(old.unique_id or ""))
    assert statuses == [(APPROVED, "Another title"), (DEPRECATED, "A report")]


def test_documentation_of_a_relationship_is_kept(side: Side) -> None:
    old = _add(side)
    new = s.entry()
    target = side.document(old.unique_id or "").id
    side.accept(s.submission(new, links=[s.link(types.XFRM, new.entry_uuid, target, documentation=s.code("why"))]))
    (link,) = [a for a in side.associations(target) if a.association_type == types.XFRM]
    assert [c.node_representation for c in link.classifications] == ["why"]


def test_f74_f80_a_replaced_document_is_not_replaced_again(side: Side) -> None:
    a = _add(side)
    b = _add(side, types.RPLC, a)
    c = s.entry()
    answer = side.submit(s.submission(c, links=[s.link(types.RPLC, c.entry_uuid, side.document(a.unique_id or "").id)]))
    assert answer.codes == ["XDSRegistryDeprecatedDocumentError"]
    assert _status(side, b) == APPROVED
    assert side.documents(c.unique_id or "") == ()
