"""What actors record becomes audit events that the independent receiver finds nothing wrong with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import ANONYMOUS, Coded, Subject
from atna.codes import EVENTS
from atna.events import AuditEvent, Outcome, read_event
from atna.outbox import first_rows
from atna.syslog import syslog_message
from conformance.simulators.audit_checks import Audit, judge
from database.handle import Database
from journal.rows import JournalRow
from liasse.audit_trail import AuditedRegistry, Trail, audit_trail, service_base
from liasse.audited_feed import feed
from liasse.audited_handshakes import AGAIN_AFTER, RefusedPeers
from liasse.settings import Settings
from tests import samples
from tests.audit_side import AT, GET_ALL, GET_ALL_ID, ORIGIN, PATIENT
from tests.unit.xds_registry.test_iti8 import AUTHORITY, DOMAIN, adt, verdict
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.registration import Registration, objects_of
from xds_repository.ports import Holders, RegistryNotAvailable

TRAIL = Trail("https://xds.example", "1.2.9")
ALLOWED = Decision(allowed=True, rule="open")
KEY = "p1^1.2.3.4"
DOCTOR = Subject(
    "899700000001",
    name="DOC <TOR>",
    issuer="CN=Issuer",
    roles=(Coded("10", "1.2.250.1.71.1.2.7"), Coded("SM05", "")),
    purpose="normal^1.2.3",
    proof_level="card",
    digest="d" * 64,
)


def context(transaction: str, subject: Subject = DOCTOR) -> RequestContext:
    return RequestContext(transaction, "urn:uuid:m", AT, "192.0.2.7", subject)


def query(patient: str = KEY, outcome: str = "Success", rule: str = "open", name: str = "GetAll") -> JournalRow:
    decision = Decision(allowed=outcome == "Success", rule=rule)
    return JournalRow(patient, "query", (("query", name),), decision, outcome, evidence=lambda: GET_ALL)


def retrieve(unique_id: str, outcome: str, patient: str = KEY, *more: tuple[str, str]) -> JournalRow:
    return JournalRow(patient, "retrieve", (("document", unique_id), *more), ALLOWED, outcome)


def told(event: AuditEvent) -> Audit:
    judged = judge(syslog_message(event, ORIGIN))
    assert judged.findings == ()
    assert judged.audit is not None
    return judged.audit


def test_f126_a_query_names_its_patient_its_bytes_and_its_user() -> None:
    (event,) = TRAIL.events(context("ITI-18"), [query()])
    audit = told(event)
    assert (audit.patients(), audit.outcome) == ((PATIENT,), "0")
    (asked,) = [one for one in audit.objects if one.role == "24"]
    assert (asked.id, asked.query) == (GET_ALL_ID, GET_ALL)
    (person,) = audit.people()
    assert (person.user_id, person.user_name) == ("899700000001", "DOC  TOR <899700000001@CN=Issuer>")
    assert person.roles == ("10", "SM05")
    assert audit.purposes == ("normal",)


def test_a_query_by_ids_of_several_patients_is_one_event_that_names_all() -> None:
    (event,) = TRAIL.events(context("ITI-18"), [query(), query("p2^1.2.3.4"), query()])
    assert event.patients == (PATIENT, "p2^^^&1.2.3.4&ISO")


def test_a_query_that_was_not_understood_still_shows_its_id() -> None:
    row = replace(query("", "Failure", "query-known"), objects=())
    (event,) = TRAIL.events(context("ITI-18"), [row])
    assert (event.outcome, event.description) == (Outcome.SERIOUS, "query-known")
    assert [(one.id, one.query) for one in event.objects] == [(GET_ALL_ID, GET_ALL)]


def test_nothing_of_a_query_is_known() -> None:
    (event,) = TRAIL.events(context("ITI-18"), [JournalRow("", "query", (), Decision(False, "xsd"), "Fault")])
    assert event.objects == ()


def test_f129_what_is_given_and_what_is_not_are_two_events() -> None:
    rows = [
        retrieve("1.1", "Success"),
        retrieve("1.2", "Failure", ""),
        retrieve("1.3", "Success", "p2^1.2.3.4"),
        retrieve("1.4", "Failure", "", ("repository", "1.2.8")),
    ]
    given, missing = (told(event) for event in TRAIL.events(context("ITI-43"), rows))
    assert (given.outcome, missing.outcome) == ("0", "8")
    assert [one.id for one in given.objects if one.role == "3"] == ["1.1", "1.3"]
    assert [(one.id, one.details[0][1]) for one in missing.objects] == [("1.2", "1.2.9"), ("1.4", "1.2.8")]
    assert given.patients() == (PATIENT, "p2^^^&1.2.3.4&ISO")
    source = given.participant("110153")
    assert source is not None
    assert (source.user_id, source.requestor) == ("https://xds.example/repository", False)


def test_every_document_of_a_row_is_named() -> None:
    asked = (("document", "1.1"), ("document", "1.2"), ("repository", "1.2.8"), ("document", "1.3"), ("documents", "9"))
    row = JournalRow("", "retrieve", asked, ALLOWED, "Failure")
    (audit,) = (told(event) for event in TRAIL.events(context("ITI-43"), [row]))
    named = [(one.id, one.details[0][1]) for one in audit.objects]
    assert named == [("1.1", "1.2.9"), ("1.2", "1.2.8"), ("1.3", "1.2.9")]


@pytest.mark.parametrize("transaction", ["ITI-41", "ITI-42"])
def test_a_submission_names_its_set(transaction: str) -> None:
    submission = samples.submission(samples.entry())
    row = JournalRow(KEY, "provide", objects_of(submission), ALLOWED, "Success")
    audit = told(*TRAIL.events(context(transaction), [row]))
    assert [one.id for one in audit.objects if one.role == "20"] == [submission.submission_sets[0].unique_id]
    assert [one for one in audit.objects if one.role == "3"] == []


@pytest.mark.parametrize("rule", ["assertion-expired", "tls-certificate-revoked"])
def test_an_unknown_caller_is_a_security_alert(rule: str) -> None:
    row = JournalRow("", "query", (), Decision(allowed=False, rule=rule), "Fault")
    (event,) = TRAIL.events(context("ITI-18", ANONYMOUS), [row])
    audit = told(event)
    assert (audit.event, audit.type, audit.outcome) == ("110113", "110126", "8")
    assert [(one.id, one.details) for one in audit.objects] == [("192.0.2.7", (("Alert Description", rule),))]


def test_a_refused_connection_is_a_security_alert() -> None:
    audit = told(TRAIL.refused_peer(AT, "192.0.2.9", "handshake"))
    assert (audit.event, audit.type) == ("110113", "110126")
    assert audit.objects[0].details == (("Alert Description", "tls-handshake"),)


@pytest.mark.parametrize(
    ("outcome", "rule", "expected"),
    [
        ("Success", "open", Outcome.SUCCESS),
        ("Warning", "open", Outcome.MINOR),
        ("Failure", "result-limit", Outcome.SERIOUS),
        ("Fault", "matrix", Outcome.SERIOUS),
        ("Failure", "storage", Outcome.MAJOR),
        ("Failure", "journal-seal-late", Outcome.MAJOR),
    ],
)
def test_outcomes(outcome: str, rule: str, expected: Outcome) -> None:
    (event,) = TRAIL.events(context("ITI-18"), [query(outcome=outcome, rule=rule)])
    assert event.outcome is expected


def test_a_certificate_alone_is_a_system_and_no_person() -> None:
    system = Subject("hospital.example", issuer="CN=CA", proof_level="certificate", certificate="c" * 64)
    audit = told(*TRAIL.events(context("ITI-18", system), [query()]))
    source = audit.participant("110153")
    assert source is not None
    assert (source.user_id, source.host, audit.people()) == ("hospital.example", "192.0.2.7", ())


def test_an_anonymous_caller_is_its_address() -> None:
    audit = told(*TRAIL.events(context("ITI-18", ANONYMOUS), [query()]))
    source = audit.participant("110153")
    assert source is not None
    assert (source.user_id, audit.people()) == ("192.0.2.7", ())


@pytest.mark.parametrize("transaction", ["background", "ITI-9999", ""])
def test_what_is_no_transaction_has_no_event(transaction: str) -> None:
    assert TRAIL.events(context(transaction), [query()]) == []
    assert TRAIL.events(context("ITI-18"), []) == []


def test_refused_connections_of_one_address_make_one_alert_a_minute(database: Database) -> None:
    now = [AT]
    peers = RefusedPeers(database, TRAIL, lambda: now[0])
    for _ in range(5):
        peers.note("192.0.2.9", "CERTIFICATE_VERIFY_FAILED")
        now[0] += 1
    peers.note("192.0.2.9", "UNSUPPORTED_PROTOCOL")
    peers.note("192.0.2.8", "CERTIFICATE_VERIFY_FAILED")
    now[0] += AGAIN_AFTER
    peers.note("192.0.2.9", "CERTIFICATE_VERIFY_FAILED")
    peers.close()
    read = [read_event(event) for _, event in first_rows(database, 50, 1_000_000)]
    assert [(event.peer, event.description) for event in read] == [
        ("192.0.2.9", "tls-handshake: CERTIFICATE_VERIFY_FAILED"),
        ("192.0.2.9", "tls-handshake: UNSUPPORTED_PROTOCOL"),
        ("192.0.2.8", "tls-handshake: CERTIFICATE_VERIFY_FAILED"),
        ("192.0.2.9", "tls-handshake: CERTIFICATE_VERIFY_FAILED; 4 more since the last alert"),
    ]


def test_alerts_of_very_many_addresses_take_bounded_memory(database: Database) -> None:
    peers = RefusedPeers(database, TRAIL, lambda: AT)
    for number in range(1200):
        peers.note(f"2001:db8::{number:x}", "EOF")
    assert len(peers._last) == 1000
    peers.close()
    assert len(first_rows(database, 5000, 10_000_000)) == 1200


@dataclass
class Elsewhere:
    """A registry that answers what it is told to."""

    does: tuple[Finding, ...] | Exception = ()
    in_process: bool = False

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:
        if isinstance(self.does, Exception):
            raise self.does
        return self.does

    def holders(self, ctx: RequestContext, unique_ids: Any) -> Holders:
        return Holders({"1": ("p",)})


@pytest.mark.parametrize(
    ("does", "outcome", "why"),
    [
        ((), Outcome.SUCCESS, ""),
        ((Finding("XDSExtraMetadataNotSaved", "text"),), Outcome.MINOR, "warnings"),
        (XdsFailure(Finding("XDSUnknownPatientId", "p1")), Outcome.SERIOUS, "XDSUnknownPatientId"),
        (RegistryNotAvailable(sent=True), Outcome.MAJOR, "no answer"),
        (RegistryNotAvailable(sent=False), Outcome.MAJOR, "not reached"),
    ],
)
def test_a_registration_elsewhere_is_audited_as_its_repository(
    database: Database, does: tuple[Finding, ...] | Exception, outcome: Outcome, why: str
) -> None:
    submission = samples.submission(samples.entry())
    request = Registration(samples.objects(submission), submission, "digest", "sender")
    port = AuditedRegistry(Elsewhere(does), "https://registry.example/registry", TRAIL, database)
    if isinstance(does, Exception):
        with pytest.raises(type(does)):
            port.register(context("ITI-41"), request)
    else:
        assert port.register(context("ITI-41"), request) == does
    ((_, event),) = first_rows(database, 5, 100_000)
    read = read_event(event)
    assert (read.name, read.outcome, read.description) == ("ITI-42 repository", outcome, why)
    audit = told(read)
    assert audit.patients() == (samples.PATIENT,)
    assert (audit.event, audit.action) == ("110106", "R")
    assert port.holders(context("ITI-43"), ["1"]) == Holders({"1": ("p",)})
    assert not port.in_process


def fed(database: Database, message: str) -> tuple[bytes, AuditEvent]:
    on_message = feed(database, DOMAIN, lambda: AT, audited=True)
    reply = on_message(message.encode(), "192.0.2.7")
    ((_, event),) = first_rows(database, 5, 100_000)
    return reply, read_event(event)


@pytest.mark.parametrize(("event", "name"), [("A01", "ITI-8"), ("A04", "ITI-8"), ("A05", "ITI-8"), ("A08", "ITI-8 update")])
def test_the_feed_is_audited(database: Database, event: str, name: str) -> None:
    reply, recorded = fed(database, adt(event))
    assert verdict(reply) == "AA"
    assert (recorded.name, recorded.outcome) == (name, Outcome.SUCCESS)
    audit = told(recorded)
    assert audit.action == EVENTS[name].action
    assert audit.patients() == (f"P-1^^^&{AUTHORITY}&ISO",)
    assert audit.objects[0].details == (("MSH-10", "M-77"),)
    source, destination = audit.participant("110153"), audit.participant("110152")
    assert source is not None
    assert destination is not None
    assert (source.user_id, destination.user_id) == ("HOSP|PIX", "LAB|REG")


def test_a_refused_message_of_the_feed_is_audited(database: Database) -> None:
    reply, recorded = fed(database, adt("A40"))
    assert verdict(reply) == "AE"
    assert (recorded.outcome, recorded.description) == (Outcome.SERIOUS, "HL70357-201")


def test_identifiers_that_cannot_be_stored_are_audited_as_such(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.write(lambda connection: connection.exec_driver_sql("ALTER TABLE patient RENAME TO gone") and None)
    reply, recorded = fed(database, adt("A01"))
    assert verdict(reply) == "AE"
    assert (recorded.outcome, recorded.description) == (Outcome.MAJOR, "HL70357-207")


def test_without_a_collector_the_feed_leaves_no_event(database: Database) -> None:
    on_message = feed(database, DOMAIN, lambda: AT, audited=False)
    assert verdict(on_message(adt("A01").encode(), "192.0.2.7")) == "AA"
    assert first_rows(database, 5, 100_000) == []


def settings(**tables: dict[str, Any]) -> Settings:
    return Settings.model_validate(tables)


def test_there_is_no_trail_without_collector(tmp_path: Path) -> None:
    assert audit_trail(settings()) is None
    trail = audit_trail(settings(audit={"collector": "udp://localhost"}, server={"public_url": "https://x.example/"}))
    assert trail is not None
    assert trail.base == "https://x.example"


@pytest.mark.parametrize(
    ("server", "secured", "base"),
    [
        ({"host": "192.0.2.1", "port": 8443}, True, "https://192.0.2.1:8443"),
        ({"host": "2001:db8::1", "port": 80}, False, "http://[2001:db8::1]:80"),
        ({"public_url": "https://x.example/xds/"}, False, "https://x.example/xds"),
    ],
)
def test_the_address_of_services(server: dict[str, Any], secured: bool, base: str) -> None:
    assert service_base(settings(server=server), secured) == base
