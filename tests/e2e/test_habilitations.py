"""TD0.3 and TD1.6 through the whole SOAP layer with signed assertions of cards and structures; published messages too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from sqlalchemy import select

from access_control.subject import Coded, Subject
from database.tables import now_micros
from dmp import records
from dmp.ins import TEST
from dmp.record import By, Party, Record
from journal.tables import journal_row
from liasse.caller import security_header
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from liasse.trust import fetch_lists
from liasse.wiring import Actors, open_actors, prepare, soap_server, wall_clock
from pki.testca import Card, TestPki
from soap.transaction import Incoming, Reply
from soap.transport import Server
from tests.e2e import wire
from tests.e2e.server import to_toml
from tests.shared_data import shared
from xds_metadata.datatypes import PatientKey
from xmlsafe import parse
from xua.cards import Told, vihf_of

NS = "urn:si-dmp-habilitations"
SET, LIST = (f"{NS}:HabilitationsEndPoint:{name}" for name in ("setAuthorization", "listAuthorizationByPatient"))
PATIENT = PatientKey("207058575627097", TEST)
CX = f"{PATIENT.id}^^^&{TEST}&ISO^NH"
PREFIX = "/si-dmp-server/v2/services"
ADD = f'<setAuthorization xmlns="{NS}"><action>AJOUT</action></setAuthorization>'
ATTENDING = ADD.replace("</action>", "</action><role>MEDECIN_TRAITANT</role>")
REMOVE = ADD.replace("AJOUT", "SUPPRESSION")
ALL = f'<listAuthorizationByPatient xmlns="{NS}"><mode>TOUTE</mode></listAuthorizationByPatient>'


@dataclass
class Domain:
    """The SOAP layer of a server that asks who calls, and those who call."""

    pki: TestPki
    actors: Actors
    server: Server
    doctor: Card
    nurse: Card
    secretary: Card
    hospital: Card

    def send(self, envelope: bytes, card: Card, path: str = "/habilitations") -> Reply:
        """The answer to an envelope over a connection that `card` made."""
        certificate = x509.load_pem_x509_certificate(card.authentication.certificate.read_bytes())
        incoming = Incoming(path, mtom=False, peer="192.0.2.1", certificate=certificate.public_bytes(Encoding.DER))
        exchange = self.server.open(envelope, incoming)
        return exchange.reply or self.server.finish(exchange, {})

    def ask(self, action: str, body: str, card: Card, told: Told | None = None) -> Reply:
        """The answer to a message of ours, with an assertion of `card`."""
        told = replace(told or Told(), patient=CX)
        header = security_header(vihf_of(card, told, now_micros())).decode()
        return self.send(wire.envelope(action, body, header=header), card)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Journal rows: action, caller, patient, rule, outcome."""
        r = journal_row.c
        with self.actors.database.read() as connection:
            found = connection.execute(select(r.action, r.subject, r.patient, r.rule, r.outcome).order_by(r.id))
            return [tuple(row) for row in found]


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    doctor = pki.issue_card("doctor", "899700000001")
    nurse = pki.issue_card("nurse", "899700000002", profession="60", speciality="")
    secretary = pki.issue_card("secretary", "899700000003", profession="SECRETARIAT_MEDICAL", staff=True)
    hospital = pki.issue_structure("hospital", "10B0127189")
    config = tmp_path / "config.toml"
    tables = {
        "profile": "dmp",
        "access": {"policy": "dmp"},
        "tls": {"client_ca": [pki.authorities], "crl": list(pki.crls)},
        "server": {"unix_socket": tmp_path / "http.sock"},
        "assertions": {"required": True, "kinds": ["vihf"], "anchors": [pki.authorities]},
    }
    config.write_text(to_toml(tables), encoding="utf-8")
    settings = load_settings(config)
    init_storage(settings)
    ready = prepare(settings)
    actors = open_actors(ready, wall_clock)
    fetch_lists(settings, ready.authorities, actors.database, wall_clock)
    assert actors.trust.refresh()
    by = By(Subject("os-user:test", proof_level="local"), now_micros())
    record = Record(PATIENT, consent_at=by.at)
    actors.database.write(lambda connection: records.create(connection, record, by))
    yield Domain(pki, actors, soap_server(actors, ready), doctor, nurse, secretary, hospital)
    actors.close()


def answered(reply: Reply) -> etree._Element:
    """The body of an answer that is no fault."""
    assert (reply.status, reply.fault) == (200, None), b"".join(reply.pieces)
    envelope = parse(b"".join(reply.pieces))
    [body] = envelope.findall("{*}Body/*")
    assert body.findtext(f".//{{{NS}}}status") == "DMPOk"
    return body


def listed(reply: Reply) -> list[tuple[str, str, str]]:
    """(identifier, mode, specific right) of every line."""
    lines = answered(reply).iter(f"{{{NS}}}listOfAuthorizationByPatient")
    names = [f"{{{NS}}}{name}" for name in ("nationalId", "mode", "specificRight")]
    return [(*(line.findtext(name) or "" for name in names),) for line in lines]  # type: ignore[misc]


def fault(reply: Reply) -> tuple[str, str]:
    """Code and innermost subcode of a fault."""
    assert reply.status == 500, b"".join(reply.pieces)
    values = [each.text or "" for each in parse(b"".join(reply.pieces)).iter("{*}Value")]
    return values[0].partition(":")[2], values[-1].partition(":")[2]


def test_a_doctor_declares_himself_reads_the_list_and_leaves(domain: Domain) -> None:
    assert fault(domain.ask(LIST, ALL, domain.doctor)) == ("Sender", "DMPAuthorizationMissing")
    answered(domain.ask(SET, ATTENDING, domain.doctor))
    answered(domain.ask(SET, ADD, domain.nurse))
    assert listed(domain.ask(LIST, ALL, domain.nurse)) == [
        ("899700000001", "ACTIVE", "MEDECIN_TRAITANT"),
        ("899700000002", "ACTIVE", ""),
    ]
    answered(domain.ask(SET, REMOVE, domain.nurse))
    assert fault(domain.ask(LIST, ALL, domain.nurse)) == ("Sender", "DMPAuthorizationMissing")
    names = answered(domain.ask(LIST, ALL, domain.doctor))
    told = [names.findtext(f".//{{{NS}}}{name}") for name in ("firstName", "lastName", "codeSpeciality")]
    assert told == ["DOCTOR", "TEST", "G15_10/SM26"]
    patient = f"{PATIENT.id}^{TEST}"
    done = [row for row in domain.rows() if row[4] == "Success"]
    assert [(row[0], row[1]) for row in done] == [
        ("record-attend", "899700000001"),
        ("record-authorise", "899700000002"),
        ("authorisation-list", "899700000002"),
        ("record-unauthorise", "899700000002"),
        ("authorisation-list", "899700000001"),
    ]
    assert {row[2] for row in done} == {patient}
    assert [row[3] for row in domain.rows() if row[4] == "Fault"] == ["dmp-authorisation", "dmp-authorisation"]


def test_a_secretary_authorises_the_structure_and_it_opens_to_whom_the_structure_vouches_for(domain: Domain) -> None:
    roles = (Coded("10", "1.2.250.1.71.1.2.7"), Coded("SM26", "1.2.250.1.71.4.2.5"))
    user = Told(mode="INDIRECTE_RENFORCEE", user="899700000009", name="Martin Anne", roles=roles)
    assert fault(domain.ask(LIST, ALL, domain.hospital, user)) == ("Sender", "DMPAuthorizationMissing")
    answered(domain.ask(SET, ADD, domain.secretary))
    assert listed(domain.ask(LIST, ALL, domain.hospital, user)) == [("10B0127189", "ACTIVE", "")]
    assert fault(domain.ask(LIST, ALL, domain.doctor)) == ("Sender", "DMPAuthorizationMissing")
    refused = fault(domain.ask(SET, ADD, domain.hospital, replace(user, mode="INDIRECTE")))
    assert refused == ("Sender", "DMPAccessDeniedByRightsService")


def test_a_blocked_doctor_declares_nothing_and_breaks_no_glass(domain: Domain) -> None:
    by = By(Subject("os-user:test"), now_micros())
    domain.actors.database.write(lambda connection: records.block(connection, PATIENT, Party("899700000001"), by))
    assert fault(domain.ask(SET, ADD, domain.doctor)) == ("Sender", "DMPPatientBlocked")
    glass = Told(access="bris_de_glace", reason="unconscious")
    assert fault(domain.ask(LIST, ALL, domain.doctor, glass)) == ("Sender", "DMPAccessDeniedByRightsService")


def test_a_body_that_says_nothing_is_a_fault(domain: Domain) -> None:
    assert fault(domain.ask(SET, ADD.replace("AJOUT", "PLUS"), domain.doctor))[0] == "Sender"
    assert fault(domain.ask(LIST, ADD, domain.doctor))[0] == "Sender"
    assert {row[4] for row in domain.rows()} <= {"Fault"}


@pytest.mark.corpus
@pytest.mark.parametrize("path", ["/habilitations", f"{PREFIX}/habilitations"])
def test_the_published_messages_are_served(domain: Domain, path: str) -> None:
    for name in ("TD0.3_Mise_a_jour_de_lautorisation", "TD1.6_Liste_des_PS_autorises_ou_bloques"):
        reply = domain.send(published(domain, name), domain.doctor, path)
        answer = answered(reply)
        expected = parse(shared("corpus", "dmp-messages", f"{name}_response.xml").read_bytes()).find("{*}Body/*")
        assert expected is not None
        assert answer.tag == expected.tag
        assert [each.tag for each in answer.iter()] == [each.tag for each in expected.iter()]


def published(domain: Domain, name: str) -> bytes:
    """The published request with an assertion of ours and a MessageID of its own; nothing else is touched."""
    data = shared("corpus", "dmp-messages", f"{name}_request.xml").read_bytes()
    token = vihf_of(domain.doctor, Told(patient=CX), now_micros())
    data, count = re.subn(rb"<saml2:Assertion .*</saml2:Assertion>", lambda _: token, data, flags=re.DOTALL)
    assert count == 1
    return re.sub(rb"urn:uuid:[0-9a-f-]{36}", wire.message_id().encode(), data, count=1)
