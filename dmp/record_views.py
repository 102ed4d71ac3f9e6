"""The record as the access policy meets it: one prepared statement for each decision.

What hangs on a structure's authorisation: it opens the record to those whom a certificate of the structure vouches for. A
structure that only the caller himself names, on his own card, opens nothing; a block of it holds for him all the same.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, select

from access_control.subject import Subject
from database.handle import Database
from dmp.caller import Caller, caller_of
from dmp.record import Delegate, Representative, authorisation_at, is_minor
from dmp.record_rows import DELEGATE
from dmp.record_tables import dmp_person, dmp_record, dmp_standing
from dmp.settings import DmpSettings
from dmp.views import Authorisation, RecordView, Relation
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text

_VOUCHED_BY_STRUCTURE: Final = frozenset({"structure", "structure-strong"})
_NO_PROFESSIONAL: Final = frozenset({"local", "sts"})
_STRONGEST: Final[tuple[Authorisation, ...]] = ("valid", "expired", "removed", "none")


class StoredViews:
    """The RecordViews over the database. Belongs to the process that opened it; threads may share it."""

    def __init__(self, database: Database, settings: DmpSettings) -> None:
        self._database = database
        self._adult_age = settings.adult_age
        self._statement = database.prepare(_statement())

    def view(self, patient: PatientKey, subject: Subject, at: int) -> RecordView:
        """As `RecordViews.view`."""
        caller = caller_of(subject, role_based=False)
        values = {
            "patient": key_text(patient),
            "person": caller.person,
            "structure": caller.structure,
            "identity": person_identity(subject),
        }
        with self._database.read_raw() as cursor:
            row = self._statement.execute(cursor, values).fetchone()
        return RecordView() if row is None else self._view(row, patient, subject, caller, at)

    def _view(self, row: tuple[Any, ...], patient: PatientKey, subject: Subject, caller: Caller, at: int) -> RecordView:
        state, break_glass, regulation, masked, birth_date = row[:5]
        own, of_structure, attending_since, blocks, person = row[5:8], row[8:11], row[11], row[12:14], row[14:]
        status = authorisation_at(own[0], own[1], own[2], at)
        counted = [status]
        if subject.proof_level in _VOUCHED_BY_STRUCTURE:
            counted.append(authorisation_at(of_structure[0], of_structure[1], of_structure[2], at))
        known = state != "destroyed"
        return RecordView(
            state=state,
            authorisation=next(each for each in _STRONGEST if each in counted),
            attending=caller.kind == "doctor" and attending_since is not None and status == "valid",
            blocked=any(since is not None for since in blocks),
            opposed_break_glass=bool(break_glass),
            opposed_regulation=bool(regulation),
            masked_in_emergency=bool(masked),
            relation=self._relation(patient, subject, person, birth_date, at) if known else "",
        )

    def _relation(
        self, patient: PatientKey, subject: Subject, person: tuple[Any, ...], birth_date: str, at: int
    ) -> Relation:
        identity = person_identity(subject)
        if identity and identity == key_text(patient):
            return "holder"
        relation, kind, answer, since, until = person
        if relation is None:
            return ""
        if relation == DELEGATE:
            delegate = Delegate(identity, kind, answer=answer, since=since, until=until)
            acting: Relation = "representative" if kind == "LEGAL_REPRESENTATION" else "delegate"
            return acting if delegate.acts(at) else ""
        minor = is_minor(birth_date, at, self._adult_age)
        return "representative" if Representative(identity, kind, since=since, until=until).acts(at, minor=minor) else ""


def person_identity(subject: Subject) -> str:
    """The identity (`identifier^authority`) of a caller who comes as a patient or for one; empty for all others.

    A professional never does: what he says of himself on his card, or his structure of him, is no identity of a patient.
    """
    private = subject.proof_level in _NO_PROFESSIONAL and not subject.roles
    return subject.id if private and "^" in subject.id else ""


def _statement() -> Select[Any]:
    r, p = dmp_record.c, dmp_person.c
    own, structure = dmp_standing.alias("own"), dmp_standing.alias("of_structure")
    joined = (
        dmp_record.outerjoin(own, and_(own.c.patient == r.patient, own.c.party == bindparam("person")))
        .outerjoin(structure, and_(structure.c.patient == r.patient, structure.c.party == bindparam("structure")))
        .outerjoin(dmp_person, and_(p.patient == r.patient, p.identity == bindparam("identity")))
    )
    return (
        select(
            *(r.state, r.break_glass, r.regulation, r.masked, r.birth_date),
            *(own.c.declared_at, own.c.expires_at, own.c.removed_at),
            *(structure.c.declared_at, structure.c.expires_at, structure.c.removed_at),
            own.c.attending_since,
            *(own.c.blocked_since, structure.c.blocked_since),
            *(p.relation, p.kind, p.answer, p.since, p.until),
        )
        .select_from(joined)
        .where(r.patient == bindparam("patient"))
    )
