"""ITI-57: what is linked with an entry follows its new version, and the patients of what is linked agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import samples as s
from tests.registry_side import Side, find_documents
from tests.update_side import (
    Stored,
    accept_update,
    register,
    send_update,
    status_update,
    statuses,
    update_of,
    updated,
    version_of,
)
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, DEPRECATED, Folder

OTHER = s.patient(2)


def relations(side: Side, stored: Stored) -> set[tuple[str, str, str]]:
    """(type, source, target) of the relationships that touch a version."""
    found = side.associations(stored.id)
    return {(a.association_type, a.source, a.target) for a in found if a.association_type in types.RELATIONSHIPS}


def filed(side: Side, stored: Stored, **changes: str) -> Folder:
    """A new folder that holds the entry."""
    folder = s.folder(**changes)
    side.accept(s.submission(folders=[folder], links=[s.member(folder.entry_uuid, stored.id)]))
    return folder


def members(side: Side, folder: Folder) -> set[str]:
    answer = side.find("GetFolderAndContents", [("$XDSFolderUniqueId", f"'{folder.unique_id}'")])
    return {d.id for d in answer.objects.extrinsic_objects}


@pytest.mark.parametrize("type_", [types.APND, types.XFRM, types.SIGNS])
def test_a_relationship_is_carried_over_at_either_end(side: Side, type_: str) -> None:
    target = register(side)
    source = register(side, (type_, target.id))
    later_target = updated(side, target)
    assert relations(side, later_target) == {(type_, source.id, later_target.id)}
    later_source = updated(side, source)
    assert relations(side, later_source) == {(type_, later_source.id, t.id) for t in (target, later_target)}
    assert (type_, source.id, target.id) in relations(side, target)


@pytest.mark.parametrize("type_", [types.RPLC, types.XFRM_RPLC])
def test_a_replacement_is_carried_over(side: Side, type_: str) -> None:
    old = register(side)
    new = register(side, (type_, old.id))
    later = updated(side, new)
    assert relations(side, later) == {(type_, later.id, old.id)}
    assert statuses(side, old) == ["Deprecated"]


def test_a_carried_relationship_keeps_its_documentation_and_gets_ids_of_its_own(side: Side) -> None:
    target, source = register(side), s.entry(entry_uuid=s.new_uuid())
    why = s.link(types.APND, source.entry_uuid, target.id, documentation=s.code("why"))
    side.accept(s.submission(source, links=[why]))
    later = updated(side, target)
    (first,) = [a for a in side.associations(target.id) if a.association_type == types.APND]
    (carried,) = [a for a in side.associations(later.id) if a.association_type == types.APND]
    assert [c.node_representation for c in carried.classifications] == ["why"]
    assert carried.id != first.id
    assert carried.lid == carried.id
    assert {c.id for c in carried.classifications}.isdisjoint(c.id for c in first.classifications)
    assert {c.classified_object for c in carried.classifications} == {carried.id}
    assert carried.status == APPROVED


def test_two_linked_entries_updated_together_are_linked_once(side: Side) -> None:
    target = register(side)
    source = register(side, (types.APND, target.id))
    new_target, new_source = version_of(target), version_of(source)
    accept_update(side, update_of(new_target, new_source))
    later = Stored(new_target, target.lid, new_target.entry_uuid)
    assert relations(side, later) == {(types.APND, new_source.entry_uuid, new_target.entry_uuid)}
    assert len([a for a in side.associations(later.id) if a.association_type == types.APND]) == 1


def test_linked_updates_that_disagree_on_propagation_are_refused(side: Side) -> None:
    target = register(side)
    source = register(side, (types.APND, target.id))
    value = update_of(version_of(target), version_of(source))
    first, second = value.associations
    value = replace(value, associations=(first, replace(second, association_propagation="no")))
    answer = send_update(side, value)
    assert [(e.code, e.location) for e in answer.errors] == [("XDSMetadataUpdateError", value.entries[1].entry_uuid)]


def test_entries_that_are_not_linked_may_disagree_on_propagation(side: Side) -> None:
    value = update_of(version_of(register(side)), version_of(register(side)))
    first, second = value.associations
    accept_update(side, replace(value, associations=(first, replace(second, association_propagation="no"))))


@pytest.mark.parametrize("said", [None, "yes"])
def test_a_new_version_joins_the_folders(side: Side, said: str | None) -> None:
    first = register(side)
    folder = filed(side, first)
    before = side.folder(folder.unique_id or "")
    side.clock.now += 60_000_000
    second = updated(side, first, propagation=said)
    assert members(side, folder) == {first.id, second.id}
    assert side.folder(folder.unique_id or "").slots != before.slots
    (membership,) = [a for a in side.associations(second.id) if a.source == before.id]
    (by_set,) = [a for a in side.associations(membership.id) if a.target == membership.id]
    (original,) = [a for a in side.associations(second.id) if a.source == by_set.source]
    assert ("PreviousVersion", ("1",)) in [(slot.name, slot.values) for slot in original.slots]


def test_without_propagation_nothing_follows(side: Side) -> None:
    first = register(side)
    folder = filed(side, first)
    register(side, (types.APND, first.id))
    before = side.folder(folder.unique_id or "")
    side.clock.now += 60_000_000
    second = updated(side, first, propagation="no")
    assert members(side, folder) == {first.id}
    assert side.folder(folder.unique_id or "").slots == before.slots
    assert relations(side, second) == set()


def test_memberships_of_submission_sets_do_not_follow(side: Side) -> None:
    first = register(side)
    side.accept(s.submission(s.entry(), references=[first.id]))
    second = updated(side, first)
    assert len(side.associations(second.id)) == 1


def test_a_change_of_status_does_not_follow(side: Side) -> None:
    first = register(side)
    accept_update(side, status_update(first.id))
    second = updated(side, first)
    assert {a.association_type for a in side.associations(second.id)} == {types.HAS_MEMBER}


def test_an_entry_that_is_not_linked_goes_to_another_patient(side: Side) -> None:
    first = register(side)
    second = updated(side, first, patient_id=OTHER)
    found = side.query("GetDocuments", [("$XDSDocumentEntryUniqueId", f"('{first.unique_id}')")], leaves=False)
    assert set(found.ids) == {first.id, second.id}
    assert side.find("FindDocuments", find_documents()).ids == ()
    assert side.find("FindDocuments", find_documents(OTHER)).ids == (second.id,)


@pytest.mark.parametrize("how", ["folder", "source", "target"])
def test_a_linked_entry_does_not_go_to_another_patient(side: Side, how: str) -> None:
    first = register(side)
    if how == "folder":
        filed(side, first)
    elif how == "target":
        register(side, (types.APND, first.id))
    else:
        first = register(side, (types.APND, first.id))
    entry = version_of(first, patient_id=OTHER)
    answer = send_update(side, update_of(entry))
    assert [(e.code, e.location) for e in answer.errors] == [("XDSPatientIDReconciliationError", entry.entry_uuid)]
    updated(side, first, propagation="no", patient_id=OTHER)  # what it leaves behind is linked with a deprecated version


def test_linked_entries_go_to_another_patient_together(side: Side) -> None:
    target = register(side)
    source = register(side, (types.APND, target.id))
    accept_update(side, update_of(version_of(target, patient_id=OTHER), version_of(source, patient_id=OTHER)))
    assert len(side.find("FindDocuments", find_documents(OTHER)).ids) == 2


def test_a_reference_does_not_bind_an_entry_to_its_patient(side: Side) -> None:
    first = register(side)
    side.accept(s.submission(s.entry(), references=[first.id]))
    updated(side, first, patient_id=OTHER)


def test_a_deprecated_entry_of_another_patient_is_not_approved_where_it_is_linked(side: Side) -> None:
    first = register(side)
    register(side, (types.APND, first.id))
    accept_update(side, status_update(first.id))
    second = updated(side, first, patient_id=OTHER)
    answer = send_update(side, status_update(second.id, DEPRECATED, APPROVED, patient_id=OTHER))
    assert [(e.code, e.location) for e in answer.errors] == [("XDSPatientIDReconciliationError", second.id)]


def test_the_patient_of_the_set_is_that_of_the_new_version(side: Side) -> None:
    value = update_of(version_of(register(side), patient_id=OTHER), owner=s.submission_set())
    answer = send_update(side, value)
    assert answer.codes == ["XDSPatientIdDoesNotMatch"]
