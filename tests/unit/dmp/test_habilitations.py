"""TD0.3 and TD1.6 at their bodies, on both engines: what each caller may do, what is done, answered and journaled."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from lxml import etree
from sqlalchemy import Connection, select

from access_control.subject import ANONYMOUS, Coded, Subject
from database import Database
from database.errors import DatabaseBusy
from dmp import records
from dmp.policy import DmpPolicy
from dmp.record import DAY, By, Named, Party, Record, Standing
from dmp.record_rows import find_standing
from dmp.record_views import StoredViews
from dmp.settings import DmpSettings
from dmp.transactions import ASKED, Host, transactions
from dmp.transactions.naming import named, role_code, specialities
from dmp.transactions.td0_3 import WISHES
from journal.rows import journal
from journal.tables import journal_row
from schemas.paths import HABILITATIONS, schema_files
from soap.faults import Fault, FaultCode
from soap.transaction import Call, Incoming
from tests.shared_data import shared
from tests.unit.dmp.world import A00, CX, G15, PATIENT, R01, subject
from tests.wire_bodies import bodies_below
from xmlsafe import parse
from xmlsafe.schema import Schema

NS = "urn:si-dmp-habilitations"
AT = 1_790_000_000_000_000
YEAR = 365 * DAY
DOCTOR, OFFICE = Party("899900063480"), Party("499900063480001", "structure")
SECRETARY = subject(Coded("SECRETARIAT_MEDICAL", A00))
STAFF_MEMBER = replace(SECRETARY, authentication="INDIRECTE_RENFORCEE", proof_level="structure-strong")
HOSPITAL = subject(authentication="INDIRECTE", proof_level="structure", name="Martin Anne")
REINFORCED = subject(authentication="INDIRECTE_RENFORCEE", proof_level="structure-strong", name="Martin Anne")
NURSE = subject(Coded("60", G15))
OCCUPATIONAL = subject(Coded("10", G15), Coded("SM25", R01))
ADD, REMOVE = "<action>AJOUT</action>", "<action>SUPPRESSION</action>"
ATTENDING = "<role>MEDECIN_TRAITANT</role>"
RIGHTS = "DMPAccessDeniedByRightsService"
OPERATOR = Subject("os-user:test", proof_level="local")
_numbers = itertools.count(1)


@cache
def schema() -> Schema:
    return Schema(schema_files(HABILITATIONS))


@dataclass
class Desk:
    """The two transactions over a database, and a clock that a test moves."""

    database: Database
    options: Mapping[str, Any] = field(default_factory=dict)
    now: int = AT

    def __post_init__(self) -> None:
        settings = DmpSettings(**self.options)
        policy = DmpPolicy(StoredViews(self.database, settings), settings)
        self.host = Host(self.database, policy, settings, schema(), lambda: self.now, journal)
        self.by_number = {each.number: each for each in transactions(self.host)}

    def call(self, number: str, body: str, who: Subject) -> Call:
        served = self.by_number[number]
        incoming = Incoming(path=served.endpoint, mtom=False, peer="192.0.2.1")
        root = etree.QName(served.body_root).localname
        element = parse(f'<{root} xmlns="{NS}">{body}</{root}>'.encode())
        return Call(served, incoming, f"urn:uuid:{next(_numbers)}", served.request_actions[0], None, element, caller=who)

    def send(self, number: str, body: str, who: Subject) -> etree._Element:
        """The answer, valid by its schema. Raises Fault."""
        call = self.call(number, body, who)
        call.request = call.transaction.decode(call)
        answer = parse(b"".join(call.transaction.handle(call).pieces))
        assert schema().is_valid(answer)
        assert answer.findtext(f".//{{{NS}}}status") == "DMPOk"
        return answer

    def declare(self, body: str, who: Subject) -> str:
        """TD0.3; the context that is answered."""
        return self.send("TD0.3", body, who).findtext(f".//{{{NS}}}context") or ""

    def listed(self, mode: str, who: Subject) -> list[dict[str, str]]:
        """TD1.6; the parties that are listed."""
        body = f"<mode>{mode}</mode>" if mode else ""
        answer = self.send("TD1.6", body, who)
        found = answer.iter(f"{{{NS}}}listOfAuthorizationByPatient")
        return [{etree.QName(value).localname: value.text or "" for value in each} for each in found]

    def standing(self, party: Party = DOCTOR) -> Standing:
        with self.database.read() as connection:
            return find_standing(connection, PATIENT, party) or Standing(party)

    def do(self, act: Callable[..., bool], *arguments: object, **named_: object) -> bool:
        """An operator's act on the record."""
        return self.database.write(lambda connection: act(connection, PATIENT, *arguments, **named_))

    def by(self) -> By:
        return By(OPERATOR, self.now, "test")

    def journaled(self) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(select(journal_row).order_by(journal_row.c.id))]


@pytest.fixture
def desk(database: Database) -> Desk:
    made = Desk(database)
    record = Record(PATIENT, consent_at=AT)
    database.write(lambda connection: records.create(connection, record, made.by()))
    return made


def refused(desk: Desk, number: str, body: str, who: Subject, rule: str, subcode: str = RIGHTS) -> None:
    """The call is answered with a fault, and changes nothing."""
    before = (desk.standing(), desk.standing(OFFICE), desk.journaled())
    with pytest.raises(Fault) as caught:
        desk.send(number, body, who)
    fault = caught.value
    assert (fault.rule, [name.local for name in fault.subcode]) == (rule, [subcode] if subcode else [])
    assert (desk.standing(), desk.standing(OFFICE), desk.journaled()) == before


def test_the_four_combinations(desk: Desk) -> None:
    who = subject()
    assert desk.declare(ADD, who) == WISHES["AJOUT", ""].done
    assert (desk.standing().authorisation(AT), desk.standing().attends(AT)) == ("valid", False)
    assert desk.declare(ADD + ATTENDING, who) == WISHES["AJOUT", "MEDECIN_TRAITANT"].done
    assert (desk.standing().authorisation(AT), desk.standing().attends(AT)) == ("valid", True)
    assert desk.declare(REMOVE + ATTENDING, who) == WISHES["SUPPRESSION", "MEDECIN_TRAITANT"].done
    assert (desk.standing().authorisation(AT), desk.standing().attends(AT)) == ("valid", False)
    assert desk.declare(REMOVE, who) == WISHES["SUPPRESSION", ""].done
    assert desk.standing().authorisation(AT) == "removed"


def test_what_is_so_already_is_answered_with_success_and_a_context_that_says_so(desk: Desk) -> None:
    who = subject()
    assert desk.declare(REMOVE, who) == WISHES["SUPPRESSION", ""].so_already
    desk.declare(ADD, who)
    before = desk.standing()
    desk.now += DAY
    assert desk.declare(ADD, who) == WISHES["AJOUT", ""].so_already
    assert desk.standing() == before
    desk.declare(ADD + ATTENDING, who)
    assert desk.declare(ADD + ATTENDING, who) == WISHES["AJOUT", "MEDECIN_TRAITANT"].so_already
    texts = [text for wish in WISHES.values() for text in (wish.done, wish.so_already)]
    assert len(set(texts)) == 8


def test_an_expired_authorisation_is_declared_again(desk: Desk) -> None:
    desk.declare(ADD, subject())
    desk.now += YEAR
    assert desk.declare(ADD, subject()) == WISHES["AJOUT", ""].done
    assert desk.standing().expires_at == AT + 2 * YEAR


@pytest.mark.parametrize(("options", "length"), [({"authorisation_length": 7}, 7 * DAY), ({"team_consent": "each"}, DAY)])
def test_settings_say_how_long_an_authorisation_lasts(desk: Desk, options: dict[str, Any], length: int) -> None:
    other = Desk(desk.database, options)
    other.declare(ADD, subject())
    assert other.standing().expires_at == AT + length


def test_staff_and_structures_authorise_their_structure(desk: Desk) -> None:
    for who in (SECRETARY, STAFF_MEMBER):
        assert desk.declare(ADD, who) == WISHES["AJOUT", ""].done
        assert desk.standing(OFFICE).authorisation(AT) == "valid"
        assert desk.standing().declared_at is None
        desk.do(records.unauthorise, OFFICE, desk.by())
    assert desk.standing(OFFICE).named == Named()


def test_a_professional_whom_his_structure_vouches_for_authorises_himself(desk: Desk) -> None:
    desk.declare(ADD + ATTENDING, REINFORCED)
    assert desk.standing().attends(AT)
    assert desk.standing().named == Named("Martin Anne", "", "G15_10/SM26", specialities()["G15_10/SM26"])
    assert desk.standing(OFFICE).declared_at is None


REFUSED: list[tuple[str, str, Subject]] = [
    ("TD0.3", ADD, HOSPITAL),
    ("TD0.3", ADD + ATTENDING, SECRETARY),
    ("TD0.3", ADD + ATTENDING, NURSE),
    ("TD0.3", ADD + ATTENDING, STAFF_MEMBER),
    ("TD0.3", REMOVE, SECRETARY),
    ("TD0.3", REMOVE + ATTENDING, subject()),
    ("TD0.3", ADD, OCCUPATIONAL),
    *(("TD0.3", body, subject(mode=mode, reason="r")) for body in (ADD, REMOVE) for mode in ("bris_de_glace", "centre_15")),
    *(("TD1.6", "", subject(mode=mode, reason="r")) for mode in ("bris_de_glace", "centre_15")),
    *(("TD1.6", "", who) for who in (SECRETARY, STAFF_MEMBER, HOSPITAL)),
]


@pytest.mark.parametrize(("number", "body", "who"), REFUSED)
def test_who_has_no_functional_right_is_refused(desk: Desk, number: str, body: str, who: Subject) -> None:
    desk.do(records.authorise, DOCTOR, desk.by(), YEAR)
    desk.do(records.authorise, OFFICE, desk.by(), YEAR)
    refused(desk, number, body, who, "dmp-right")


def test_a_doctor_reinforced_by_his_structure_does_not_leave_the_quality_there(desk: Desk) -> None:
    desk.declare(ADD + ATTENDING, REINFORCED)
    refused(desk, "TD0.3", REMOVE + ATTENDING, REINFORCED, "dmp-right")
    assert desk.declare(REMOVE + ATTENDING, subject()) == WISHES["SUPPRESSION", "MEDECIN_TRAITANT"].done


@pytest.mark.parametrize("number", ["TD0.3", "TD1.6"])
def test_a_caller_who_proved_nothing_or_names_no_patient_is_refused(desk: Desk, number: str) -> None:
    body = ADD if number == "TD0.3" else ""
    refused(desk, number, body, ANONYMOUS, "dmp-caller")
    refused(desk, number, body, replace(subject(), digest=""), "dmp-caller")
    holder = Subject(f"{PATIENT.id}^{PATIENT.authority}", patient=CX, proof_level="sts", digest="d")
    refused(desk, number, body, holder, "dmp-caller")
    refused(desk, number, body, subject(patient=""), "dmp-patient")
    refused(desk, number, body, subject(patient="no identifier"), "dmp-patient")


@pytest.mark.parametrize("number", ["TD0.3", "TD1.6"])
def test_the_record_must_be_there_and_active(desk: Desk, number: str) -> None:
    body = ADD if number == "TD0.3" else ""
    other = subject(patient="279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH")
    refused(desk, number, body, other, "dmp-record-missing", "DMPNotFound")
    desk.do(records.close, "motive", desk.by())
    with pytest.raises(Fault) as caught:
        desk.send(number, body, subject())
    assert caught.value.rule == "dmp-record-closed"
    desk.do(records.destroy, desk.by())
    refused(desk, number, body, subject(), "dmp-record-missing", "DMPNotFound")


@pytest.mark.parametrize(("number", "body"), [("TD0.3", ADD), ("TD0.3", REMOVE), ("TD1.6", "")])
def test_a_blocked_professional_is_refused(desk: Desk, number: str, body: str) -> None:
    desk.do(records.block, DOCTOR, desk.by())
    refused(desk, number, body, subject(), "dmp-blocked", "DMPPatientBlocked")


def test_a_block_that_comes_between_decision_and_change_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write = desk.database.write

    def after_a_block(fn: Callable[[Connection], Any], **how: Any) -> Any:
        monkeypatch.undo()
        desk.do(records.block, DOCTOR, desk.by())
        return write(fn, **how)

    monkeypatch.setattr(desk.database, "write", after_a_block)
    with pytest.raises(Fault) as caught:
        desk.declare(ADD, subject())
    assert (caught.value.rule, caught.value.subcode[0].local) == ("dmp-blocked", "DMPPatientBlocked")
    assert desk.standing().declared_at is None
    assert desk.journaled() == []


def test_the_list_needs_a_valid_authorisation(desk: Desk) -> None:
    with pytest.raises(Fault, match="access denied") as caught:
        desk.listed("TOUTE", subject())
    assert caught.value.rule == "dmp-authorisation"
    desk.declare(ADD, subject())
    assert len(desk.listed("TOUTE", subject())) == 1
    desk.now += YEAR
    with pytest.raises(Fault) as caught:
        desk.listed("TOUTE", subject())
    assert caught.value.rule == "dmp-authorisation-expired"


def test_the_lists_name_the_authorised_and_the_blocked(desk: Desk) -> None:
    desk.declare(ADD + ATTENDING, subject(issuer="CN=899900063480+2.5.4.4=#0c05544553544d+2.5.4.42=#0c04414e4e45,C=FR"))
    desk.now += 1_000_000
    desk.do(records.block, Party("899700000009"), desk.by(), Named("OTHER", "BOB", "G15_60", "Infirmier"))
    desk.do(records.authorise, OFFICE, desk.by(), YEAR)
    desk.do(records.authorise, Party("899700000008"), desk.by(), 1)
    desk.now += 1_000_000
    office = {
        "nationalId": "499900063480001",
        "nationalIdType": "1.2.250.1.71.4.2.2",
        "startOfAuthorization": "20260921141321",
        "lastActionDate": "20260921141321",
        "mode": "ACTIVE",
    }
    doctor = {
        "nationalId": "899900063480",
        "nationalIdType": "1.2.250.1.71.4.2.1",
        "firstName": "ANNE",
        "lastName": "TESTM",
        "codeSpeciality": "G15_10/SM26",
        "libSpeciality": specialities()["G15_10/SM26"],
        "startOfAuthorization": "20260921141320",
        "lastActionDate": "20260921141320",
        "mode": "ACTIVE",
        "specificRight": "MEDECIN_TRAITANT",
    }
    blocked = {
        "nationalId": "899700000009",
        "nationalIdType": "1.2.250.1.71.4.2.1",
        "firstName": "BOB",
        "lastName": "OTHER",
        "codeSpeciality": "G15_60",
        "libSpeciality": "Infirmier",
        "startOfAuthorization": "20260921141321",
        "lastActionDate": "20260921141321",
        "mode": "INTERDITE",
    }
    assert desk.listed("ACTIVE", subject()) == [office, doctor]
    assert desk.listed("INTERDITE", subject()) == [blocked]
    for mode in ("TOUTE", ""):
        assert desk.listed(mode, subject()) == [office, blocked, doctor]


def test_what_is_done_and_read_is_journaled_with_it(desk: Desk) -> None:
    desk.declare(ADD, subject())
    desk.now += 1
    desk.declare(ADD, subject())
    desk.now += 1
    desk.listed("ACTIVE", subject())
    told = [(row["action"], json.loads(row["objects"]), row["rule"], row["outcome"]) for row in desk.journaled()]
    assert told == [
        ("record-authorise", [["person", "899900063480"]], "dmp-allowed", "Success"),
        ("record-authorise", [["person", "899900063480"], ["unchanged", "yes"]], "dmp-allowed", "Success"),
        ("authorisation-list", [["mode", "ACTIVE"]], "dmp-allowed", "Success"),
    ]
    assert {(row["patient"], row["subject"], len(row["request_digest"])) for row in desk.journaled()} == {
        (f"{PATIENT.id}^{PATIENT.authority}", "899900063480", 64)
    }


def test_a_row_that_cannot_be_written_undoes_the_change(desk: Desk) -> None:
    def failing(*_given: Any, **_named: Any) -> Callable[[Connection], None]:
        def statements(_connection: Connection) -> None:
            raise DatabaseBusy("no")

        return statements

    served = {each.number: each for each in transactions(replace(desk.host, record=failing))}
    desk.by_number = served
    with pytest.raises(DatabaseBusy) as caught:
        desk.declare(ADD, subject())
    assert desk.standing().declared_at is None
    with pytest.raises(Fault) as sent:
        served["TD0.3"].refuse(desk.call("TD0.3", ADD, subject()), caught.value)
    assert (sent.value.code, sent.value.rule) == (FaultCode.RECEIVER, "database")
    assert served["TD0.3"].refuse(desk.call("TD0.3", ADD, subject()), KeyError("x")) is None


@pytest.mark.parametrize(
    ("number", "body"),
    [
        ("TD0.3", ""),
        ("TD0.3", "<action>AUTRE</action>"),
        ("TD0.3", ADD + "<role>AUTRE</role>"),
        ("TD0.3", ATTENDING + ADD),
        ("TD0.3", ADD + ADD),
        ("TD0.3", '<action xmlns="">AJOUT</action>'),
        ("TD1.6", "<mode>AUTRE</mode>"),
        ("TD1.6", "<mode>TOUTE</mode><mode>TOUTE</mode>"),
    ],
)
def test_a_body_that_does_not_fit_the_schema_is_a_fault_of_the_sender(desk: Desk, number: str, body: str) -> None:
    call = desk.call(number, body, subject())
    with pytest.raises(Fault, match="does not fit its schema: ") as caught:
        call.transaction.decode(call)
    assert (caught.value.code, caught.value.rule) == (FaultCode.SENDER, "schema")


def test_a_refusal_is_told_as_far_as_it_was_understood(desk: Desk) -> None:
    from_td03 = desk.call("TD0.3", REMOVE, subject())
    assert td_asked(from_td03) == ("record-authorise", f"{PATIENT.id}^{PATIENT.authority}", ())
    from_td03.request = from_td03.transaction.decode(from_td03)
    assert td_asked(from_td03) == ("record-unauthorise", f"{PATIENT.id}^{PATIENT.authority}", ())
    from_td16 = desk.call("TD1.6", "<mode>ACTIVE</mode>", ANONYMOUS)
    assert td_asked(from_td16) == ("authorisation-list", "", ())
    from_td16.request = from_td16.transaction.decode(from_td16)
    assert td_asked(from_td16) == ("authorisation-list", "", (("mode", "ACTIVE"),))


def td_asked(call: Call) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    [attempt] = ASKED[call.transaction.number](call)
    return attempt.action, attempt.patient, tuple(attempt.objects)


def test_names_come_from_the_card_or_from_the_structure(desk: Desk) -> None:
    assert named(subject(issuer="no name"), DOCTOR) == Named("", "", "G15_10/SM26", specialities()["G15_10/SM26"])
    assert named(subject(issuer="SN=A,GN=B,CN=1", name="X"), DOCTOR).family == "A"
    assert named(replace(REINFORCED, issuer="SN=A,GN=B,CN=1"), DOCTOR).family == "Martin Anne"
    assert role_code(subject(Coded("10", "1.2.250.1.71.1.2.8"))) == "G16_10"
    assert role_code(subject(Coded("41", "1.2.250.1.213.1.6.1.4"))) == "41"
    assert role_code(replace(subject(), roles=())) == ""


@pytest.mark.corpus
def test_the_published_messages_fit_our_schema() -> None:
    found = [
        (path.name, body)
        for path, body in bodies_below(shared("corpus", "dmp-messages"), ".xml")
        if etree.QName(body).namespace == NS
    ]
    assert sorted(etree.QName(body).localname for _, body in found) == [
        "listAuthorizationByPatient",
        "listAuthorizationByPatientResponse",
        "setAuthorization",
        "setAuthorizationResponse",
    ]
    assert [name for name, body in found if not schema().is_valid(body)] == []


@contextmanager
def _published() -> Iterator[etree.XMLSchema]:
    wsdl = etree.parse(str(shared("standards", "dmp-wsdl", "wsdl", "Habilitations.wsdl")))
    yield etree.XMLSchema(next(wsdl.iter("{http://www.w3.org/2001/XMLSchema}schema")))


@pytest.mark.corpus
def test_our_answers_fit_the_published_schema(desk: Desk) -> None:
    desk.declare(ADD + ATTENDING, subject())
    with _published() as published:
        for answer in (desk.send("TD0.3", ADD, subject()), desk.send("TD1.6", "", subject())):
            assert published.validate(answer), published.error_log
