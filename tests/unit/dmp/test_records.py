"""The store of records on both engines: what each act stores, refuses and leaves in the history."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select

from access_control.subject import Subject
from database import Database
from dmp import records
from dmp.ins import TEST
from dmp.record import (
    DAY,
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
from dmp.record_rows import Everything, find_everything, find_standing
from dmp.record_tables import dmp_record
from dmp.records import Act
from xds_metadata.datatypes import PatientKey

AT = 1_790_000_000_000_000
YEAR = 365 * DAY
PATIENT = PatientKey("279035121518989", TEST)
OTHER = PatientKey("207058575627097", TEST)
DOCTOR, NURSE, HOSPITAL = Party("899700000001"), Party("899700000002"), Party("10B0127189", "structure")
HOLDER = Holder("TESTFAMILY", "TESTUSED", "TESTGIVEN", "19790301", "F")
RECORD = Record(PATIENT, consent_at=AT, holder=HOLDER, oppositions=Oppositions(regulation=True))
PARENT = Representative("190012A12345678^" + TEST, "minor", "MTH", "TESTFAMILY", "TESTMOTHER", AT)
HELPER = Delegate("190012A12345699^" + TEST, "CAREGIVING", answer="PENDING", invited_at=AT, since=AT, until=AT + YEAR)


def by(at: int = AT, reason: str = "the patient asks") -> By:
    return By(Subject("os-user:test", proof_level="local"), at, reason)


def do(database: Database, act: Callable[..., bool], *arguments: object, **named: object) -> bool:
    return database.write(lambda connection: act(connection, *arguments, **named))


def refused(database: Database, rule: str, act: Callable[..., bool], *arguments: object, **named: object) -> None:
    before = everything(database)
    with pytest.raises(RecordRefused) as caught:
        do(database, act, *arguments, **named)
    assert caught.value.rule == rule
    assert everything(database) == before


def everything(database: Database, patient: PatientKey = PATIENT) -> Everything | None:
    with database.read() as connection:
        return find_everything(connection, patient)


def found(database: Database, patient: PatientKey = PATIENT) -> Everything:
    whole = everything(database, patient)
    assert whole is not None
    return whole


def standing(database: Database, party: Party = DOCTOR) -> Standing | None:
    with database.read() as connection:
        return find_standing(connection, PATIENT, party)


@pytest.fixture
def open_record(database: Database) -> Database:
    assert do(database, records.create, RECORD, by())
    return database


def test_a_record_is_stored_as_it_was_made(open_record: Database) -> None:
    whole = found(open_record)
    assert whole.record == replace(RECORD, since=AT, created_at=AT)
    assert (whole.standings, whole.representatives, whole.delegates, whole.contacts) == ([], [], [], [])
    assert everything(open_record, OTHER) is None


def test_a_record_is_made_once_with_consent_and_for_an_ins(database: Database) -> None:
    refused(database, "dmp-consent", records.create, replace(RECORD, consent_at=None), by())
    refused(database, "dmp-ins", records.create, replace(RECORD, patient=PatientKey("P1", "1.2.3")), by())
    do(database, records.create, RECORD, by())
    refused(database, "dmp-record-found", records.create, replace(RECORD, holder=Holder()), by(AT + 1))
    do(database, records.close, PATIENT, "motive", by(AT + 2))
    refused(database, "dmp-record-found", records.create, RECORD, by(AT + 3))


def test_of_many_that_make_it_at_once_one_does(database: Database) -> None:
    outcomes: list[str] = []

    def make(number: int) -> None:
        try:
            do(database, records.create, replace(RECORD, holder=Holder(f"F{number}")), by(AT + number))
            outcomes.append("made")
        except RecordRefused as error:
            outcomes.append(error.rule)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["dmp-record-found"] * 5 + ["made"]
    assert len(found(database).history) == 1


def test_of_many_that_authorise_at_once_one_does(open_record: Database) -> None:
    changed: list[bool] = []

    def authorise(number: int) -> None:
        changed.append(do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + number), YEAR))

    threads = [threading.Thread(target=authorise, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [False] * 5 + [True]


def test_traits_and_oppositions_are_replaced(open_record: Database) -> None:
    other = replace(HOLDER, used="X")
    assert do(open_record, records.change_holder, PATIENT, other, by(AT + 1))
    assert not do(open_record, records.change_holder, PATIENT, other, by(AT + 2))
    wanted = Oppositions(break_glass=True, masked_in_emergency=True)
    assert do(open_record, records.oppose, PATIENT, wanted, by(AT + 3))
    assert not do(open_record, records.oppose, PATIENT, wanted, by(AT + 4))
    whole = found(open_record)
    assert (whole.record.holder, whole.record.oppositions) == (other, wanted)
    told = {"break_glass": True, "regulation": False, "masked_in_emergency": True}
    assert [(each.act, each.detail) for each in whole.history][:2] == [(Act.OPPOSE, told), (Act.HOLDER, {})]


def test_authorisations_of_persons_and_structures_stand_side_by_side(open_record: Database) -> None:
    named = Named("TESTDOCTOR", "ANNE", "G15_10/SM26", "Médecin")
    assert do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + 1), YEAR, named)
    assert do(open_record, records.authorise, PATIENT, HOSPITAL, by(AT + 2), DAY)
    assert not do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + 3), YEAR)
    hospital, doctor = found(open_record).standings
    assert hospital == Standing(HOSPITAL, Named(), AT + 2, AT + 2 + DAY, changed_at=AT + 2)
    assert doctor == Standing(DOCTOR, named, AT + 1, AT + 1 + YEAR, changed_at=AT + 1)


def test_there_may_be_several_attending_doctors(open_record: Database) -> None:
    for number, party in enumerate((DOCTOR, NURSE), 1):
        assert do(open_record, records.attend, PATIENT, party, by(AT + number), YEAR)
    assert [each.attends(AT + 9) for each in found(open_record).standings] == [True, True]
    assert do(open_record, records.leave, PATIENT, DOCTOR, by(AT + 9))
    assert not do(open_record, records.leave, PATIENT, DOCTOR, by(AT + 10))
    assert [each.attends(AT + 9) for each in found(open_record).standings] == [False, True]


def test_block_and_unblock_leave_their_traces(open_record: Database) -> None:
    do(open_record, records.attend, PATIENT, DOCTOR, by(AT + 1), YEAR)
    assert do(open_record, records.block, PATIENT, DOCTOR, by(AT + 2))
    refused(open_record, "dmp-blocked", records.authorise, PATIENT, DOCTOR, by(AT + 3), YEAR)
    refused(open_record, "dmp-consent", records.unblock, PATIENT, DOCTOR, by(AT + 4), consent=False)
    assert do(open_record, records.unblock, PATIENT, DOCTOR, by(AT + 5), consent=True)
    assert do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + 6), YEAR)
    assert do(open_record, records.unauthorise, PATIENT, DOCTOR, by(AT + 7))
    history = [(each.act, each.at - AT, each.party) for each in found(open_record).history]
    assert history[:-1] == [
        (Act.UNAUTHORISE, 7, DOCTOR),
        (Act.AUTHORISE, 6, DOCTOR),
        (Act.UNBLOCK, 5, DOCTOR),
        (Act.BLOCK, 2, DOCTOR),
        (Act.ATTEND, 1, DOCTOR),
    ]
    assert found(open_record).history[1].detail == {"expires_at": AT + 6 + YEAR}


def test_a_closed_record_keeps_everything_and_takes_nothing_until_it_is_reopened(open_record: Database) -> None:
    do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + 1), YEAR)
    assert do(open_record, records.close, PATIENT, "he moves away", by(AT + 2))
    assert (found(open_record).record.state, found(open_record).record.motive) == ("closed", "he moves away")
    for act, *arguments in (
        (records.authorise, PATIENT, NURSE, by(), YEAR),
        (records.attend, PATIENT, NURSE, by(), YEAR),
        (records.leave, PATIENT, DOCTOR, by()),
        (records.unauthorise, PATIENT, DOCTOR, by()),
        (records.block, PATIENT, DOCTOR, by()),
        (records.oppose, PATIENT, Oppositions(), by()),
        (records.change_holder, PATIENT, Holder(), by()),
        (records.set_person, PATIENT, PARENT, by()),
        (records.set_contacts, PATIENT, [], by()),
        (records.close, PATIENT, "again", by()),
    ):
        refused(open_record, "dmp-record-closed", act, *arguments)
    refused(open_record, "dmp-consent", records.reopen, PATIENT, by(), consent=False)
    assert do(open_record, records.reopen, PATIENT, by(AT + 3), consent=True)
    whole = found(open_record)
    assert (whole.record.state, whole.record.motive, whole.record.holder) == ("active", "", HOLDER)
    assert [each.authorisation(AT + 3) for each in whole.standings] == ["valid"]
    assert [each.detail for each in whole.history if each.act == Act.CLOSE] == [{"motive": "he moves away"}]


def test_a_destroyed_record_holds_nobody_any_more_and_is_final(open_record: Database) -> None:
    do(open_record, records.authorise, PATIENT, DOCTOR, by(AT + 1), YEAR)
    do(open_record, records.set_person, PATIENT, PARENT, by(AT + 2))
    do(open_record, records.set_contacts, PATIENT, [Contact("EMAIL", "holder@example.org")], by(AT + 3))
    refused(open_record, "dmp-record-active", records.destroy, PATIENT, by(AT + 4))
    do(open_record, records.close, PATIENT, "motive", by(AT + 5))
    assert do(open_record, records.destroy, PATIENT, by(AT + 6))
    whole = found(open_record)
    assert (whole.record.state, whole.record.holder, whole.record.oppositions) == ("destroyed", Holder(), Oppositions())
    assert (whole.standings, whole.representatives, whole.contacts) == ([], [], [])
    assert [each.act for each in whole.history][:2] == [Act.DESTROY, Act.CLOSE]
    refused(open_record, "dmp-record-found", records.create, RECORD, by(AT + 7))
    refused(open_record, "dmp-record-missing", records.reopen, PATIENT, by(AT + 7), consent=True)


def test_nothing_is_done_to_a_record_that_is_not_there(database: Database) -> None:
    refused(database, "dmp-record-missing", records.authorise, PATIENT, DOCTOR, by(), YEAR)
    refused(database, "dmp-record-missing", records.block, PATIENT, DOCTOR, by())
    refused(database, "dmp-record-missing", records.close, PATIENT, "motive", by())
    refused(database, "dmp-record-missing", records.destroy, PATIENT, by())


def test_people_around_the_holder(open_record: Database) -> None:
    assert do(open_record, records.set_person, PATIENT, PARENT, by(AT + 1))
    assert do(open_record, records.set_person, PATIENT, HELPER, by(AT + 2))
    assert not do(open_record, records.set_person, PATIENT, HELPER, by(AT + 3))
    accepted = replace(HELPER, answer="ACCEPTED", since=AT + 4)
    assert do(open_record, records.set_person, PATIENT, accepted, by(AT + 4))
    whole = found(open_record)
    assert (whole.representatives, whole.delegates) == ([PARENT], [accepted])
    assert [each.detail["answer"] for each in whole.history[:2]] == ["ACCEPTED", "PENDING"]


def test_contact_channels_are_replaced_and_their_addresses_stay_out_of_the_history(open_record: Database) -> None:
    mail = Contact("EMAIL", "holder@example.org", documents=True)
    mobile = Contact("SMS", "+33600000001", PARENT.identity, "en")
    assert do(open_record, records.set_contacts, PATIENT, [mail, mobile], by(AT + 1))
    assert not do(open_record, records.set_contacts, PATIENT, [mobile, mail], by(AT + 2))
    assert do(open_record, records.set_contacts, PATIENT, [mail], by(AT + 3))
    whole = found(open_record)
    assert whole.contacts == [mail]
    assert [each.detail for each in whole.history[:2]] == [
        {"added": [], "removed": ["SMS"]},
        {"added": ["EMAIL", "SMS"], "removed": []},
    ]
    assert "example.org" not in json.dumps([dict(each.detail) for each in whole.history])


def test_what_belongs_to_one_patient_is_seen_of_one_patient(open_record: Database) -> None:
    do(open_record, records.create, replace(RECORD, patient=OTHER), by(AT + 1))
    do(open_record, records.authorise, OTHER, DOCTOR, by(AT + 2), YEAR)
    do(open_record, records.set_person, OTHER, PARENT, by(AT + 2))
    do(open_record, records.set_contacts, OTHER, [Contact("EMAIL", "a@example.org")], by(AT + 2))
    assert standing(open_record) is None
    whole = found(open_record)
    assert (whole.standings, whole.representatives, whole.contacts, len(whole.history)) == ([], [], [], 1)


def test_an_act_that_fails_later_in_its_transaction_leaves_nothing(open_record: Database) -> None:
    def statements(connection: Connection) -> bool:
        records.authorise(connection, PATIENT, DOCTOR, by(AT + 1), YEAR)
        return records.reopen(connection, PATIENT, by(AT + 1), consent=True)

    with pytest.raises(RecordRefused):
        open_record.write(statements)
    assert (standing(open_record), len(found(open_record).history)) == (None, 1)
    with open_record.read() as connection:
        assert connection.execute(select(func.count()).select_from(dmp_record)).scalar_one() == 1


def test_the_journal_row_of_an_act_says_who_why_and_to_whom() -> None:
    row = records.journal_row(Act.BLOCK, PATIENT, replace(by(), name="reception"), DOCTOR, mode="ACTIVE", none="")
    assert (row.patient, row.action) == (f"279035121518989^{TEST}", "record-block")
    assert list(row.objects) == [("person", "899700000001"), ("mode", "ACTIVE")]
    assert json.loads(row.detail) == {"name": "reception", "reason": "the patient asks"}
