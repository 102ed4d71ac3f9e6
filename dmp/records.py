"""The store of records: what may be done to one, as statements for the write that also journals it.

Each function runs inside `Database.write`, locks the record, applies a rule of `dmp.record`, stores the outcome and appends
a line to the history. It returns whether anything changed. All raise RecordRefused, with nothing changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from access_control.decision import Decision
from dmp import record as rules
from dmp.ins import check_ins
from dmp.notice_tables import dmp_notice, dmp_told
from dmp.record import (
    By,
    Contact,
    Delegate,
    Holder,
    Named,
    Oppositions,
    Party,
    Record,
    RecordRefused,
    Representative,
    Standing,
)
from dmp.record_rows import (
    contact_values,
    find_contacts,
    find_people,
    find_record,
    find_standing,
    person_values,
    record_values,
    standing_values,
)
from dmp.record_tables import dmp_change, dmp_contact, dmp_person, dmp_record, dmp_standing
from journal.rows import JournalRow, row_id
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text


class Act(StrEnum):
    """What is done to a record: the word of its history and of the journal."""

    CREATE = "record-create"
    SHOW = "record-show"
    HOLDER = "record-holder"
    AUTHORISE = "record-authorise"
    UNAUTHORISE = "record-unauthorise"
    ATTEND = "record-attend"
    LEAVE = "record-leave"
    BLOCK = "record-block"
    UNBLOCK = "record-unblock"
    OPPOSE = "record-oppose"
    CLOSE = "record-close"
    REOPEN = "record-reopen"
    DESTROY = "record-destroy"
    PERSON = "record-person"
    CONTACT = "record-contact"


def create(connection: Connection, record: Record, by: By) -> bool:
    """Make a record, active from now on. Refused where one is there, in whatever state, and for what is no INS."""
    wrong = check_ins(record.patient)
    if wrong is not None:
        raise RecordRefused("dmp-ins", wrong)
    if record.consent_at is None:
        raise RecordRefused("dmp-consent", "opening a record needs the patient's consent")
    made = replace(record, state="active", since=by.at, motive="", created_at=by.at)
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insertion = dialect(dmp_record).values(record_values(made)).on_conflict_do_nothing().returning(dmp_record.c.patient)
    if connection.execute(insertion).first() is None:
        found = find_record(connection, record.patient)
        state = found.state if found is not None else "there"
        raise RecordRefused("dmp-record-found", f"the patient has a record already, it is {state}")
    _note(connection, Act.CREATE, record.patient, by, detail=_opposed(made.oppositions))
    return True


def change_holder(connection: Connection, patient: PatientKey, holder: Holder, by: By) -> bool:
    """Put other traits of the holder in place of those that are there."""
    record = rules.check_active(find_record(connection, patient, lock=True))
    return _save_record(connection, Act.HOLDER, record, replace(record, holder=holder), by)


def oppose(connection: Connection, patient: PatientKey, oppositions: Oppositions, by: By) -> bool:
    """Put other decisions about emergencies in place of those that are there."""
    record = rules.check_active(find_record(connection, patient, lock=True))
    changed = replace(record, oppositions=oppositions)
    return _save_record(connection, Act.OPPOSE, record, changed, by, _opposed(oppositions))


def close(connection: Connection, patient: PatientKey, motive: str, by: By) -> bool:
    """Close the record with a motive; what it holds is kept."""
    record = find_record(connection, patient, lock=True)
    changed = rules.closed(record, motive, by.at)
    return _save_record(connection, Act.CLOSE, record, changed, by, {"motive": changed.motive})


def reopen(connection: Connection, patient: PatientKey, by: By, *, consent: bool) -> bool:
    """Make a closed record active again, with all that it held."""
    record = find_record(connection, patient, lock=True)
    return _save_record(connection, Act.REOPEN, record, rules.reopened(record, by.at, consent=consent), by)


def destroy(connection: Connection, patient: PatientKey, by: By) -> bool:
    """Destroy a closed record for good: all go but the journal and the history.

    Documents are the registry's and the repository's: they are not touched here, and nobody reaches them any more.
    """
    record = find_record(connection, patient, lock=True)
    changed = rules.destroyed(record, by.at)
    for table in (dmp_standing, dmp_person, dmp_contact, dmp_notice, dmp_told):
        connection.execute(delete(table).where(table.c.patient == key_text(patient)))
    return _save_record(connection, Act.DESTROY, record, changed, by)


def authorise(
    connection: Connection, patient: PatientKey, party: Party, by: By, length: int, named: Named | None = None
) -> bool:
    """Authorise a party for `length` microseconds. One who is authorised now stays so as he is."""
    change = _change(connection, patient, party, by)
    return change(Act.AUTHORISE, lambda standing: rules.authorised(standing, by.at, length, named))


def attend(
    connection: Connection, patient: PatientKey, party: Party, by: By, length: int, named: Named | None = None
) -> bool:
    """Make a doctor an attending doctor of the record, authorised where he is not. There may be several."""
    change = _change(connection, patient, party, by)
    return change(Act.ATTEND, lambda standing: rules.attending(standing, by.at, length, named))


def leave(connection: Connection, patient: PatientKey, party: Party, by: By) -> bool:
    """End the quality of attending doctor; the authorisation stays."""
    return _change(connection, patient, party, by)(Act.LEAVE, lambda standing: rules.not_attending(standing, by.at))


def unauthorise(connection: Connection, patient: PatientKey, party: Party, by: By) -> bool:
    """Take the authorisation back, and the quality of attending doctor with it."""
    return _change(connection, patient, party, by)(Act.UNAUTHORISE, lambda standing: rules.unauthorised(standing, by.at))


def block(connection: Connection, patient: PatientKey, party: Party, by: By, named: Named | None = None) -> bool:
    """Block a party: he may deposit and nothing else. An authorisation ends with it."""
    return _change(connection, patient, party, by)(Act.BLOCK, lambda standing: rules.blocked(standing, by.at, named))


def unblock(connection: Connection, patient: PatientKey, party: Party, by: By, *, consent: bool) -> bool:
    """End a block, with the patient's consent. Being authorised again is another act."""
    change = _change(connection, patient, party, by)
    return change(Act.UNBLOCK, lambda standing: rules.unblocked(standing, by.at, consent=consent))


def set_person(connection: Connection, patient: PatientKey, person: Representative | Delegate, by: By) -> bool:
    """Make somebody a representative or a delegate, in place of what he was."""
    rules.check_active(find_record(connection, patient, lock=True))
    if person in [each for group in find_people(connection, patient) for each in group]:
        return False
    values, p = person_values(patient, person), dmp_person.c
    _replace(connection, dmp_person, values, p.patient == values["patient"], p.identity == person.identity)
    told = {name: values[name] for name in ("relation", "kind", "answer", "since", "until")}
    _note(connection, Act.PERSON, patient, by, detail={"person": person.identity, **told})
    return True


def set_contacts(connection: Connection, patient: PatientKey, contacts: Sequence[Contact], by: By) -> bool:
    """Put other contact channels in place of those that are there. Addresses do not go into the history."""
    rules.check_active(find_record(connection, patient, lock=True))
    wanted = {(each.owner, each.channel, each.value): each for each in contacts}
    found = {(each.owner, each.channel, each.value): each for each in find_contacts(connection, patient)}
    if wanted == found:
        return False
    connection.execute(delete(dmp_contact).where(dmp_contact.c.patient == key_text(patient)))
    if wanted:
        connection.execute(insert(dmp_contact), [contact_values(patient, each) for each in wanted.values()])
    added, removed = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    told = {"added": sorted(c for _, c, _ in added), "removed": sorted(c for _, c, _ in removed)}
    _note(connection, Act.CONTACT, patient, by, detail=told)
    return True


def journal_row(act: Act, patient: PatientKey, by: By, party: Party | None = None, **more: str) -> JournalRow:
    """The journal's row of an operator's act, to be written in the transaction of the act.

    `party` and `more` are its objects; its detail is a JSON object with the operator's words: name and reason.
    """
    objects: list[tuple[str, str]] = [(party.kind, party.id)] if party is not None else []
    objects += [(kind, text) for kind, text in more.items() if text]
    decision = Decision(allowed=True, rule="operator")
    return JournalRow(key_text(patient), act, objects, decision, "Success", detail=reason_text(by))


def reason_text(by: By) -> str:
    """The words of an operator as the journal's detail: a JSON object, empty where he said nothing."""
    told = {key: text for key, text in (("name", by.name), ("reason", by.reason)) if text}
    return json.dumps(told, ensure_ascii=False) if told else ""


def _change(
    connection: Connection, patient: PatientKey, party: Party, by: By
) -> Callable[[Act, Callable[[Standing], Standing]], bool]:
    """A function that replaces the standing of a party by what a rule makes of it."""
    rules.check_active(find_record(connection, patient, lock=True))

    def change(act: Act, rule: Callable[[Standing], Standing]) -> bool:
        found = find_standing(connection, patient, party)
        before = found or Standing(party)
        after = rule(before)
        if after == before:
            return False
        values, s = standing_values(patient, after), dmp_standing.c
        _replace(connection, dmp_standing, values, s.patient == values["patient"], s.party == party.identity)
        set_now = {name: values[name] for name in ("expires_at", "attending_since") if values[name] is not None}
        _note(connection, act, patient, by, party, set_now if act in (Act.AUTHORISE, Act.ATTEND) else None)
        return True

    return change


def _save_record(
    connection: Connection,
    act: Act,
    before: Record | None,
    after: Record,
    by: By,
    detail: Mapping[str, object] | None = None,
) -> bool:
    if after == before:
        return False
    values = record_values(after)
    connection.execute(update(dmp_record).where(dmp_record.c.patient == values["patient"]).values(values))
    _note(connection, act, after.patient, by, detail=detail)
    return True


def _replace(connection: Connection, table: Table, values: Mapping[str, object], *key: Any) -> None:
    """The row with this key, updated or inserted. The record is locked: nobody else inserts it meanwhile."""
    if connection.execute(update(table).where(*key).values(values)).rowcount == 0:
        connection.execute(insert(table), values)


def _note(
    connection: Connection,
    act: Act,
    patient: PatientKey,
    by: By,
    party: Party | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    values = {
        "patient": key_text(patient),
        "id": row_id(by.at),
        "at": by.at,
        "act": act.value,
        "subject": by.subject.id,
        "reason": by.reason,
        "party": party.identity if party is not None else "",
        "detail": json.dumps({**(detail or {}), **({"by": by.name} if by.name else {})}, ensure_ascii=False),
    }
    connection.execute(insert(dmp_change), values)


def _opposed(oppositions: Oppositions) -> dict[str, bool]:
    return {
        "break_glass": oppositions.break_glass,
        "regulation": oppositions.regulation,
        "masked_in_emergency": oppositions.masked_in_emergency,
    }
