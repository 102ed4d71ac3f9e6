"""An operator changes a record (`liasse record`): the act, its history and its journal row in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from access_control.context import RequestContext
from database.handle import Database
from dmp import records
from dmp.ins import AUTHORITIES, NIR, check_ins
from dmp.notices import notify
from dmp.record import By, Party, RecordRefused
from dmp.record_csv import Line, Problem
from dmp.record_rows import Everything, find_everything
from dmp.records import Act, journal_row
from dmp.settings import DmpSettings, read_settings
from journal.rows import journal
from liasse.settings import Settings
from xds_metadata.datatypes import DatatypeError, PatientKey, patient_key

OPERATOR = "operator"
"""What stands in a context for the number of a transaction."""

ADULT_AGE = DmpSettings().adult_age
"""Age in years from which nobody represents the holder as a minor, unless the settings say otherwise."""

Statements = Callable[[Connection], bool]


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did: whether anything changed, and the record afterwards."""

    changed: bool
    whole: Everything


def dmp_settings(settings: Settings) -> DmpSettings:
    """The settings of the shared record: those of its policy, defaults under another one. Raises ValueError."""
    return read_settings(settings.access.options) if settings.access.policy == "dmp" else DmpSettings()


def read_patient(text: str, settings: Settings) -> PatientKey:
    """A patient as an operator writes him: an INS alone, or a whole CX. Raises ValueError for what is no INS here."""
    domain = settings.affinity_domain.assigning_authorities
    try:
        if "^" in text:
            key = patient_key(text)
        else:
            known = [each for each in AUTHORITIES if each in domain] or [NIR]
            if len(known) > 1:
                raise ValueError(
                    f"an INS alone is not clear here, one of several authorities: give a CX ({', '.join(known)})"
                )
            key = PatientKey(text, known[0])
    except DatatypeError as error:
        raise ValueError(error.reason) from None
    if domain and key.authority not in domain:
        known_here = f"one of affinity_domain.assigning_authorities: {', '.join(domain)}"
        raise ValueError(f"the authority is {key.authority}, expected is {known_here}")
    wrong = check_ins(key)
    if wrong is not None:
        raise ValueError(wrong)
    return key


def carry_out(
    database: Database,
    act: Act,
    patient: PatientKey,
    by: By,
    run: Statements,
    party: Party | None = None,
    adult_age: int = ADULT_AGE,
) -> Done:
    """Run an act, write its journal row with it and queue what people are told of it.

    Raises RecordRefused and DatabaseError, with nothing changed.
    """

    def statements(connection: Connection) -> Done:
        changed = run(connection)
        if act is Act.CREATE:
            notify(connection, patient, "created", {}, by.at, adult_age)
        _journal(connection, act, patient, by, party, changed=changed)
        whole = find_everything(connection, patient)
        if whole is None:
            raise RecordRefused("dmp-record-missing", "the patient has no record")
        return Done(changed, whole)

    return database.write(statements)


def look_at(database: Database, patient: PatientKey, by: By) -> Everything | None:
    """The whole record; that it was read, or looked for, is journaled before. Raises DatabaseError."""

    def statements(connection: Connection) -> Everything | None:
        journal(_context(by), [journal_row(Act.SHOW, patient, by)])(connection)
        return find_everything(connection, patient)

    return database.write(statements)


@dataclass(slots=True)
class Imported:
    """What became of the lines so far."""

    created: int = 0
    existing: int = 0
    problems: list[Problem] = field(default_factory=list)


def import_lines(
    database: Database, lines: Sequence[Line], by: By, *, skip_existing: bool, adult_age: int = ADULT_AGE
) -> Imported:
    """Make the records of some lines, all in one transaction; a line that is refused does not stop the others.

    `skip_existing`: a patient who has a record already is counted, and is no problem. Raises DatabaseError: then nothing of
    these lines is stored.
    """

    def statements(connection: Connection) -> Imported:
        done = Imported()
        for line in lines:
            try:
                _create(connection, line, by, adult_age)
            except RecordRefused as error:
                if skip_existing and error.rule == "dmp-record-found":
                    done.existing += 1
                else:
                    done.problems.append(Problem(line.number, "patient", str(error)))
            else:
                done.created += 1
        return done

    return database.write(statements)


def _create(connection: Connection, line: Line, by: By, adult_age: int) -> None:
    record = line.record
    assert record is not None
    records.create(connection, record, by)
    by = replace(by, at=by.at + 1)
    if line.representative is not None:
        records.set_person(connection, record.patient, line.representative, by)
    if line.contacts:
        records.set_contacts(connection, record.patient, line.contacts, by)
    notify(connection, record.patient, "created", {}, by.at, adult_age)
    _journal(connection, Act.CREATE, record.patient, by, None, changed=True)


def _journal(connection: Connection, act: Act, patient: PatientKey, by: By, party: Party | None, *, changed: bool) -> None:
    row = journal_row(act, patient, by, party, **({} if changed else {"unchanged": "yes"}))
    journal(_context(by), [row])(connection)


def _context(by: By) -> RequestContext:
    return RequestContext(OPERATOR, "", by.at, subject=by.subject)
