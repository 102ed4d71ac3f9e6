"""The real server and a real collector: one right audit message for each transaction and refusal, whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atna.events import read_event
from conformance.findings import Level
from conformance.simulators.audit_checks import Audit
from conformance.simulators.audit_receiver import AuditReceiver, Behaviour, Received
from liasse.caller import client_context
from liasse.client import ExchangeFailed
from liasse.settings import DEFAULT_REPOSITORY_ID
from pki.testca import TestPki
from tests import samples
from tests.audit_side import Certificates
from tests.e2e import wire
from tests.e2e.server import RunningServer, init, running, start, write_config
from tests.e2e.test_callers import Domain
from tests.e2e.test_callers import settings as domain_settings

PROOF = os.environ.get("LIASSE_PROOF") == "1"
TRANSACTIONS = 1000 if PROOF else 150
PATIENCE = 60.0
PATIENT = "audited^^^&1.2.3.4.5&ISO"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("audit") / "pki")


def settings(certificates: Certificates, receiver: AuditReceiver, **more: Any) -> dict[str, Any]:
    """Settings of a server that audits to `receiver`, which has or had a port."""
    audit = {
        "collector": f"tls://localhost:{receiver.tcp}",
        "ca": certificates.ca,
        "certificate": certificates.client[0],
        "key": certificates.client[1],
        "source_id": "liasse-under-test",
        "site_id": "laboratory",
    }
    return {"audit": audit | more, "server": {"public_url": "https://xds.example"}}


def events(receiver: AuditReceiver, count: int) -> list[Audit]:
    """The audit messages that arrive, `count` of them and nothing wrong with any, without starts and stops."""

    def those() -> list[Received]:
        return [one for one in receiver.different() if one.audit is None or one.audit.event != "110100"]

    assert wire.eventually(lambda: len(those()) >= count), [one.message for one in receiver.received]
    found = those()
    assert [str(finding) for one in found for finding in one.findings if finding.level is Level.MUST] == []
    assert len(found) == count
    return [one.audit for one in found if one.audit is not None]


@dataclass
class Pair:
    """A server and its collector."""

    server: RunningServer
    receiver: AuditReceiver
    seen: int = 0

    def new(self, count: int) -> list[Audit]:
        """The events since the last call: `count` of them."""
        self.seen += count
        return events(self.receiver, self.seen)[-count:]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("audited")
    with certificates.receiver() as receiver, running(folder, settings(certificates, receiver)) as server:
        yield Pair(server, receiver)


def ends(audit: Audit) -> tuple[tuple[str, bool], tuple[str, bool]]:
    source, destination = audit.participant("110153"), audit.participant("110152")
    assert source is not None
    assert destination is not None
    return (source.user_id, source.requestor), (destination.user_id, destination.requestor)


def things(audit: Audit, role: str) -> list[str]:
    return [one.id for one in audit.objects if one.role == role]


def test_one_event_for_each_transaction(pair: Pair) -> None:
    deposit = wire.deposit(wire.PDF, patient_id=PATIENT)
    unique_id = deposit.submission.entries[0].unique_id or ""
    assert wire.send(pair.server, deposit.message()).verdict == "Success"
    (provided,) = pair.new(1)
    assert (provided.type, provided.event, provided.action, provided.outcome) == ("ITI-41", "110107", "C", "0")
    assert things(provided, "20") == [deposit.submission.submission_sets[0].unique_id]
    assert provided.patients() == (PATIENT,)
    assert ends(provided) == (("127.0.0.1", True), ("https://xds.example/repository", False))
    assert provided.source == "liasse-under-test"

    assert wire.send(pair.server, wire.retrieve(DEFAULT_REPOSITORY_ID, unique_id, "1.2.3.9999")).verdict != "Failure"
    given, missing = sorted(pair.new(2), key=lambda audit: int(audit.outcome))
    assert (given.type, given.event, given.action, given.outcome, missing.outcome) == ("ITI-43", "110106", "R", "0", "8")
    assert (things(given, "3"), things(missing, "3")) == ([unique_id], ["1.2.3.9999"])
    assert given.patients() == (PATIENT,)
    assert ends(given) == (("https://xds.example/repository", False), ("127.0.0.1", True))


def test_queries_carry_their_patient_and_their_bytes(pair: Pair) -> None:
    deposit = wire.deposit(wire.PDF, patient_id=PATIENT)
    wire.send(pair.server, deposit.message())
    unique_id = deposit.submission.entries[0].unique_id or ""
    status = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
    get_all = wire.query(
        "GetAll",
        ("$patientId", f"'{PATIENT}'"),
        ("$XDSDocumentEntryStatus", status),
        ("$XDSSubmissionSetStatus", status),
        ("$XDSFolderStatus", status),
    )
    by_id = wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{unique_id}')"))
    for message in (get_all, by_id):
        assert wire.send(pair.server, message).verdict == "Success"
    _, *queries = pair.new(3)
    for message, audit in zip((get_all, by_id), queries, strict=True):
        assert (audit.type, audit.event, audit.action, audit.outcome) == ("ITI-18", "110112", "E", "0")
        assert audit.patients() == (PATIENT,)
        (asked,) = [one for one in audit.objects if one.role == "24"]
        assert asked.query in message.as_bytes()
        assert ends(audit) == (("127.0.0.1", True), ("https://xds.example/registry", False))


def test_refusals_have_their_event_and_a_truthful_outcome(pair: Pair) -> None:
    unknown = wire.query("urn:uuid:00000000-0000-4000-8000-000000000000")
    wrong = wire.deposit(wire.PDF, patient_id=PATIENT, hash="0" * 40)
    register = wire.register(samples.submission(samples.entry(patient_id=PATIENT, hash=None)))
    for message in (unknown, wrong.message(), register):
        assert wire.send(pair.server, message).verdict != "Success"
    asked, provided, registered = pair.new(3)
    assert [audit.outcome for audit in (asked, provided, registered)] == ["8", "8", "8"]
    assert [audit.type for audit in (asked, provided, registered)] == ["ITI-18", "ITI-41", "ITI-42"]
    assert things(asked, "24") == ["urn:uuid:00000000-0000-4000-8000-000000000000"]


def test_the_feed(pair: Pair) -> None:
    message = (
        b"\x0bMSH|^~\\&|PIX|HOSP|REG|LAB|20261125120000||ADT^A01^ADT_A01|M-1|P|2.3.1\r"
        b"EVN|A01|20261125120000\rPID|1||fed^^^&1.2.3.4.5&ISO||Demo^Anne||19700101|F\rPV1|1|O\r\x1c\r"
    )
    with socket.create_connection(("127.0.0.1", pair.server.feed_port), 20) as connection:
        connection.sendall(message)
        assert b"MSA|AA" in connection.recv(4096)
    (fed,) = pair.new(1)
    assert (fed.type, fed.event, fed.action, fed.outcome) == ("ITI-8", "110110", "C", "0")
    assert fed.patients() == ("fed^^^&1.2.3.4.5&ISO",)
    assert ends(fed) == (("HOSP|PIX", True), ("LAB|REG", False))


def ready(server: RunningServer) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"{server.admin_url}/health/ready", timeout=10) as answer:
            checks: dict[str, str] = json.load(answer)["checks"]
    except urllib.error.HTTPError as error:
        with error:
            checks = json.load(error)["checks"]
    return checks


def metrics(server: RunningServer) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def queued(server: RunningServer) -> list[str]:
    """PROCID of what waits, in order."""
    with contextlib.closing(sqlite3.connect(server.data / "liasse.sqlite")) as connection:
        rows = connection.execute("select event from audit_outbox order by id").fetchall()
    found = [read_event(row[0]) for row in rows]
    return [f"{event.process}.{event.id}" for event in found]


def ask(server: RunningServer, count: int) -> None:
    for _ in range(count):
        assert wire.send(server, wire.find_documents(PATIENT)).verdict == "Success"


def test_a_collector_that_was_away_gets_everything_once_in_order(tmp_path: Path, certificates: Certificates) -> None:
    receiver = certificates.receiver().open()
    receiver.close()
    with running(tmp_path, settings(certificates, receiver, late_after=0.5)) as server:
        ask(server, TRANSACTIONS)
        waiting = queued(server)
        assert len(waiting) == TRANSACTIONS + 1  # and the start
        assert wire.eventually(lambda: "refused" in ready(server)["audit"])
        assert metrics(server)["liasse_audit_outbox_rows"] == TRANSACTIONS + 1
        assert metrics(server)["liasse_audit_outbox_age_seconds"] > 0
        with receiver:
            assert receiver.wait_for(TRANSACTIONS + 1, PATIENCE)
            assert [one.id for one in receiver.received] == waiting
            assert wire.eventually(lambda: ready(server)["audit"] == "ok")
            assert metrics(server)["liasse_audit_outbox_rows"] == 0


def test_a_collector_with_an_expired_certificate_gets_nothing_and_loses_nothing(
    tmp_path: Path, certificates: Certificates
) -> None:
    receiver = AuditReceiver(0, context=certificates.context(certificates.expired))
    with receiver, running(tmp_path, settings(certificates, receiver, late_after=0.5)) as server:
        ask(server, 3)
        assert wire.eventually(lambda: "certificate has expired" in ready(server)["audit"])
        waiting = queued(server)
        assert (len(waiting), receiver.received) == (4, [])
        receiver.context = certificates.context()
        assert receiver.wait_for(4, PATIENCE)
        assert [one.id for one in receiver.received] == waiting


def test_a_killed_server_sends_the_rest_and_what_comes_twice_is_the_same_message(
    tmp_path: Path, certificates: Certificates
) -> None:
    receiver = certificates.receiver(Behaviour(pause=0.01, read=3000)).open()
    receiver.close()
    config = write_config(tmp_path, settings(certificates, receiver))
    init(config)
    server = start(config)
    try:
        ask(server, 60)
        waiting = queued(server)
        receiver.open()
        assert receiver.wait_for(10, PATIENCE)
        server.kill()
        server = start(config)
        ask(server, 1)
        assert receiver.wait_for(len(waiting) + 2, PATIENCE)
        assert [one.id for one in receiver.different()][: len(waiting)] == waiting
        server.stop()
        assert len(queued(server)) == 1  # its stop, told at the next start
    finally:
        server.kill()
        receiver.close()


def test_a_refused_caller_is_a_security_alert_and_a_known_one_is_named(tmp_path: Path, certificates: Certificates) -> None:
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    doctor, other = pki.issue_card("doctor", "899700000001"), pki.issue_card("other", "899700000002")
    kit = pki.issue_structure("hospital", "10B0127189")
    with certificates.receiver() as receiver:
        chosen = domain_settings(pki) | settings(certificates, receiver)
        with running(tmp_path / "server", chosen, tls=client_context(pki.authorities, doctor)) as server:
            domain = Domain(pki, server, doctor, other, kit)
            with domain.client(doctor) as client:
                assert client.find(PATIENT_OF_THE_DMP) == ()
            with domain.client(doctor, sign=other) as client, pytest.raises(ExchangeFailed):
                client.find(PATIENT_OF_THE_DMP)
            known, refused = events(receiver, 2)
            stranger = TestPki.create(tmp_path / "other", keys="ec").issue_card("stranger", "899700000001")
            with domain.client(stranger) as client, pytest.raises(ExchangeFailed):
                client.find(PATIENT_OF_THE_DMP)
            turned_away = events(receiver, 3)[-1]
    assert (turned_away.event, turned_away.type, turned_away.outcome) == ("110113", "110126", "8")
    assert turned_away.objects[0].id == "127.0.0.1"
    assert turned_away.objects[0].details[0][1].startswith("tls-handshake: ")
    assert known.outcome == "0"
    (person,) = known.people()
    assert person.user_id == "899700000001"
    assert person.user_name.endswith(">")
    assert "<899700000001@" in person.user_name
    assert person.roles
    assert (refused.event, refused.type, refused.outcome) == ("110113", "110126", "8")
    assert refused.objects[0].details == (("Alert Description", "assertion-binding"),)
    assert refused.people() == ()


PATIENT_OF_THE_DMP = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"


def test_a_remote_registry_is_audited_from_both_sides(tmp_path: Path, certificates: Certificates) -> None:
    receivers: Sequence[AuditReceiver] = [certificates.receiver().open() for _ in range(2)]
    there, here = receivers
    try:
        with running(tmp_path / "registry", settings(certificates, there)) as registry:
            chosen = settings(certificates, here) | {"repository": {"registry": registry.registry_url}}
            with running(tmp_path / "repository", chosen) as repository:
                deposit = wire.deposit(wire.PDF, patient_id=PATIENT)
                assert wire.send(repository, deposit.message()).verdict == "Success"
                ours = events(here, 2)
                (theirs,) = events(there, 1)
        assert sorted((audit.type, audit.event, audit.action) for audit in ours) == [
            ("ITI-41", "110107", "C"),
            ("ITI-42", "110106", "R"),
        ]
        (export,) = [audit for audit in ours if audit.type == "ITI-42"]
        assert ends(export) == (("liasse-under-test", True), (registry.registry_url, False))
        assert (theirs.type, theirs.event, theirs.action) == ("ITI-42", "110107", "C")
        assert things(theirs, "20") == things(export, "20") == [deposit.submission.submission_sets[0].unique_id]
    finally:
        for receiver in receivers:
            receiver.close()
