"""Documents hidden from their patients: recalled after 15 days, made visible after 21, each once; the clock is moved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from access_control.context import RequestContext
from database import Database, DatabaseBusy
from dmp import records
from dmp.ins import TEST
from dmp.notice_tables import dmp_notice
from dmp.record import DAY, By, Contact, Party, Record
from dmp.settings import DmpSettings
from journal.rows import JournalRow, journal
from journal.tables import journal_row
from liasse.announcing import Announced, Moment, announce
from tests import samples as s
from tests.registry_side import Side
from tests.unit.dmp.notice_world import OPERATOR
from tests.update_side import accept_update, status_update, update_of
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import APPROVED, Code, DocumentEntry
from xds_metadata.patients import key_text
from xds_metadata.profile import DMP
from xds_registry import tables as t
from xds_registry.actor import Registry

PATIENT = PatientKey("279035121518989", TEST)
CX = f"{PATIENT.id}^^^&{TEST}&ISO^NH"
VISIBILITY = "1.2.250.1.213.1.1.4.13"
NORMAL = Code("N", "2.16.840.1.113883.5.25", "normal")
HIDDEN, MASKED = (Code(code, VISIBILITY, code) for code in ("INVISIBLE_PATIENT", "MASQUE_PS"))
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
AUTHOR = "899700000001^TEST^ANNE^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
ATTENDING = Party("899700000002")
SETTINGS = DmpSettings()


@dataclass
class World:
    """A registry of the dmp profile with one record, and a clock of days since the first deposit."""

    side: Side
    start: int

    def deposit(self, *codes: Code, **changes: Any) -> DocumentEntry:
        """An entry with these confidentiality codes."""
        entry = s.entry(
            **{
                "entry_uuid": s.new_uuid(),
                "patient_id": CX,
                "authors": (s.author(AUTHOR),),
                "confidentiality_codes": (NORMAL, *codes),
                **changes,
            }
        )
        self.side.accept(s.submission(entry))
        return entry

    def due(self, days: float, **changes: Any) -> Announced:
        """What is done after so many days."""
        return self.due_at(self.start + int(days * DAY), **changes)

    def due_at(self, at: int, **changes: Any) -> Announced:
        """The same at a time."""
        values: dict[str, Any] = {"settings": SETTINGS, "record": journal, "moment": Moment(at, at), **changes}
        return announce(self.side.database, registry=lambda: self.registry, **values)

    @property
    def registry(self) -> Registry:
        """The registry of the server."""
        return self.side.registry

    def codes(self, entry: DocumentEntry) -> set[str]:
        """The codes in force."""
        m = t.document_mask.c
        with self.side.database.read() as connection:
            found = connection.execute(select(m.code).where(m.unique_id == entry.unique_id)).scalars()
            return {code.partition("^^")[0] for code in found}

    def journal(self) -> list[Any]:
        """What the system did."""
        r = journal_row.c
        with self.side.database.read() as connection:
            return list(
                connection.execute(select(journal_row).where(r.subject == "system:liasse").order_by(r.at, r.id)).all()
            )

    def told(self) -> list[tuple[str, str, dict[str, str]]]:
        """Reminders: address, language, facts."""
        n = dmp_notice.c
        with self.side.database.read() as connection:
            rows = connection.execute(select(n.address, n.language, n.facts).order_by(n.address)).all()
        return [(row.address, row.language, json.loads(row.facts)) for row in rows]


@pytest.fixture
def world(database: Database) -> World:
    side = Side(database, profile=DMP)
    opened = replace(OPERATOR, at=side.clock.now)
    act(database, lambda c: records.create(c, Record(PATIENT, consent_at=opened.at), opened))
    act(database, lambda c: records.attend(c, PATIENT, ATTENDING, opened, 365 * DAY))
    contact = Contact("EMAIL", "attending@office.example", ATTENDING.identity, "en")
    act(database, lambda c: records.set_contacts(c, PATIENT, [contact], opened))
    return World(side, side.clock.now)


def act(database: Database, statements: Callable[[Connection], bool]) -> None:
    database.write(statements)


def test_the_attending_doctor_and_the_author_are_reminded_once(world: World) -> None:
    entry = world.deposit(HIDDEN)
    assert world.due(14.9) == Announced()
    assert world.due(15.1) == Announced(reminders=1, addresses=2)
    assert world.due(15.2) == Announced()
    assert [(address, language) for address, language, _ in world.told()] == [
        ("anne@hospital.example", "fr"),
        ("attending@office.example", "en"),
    ]
    [row] = world.journal()
    assert (row.action, row.patient, row.decision, row.rule) == (
        "announcement-reminder",
        key_text(PATIENT),
        "allowed",
        "dmp-announcement",
    )
    assert ["document", entry.unique_id] in json.loads(row.objects)
    assert world.codes(entry) == {"N", "INVISIBLE_PATIENT"}


def test_a_reminder_says_since_when_and_until_when_and_nothing_of_the_document(world: World) -> None:
    entry = world.deposit(HIDDEN, title="A diagnosis")
    world.due(16)
    for _, _, facts in world.told():
        assert set(facts) == {"since", "until"}
        assert int(facts["until"]) - int(facts["since"]) == 21 * DAY
        assert (entry.unique_id or "") not in facts.values()


def test_the_document_is_released_once_as_a_new_version_by_the_system(world: World) -> None:
    entry = world.deposit(HIDDEN)
    world.due(15.1)
    assert world.due(20.9) == Announced()
    assert world.due(21.1) == Announced(releases=1)
    assert world.due(21.2) == world.due(60) == Announced()
    assert world.codes(entry) == {"N"}
    [_, row] = world.journal()
    assert (row.action, row.rule, row.outcome) == ("announcement-release", "dmp-announcement", "Success")
    assert ["document", entry.unique_id] in json.loads(row.objects)
    [latest] = world.side.documents(entry.unique_id or "")[-1:]
    assert latest.version == "2"
    assert latest.lid == entry.entry_uuid


def test_what_was_due_while_nobody_looked_is_released_without_a_reminder(world: World) -> None:
    world.deposit(HIDDEN)
    assert world.due(40) == Announced(releases=1)
    assert world.told() == []


def test_the_delays_are_settings(world: World) -> None:
    world.deposit(HIDDEN)
    settings = DmpSettings(reminder_days=2, release_days=3)
    assert world.due(2.1, settings=settings) == Announced(reminders=1, addresses=2)
    assert world.due(3.1, settings=settings) == Announced(releases=1)


def test_only_what_is_hidden_from_the_patient_waits(world: World) -> None:
    world.deposit()
    world.deposit(MASKED)
    assert world.due(15.1) == world.due(60) == Announced()


def test_a_document_that_was_made_visible_waits_no_longer(world: World) -> None:
    entry = world.deposit(HIDDEN)
    changed = replace(entry, entry_uuid=s.new_uuid(), logical_id=entry.entry_uuid, confidentiality_codes=(NORMAL,))
    accept_update(world.side, update_of(changed))
    assert world.due(15.1) == world.due(60) == Announced()


def test_a_document_that_was_deleted_waits_no_longer(world: World) -> None:
    entry = world.deposit(HIDDEN)
    accept_update(world.side, status_update(entry.entry_uuid, APPROVED, DELETED, patient_id=CX))
    assert world.due(15.1) == world.due(60) == Announced()


def test_a_mask_that_came_in_between_keeps_the_time_and_stays(world: World) -> None:
    entry = world.deposit(HIDDEN)
    world.side.clock.now = world.start + 10 * DAY
    changed = replace(entry, entry_uuid=s.new_uuid(), logical_id=entry.entry_uuid)
    accept_update(world.side, update_of(replace(changed, confidentiality_codes=(NORMAL, HIDDEN, MASKED))))
    assert world.due(21.1) == Announced(releases=1)
    assert world.codes(entry) == {"N", "MASQUE_PS"}


def test_an_archived_document_is_released_and_stays_archived(world: World) -> None:
    entry = world.deposit(HIDDEN)
    archived = DELETED.replace("Deleted", "Archived")
    accept_update(world.side, status_update(entry.entry_uuid, APPROVED, archived, patient_id=CX))
    assert world.due(21.1) == Announced(releases=1)
    assert world.codes(entry) == {"N"}
    e, v = t.entry.c, t.object_version.c
    with world.side.database.read() as connection:
        latest = select(e.status).join_from(t.entry, t.object_version, v.id == e.id).where(v.latest == 1)
        first = select(e.status).where(e.id == entry.entry_uuid.removeprefix("urn:uuid:"))
        statuses = set(connection.execute(latest.where(e.unique_id == entry.unique_id)).scalars())
        assert connection.execute(first).scalar() not in statuses  # the version before is deprecated
        assert len(statuses) == 1


def test_a_document_that_another_replaced_is_released_too(world: World) -> None:
    entry = world.deposit(HIDDEN)
    newer = s.entry(
        entry_uuid=s.new_uuid(), patient_id=CX, authors=(s.author(AUTHOR),), confidentiality_codes=(NORMAL, HIDDEN)
    )
    world.side.clock.now = world.start + 5 * DAY
    link = s.link("urn:ihe:iti:2007:AssociationType:RPLC", newer.entry_uuid, entry.entry_uuid)
    world.side.accept(s.submission(newer, links=[link]))
    assert world.due(21.1) == Announced(reminders=1, addresses=2, releases=1)
    assert (world.codes(entry), world.codes(newer)) == ({"N"}, {"N", "INVISIBLE_PATIENT"})
    assert world.due(26.1) == Announced(releases=1)
    assert world.codes(newer) == {"N"}


def test_who_crashes_before_the_commit_does_it_at_the_next_time(world: World) -> None:
    entry = world.deposit(HIDDEN)

    def failing(ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True) -> Callable[[Connection], None]:
        insert = journal(ctx, rows, once=once)

        def statements(connection: Connection) -> None:
            insert(connection)
            raise DatabaseBusy("it crashed here")

        return statements

    with pytest.raises(DatabaseBusy):
        world.due(15.1, record=failing)
    assert world.told() == world.journal() == []
    assert world.due(15.1) == Announced(reminders=1, addresses=2)
    crashing = replace(world.registry, record=failing)
    at = world.start + 22 * DAY
    with pytest.raises(DatabaseBusy):
        announce(world.side.database, SETTINGS, Moment(at, at), lambda: crashing)
    assert world.codes(entry) == {"N", "INVISIBLE_PATIENT"}
    assert world.due_at(at) == Announced(releases=1)
    assert [row.action for row in world.journal()] == ["announcement-reminder", "announcement-release"]


def test_a_document_that_cannot_be_released_does_not_stop_the_others(world: World) -> None:
    first, second = world.deposit(HIDDEN), world.deposit(HIDDEN)
    with_authority = replace(world.registry.settings, authorities=frozenset({TEST}))
    foreign = world.deposit(HIDDEN, patient_id=f"X1^^^&{s.AUTHORITY}&ISO^NH")
    narrow = replace(world.registry, settings=with_authority)
    at = world.start + 22 * DAY
    done = announce(world.side.database, SETTINGS, Moment(at, at), lambda: narrow)
    assert (done.releases, done.failures) == (2, ["patient-authority"])
    assert world.codes(first) == world.codes(second) == {"N"}
    assert world.codes(foreign) == {"N", "INVISIBLE_PATIENT"}


def test_a_closed_record_has_no_reminders_and_is_released(world: World) -> None:
    entry = world.deposit(HIDDEN)
    closing = By(OPERATOR.subject, world.start + DAY)
    act(world.side.database, lambda c: records.close(c, PATIENT, "request", closing))
    assert world.due(15.1) == Announced()
    assert world.due(21.1) == Announced(releases=1)
    assert world.codes(entry) == {"N"}


def test_without_any_address_the_reminder_is_journaled_and_counted(world: World) -> None:
    act(world.side.database, lambda c: records.set_contacts(c, PATIENT, [], OPERATOR))
    world.deposit(HIDDEN, authors=(replace(s.author(AUTHOR), telecommunications=("^^Internet^no address",)),))
    assert world.due(15.1) == Announced(reminders=1)
    assert [address for address, _, _ in world.told()] == [""]
    assert [row.action for row in world.journal()] == ["announcement-reminder"]


def test_who_attends_no_longer_is_not_reminded(world: World) -> None:
    act(world.side.database, lambda c: records.leave(c, PATIENT, ATTENDING, OPERATOR))
    world.deposit(HIDDEN)
    assert world.due(15.1) == Announced(reminders=1, addresses=1)
    assert [address for address, _, _ in world.told()] == ["anne@hospital.example"]


def test_what_is_done_for_another_time_is_dated_now_and_says_so(world: World) -> None:
    world.deposit(HIDDEN)
    moment = Moment(world.start + 22 * DAY, world.start + DAY, "run-due --at")
    assert world.due_at(0, moment=moment) == Announced(releases=1)
    [row] = world.journal()
    assert (row.at, json.loads(row.detail)) == (world.start + DAY, {"reason": "run-due --at"})
