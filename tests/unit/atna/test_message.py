"""Every kind of event becomes a valid DICOM message that the independent receiver finds nothing wrong with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atna.codes import EVENTS
from atna.events import AuditEvent, AuditObject, Outcome, UnknownFormat, fed_patient, read_event, write_event
from atna.message import halves, without_query, write_message
from atna.syslog import syslog_message
from conformance.simulators.audit_checks import Audit, judge
from tests.audit_side import AT, GET_ALL, ORIGIN, PATIENT, PERSON, REGISTRY, query_event, retrieve_event, submit_event

HABILITATIONS = "https://dmp.example/habilitations"
ONE_OF_EACH = {
    "ITI-18": query_event(),
    "ITI-41": submit_event("ITI-41"),
    "ITI-42": submit_event("ITI-42", endpoint=REGISTRY),
    "ITI-42 repository": submit_event("ITI-42 repository", endpoint="https://registry.example:8443/registry"),
    "ITI-43": retrieve_event(),
    "ITI-57": submit_event("ITI-57", endpoint=REGISTRY),
    "TD0.3": AuditEvent(
        "TD0.3", AT, endpoint="https://dmp.example/habilitations", peer="192.0.2.7", user=PERSON, patients=(PATIENT,)
    ),
    "TD1.6": AuditEvent(
        "TD1.6", AT, endpoint="https://dmp.example/habilitations", peer="192.0.2.7", user=PERSON, patients=(PATIENT,)
    ),
    "ITI-8": AuditEvent(
        "ITI-8", AT, endpoint="HOSP|REG", caller="HOSP|HIS", peer="192.0.2.7", objects=(fed_patient(PATIENT, "42"),)
    ),
    "ITI-8 update": AuditEvent(
        "ITI-8 update", AT, endpoint="HOSP|REG", caller="HOSP|HIS", peer="192.0.2.7", objects=(fed_patient(PATIENT, "43"),)
    ),
    "start": AuditEvent("start", AT),
    "stop": AuditEvent("stop", AT),
    "node authentication": AuditEvent(
        "node authentication", AT, Outcome.SERIOUS, endpoint=REGISTRY, peer="192.0.2.9", description="assertion-expired"
    ),
}


def told(event: AuditEvent) -> Audit:
    judged = judge(syslog_message(event, ORIGIN))
    assert judged.findings == ()
    assert judged.audit is not None
    return judged.audit


def test_there_is_one_of_each() -> None:
    assert set(ONE_OF_EACH) == set(EVENTS)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_receiver_finds_nothing_wrong(name: str) -> None:
    event = ONE_OF_EACH[name]
    audit = told(event)
    line = EVENTS[name]
    assert (audit.event, audit.type, audit.action) == (line.event.code, line.type.code, line.action)
    assert audit.outcome == str(int(event.outcome))
    assert audit.source == ORIGIN.source_id
    assert audit.time == "2025-06-15T15:06:40.000000Z"


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_compact_form_is_read_back(name: str) -> None:
    event = ONE_OF_EACH[name]
    assert read_event(write_event(event)) == event


def test_f126_get_all_names_its_patient() -> None:
    audit = told(query_event())
    assert audit.patients() == (PATIENT,)
    (query,) = [one for one in audit.objects if one.role == "24"]
    assert query.query == GET_ALL
    assert query.details == (("QueryEncoding", "UTF-8"),)


def test_f129_the_repository_is_the_source_of_a_retrieve_and_the_consumer_asks() -> None:
    audit = told(retrieve_event())
    source, destination = audit.participant("110153"), audit.participant("110152")
    assert source is not None
    assert destination is not None
    assert (source.user_id, source.requestor, source.host) == ("https://xds.example/repository", False, "xds.example")
    assert source.process.isdigit()
    assert (destination.user_id, destination.requestor, destination.host) == ("192.0.2.7", True, "192.0.2.7")
    assert destination.process == ""


def test_our_side_of_a_registration_elsewhere() -> None:
    audit = told(ONE_OF_EACH["ITI-42 repository"])
    source, destination = audit.participant("110153"), audit.participant("110152")
    assert source is not None
    assert destination is not None
    assert (source.user_id, source.requestor, source.host, source.host_type) == ("liasse-test", True, "host.example", "1")
    assert (destination.user_id, destination.requestor) == ("https://registry.example:8443/registry", False)
    assert source.process.isdigit()


def test_a_person_is_named_as_xua_asks() -> None:
    audit = told(query_event())
    (person,) = audit.people()
    assert (person.user_id, person.user_name, person.requestor) == (PERSON.id, PERSON.name, True)
    assert person.roles == ("10",)
    assert audit.purposes == ("normal",)
    assert (person.host, person.process) == ("", "")


def test_a_refusal_says_why_without_a_patient() -> None:
    event = query_event(outcome=Outcome.SERIOUS, description="query-known", patients=(), objects=())
    judged = judge(syslog_message(event, ORIGIN))
    assert [finding.level for finding in judged.findings] == ["should"]  # no query object, in a failure
    assert b"<EventOutcomeDescription>query-known</EventOutcomeDescription>" in write_message(event, ORIGIN)


def test_the_same_event_gives_the_same_bytes() -> None:
    event = query_event()
    again = read_event(write_event(event))
    assert syslog_message(event, ORIGIN) == syslog_message(again, ORIGIN)
    assert syslog_message(event, ORIGIN) != syslog_message(query_event(), ORIGIN)


@pytest.mark.parametrize(
    "text", ["<a>&\"'", "line\nbreak\r\tand tab", "nul\x00 esc\x1b", "lone \ud800 surrogate", "<85>1 - ]]>", "é€𝄞", ""]
)
def test_any_text_stays_a_value(text: str) -> None:
    event = query_event(caller=text, peer=text, description=text, patients=(text,), objects=(AuditObject("document", text),))
    message = syslog_message(read_event(write_event(event)), ORIGIN)
    assert b"\n" not in message
    judged = judge(message)
    assert judged.audit is not None
    assert not [finding for finding in judged.findings if finding.check in ("atna.schema", "atna.header")]
    assert len(judged.audit.participants) == 3


def test_overlong_text_is_cut_and_its_digest_told() -> None:
    audit = told(query_event(caller="c" * 5000))
    source = audit.participant("110153")
    assert source is not None
    assert source.user_id.startswith("c" * 1024 + "… SHA-256 ")
    assert len(source.user_id) < 1200


def test_a_query_left_out_is_described() -> None:
    small = without_query(query_event())
    (query,) = small.objects
    assert query.query == b""
    assert query.details[-1][0] == "QueryOmitted"
    assert query.details[-1][1].startswith(f"{len(GET_ALL)} bytes, SHA-256 ")
    assert without_query(small) == small


def test_halves_hold_everything_once() -> None:
    whole = retrieve_event(documents=5)
    one, two = halves(whole)
    assert [thing.id for part in (one, two) for thing in part.objects] == [PATIENT, *(thing.id for thing in whole.objects)]
    assert len({whole.id, one.id, two.id}) == 3
    lonely = replace(whole, patients=(), objects=whole.objects[:1])
    assert halves(lonely) == (lonely,)


@pytest.mark.parametrize(
    "data", [b"", b"[]\n", b"{}\n", b"[2]\n", b"not json", b'[1,"i",1,"ITI-99",0,0,"","","",null,[],[],""]\n']
)
def test_what_another_release_wrote_is_not_guessed(data: bytes) -> None:
    with pytest.raises(UnknownFormat):
        read_event(data)
