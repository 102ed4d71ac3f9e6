"""A record with contact channels, callers and their accesses, for the tests of notices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Coded, Subject
from database import Database
from dmp import records
from dmp.ins import TEST
from dmp.notice_tables import dmp_notice
from dmp.notifier import Notifier
from dmp.record import By, Contact, Holder, Record, Representative
from dmp.settings import DmpSettings
from journal.rows import JournalRow
from liasse.recording import Recorder
from tests.unit.dmp.world import G15, R01, subject
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text

AT = 1_790_000_000_000_000
MINUTE = 60_000_000
PATIENT = PatientKey("279035121518989", TEST)
MOTHER = "190012A12345678^" + TEST
OWN, HERS = Contact("EMAIL", "own@patient.example"), Contact("EMAIL", "mother@patient.example", MOTHER, "en")
OPERATOR = By(Subject("os-user:test", proof_level="local"), AT - 1)
DONE = Decision(allowed=True, rule="dmp-allowed")


def nurse(**changes: Any) -> Subject:
    """A nurse with her own card."""
    return replace(subject(Coded("60", G15)), **{"id": "899900000602", "name": "Test Anne", **changes})


def doctor(**changes: Any) -> Subject:
    """A doctor with his own card."""
    return replace(subject(Coded("10", G15), Coded("SM26", R01)), **{"name": "Test Bob", **changes})


def row(action: str = "query", outcome: str = "Success", decision: Decision = DONE, *documents: str) -> JournalRow:
    """What the journal says of an access."""
    objects = [("document", each) for each in documents]
    return JournalRow(key_text(PATIENT), action, objects, decision, outcome)


@dataclass
class World:
    """A database with one record, and the server's Recorder over it."""

    database: Database
    recorder: Recorder

    def access(self, who: Subject, *rows: JournalRow, at: int = AT, once: bool = True) -> None:
        """One message of a caller; a query unless rows are given."""
        ctx = RequestContext("ITI-18", f"urn:uuid:{at}", at, subject=who)
        self.database.write(self.recorder(ctx, rows or [row()], once=once))

    def anew(self) -> World:
        """The same database in another process: nothing is remembered."""
        return replace(self, recorder=Recorder(notices=Notifier(DmpSettings())))

    def told(self) -> list[tuple[str, str, str]]:
        """The notices so far: event, address, language."""
        return [(notice.event, notice.address, notice.language) for notice in self.notices()]

    def events(self) -> list[str]:
        """The events of the notices so far."""
        return [notice.event for notice in self.notices()]

    def notices(self) -> Sequence[Any]:
        """The rows of the outbox."""
        n = dmp_notice.c
        with self.database.read() as connection:
            return connection.execute(select(dmp_notice).order_by(n.at, n.id)).all()

    def facts(self) -> list[dict[str, str]]:
        """What the notices say."""
        return [json.loads(notice.facts) for notice in self.notices()]


def world(database: Database, *contacts: Contact, born: str = "19790301") -> World:
    """A record with these channels, and a mother who represents the holder while he is a minor."""
    record = Record(PATIENT, consent_at=AT, holder=Holder("TEST", given="TEST", birth_date=born))
    database.write(lambda connection: records.create(connection, record, OPERATOR))
    mother = Representative(MOTHER, "minor", "MTH", since=0)
    database.write(lambda connection: records.set_person(connection, PATIENT, mother, OPERATOR))
    database.write(lambda connection: records.set_contacts(connection, PATIENT, contacts, OPERATOR))
    return World(database, Recorder(notices=Notifier(DmpSettings())))
