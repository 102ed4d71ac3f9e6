"""A collector with certificates of a test PKI, and events to send there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from atna.events import AuditEvent, AuditUser, document_object, query_object, submission_set_object
from atna.message import Origin
from atna.syslog import TlsCollector, UdpCollector
from conformance.simulators.audit_receiver import AuditReceiver, Behaviour, server_context
from pki.testca import TestPki

ORIGIN = Origin("liasse-test", "site-1", "host.example")
AT = 1_750_000_000_000_000
PATIENT = "p1^^^&1.2.3.4&ISO"
PERSON = AuditUser("899700000001", "DOC<899700000001@CN=Test>", (("10", "1.2.250.1.71.1.2.7"),), ("normal", "1.2.3"))
GET_ALL = (
    b'<query:AdhocQueryRequest xmlns:query="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"'
    b' xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><query:ResponseOption returnType="LeafClass"/>'
    b'<rim:AdhocQuery id="urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"><rim:Slot name="$patientId"><rim:ValueList>'
    b"<rim:Value>'p1^^^&amp;1.2.3.4&amp;ISO'</rim:Value></rim:ValueList></rim:Slot></rim:AdhocQuery>"
    b"</query:AdhocQueryRequest>"
)
GET_ALL_ID = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
REGISTRY, REPOSITORY = "https://xds.example/registry", "https://xds.example/repository"


def query_event(number: int = 0, **changes: object) -> AuditEvent:
    """ITI-18, GetAll; `number` counts its time up."""
    values: dict[str, object] = {
        "endpoint": REGISTRY,
        "peer": "192.0.2.7",
        "caller": "consumer",
        "user": PERSON,
        "patients": (PATIENT,),
        "objects": (query_object(GET_ALL_ID, GET_ALL),),
    }
    return AuditEvent("ITI-18", AT + number, **(values | changes))  # type: ignore[arg-type]


def retrieve_event(number: int = 0, documents: int = 1) -> AuditEvent:
    """ITI-43 of some documents."""
    objects = tuple(document_object(f"1.2.3.{number}.{one}", "1.2.9") for one in range(documents))
    return AuditEvent(
        "ITI-43", AT + number, endpoint=REPOSITORY, peer="192.0.2.7", patients=(PATIENT,), objects=objects, user=PERSON
    )


def submit_event(name: str, number: int = 0, endpoint: str = REPOSITORY) -> AuditEvent:
    """ITI-41, or one side of ITI-42."""
    objects = (submission_set_object(f"1.2.3.{number}"),)
    return AuditEvent(name, AT + number, endpoint=endpoint, peer="192.0.2.7", patients=(PATIENT,), objects=objects)


@dataclass(frozen=True)
class Certificates:
    """What both ends need: the PKI's authorities, the collector's certificate (for 127.0.0.1 and localhost), ours."""

    ca: Path
    server: tuple[Path, Path]
    expired: tuple[Path, Path]
    elsewhere: tuple[Path, Path]
    client: tuple[Path, Path]

    @classmethod
    def make(cls, directory: Path) -> Certificates:
        """Issue them all."""
        pki = TestPki.create(directory, keys="ec")
        hosts = ("127.0.0.1", "localhost")
        pairs = [
            pki.issue("server", "collector", hosts=hosts),
            pki.issue("server", "expired", hosts=hosts, days=-1),
            pki.issue("server", "elsewhere", hosts=("other.example",)),
            pki.issue("audit-client", "liasse"),
        ]
        server, expired, elsewhere, client = ((pair.certificate, pair.key) for pair in pairs)
        return cls(pki.authorities, server, expired, elsewhere, client)

    def context(self, server: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """The collector's side of TLS; it demands a client certificate."""
        return server_context(*(server or self.server), self.ca)

    def receiver(self, behaviour: Behaviour | None = None, port: int = 0) -> AuditReceiver:
        """A collector over TLS, not yet open."""
        return AuditReceiver(port, context=self.context(), behaviour=behaviour or Behaviour())

    def collector(self, receiver: AuditReceiver, patience: float = 20.0) -> TlsCollector:
        """Our side of TLS to `receiver`."""
        assert receiver.tcp is not None
        return TlsCollector("127.0.0.1", receiver.tcp, ORIGIN, self.ca, *self.client, patience)


def udp_collector(receiver: AuditReceiver, largest: int = 65_507) -> UdpCollector:
    """Our side of UDP to `receiver`."""
    assert receiver.udp is not None
    return UdpCollector("127.0.0.1", receiver.udp, ORIGIN, largest)
