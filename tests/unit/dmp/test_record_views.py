"""What a decision learns of a record, in one statement: state, authorisation, block, oppositions, relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from access_control.subject import ANONYMOUS, Coded, ProofLevel, Subject
from database import Database
from dmp import records
from dmp.ins import TEST
from dmp.record import DAY, By, Delegate, Holder, Oppositions, Party, Record, Representative
from dmp.record_views import StoredViews, person_identity
from dmp.settings import DmpSettings
from dmp.views import RecordView
from xds_metadata.datatypes import PatientKey

AT = 1_790_000_000_000_000  # September 2026
YEAR = 365 * DAY
PATIENT = PatientKey("279035121518989", TEST)
DOCTOR, HOSPITAL = Party("899700000001"), Party("10B0127189", "structure")
MOTHER = "190012A12345678^" + TEST
PROFESSION = "1.2.250.1.71.1.2.7"


def doctor(**changes: Any) -> Subject:
    """A doctor with his own card, of the hospital by his own word."""
    values: dict[str, Any] = {
        "roles": (Coded("10", PROFESSION), Coded("SM26", "1.2.250.1.71.4.2.5")),
        "structure": HOSPITAL.id,
        "mode": "normal",
        "authentication": "DIRECTE",
        "proof_level": "card",
        "digest": "0" * 64,
        **changes,
    }
    return Subject(DOCTOR.id, **values)


def of_hospital(authentication: str = "INDIRECTE_RENFORCEE", level: ProofLevel = "structure-strong") -> Subject:
    return doctor(authentication=authentication, proof_level=level)


def private(identity: str, **changes: Any) -> Subject:
    """Somebody who comes as a patient or for one."""
    return Subject(identity, **{"proof_level": "local", **changes})


@pytest.fixture
def views(database: Database) -> StoredViews:
    return StoredViews(database, DmpSettings())


@pytest.fixture
def act(database: Database) -> Callable[..., bool]:
    """An act on the record of the patient, which is there; `at` is when."""
    by = By(Subject("os-user:test"), AT)
    record = Record(PATIENT, consent_at=AT, holder=Holder(birth_date="20100101"))
    database.write(lambda connection: records.create(connection, record, by))

    def run(function: Callable[..., bool], *arguments: object, at: int = AT, **named: object) -> bool:
        when = replace(by, at=at)
        ordered = [*arguments[:1], when, *arguments[1:]] if arguments and isinstance(arguments[0], Party) else None
        given = ordered or [*arguments, when]
        return database.write(lambda connection: function(connection, PATIENT, *given, **named))

    return run


def test_a_patient_without_record(views: StoredViews) -> None:
    assert views.view(PATIENT, doctor(), AT) == RecordView()


def test_a_record_that_nobody_is_authorised_on(views: StoredViews, act: Callable[..., bool]) -> None:
    assert views.view(PATIENT, doctor(), AT) == RecordView(state="active")
    assert views.view(PATIENT, ANONYMOUS, AT) == RecordView(state="active")
    assert views.view(PatientKey(PATIENT.id, "1.2.250.1.213.1.4.8"), doctor(), AT) == RecordView()


def test_an_authorisation_goes_through_its_states(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.authorise, DOCTOR, YEAR)
    seen = [views.view(PATIENT, doctor(), AT + at).authorisation for at in (0, YEAR - 1, YEAR)]
    assert seen == ["valid", "valid", "expired"]
    act(records.unauthorise, DOCTOR, at=AT + 2 * YEAR)
    assert views.view(PATIENT, doctor(), AT + 2 * YEAR).authorisation == "removed"
    assert views.view(PATIENT, replace(doctor(), id="899700000009"), AT).authorisation == "none"


def test_the_structure_opens_the_record_to_those_whom_it_vouches_for(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.authorise, HOSPITAL, YEAR)
    assert views.view(PATIENT, of_hospital(), AT).authorisation == "valid"
    assert views.view(PATIENT, of_hospital("INDIRECTE", "structure"), AT).authorisation == "valid"
    assert views.view(PATIENT, replace(of_hospital(), structure="10B0000000"), AT).authorisation == "none"
    act(records.unauthorise, HOSPITAL, at=AT + 1)
    assert views.view(PATIENT, of_hospital(), AT + 1).authorisation == "removed"


def test_a_structure_that_a_card_holder_names_himself_opens_nothing(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.authorise, HOSPITAL, YEAR)
    assert views.view(PATIENT, doctor(), AT).authorisation == "none"


def test_the_better_of_own_and_structure_authorisation_counts(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.authorise, DOCTOR, DAY)
    act(records.authorise, HOSPITAL, YEAR)
    assert views.view(PATIENT, of_hospital(), AT + 2 * DAY).authorisation == "valid"
    assert views.view(PATIENT, doctor(), AT + 2 * DAY).authorisation == "expired"


def test_the_attending_doctor_is_whom_the_record_names_and_a_doctor(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.attend, DOCTOR, YEAR)
    assert views.view(PATIENT, doctor(), AT).attending
    assert not views.view(PATIENT, doctor(), AT + YEAR).attending
    assert not views.view(PATIENT, doctor(roles=(Coded("60", PROFESSION),)), AT).attending
    assert not views.view(PATIENT, replace(doctor(), id="899700000009"), AT).attending
    act(records.leave, DOCTOR, at=AT + 1)
    assert views.view(PATIENT, doctor(), AT + 1) == RecordView(state="active", authorisation="valid")


def test_a_block_holds_for_the_person_and_for_who_comes_from_a_structure(
    views: StoredViews, act: Callable[..., bool]
) -> None:
    act(records.block, HOSPITAL)
    assert [views.view(PATIENT, each, AT).blocked for each in (doctor(), of_hospital())] == [True, True]
    assert not views.view(PATIENT, doctor(structure="10B0000000"), AT).blocked
    act(records.unblock, HOSPITAL, at=AT + 1, consent=True)
    act(records.block, DOCTOR, at=AT + 2)
    assert views.view(PATIENT, doctor(structure=""), AT + 2).blocked


def test_oppositions_and_state(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.oppose, Oppositions(break_glass=True, masked_in_emergency=True))
    seen = views.view(PATIENT, doctor(), AT)
    assert (seen.opposed_break_glass, seen.opposed_regulation, seen.masked_in_emergency) == (True, False, True)
    act(records.close, "motive")
    assert views.view(PATIENT, doctor(), AT).state == "closed"
    act(records.destroy)
    assert views.view(PATIENT, doctor(), AT) == RecordView(state="destroyed")


def test_the_holder_comes_with_his_own_identity(views: StoredViews, act: Callable[..., bool]) -> None:
    holder = private(f"{PATIENT.id}^{PATIENT.authority}")
    assert views.view(PATIENT, holder, AT).relation == "holder"
    assert views.view(PATIENT, private(PATIENT.id), AT).relation == ""
    act(records.close, "motive")
    act(records.destroy)
    assert views.view(PATIENT, holder, AT).relation == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"roles": (Coded("10", PROFESSION),)},
        *({"proof_level": level} for level in ("none", "certificate", "card", "structure", "structure-strong")),
    ],
)
def test_no_professional_is_taken_for_the_patient(
    views: StoredViews, act: Callable[..., bool], changes: dict[str, Any]
) -> None:
    subject = private(f"{PATIENT.id}^{PATIENT.authority}", digest="0" * 64, **{"authentication": "INDIRECTE", **changes})
    assert person_identity(subject) == ""
    assert views.view(PATIENT, subject, AT).relation == ""


def test_a_parent_represents_until_majority(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.set_person, Representative(MOTHER, "minor", "MTH", since=AT))
    majority = 1_830_297_600_000_000  # 2028-01-01
    seen = [views.view(PATIENT, private(MOTHER), at).relation for at in (AT - 1, AT, majority - 1, majority)]
    assert seen == ["", "representative", "representative", ""]
    assert views.view(PATIENT, doctor(), AT).relation == ""


def test_a_protected_adult_is_represented_as_long_as_the_measure_lasts(views: StoredViews, act: Callable[..., bool]) -> None:
    act(records.set_person, Representative(MOTHER, "protected", since=AT, until=AT + 3 * YEAR))
    assert [views.view(PATIENT, private(MOTHER), AT + at).relation for at in (2 * YEAR, 3 * YEAR)] == ["representative", ""]


@pytest.mark.parametrize(
    ("kind", "relation"),
    [("CAREGIVING", "delegate"), ("HEALTHCARE_PROFESSIONAL", "delegate"), ("LEGAL_REPRESENTATION", "representative")],
)
def test_a_delegate_acts_once_he_accepted(views: StoredViews, act: Callable[..., bool], kind: Any, relation: str) -> None:
    invited = Delegate(MOTHER, kind, invited_at=AT, since=AT, until=AT + DAY)
    act(records.set_person, invited)
    assert views.view(PATIENT, private(MOTHER), AT).relation == ""
    act(records.set_person, replace(invited, answer="ACCEPTED"))
    assert [views.view(PATIENT, private(MOTHER), AT + at).relation for at in (0, DAY)] == [relation, ""]
    act(records.set_person, replace(invited, answer="REFUSED"))
    assert views.view(PATIENT, private(MOTHER), AT).relation == ""


class CountingCursor:
    """The driver's cursor, counting what it is asked to run."""

    def __init__(self, cursor: Any, seen: list[str]) -> None:
        self._cursor, self._seen = cursor, seen

    def execute(self, sql: str, *arguments: Any) -> Any:
        self._seen.append(sql)
        return self._cursor.execute(sql, *arguments)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()


def test_a_view_is_one_statement(database: Database, act: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    act(records.authorise, DOCTOR, YEAR)
    views, seen, opened = StoredViews(database, DmpSettings()), cast(list[str], []), database.read_raw

    @contextmanager
    def counting() -> Iterator[Any]:
        with opened() as cursor:
            yield CountingCursor(cursor, seen)

    monkeypatch.setattr(database, "read_raw", counting)
    assert views.view(PATIENT, of_hospital(), AT).authorisation == "valid"
    assert len(seen) == 1
    assert seen[0].startswith("SELECT")
