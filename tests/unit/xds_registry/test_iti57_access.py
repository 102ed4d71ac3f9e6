"""ITI-57: who may; what is hidden is unknown; one journal row; a repetition; two at once; parent ids left out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import Connection, select

from access_control.decision import Decision
from access_control.policy import Action, Change, EntryFacts
from access_control.scope import AllOf, CodesWithin, Scope
from database import Database
from journal.tables import journal_row
from soap.faults import Fault
from tests import samples as s
from tests.registry_side import Side
from tests.update_side import (
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
from xds_metadata.model import APPROVED, DEPRECATED
from xds_metadata.patients import key_of_text, patient_column
from xds_metadata.profile import DMP, IHE
from xds_registry import iti57
from xds_registry.update_facts import Contents, UpdateFacts, load_contents
from xmlsafe import parse
from xmlsafe.namespaces import RIM

SECRET, PLAIN = s.code("S"), s.code("N")
KEY = key_of_text(patient_column(s.PATIENT))


def decided(side: Side) -> list[tuple[Change, ...]]:
    """The changes of the access decisions on updates."""
    return [target.changes for action, target in side.policy.asked if action is Action.CHANGE]


def rows(side: Side) -> list[dict[str, object]]:
    """The journal rows of updates, in their order."""
    with side.database.read() as connection:
        asked = select(journal_row).where(journal_row.c.action == "update").order_by(journal_row.c.at, journal_row.c.id)
        return [dict(row._mapping) for row in connection.execute(asked)]


def test_the_decision_knows_what_is_masked(side: Side) -> None:
    stored = register(side, confidentiality_codes=(PLAIN, s.code("OLD")))
    updated(side, stored, confidentiality_codes=(PLAIN, SECRET))
    facts = EntryFacts(
        unique_id=stored.unique_id,
        patient=KEY,
        type_code=s.code("type").pair,
        confidentiality=(PLAIN.pair, s.code("OLD").pair),
        persons=("801^1.2.250.1.999.6",),
        institutions=("4711^1.2.250.1.999.7",),
    )
    assert decided(side) == [(Change("metadata", facts, added=(SECRET.pair,), removed=(s.code("OLD").pair,)),)]


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"title": "Another"}, True),
        ({"type_code": s.code("another")}, True),
        ({"authors": (s.author("802^Durand^Paul^^^^^^&1.2.250.1.999.6&ISO"),)}, True),
        ({"extra": (("urn:x:y", ("z",)),)}, True),
        ({"home_community_id": "urn:oid:1.2.3"}, False),
        ({"availability_status": DEPRECATED}, False),
        ({"version": "9"}, False),
        ({"confidentiality_codes": (SECRET, PLAIN)}, False),
    ],
)
def test_the_decision_knows_whether_anything_else_changes(side: Side, change: dict[str, Any], other: bool) -> None:
    updated(side, register(side), **change)
    ((only,),) = decided(side)
    assert only.other is other


def test_the_decision_knows_the_statuses(side: Side) -> None:
    stored = register(side)
    accept_update(side, status_update(stored.id))
    accept_update(side, status_update(stored.id, DEPRECATED, APPROVED))
    ((first,), (second,)) = decided(side)
    assert (first.kind, first.entry.status, first.status) == ("status", "Approved", "Deprecated")
    assert (second.kind, second.entry.status, second.status) == ("status", "Deprecated", "Approved")


def test_the_decision_is_on_all_of_a_message(side: Side) -> None:
    one, other = register(side), register(side)
    entry, owner = version_of(one), s.submission_set()
    accept_update(
        side, update_of(entry, links=(status_link(owner, entry.entry_uuid), status_link(owner, other.id)), owner=owner)
    )
    (found,) = decided(side)
    assert [(c.kind, c.entry.unique_id) for c in found] == [
        ("metadata", one.unique_id),
        ("status", one.unique_id),
        ("status", other.unique_id),
    ]


def test_a_refused_update_is_a_fault_and_changes_nothing(side: Side) -> None:
    stored = register(side)
    side.policy.decision = Decision(allowed=False, rule="rule-x", code="DMPX")
    for value in (update_of(version_of(stored)), status_update(stored.id)):
        with pytest.raises(Fault) as raised:
            send_update(side, value)
        assert raised.value.rule == "rule-x"
    side.policy.decision = Decision(allowed=True, rule="test")
    assert versions(side, stored) == [("1", "Approved", stored.id)]
    assert rows(side) == []


@pytest.mark.parametrize("scope", [Scope(CodesWithin((PLAIN.pair,))), Scope(AllOf(()), patients=("x^1.2",))])
def test_h9_what_is_hidden_is_answered_as_what_is_unknown(side: Side, scope: Scope) -> None:
    hidden = register(side, confidentiality_codes=(PLAIN, SECRET))
    side.policy.shown = scope
    unknown = s.new_uuid()
    answers = []
    for lid in (hidden.lid, unknown):
        entry, owner = version_of(hidden, entry_uuid="next", logical_id=lid), s.submission_set()
        value = update_of(entry, links=(status_link(owner, lid),), owner=owner, previous=3)
        answer = send_update(side, value)
        text = etree.tostring(answer.element).decode() if answer.element is not None else ""
        link = value.associations[1].entry_uuid
        answers.append(text.replace(lid, "LID").replace(link, "LINK"))
    assert answers[0] == answers[1]
    assert answers[0].count("UnresolvedReferenceException") == 2
    assert decided(side) == []
    side.policy.shown = Scope(AllOf(()))
    assert versions(side, hidden) == [("1", "Approved", hidden.id)]


def test_other_kinds_of_objects_are_hidden_too(side: Side) -> None:
    value = s.submission(s.entry(confidentiality_codes=(PLAIN, SECRET)))
    side.accept(value)
    set_id = side.submission_set(value.submission_sets[0].unique_id or "").id
    side.policy.shown = Scope(CodesWithin((PLAIN.pair,)))
    assert send_update(side, status_update(set_id)).codes == ["UnresolvedReferenceException"]


def test_a_mask_hides_at_once(side: Side) -> None:
    stored = register(side, confidentiality_codes=(PLAIN,))
    side.policy.shown = Scope(CodesWithin((PLAIN.pair,)))
    masked = updated(side, stored, confidentiality_codes=(PLAIN, SECRET))
    assert side.documents(stored.unique_id) == ()
    answer = send_update(side, status_update(masked.id))
    assert answer.codes == ["UnresolvedReferenceException"]


def test_an_update_has_one_journal_row(side: Side) -> None:
    one, other = register(side), register(side)
    owner = s.submission_set()
    accept_update(side, update_of(version_of(one), links=(status_link(owner, other.id),), owner=owner))
    (row,) = rows(side)
    assert (row["patient"], row["decision"], row["outcome"], row["rule"]) == (
        patient_column(s.PATIENT),
        "allowed",
        "Success",
        "test",
    )
    assert json.loads(str(row["objects"])) == [
        ["submission-set", owner.unique_id],
        ["document", one.unique_id],
        ["document", other.unique_id],
    ]


def test_a_refused_one_has_one_too_and_says_what_was_asked(side: Side) -> None:
    target = s.new_uuid()
    value = status_update(target)
    send_update(side, value)
    send_update(side, replace(value, submission_sets=()))
    first, second = rows(side)
    assert (first["decision"], first["outcome"], first["rule"]) == ("refused", "Failure", "update-reference")
    assert json.loads(str(first["objects"])) == [["submission-set", value.submission_sets[0].unique_id], ["entry", target]]
    assert (second["decision"], second["patient"]) == ("refused", "")


def test_a_repetition_is_answered_as_the_first_time(side: Side) -> None:
    stored = register(side)
    made = s.objects(update_of(version_of(stored)))
    for _ in range(2):
        accept_update(side, made)
    assert statuses(side, stored) == ["Deprecated", "Approved"]
    assert [row["rule"] for row in rows(side)] == ["test", "repeated"]
    assert len(decided(side)) == 1


def test_the_same_set_with_other_content_is_no_repetition(side: Side) -> None:
    stored = register(side)
    value = status_update(stored.id)
    accept_update(side, value)
    same = value.submission_sets[0].unique_id
    answer = send_update(side, status_update(stored.id, DEPRECATED, APPROVED, unique_id=same))
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]


def test_a_repetition_from_another_source_is_none(side: Side) -> None:
    stored = register(side)
    value = status_update(stored.id)
    accept_update(side, value)
    owner = replace(value.submission_sets[0], source_id="1.2.3.4")
    answer = send_update(side, replace(value, submission_sets=(owner,)))
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry", "XDSMetadataUpdateError"]


def test_of_updates_at_once_one_wins(side: Side) -> None:
    stored, gate = register(side), threading.Barrier(6)

    def one(number: int) -> tuple[str, ...]:
        value = update_of(version_of(stored, title=f"Title {number}"))
        gate.wait()
        return tuple(send_update(side, value).codes)

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(one, range(6)))
    assert found == [(), *[("XDSMetadataVersionError",)] * 5]
    assert statuses(side, stored) == ["Deprecated", "Approved"]


def test_of_status_changes_at_once_one_wins(side: Side) -> None:
    stored, gate = register(side), threading.Barrier(6)

    def one(_: int) -> tuple[str, ...]:
        value = status_update(stored.id)
        gate.wait()
        return tuple(send_update(side, value).codes)

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(one, range(6)))
    assert found == [(), *[("XDSMetadataUpdateError",)] * 5]


def test_one_update_sent_many_times_at_once(side: Side) -> None:
    stored, gate = register(side), threading.Barrier(6)
    made = s.objects(update_of(version_of(stored)))

    def one(_: int) -> str:
        gate.wait()
        return send_update(side, made).status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(6))) == {"Success"}
    assert statuses(side, stored) == ["Deprecated", "Approved"]


def test_an_addendum_that_comes_between_is_carried_over_or_refused(side: Side) -> None:
    for _ in range(5):
        stored, gate = register(side), threading.Barrier(2)
        entry, addendum = version_of(stored), s.entry(entry_uuid=s.new_uuid())
        late = s.submission(addendum, links=[s.link(types.APND, addendum.entry_uuid, stored.id)])
        value = update_of(entry)

        def update(value: object = value, gate: threading.Barrier = gate) -> list[str]:
            gate.wait()
            return send_update(side, value).codes  # type: ignore[arg-type]

        def append(late: object = late, gate: threading.Barrier = gate) -> list[str]:
            gate.wait()
            return side.submit(late).codes  # type: ignore[arg-type]

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(update), pool.submit(append)
            assert first.result() == []
            refused = second.result()
        linked = [a.source for a in side.associations(entry.entry_uuid) if a.association_type == types.APND]
        assert (refused, linked) in (
            ([], [addendum.entry_uuid]),
            (["XDSRegistryDeprecatedDocumentError"], []),
        )


def after_reading(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
    """Do something once, between what an update reads and its transaction."""
    waiting = [meanwhile]

    def load(connection: Connection, facts: UpdateFacts) -> Contents:
        found = load_contents(connection, facts)
        while waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(iti57, "load_contents", load)


def test_an_addendum_after_the_leaves_were_read_is_carried_over(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, addendum = register(side), s.entry(entry_uuid=s.new_uuid())
    late = s.submission(addendum, links=[s.link(types.APND, addendum.entry_uuid, stored.id)])
    after_reading(monkeypatch, lambda: side.accept(late))
    new = updated(side, stored)
    assert addendum.entry_uuid in {a.source for a in side.associations(new.id)}


def test_another_version_after_the_leaves_were_read_is_a_version_error(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = register(side)
    late = update_of(version_of(stored, title="Late"))
    after_reading(monkeypatch, lambda: accept_update(side, late))
    answer = send_update(side, update_of(version_of(stored)))
    assert answer.codes == ["XDSMetadataVersionError"]
    assert statuses(side, stored) == ["Deprecated", "Approved"]


def test_an_update_that_never_comes_to_rest_is_busy(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = register(side)
    monkeypatch.setattr(iti57, "load_contents", lambda _connection, _facts: Contents())
    answer = send_update(side, update_of(version_of(stored)))
    assert answer.codes == ["XDSRegistryBusy"]
    assert statuses(side, stored) == ["Approved"]


def without_parents(body: etree._Element) -> etree._Element:
    """The message without classifiedObject and registryObject."""
    for part in body.iter(f"{{{RIM}}}Classification", f"{{{RIM}}}ExternalIdentifier"):
        for name in ("classifiedObject", "registryObject"):
            part.attrib.pop(name, "")
    return body


@pytest.mark.parametrize("name", ["ihe", "dmp"])
def test_parent_ids_may_be_left_out_in_the_dmp_alone(database: Database, name: str) -> None:
    side = Side(database) if name == "ihe" else Side(database, profile=DMP)
    stored = register(side)
    body = without_parents(s.body(update_of(version_of(stored))))
    answer = side.send(iti57.transaction(side.registry), parse(etree.tostring(body)))
    if name == "ihe":
        assert b"XDSRegistryMetadataError" in etree.tostring(answer)
        assert len(side.documents(stored.unique_id)) == 1
        return
    assert statuses(side, stored) == ["Deprecated", "Approved"]
    latest = max(side.documents(stored.unique_id), key=lambda d: d.version or "")
    assert {c.classified_object for c in latest.classifications} == {latest.id}
    assert {e.registry_object for e in latest.external_identifiers} == {latest.id}


def test_a_wrong_parent_id_stays_wrong(database: Database) -> None:
    side = Side(database, profile=DMP)
    made = s.objects(update_of(version_of(register(side))))
    (entry,) = made.extrinsic_objects
    wrong = replace(entry.classifications[0], classified_object="other")
    entry = replace(entry, classifications=(wrong, *entry.classifications[1:]))
    answer = send_update(side, replace(made, extrinsic_objects=(entry,)))
    assert answer.codes == ["XDSRegistryMetadataError"]


def test_a_registration_needs_parent_ids_in_each_profile(database: Database) -> None:
    side = Side(database, profile=DMP)
    answer = side.send(side.iti42, without_parents(s.body(s.submission(s.entry()))))
    assert b"XDSRegistryMetadataError" in etree.tostring(answer)


def test_the_answers_action_is_that_of_the_profile(database: Database) -> None:
    actions = [iti57.transaction(Side(database, profile=each).registry).response_action for each in (IHE, DMP)]
    assert actions == ["urn:ihe:iti:2010:UpdateDocumentSetResponse", "urn:ihe:iti:2010:UpdateDocumentSet-Response"]
