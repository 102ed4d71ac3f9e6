"""Callers over real TLS with signed assertions: cards, structures, an identity provider, and those who are refused."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from typer.testing import CliRunner

from access_control.subject import Coded
from database.tables import now_micros
from ebrim import model as rim
from ebrim.rs import write_adhoc_query_request
from liasse.caller import Caller, client_context, security_header
from liasse.cli import app
from liasse.client import FIND_DOCUMENTS, QUERY, DocumentClient, Endpoints, ExchangeFailed, quoted, quoted_list
from pki.testca import Card, TestPki
from soap.client import SoapFault
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer, running
from xds_metadata.model import APPROVED
from xds_metadata.patients import patient_column
from xmlsafe import parse
from xua.cards import Told, vihf_of
from xua.shape import check_shape
from xua.signature import verify_signature
from xua.times import to_datetime

PATIENT = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"


@dataclass
class Domain:
    """A server that asks who calls, its PKI and two cards."""

    pki: TestPki
    server: RunningServer
    doctor: Card
    other: Card
    hospital: Card

    def client(self, card: Card, *, sign: Card | None = None, told: Told | None = None) -> DocumentClient:
        """`card` connects; `sign`, the same unless given, signs."""
        connects = Caller(card, told or Told(), self.pki.authorities)
        signs = Caller(sign or card, told or Told(), self.pki.authorities)
        endpoints = Endpoints(self.server.registry_url, self.server.repository_url)
        return DocumentClient(endpoints, tls=connects.tls(), sign=signs.sign(now_micros))

    def rows(self, **equal: str) -> list[dict[str, Any]]:
        """Journal rows with these values, in the order in which they were written."""
        with contextlib.closing(sqlite3.connect(self.server.data / "liasse.sqlite")) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("select * from journal_row order by rowid").fetchall()
        rows = [dict(row) for row in found]
        return [row for row in rows if all(row[key] == value for key, value in equal.items())]

    def kept(self, digest: str = "") -> int:
        """How many assertions are kept, of this digest or of any."""
        with contextlib.closing(sqlite3.connect(self.server.data / "liasse.sqlite")) as connection:
            sql = "select count(*) from journal_assertion where digest = ? or ? = ''"
            return int(connection.execute(sql, (digest, digest)).fetchone()[0])


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    folder = tmp_path_factory.mktemp("domain")
    pki = TestPki.create(folder / "pki", keys="ec")
    doctor, other = pki.issue_card("doctor", "899700000001"), pki.issue_card("other", "899700000002")
    hospital = pki.issue_structure("hospital", "10B0127189")
    with running(folder / "server", settings(pki), tls=client_context(pki.authorities, doctor)) as server:
        yield Domain(pki, server, doctor, other, hospital)


def settings(pki: TestPki) -> dict[str, Any]:
    key = pki.issue("server", "server", hosts=["127.0.0.1", "localhost"])
    whole = key.certificate.with_name("server-chain.pem")
    whole.write_bytes(key.certificate.read_bytes() + key.chain.read_bytes())
    return {
        "profile": "dmp",
        "access": {"policy": "open"},
        "tls": {
            "certificate": whole,
            "key": key.key,
            "client_ca": [pki.authorities],
            "crl": list(pki.crls),
            "crl_refresh": 1,
        },
        "assertions": {"required": True, "kinds": ["vihf"], "anchors": [pki.authorities]},
    }


def fault(error: ExchangeFailed) -> SoapFault:
    assert isinstance(error.__cause__, SoapFault)
    return error.__cause__


def test_a_card_is_known_and_journaled(domain: Domain) -> None:
    with domain.client(domain.doctor) as client:
        assert client.find(PATIENT) == ()
    row = domain.rows(action="query", subject="899700000001")[-1]
    assert (row["proof_level"], row["mode"], row["decision"], row["outcome"]) == ("card", "normal", "allowed", "Success")
    assert len(row["request_digest"]) == 64
    assert json.loads(row["detail"])["structure"] == domain.doctor.structure


def test_the_signed_assertion_behind_a_row_is_kept_and_proves_it(domain: Domain, tmp_path: Path) -> None:
    """I10 of the attack catalogue: what was signed is given back by `liasse journal evidence`, for every row of it."""
    token = vihf_of(domain.doctor, Told(patient=PATIENT), now_micros())
    endpoints = Endpoints(domain.server.registry_url, domain.server.repository_url)
    context = client_context(domain.pki.authorities, domain.doctor)
    with DocumentClient(endpoints, tls=context, sign=lambda _patient: security_header(token)) as client:
        for _ in range(6):
            client.find(PATIENT)
    rows = domain.rows(action="query", subject="899700000001")[-6:]
    digest = json.loads(rows[0]["detail"])["assertion"]
    assert {json.loads(row["detail"])["assertion"] for row in rows} == {digest}
    assert domain.kept(digest) == 1
    saved = tmp_path / "assertion.xml"
    arguments = ["journal", "evidence", rows[-1]["id"], "--config", str(domain.server.config), "--save", str(saved)]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "signed by" in result.stdout) == (0, True), result.output
    data = saved.read_bytes()
    assert exclusive(data) == exclusive(token)
    certificate = domain.doctor.signature.load()[0]
    signed = verify_signature(data, check_shape(parse(data), legacy=False), certificate, to_datetime(rows[0]["at"]))
    assert signed.digest == digest


def exclusive(data: bytes) -> bytes:
    """What a signature covers: without the namespaces of what was around."""
    return etree.tostring(etree.fromstring(data), method="c14n", exclusive=True)


def test_a_refused_assertion_is_not_kept(domain: Domain) -> None:
    before = domain.kept()
    with domain.client(domain.doctor, sign=domain.other) as client, pytest.raises(ExchangeFailed):
        client.find(PATIENT)
    assert domain.kept() == before


def test_a_structure_declares_its_user(domain: Domain) -> None:
    told = Told(user="899700000001", name="TEST DOCTOR", roles=tuple(Coded(*role) for role in domain.doctor.roles))
    with domain.client(domain.hospital, told=told) as client:
        assert client.find(PATIENT) == ()
    row = domain.rows(action="query", subject="899700000001", proof_level="structure")[-1]
    assert row["decision"] == "allowed"


def test_an_assertion_of_another_card_is_refused(domain: Domain) -> None:
    with domain.client(domain.doctor, sign=domain.other) as client, pytest.raises(ExchangeFailed) as refused:
        client.find(PATIENT)
    assert [name.local for name in fault(refused.value).subcodes] == ["DMPInvalidVIHF"]
    row = domain.rows(outcome="Fault")[-1]
    assert (row["rule"], row["decision"], row["subject"]) == ("assertion-binding", "refused", "anonymous")


def test_a_refusal_names_what_was_asked_for(domain: Domain) -> None:
    """Of a message that was not decoded: the identifiers that stand in it, a few of them."""
    context = client_context(domain.pki.authorities, domain.doctor)
    deposit = wire.deposit(*[wire.PDF] * 12)
    owner, patient = deposit.submission.submission_sets[0].unique_id or "", patient_column(samples.PATIENT)
    documents = [*(["document", unique_id] for unique_id in deposit.unique_ids[:8]), ["documents", "12"]]
    submitted = [["submission-set", owner], *documents]
    claims: dict[str, tuple[wire.Message, str, list[list[str]]]] = {
        "query": (wire.find_documents(PATIENT), patient_column(PATIENT), [["query", "FindDocuments"]]),
        "register": (wire.register(deposit.submission), patient, submitted),
        "provide": (deposit.message(), patient, submitted),
        "retrieve": (wire.retrieve("1.2.3", *deposit.unique_ids), "", documents),
    }
    for action, (message, whose, objects) in claims.items():
        sent = post(domain.server.base_url + message.path, message.body, context, message.content_type)
        assert sent[0] == 500
        row = domain.rows(rule="assertion-no-assertion", action=action)[-1]
        assert (row["patient"], row["subject"], row["outcome"]) == (whose, "anonymous", "Fault")
        assert json.loads(row["objects"]) == objects


def test_a_message_without_assertion_is_refused(domain: Domain) -> None:
    tls = client_context(domain.pki.authorities, domain.doctor)
    endpoints = Endpoints(domain.server.registry_url, domain.server.repository_url)
    with DocumentClient(endpoints, tls=tls) as client, pytest.raises(ExchangeFailed) as refused:
        client.find(PATIENT)
    assert [name.local for name in fault(refused.value).subcodes] == ["DMPInvalidVIHF"]
    assert domain.rows(rule="assertion-no-assertion")


def test_an_assertion_serves_several_messages_of_its_client_and_no_other(domain: Domain) -> None:
    token = vihf_of(domain.doctor, Told(patient=PATIENT), now_micros())
    endpoints = Endpoints(domain.server.registry_url, domain.server.repository_url)

    def sign(_patient: str) -> bytes:
        return security_header(token)

    with DocumentClient(endpoints, tls=client_context(domain.pki.authorities, domain.doctor), sign=sign) as client:
        assert [client.find(PATIENT) for _ in range(3)] == [(), (), ()]
    with (
        DocumentClient(endpoints, tls=client_context(domain.pki.authorities, domain.other), sign=sign) as client,
        pytest.raises(ExchangeFailed),
    ):
        client.find(PATIENT)
    # A worker that knows the assertion sees the other client; one that does not finds its first use in the store.
    assert domain.rows(outcome="Fault")[-1]["rule"] in ("assertion-binding", "assertion-replayed")


def test_a_repeated_message_id_is_refused_and_journaled(domain: Domain) -> None:
    """B28 of the attack catalogue, a read: the second message with a MessageID of the same sender."""
    context = client_context(domain.pki.authorities, domain.doctor)
    message = find_message("urn:uuid:7a5c0e7e-0000-4000-8000-000000000001", domain.doctor)
    assert post(domain.server.registry_url, message, context)[0] == 200
    status, answer = post(domain.server.registry_url, message, context)
    assert (status, b"DuplicateMessageID" in answer) == (500, True)
    row = domain.rows(rule="message-id-unused")[-1]
    assert (row["decision"], row["patient"], row["subject"]) == ("refused", patient_column(PATIENT), "899700000001")
    assert json.loads(row["objects"]) == [["query", "FindDocuments"]]


def test_without_a_client_certificate_there_is_no_connection(domain: Domain) -> None:
    with (
        DocumentClient(
            Endpoints(domain.server.registry_url, domain.server.repository_url),
            tls=client_context(domain.pki.authorities, None),
        ) as client,
        pytest.raises(ExchangeFailed),
    ):
        client.find(PATIENT)


def test_a_card_of_another_authority_does_not_connect(domain: Domain, tmp_path: Path) -> None:
    stranger = TestPki.create(tmp_path / "pki", keys="ec").issue_card("doctor", "899700000001")
    with domain.client(stranger) as client, pytest.raises(ExchangeFailed):
        client.find(PATIENT)


def test_an_expired_card_does_not_connect(domain: Domain) -> None:
    expired = domain.pki.issue_card("expired", "899700000003", days=-1)
    with domain.client(expired) as client, pytest.raises(ExchangeFailed):
        client.find(PATIENT)


def test_a_revoked_card_is_refused_on_an_open_connection_too(domain: Domain) -> None:
    card = domain.pki.issue_card("lost", "899700000004")
    with domain.client(card) as client:
        assert client.find(PATIENT) == ()
        domain.pki.revoke("lost", "keyCompromise")
        deadline = time.monotonic() + 30
        while True:
            try:
                client.find(PATIENT)
            except ExchangeFailed as refused:
                error = refused
                break
            assert time.monotonic() < deadline, "the revoked card is still served"
            time.sleep(0.2)
    assert "may have processed" not in str(error)
    assert [row["rule"] for row in domain.rows(outcome="Fault")][-1].endswith("certificate-revoked")


def test_sessions_are_not_resumed(domain: Domain) -> None:
    context = client_context(domain.pki.authorities, domain.doctor)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        first = handshake(domain, context, None)
        session = first.session
        first.close()
        second = handshake(domain, context, session)
        assert second.session_reused is False
        second.close()


def handshake(domain: Domain, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", domain.server.port), 10)
    made = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    made.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert made.recv(4096).startswith(b"HTTP/1.1 200")
    return made


def test_a_claimed_certificate_header_is_refused_on_the_network(domain: Domain) -> None:
    context = client_context(domain.pki.authorities, domain.doctor)
    for name in ("X-Client-Certificate", "x_client_certificate"):
        request = urllib.request.Request(
            domain.server.registry_url, b"x", {name: "anything", "Content-Type": "application/soap+xml"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=context)
        assert refused.value.code == 400
        refused.value.close()


def find_message(message_id: str, card: Card) -> bytes:
    """An ITI-18 FindDocuments with an assertion."""
    header = security_header(vihf_of(card, Told(patient=PATIENT), now_micros())).decode()
    slots = (
        rim.Slot("$XDSDocumentEntryPatientId", (quoted(PATIENT),)),
        rim.Slot("$XDSDocumentEntryStatus", (quoted_list((APPROVED,)),)),
    )
    body = write_adhoc_query_request(rim.AdhocQuery(FIND_DOCUMENTS, "LeafClass", None, slots))
    return wire.envelope(QUERY, body, header=header, message=message_id)


def post(url: str, message: bytes, context: ssl.SSLContext, content_type: str = wire.SOAP_TYPE) -> tuple[int, bytes]:
    request = urllib.request.Request(url, message, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
