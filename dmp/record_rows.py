"""Rows of the record's tables as values, and values as rows; reading them by patient. Nothing here decides or changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from dmp.record import Contact, Delegate, Holder, Named, Oppositions, Party, Record, Representative, Standing
from dmp.record_tables import dmp_change, dmp_contact, dmp_person, dmp_record, dmp_standing
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_of_text, key_text

REPRESENTATIVE, DELEGATE = "representative", "delegate"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a record's history. `detail` says what was set."""

    at: int
    act: str
    subject: str
    reason: str
    party: Party | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Everything:
    """All that is kept of a record, its history newest first."""

    record: Record
    standings: Sequence[Standing]
    representatives: Sequence[Representative]
    delegates: Sequence[Delegate]
    contacts: Sequence[Contact]
    history: Sequence[Change]


def find_record(connection: Connection, patient: PatientKey, *, lock: bool = False) -> Record | None:
    """The record of a patient; `lock`: nobody else changes it, or what hangs on it, until the transaction ends."""
    wanted = select(dmp_record).where(dmp_record.c.patient == key_text(patient))
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    return None if row is None else _record(row)


def find_standing(connection: Connection, patient: PatientKey, party: Party) -> Standing | None:
    """What the record says of a party; None where it never was named."""
    s = dmp_standing.c
    wanted = select(dmp_standing).where(s.patient == key_text(patient), s.party == party.identity)
    row = connection.execute(wanted).first()
    return None if row is None else _standing(row)


def find_standings(connection: Connection, patient: PatientKey) -> list[Standing]:
    """Every party that the record knows, in the order of their identities."""
    s = dmp_standing.c
    rows = connection.execute(select(dmp_standing).where(s.patient == key_text(patient)).order_by(s.party))
    return [_standing(row) for row in rows]


def find_people(connection: Connection, patient: PatientKey) -> tuple[list[Representative], list[Delegate]]:
    """Representatives and delegates of the holder, in the order of their identities."""
    p = dmp_person.c
    rows = connection.execute(select(dmp_person).where(p.patient == key_text(patient)).order_by(p.identity)).all()
    representatives = [
        Representative(row.identity, row.kind, row.link, row.family, row.given, row.since, row.until)
        for row in rows
        if row.relation == REPRESENTATIVE
    ]
    delegates = [
        Delegate(row.identity, row.kind, row.family, row.given, row.answer, row.invited_at, row.since, row.until)
        for row in rows
        if row.relation == DELEGATE
    ]
    return representatives, delegates


def find_contacts(connection: Connection, patient: PatientKey) -> list[Contact]:
    """The contact channels: those of the holder first."""
    c = dmp_contact.c
    wanted = select(dmp_contact).where(c.patient == key_text(patient)).order_by(c.owner, c.channel, c.value)
    return [
        Contact(row.channel, row.value, row.owner, row.language, bool(row.documents)) for row in connection.execute(wanted)
    ]


def find_history(connection: Connection, patient: PatientKey, limit: int = 1000) -> list[Change]:
    """What was done to the record, newest first."""
    c = dmp_change.c
    wanted = select(dmp_change).where(c.patient == key_text(patient)).order_by(c.id.desc()).limit(limit)
    return [
        Change(row.at, row.act, row.subject, row.reason, Party.of(row.party) if row.party else None, json.loads(row.detail))
        for row in connection.execute(wanted)
    ]


def find_everything(connection: Connection, patient: PatientKey) -> Everything | None:
    """The whole record; None where there is none."""
    record = find_record(connection, patient)
    if record is None:
        return None
    return Everything(
        record,
        find_standings(connection, patient),
        *find_people(connection, patient),
        find_contacts(connection, patient),
        find_history(connection, patient),
    )


def record_values(record: Record) -> dict[str, object]:
    """The columns of a record."""
    oppositions, holder = record.oppositions, record.holder
    return {
        "patient": key_text(record.patient),
        "state": record.state,
        "since": record.since,
        "motive": record.motive,
        "created_at": record.created_at,
        "consent_at": record.consent_at,
        "break_glass": int(oppositions.break_glass),
        "regulation": int(oppositions.regulation),
        "masked": int(oppositions.masked_in_emergency),
        "family": holder.family,
        "used": holder.used,
        "given": holder.given,
        "birth_date": holder.birth_date,
        "sex": holder.sex,
    }


def standing_values(patient: PatientKey, standing: Standing) -> dict[str, object]:
    """The columns of a standing."""
    named = standing.named
    return {
        "patient": key_text(patient),
        "party": standing.party.identity,
        "family": named.family,
        "given": named.given,
        "role": named.role,
        "role_text": named.role_text,
        "declared_at": standing.declared_at,
        "expires_at": standing.expires_at,
        "removed_at": standing.removed_at,
        "attending_since": standing.attending_since,
        "blocked_since": standing.blocked_since,
        "changed_at": standing.changed_at,
    }


def person_values(patient: PatientKey, person: Representative | Delegate) -> dict[str, object]:
    """The columns of a representative or delegate."""
    values = {
        "patient": key_text(patient),
        "identity": person.identity,
        "family": person.family,
        "given": person.given,
        "since": person.since,
        "until": person.until,
    }
    if isinstance(person, Representative):
        told = {
            "relation": REPRESENTATIVE,
            "kind": person.ground,
            "link": person.link,
            "answer": "ACCEPTED",
            "invited_at": 0,
        }
    else:
        answer, invited_at = person.answer, person.invited_at
        told = {"relation": DELEGATE, "kind": person.kind, "link": "", "answer": answer, "invited_at": invited_at}
    return {**values, **told}


def contact_values(patient: PatientKey, contact: Contact) -> dict[str, object]:
    """The columns of a contact channel."""
    return {
        "patient": key_text(patient),
        "owner": contact.owner,
        "channel": contact.channel,
        "value": contact.value,
        "language": contact.language,
        "documents": int(contact.documents),
    }


def _record(row: Row[Any]) -> Record:
    return Record(
        patient=key_of_text(row.patient),
        state=row.state,
        since=row.since,
        motive=row.motive,
        created_at=row.created_at,
        consent_at=row.consent_at,
        holder=Holder(row.family, row.used, row.given, row.birth_date, row.sex),
        oppositions=Oppositions(bool(row.break_glass), bool(row.regulation), bool(row.masked)),
    )


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        party=Party.of(row.party),
        named=Named(row.family, row.given, row.role, row.role_text),
        declared_at=row.declared_at,
        expires_at=row.expires_at,
        removed_at=row.removed_at,
        attending_since=row.attending_since,
        blocked_since=row.blocked_since,
        changed_at=row.changed_at,
    )
