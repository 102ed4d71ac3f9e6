"""ITI-57 on a real database: versions of an entry, its status, and what later queries see of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from database import Database
from tests import samples as s
from tests.registry_side import Side, find_documents, quoted
from tests.update_side import (
    Stored,
    accept_update,
    register,
    send_update,
    status_link,
    status_update,
    statuses,
    update_of,
    updated,
    version_of,
    versions,
)
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, ARCHIVED, DELETED, DEPRECATED
from xds_metadata.profile import DMP
from xds_registry import tables as t
from xds_registry import withdrawal
from xds_registry.integrity import check_registry
from xds_registry.maintenance import reindex


def test_a_new_version_takes_the_place_of_the_one_before(side: Side) -> None:
    first = register(side)
    before = side.document(first.unique_id)
    second = updated(side, first, title="Another title")
    assert versions(side, first) == [("1", "Deprecated", first.id), ("2", "Approved", second.id)]
    old, new = sorted(side.documents(first.unique_id), key=lambda d: d.version or "")
    assert replace(old, status=None) == replace(before, status=None)
    assert (new.lid, new.name[0].value) == (first.lid, "Another title")
    assert side.find("FindDocuments", find_documents()).ids == (second.id,)
    assert side.find("FindDocuments", find_documents(status="Deprecated")).ids == (first.id,)


def test_f79_of_three_versions_the_last_is_approved(side: Side) -> None:
    first = register(side)
    second = updated(side, first)
    third = updated(side, second, previous=2)
    assert versions(side, first) == [
        ("1", "Deprecated", first.id),
        ("2", "Deprecated", second.id),
        ("3", "Approved", third.id),
    ]


def test_f76_an_update_is_made_of_a_query_answer_alone(side: Side) -> None:
    first = register(side)
    found = side.document(first.unique_id)
    sent = replace(
        found,
        id="next",
        classifications=tuple(replace(c, id=s.symbolic(), classified_object="next") for c in found.classifications),
        external_identifiers=tuple(replace(e, id=s.symbolic(), registry_object="next") for e in found.external_identifiers),
    )
    value = update_of(version_of(first, entry_uuid="next"), previous=found.version or "")
    accept_update(side, replace(s.objects(value), extrinsic_objects=(sent,)))
    assert statuses(side, first) == ["Deprecated", "Approved"]


def test_the_set_holds_the_new_version_and_says_what_came_before(side: Side) -> None:
    first = register(side)
    entry = version_of(first)
    value = update_of(entry)
    accept_update(side, value)
    set_id = side.submission_set(value.submission_sets[0].unique_id or "").id
    (member,) = side.associations(entry.entry_uuid)
    assert (member.source, member.association_type) == (set_id, types.HAS_MEMBER)
    assert ("PreviousVersion", ("1",)) in [(slot.name, slot.values) for slot in member.slots]


def test_a_new_version_of_a_deprecated_entry_stays_deprecated(side: Side) -> None:
    first = register(side)
    accept_update(side, status_update(first.id))
    second = updated(side, first)
    assert statuses(side, first) == ["Deprecated", "Deprecated"]
    accept_update(side, status_update(second.id, DEPRECATED, APPROVED))
    assert statuses(side, first) == ["Deprecated", "Approved"]


def test_a_status_is_changed_and_changed_back(side: Side) -> None:
    first = register(side)
    value = status_update(first.id)
    accept_update(side, value)
    assert statuses(side, first) == ["Deprecated"]
    set_id = side.submission_set(value.submission_sets[0].unique_id or "").id
    (link,) = [a for a in side.associations(first.id) if a.association_type == types.UPDATE_AVAILABILITY_STATUS]
    assert (link.source, link.target) == (set_id, first.id)
    assert {slot.name: slot.values[0] for slot in link.slots} == {"OriginalStatus": APPROVED, "NewStatus": DEPRECATED}
    accept_update(side, status_update(first.id, DEPRECATED, APPROVED))
    assert versions(side, first) == [("1", "Approved", first.id)]


def test_a_new_version_and_its_status_in_one_message(side: Side) -> None:
    first = register(side)
    entry = version_of(first)
    owner = s.submission_set()
    accept_update(side, update_of(entry, links=(status_link(owner, entry.entry_uuid),), owner=owner))
    assert statuses(side, first) == ["Deprecated", "Deprecated"]


def test_symbolic_ids_become_entry_uuids(side: Side) -> None:
    first = register(side)
    owner = s.submission_set()
    value = update_of(version_of(first, entry_uuid="next"), links=(status_link(owner, "next"),), owner=owner)
    accept_update(side, value)
    _, (number, status, new) = versions(side, first)
    assert (number, status) == ("2", "Deprecated")
    assert new.startswith("urn:uuid:")


def test_several_entries_are_updated_together(side: Side) -> None:
    one, other = register(side), register(side)
    accept_update(side, update_of(version_of(one), version_of(other)))
    assert statuses(side, one) == statuses(side, other) == ["Deprecated", "Approved"]


def test_two_entries_of_one_document_are_updated_together(side: Side) -> None:
    one = register(side)
    twin = register(side, unique_id=one.unique_id, hash=one.entry.hash)
    accept_update(side, update_of(version_of(one), version_of(twin)))
    assert [status for _, status, _ in versions(side, one)].count("Approved") == 2


def test_archived_and_deleted_are_statuses_of_the_dmp(database: Database) -> None:
    side = Side(database, profile=DMP)
    first = register(side)
    accept_update(side, status_update(first.id, APPROVED, ARCHIVED))
    assert _found(side, APPROVED, DEPRECATED, DELETED) == ()
    assert _found(side, ARCHIVED) == (first.id,)
    second = updated(side, first)
    assert versions(side, first) == [("1", "Deprecated", first.id), ("2", "Archived", second.id)]
    accept_update(side, status_update(second.id, ARCHIVED, APPROVED))
    accept_update(side, status_update(second.id, APPROVED, DELETED))
    assert _found(side, DELETED) == (first.id, second.id)  # an older version would give away what was deleted
    assert _found(side, APPROVED, ARCHIVED, DEPRECATED) == ()


def test_a_new_version_that_is_deleted_at_once_takes_the_older_ones_with_it(database: Database) -> None:
    side = Side(database, profile=DMP)
    first, owner = register(side), s.submission_set()
    bystander = register(side, unique_id=first.unique_id, hash=first.entry.hash)
    entry = version_of(first)
    accept_update(side, update_of(entry, links=(status_link(owner, entry.entry_uuid, APPROVED, DELETED),), owner=owner))
    assert set(_found(side, DELETED)) == {first.id, entry.entry_uuid}
    assert _found(side, APPROVED, DEPRECATED) == (bystander.id,)


def _found(side: Side, *wanted: str) -> tuple[str, ...]:
    parameters = [("$XDSDocumentEntryPatientId", f"'{s.PATIENT}'"), ("$XDSDocumentEntryStatus", quoted(*wanted))]
    return side.find("FindDocuments", parameters).ids


@pytest.mark.parametrize("type_", [types.RPLC, types.APND, types.XFRM])
def test_relationships_name_the_latest_version(side: Side, type_: str) -> None:
    first = register(side)
    second = updated(side, first)
    late = s.entry()
    answer = side.submit(s.submission(late, links=[s.link(type_, late.entry_uuid, first.id)]))
    assert answer.codes == ["XDSRegistryDeprecatedDocumentError"]
    register(side, (type_, second.id))
    assert statuses(side, first)[-1] == ("Deprecated" if type_ == types.RPLC else "Approved")


def test_what_replaces_a_version_deprecates_what_was_carried_over_to_it(side: Side) -> None:
    first = register(side)
    addendum = register(side, (types.APND, first.id))
    second = updated(side, first)
    register(side, (types.RPLC, second.id))
    assert statuses(side, addendum) == ["Deprecated"]


def test_confidentiality_in_force_is_that_of_the_latest_version(side: Side) -> None:
    first = register(side)
    assert _in_force(side, first) == {s.code("N").pair}
    second = updated(side, first, confidentiality_codes=(s.code("N"), s.code("MASK")))
    assert _in_force(side, first) == {s.code("N").pair, s.code("MASK").pair}
    updated(side, second, previous=2, confidentiality_codes=(s.code("N"),))
    assert _in_force(side, first) == {s.code("N").pair}


@pytest.mark.parametrize("type_", [types.RPLC, types.XFRM_RPLC, types.APND, types.XFRM])
def test_a_restriction_reaches_what_was_related_before(side: Side, type_: str) -> None:
    """What amends or transforms a document has its restrictions while they last, what it replaced too."""
    side.policy.following = frozenset({s.code("MASK").pair})
    open_, masked = {s.code("N").pair}, {s.code("N").pair, s.code("MASK").pair}
    old = register(side)
    new = register(side, (type_, old.id))
    below = register(side, (types.XFRM, new.id))
    strange = register(side)
    above, under = (new, old) if type_ in types.REPLACING else (old, new)
    hidden = updated(side, above, confidentiality_codes=(s.code("N"), s.code("MASK"), s.code("OTHER")))
    assert _in_force(side, above) == masked | {s.code("OTHER").pair}
    assert _in_force(side, under) == _in_force(side, below) == masked, "and no code that follows nowhere"
    assert _in_force(side, strange) == open_
    following = side.policy.following
    assert list(check_registry(side.database, following=following)) == []
    side.database.write(lambda connection: connection.execute(t.document_mask.delete()).rowcount)
    assert "document-mask" in {problem.rule for problem in check_registry(side.database, following=following)}
    assert sum(step.changed for step in reindex(side.database, following=following)) > 0
    assert list(check_registry(side.database, following=following)) == []
    assert _in_force(side, below) == masked
    updated(side, hidden, previous=2, confidentiality_codes=(s.code("N"),))
    assert _in_force(side, above) == _in_force(side, under) == _in_force(side, below) == open_


def test_of_a_document_and_its_replacement_the_later_word_counts(side: Side) -> None:
    side.policy.following = frozenset({s.code("MASK").pair})
    old = register(side)
    new = register(side, (types.RPLC, old.id))
    updated(side, old, confidentiality_codes=(s.code("N"), s.code("MASK")))
    assert s.code("MASK").pair in _in_force(side, new)
    updated(side, new, confidentiality_codes=(s.code("N"),), title="opened since")
    assert _in_force(side, new) == {s.code("N").pair}
    assert s.code("MASK").pair in _in_force(side, old), "what was replaced keeps its own"


def test_a_restriction_goes_with_what_is_withdrawn(side: Side) -> None:
    side.policy.following = following = frozenset({s.code("MASK").pair})
    old = register(side)
    new = register(side, (types.RPLC, old.id), confidentiality_codes=(s.code("N"), s.code("MASK")))
    assert s.code("MASK").pair in _in_force(side, old)

    def act(what: str) -> None:
        def statements(connection: Connection) -> None:
            deposit = withdrawal.find_deposit(connection, new.unique_id)
            getattr(withdrawal, what)(connection, deposit, following)

        side.database.write(statements)

    act("withdraw")
    assert _in_force(side, old) == {s.code("N").pair}
    act("reinstate")
    assert s.code("MASK").pair in _in_force(side, old)
    act("withdraw")
    act("purge")
    assert _in_force(side, old) == {s.code("N").pair}
    assert list(check_registry(side.database, following=following)) == []


def _in_force(side: Side, stored: Stored) -> set[str]:
    mask = t.document_mask.c
    with side.database.read() as connection:
        return set(connection.execute(select(mask.code).where(mask.unique_id == stored.unique_id)).scalars())


def test_the_store_is_whole_after_updates_and_reindex_restores_what_versions_need(side: Side) -> None:
    first, folder = register(side), s.folder()
    value = s.submission(folders=[folder], links=[s.member(folder.entry_uuid, first.id)])
    side.accept(value)
    register(side, (types.APND, first.id))
    second = updated(side, first)
    updated(side, second, previous=2)
    accept_update(side, status_update(versions(side, first)[2][2]))
    assert list(check_registry(side.database)) == []
    with_versions = _version_rows(side)
    side.database.write(lambda connection: connection.execute(t.object_version.delete()).rowcount)
    assert "object-version" in {problem.rule for problem in check_registry(side.database)}
    assert sum(step.changed for step in reindex(side.database)) >= len(with_versions)
    assert _version_rows(side) == with_versions
    assert list(check_registry(side.database)) == []


def _version_rows(side: Side) -> set[tuple[object, ...]]:
    with side.database.read() as connection:
        return {tuple(row) for row in connection.execute(select(t.object_version))}


def test_a_version_that_is_purged_leaves_the_one_before_as_the_latest(side: Side) -> None:
    first = register(side)
    second = updated(side, first)

    def taken_back(connection: Connection) -> None:
        deposit = withdrawal.find_deposit(connection, second.id)
        withdrawal.withdraw(connection, deposit, frozenset())
        withdrawal.purge(connection, deposit, frozenset())

    side.database.write(taken_back)
    assert list(check_registry(side.database)) == []
    assert versions(side, first) == [("1", "Deprecated", first.id)]
    third = updated(side, first)
    assert versions(side, first)[1:] == [("2", "Deprecated", third.id)]


def test_a_failure_changes_nothing(side: Side) -> None:
    good, bad = register(side), register(side)
    answer = send_update(side, update_of(version_of(good), version_of(bad, unique_id=s.oid())))
    assert (answer.status, answer.codes) == ("Failure", ["XDSMetadataIdentifierError"])
    assert versions(side, good) == [("1", "Approved", good.id)]
