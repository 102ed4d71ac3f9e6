"""A repeated submission: recognised and answered as the first time, or refused with the right code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, literal, select

from access_control.context import RequestContext
from database import Database
from database.errors import DatabaseBusy, OutcomeUnknown
from journal.tables import journal_row
from tests import samples as s
from tests.registry_side import Side
from xds_metadata import associations as types
from xds_registry.actor import Registry

WINDOW = 86_400_000_000


def _journaled(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(journal_row)).scalar_one()


def test_the_same_message_is_answered_again_and_stored_once(side: Side) -> None:
    entry = s.entry()
    made = s.objects(s.submission(entry))
    side.accept(made)
    side.accept(made)
    assert len(side.documents(entry.unique_id or "")) == 1


def test_a_retry_is_journaled(side: Side) -> None:
    made = s.objects(s.submission(s.entry()))
    side.accept(made)
    before = _journaled(side.database)
    side.accept(made)
    assert _journaled(side.database) == before + 1


def test_a_retry_after_later_replacement_is_still_answered(side: Side) -> None:
    old, new = s.entry(), s.entry()
    side.accept(s.submission(old))
    target = side.document(old.unique_id or "").id
    made = s.objects(s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, target)]))
    side.accept(made)
    side.accept(made)


def test_hash_size_and_repository_do_not_count(side: Side) -> None:
    value = s.submission(s.entry())
    made = s.objects(value)
    side.accept(made)
    (document,) = made.extrinsic_objects
    fewer = tuple(slot for slot in document.slots if slot.name != "size")
    slots = (*fewer, replace(document.slots[0], name="size", values=("1",)))
    side.accept(replace(made, extrinsic_objects=(replace(document, slots=slots),)))


def test_other_content_under_the_same_id_is_refused(side: Side) -> None:
    owner = s.submission_set()
    side.accept(s.submission(s.entry(), owner=owner))
    answer = side.submit(s.submission(s.entry(), owner=owner))
    assert answer.codes == ["XDSDuplicateUniqueIdInRegistry"]
    assert (owner.unique_id or "") in answer.text


def test_another_sender_is_no_retry(side: Side) -> None:
    value = s.submission(s.entry())
    side.accept(s.objects(value))
    (owner,) = value.submission_sets
    other = replace(value, submission_sets=(replace(owner, source_id="1.2.250.1.999.3"),))
    assert "XDSDuplicateUniqueIdInRegistry" in side.submit(s.objects(other)).codes


@pytest.mark.parametrize(("later", "status"), [(WINDOW - 60_000_000, "Success"), (WINDOW + 60_000_000, "Failure")])
def test_the_window(side: Side, later: int, status: str) -> None:
    made = s.objects(s.submission(s.entry()))
    side.accept(made)
    side.clock.now += later
    assert side.submit(made).status == status


def test_a_refused_submission_is_judged_anew(side: Side) -> None:
    entry = s.entry()
    bad = s.objects(s.submission(entry, links=[s.link(types.APND, entry.entry_uuid, s.new_uuid())]))
    assert side.submit(bad).codes == ["UnresolvedReferenceException"]
    assert side.submit(bad).codes == ["UnresolvedReferenceException"]
    side.accept(s.submission(entry))


def test_message_id_mode_replays_the_same_message_only(side: Side) -> None:
    strict = side.with_settings(retry_needs_message_id=True)
    made = s.objects(s.submission(s.entry()))
    assert strict.submit(made, "urn:uuid:m1").status == "Success"
    assert strict.submit(made, "urn:uuid:m1").status == "Success"
    assert strict.submit(made, "urn:uuid:m2").codes == ["XDSDuplicateUniqueIdInRegistry"]


def test_effects_run_with_the_registration_others_with_its_retry_and_none_when_refused(side: Side) -> None:
    runs: list[int] = []

    def effect(connection: Connection) -> None:
        runs.append(connection.execute(select(1)).scalar_one())

    def again(connection: Connection) -> None:
        runs.append(connection.execute(select(literal(2))).scalar_one())

    value = s.submission(s.entry())
    made = replace(s.registration(value), effects=(effect,), replay_effects=(again,))
    registry: Registry = side.registry
    ctx = _context(side)
    first = registry.register(ctx, made)
    assert registry.register(_context(side), made) == first
    assert runs == [1, 2]
    other = replace(s.registration(s.submission(s.entry(), owner=value.submission_sets[0])), effects=(effect,))
    with pytest.raises(Exception, match="unique-id-unused"):
        registry.register(_context(side), other)
    assert runs == [1, 2]


def test_a_failing_effect_stores_nothing(side: Side) -> None:
    class Trouble(Exception):
        pass

    def effect(connection: Connection) -> None:
        raise Trouble

    entry = s.entry()
    with pytest.raises(Trouble):
        side.registry.register(_context(side), replace(s.registration(s.submission(entry)), effects=(effect,)))
    assert side.documents(entry.unique_id or "") == ()


class _Unsure:
    """A database whose commits lose their answer: after the commit, or before it."""

    def __init__(self, database: Database, *, stored: bool) -> None:
        self._database = database
        self._stored = stored
        self.dialect = database.dialect
        self.read = database.read

    def write(self, fn: object) -> None:
        if self._stored:
            self._database.write(fn)  # type: ignore[arg-type]
        raise OutcomeUnknown("lost")


def test_a_lost_commit_is_looked_up(side: Side) -> None:
    entry, other = s.entry(), s.entry()
    stored = replace(side.registry, database=_Unsure(side.database, stored=True))  # type: ignore[arg-type]
    assert b"Success" in stored.register(_context(side), s.registration(s.submission(entry)))
    assert len(side.documents(entry.unique_id or "")) == 1
    lost = replace(side.registry, database=_Unsure(side.database, stored=False))  # type: ignore[arg-type]
    with pytest.raises(DatabaseBusy):
        lost.register(_context(side), s.registration(s.submission(other)))
    assert side.documents(other.unique_id or "") == ()


def _context(side: Side) -> RequestContext:
    return RequestContext("ITI-42", f"urn:uuid:{side.clock.now}", side.clock())
