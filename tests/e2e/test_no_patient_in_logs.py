"""A person's name and identifiers, sent through every path at debug level, stay in the database and the documents.

The server's whole output and every file of its folder are searched afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.sentinel import CDA, NAME, OID, PATIENT, PERSON, check, clean, deposit, register, sentinels
from tests.e2e.server import RunningServer, running
from tests.e2e.wire import REGISTRY, REPOSITORY, Message, package, part, root_part
from xds_metadata import associations as types
from xds_metadata.model import Code
from xds_registry.stored_queries import QUERIES


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own at debug level: what it keeps is damaged here."""
    settings = {
        "server": {"workers": 1},
        "log": {"level": "debug"},
        "repository": {"content_check": "refuse"},
        "limits": {"message_size": 2_000_000, "staged_per_peer": 1_000_000, "staged_total": 1_000_000},
    }
    with running(tmp_path_factory.mktemp("talkative"), settings) as started:
        yield started


def successes(server: RunningServer) -> None:
    check(server, deposit(1).message(), "Success")
    check(server, register(), "Success")
    check(server, wire.find_documents(PATIENT, ("$XDSDocumentEntryAuthorPerson", f"('%{NAME}%')")), "Success")
    check(server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{OID}.1^{NAME}')")), "Success")
    check(server, wire.retrieve(DEFAULT_REPOSITORY_ID, f"{OID}.1^{NAME}"), "Success")


def every_stored_query(server: RunningServer) -> None:
    """Each parameter of each query with values of the person, well written and not."""
    seen = set()
    for found in QUERIES.values():
        patient = next((each.name for each in found.parameters if each.name.endswith("atientId")), None)
        others = [each.name for each in found.parameters if each.name != patient]
        told = [(patient, f"'{PATIENT}'")] if patient else []
        for value in (f"('{NAME}')", f"'{NAME}'", f"('{NAME}^^{NAME}')", NAME, f"('{NAME}", "20260101"):
            for name in others:
                seen.add(wire.send(server, wire.query(found.id, *told, (name, value))).verdict)
            seen.add(wire.send(server, wire.query(found.id, *told, *((name, value) for name in others))).verdict)
    assert {"Success", "Failure XDSRegistryError", "Failure XDSStoredQueryParamNumber"} <= seen, seen
    assert all(verdict.startswith(("Success", "Failure ")) for verdict in seen), seen


def other_forms(server: RunningServer) -> None:
    """Simple SOAP with the document inside; a folder; a replacement and an addendum."""
    sent = deposit(20, b"<a>" + CDA + b"</a>").submission
    inline = (sent.entries[0].entry_uuid, base64.b64encode(b"<a>" + CDA + b"</a>").decode())
    check(server, wire.simple(REPOSITORY, wire.envelope(wire.PROVIDE, wire.provide_body(sent, inline))), "Success")
    spoiled = (deposit(21).submission, (sent.entries[0].entry_uuid, f"{NAME}!"))
    seen = wire.send(server, wire.simple(REPOSITORY, wire.envelope(wire.PROVIDE, wire.provide_body(*spoiled))))
    assert seen.verdict.startswith(("fault Sender", "Failure ")), seen.text
    folder = samples.folder(patient_id=PATIENT, title=NAME, comments=NAME, codes=(Code(NAME, NAME, NAME),))
    owner = samples.submission_set(patient_id=PATIENT, title=NAME, comments=NAME, authors=(samples.author(PERSON),))
    entry = samples.entry(patient_id=PATIENT, title=NAME)
    link = samples.link(types.HAS_MEMBER, folder.entry_uuid, entry.entry_uuid)
    check(server, wire.register(samples.submission(entry, owner=owner, folders=[folder], links=[link])), "Success")
    query = wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{OID}.20^{NAME}')"))
    (old,) = check(server, query, "Success").answer.of_kind("document")
    for kind in (types.RPLC, types.APND):
        entry = samples.entry(patient_id=PATIENT, title=NAME)
        value = samples.submission(entry, links=[samples.link(kind, entry.entry_uuid, old.id)])
        seen = wire.send(server, wire.register(value))
        assert seen.verdict in ("Success", "Failure XDSRegistryDeprecatedDocumentError"), seen.text


def operators_pages(server: RunningServer) -> None:
    """Readiness and metrics, asked with the name, say nothing of it."""
    host, port = server.admin_address.rsplit(":", 1)
    for path in ("/metrics", "/health/ready", "/health/live", f"/{NAME}", f"/metrics?{NAME}"):
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert answer.startswith(b"HTTP/1.1 ")
        assert sentinels(answer.decode()) == []


def refusals(server: RunningServer) -> None:
    check(server, deposit(1, CDA.replace(b"name", b"Name")).message(), "Failure XDSNonIdenticalHash")
    check(server, deposit(2, hash="0" * 40).message(), "Failure XDSRepositoryMetadataError")
    check(server, deposit(3, NAME.encode()).message(), "Failure InvalidDocumentContent")
    check(server, deposit(4, language_code=NAME).message(), "Failure XDSRepositoryMetadataError")
    check(server, register(unique_id=f" {NAME}"), "Failure XDSRegistryMetadataError")
    check(server, register(type_code=Code(NAME, NAME, NAME)), "Success")
    other = samples.submission(samples.entry(patient_id=PATIENT), owner=samples.submission_set(patient_id=NAME))
    check(server, wire.register(other), "Failure XDSRegistryMetadataError")
    entry = samples.entry(patient_id=PATIENT)
    gone = samples.submission(entry, links=[samples.link(types.RPLC, entry.entry_uuid, samples.new_uuid())])
    check(server, wire.register(gone), "Failure UnresolvedReferenceException")
    check(server, wire.find_documents(NAME), "Failure XDSRegistryError")
    check(server, wire.query(NAME), "Failure XDSUnknownStoredQuery")
    check(server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", NAME + "'")), "Failure XDSRegistryError")
    check(server, wire.retrieve(DEFAULT_REPOSITORY_ID, f"{OID}.9^{NAME}"), "Failure XDSDocumentUniqueIdError")
    check(server, wire.retrieve(NAME, NAME), "Failure XDSUnknownRepositoryId")


def faults(server: RunningServer) -> None:
    whole = wire.find_documents(PATIENT).body
    broken = [whole[:-10], whole.replace(b"</a:MessageID>", b"", 1), b"<" + NAME.encode(), f"<!DOCTYPE {NAME}><a/>".encode()]
    for data in broken:
        check(server, wire.simple(REGISTRY, data), "fault Sender")
    check(server, wire.simple(REGISTRY, wire.envelope(wire.QUERY, f"<{NAME}/>")), "fault Sender")
    check(
        server,
        wire.simple(REGISTRY, wire.envelope(f"urn:{NAME}", f"<{NAME}/>")),
        "fault Sender/ActionNotSupported",
    )
    header = f'<n:{NAME} xmlns:n="urn:{NAME}" s:mustUnderstand="1"/>'
    check(server, wire.simple(REGISTRY, wire.envelope(wire.QUERY, "<a/>", header=header)), "fault MustUnderstand")
    soap11 = f'<s:Envelope xmlns:s="{wire.SOAP11}"><s:Body><{NAME}/></s:Body></s:Envelope>'.encode()
    check(server, wire.simple(REGISTRY, soap11, "text/xml"), "fault VersionMismatch")


def packages(server: RunningServer) -> None:
    root, named = root_part(deposit(5).root()), f"{NAME}.xml"
    check(server, package(REPOSITORY, root, part(named, CDA), part(named, CDA)), "HTTP 400")
    check(server, package(REPOSITORY, root, part(named, CDA), end=b""), "HTTP 400")
    check(server, package(REPOSITORY, root, part(f"a\x01{NAME}", CDA)), "HTTP 400")
    check(server, package(REPOSITORY, root, part(named, CDA, f"multipart/{NAME}; boundary=x")), "HTTP 400")
    check(server, package(REPOSITORY, root, part(named, CDA, "text/xml", f"Content-Transfer-Encoding: {NAME}")), "HTTP 400")
    check(
        server,
        package(REPOSITORY, root, part(named, CDA)),
        "Failure XDSMissingDocument,XDSMissingDocumentMetadata",
    )
    check(server, package(REPOSITORY, part(named, CDA * 40_000), root), "HTTP 413")
    check(
        server,
        Message(REPOSITORY, f'multipart/related; type="application/xop+xml"; boundary="{NAME}"', CDA),
        "HTTP 400",
    )
    whole = deposit(6, CDA * 10_000).message().as_bytes()
    assert wire.send_raw(server, whole[: len(whole) // 2], end=True) is None


def other_requests(server: RunningServer) -> None:
    for path in (
        f"/{NAME}",
        f"/registry?{NAME}",
        f"/?name={NAME}",
        f"/repository?xsd={NAME}",
        f"/health?{NAME}",
        "/registry?wsdl",
    ):
        data = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nUser-Agent: {NAME}\r\nCookie: {NAME}\r\nReferer: /{NAME}\r\n\r\n"
        with wire.connect(server) as connection:
            connection.sendall(data.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 ")
    check(server, wire.simple(REGISTRY, NAME.encode(), f"text/{NAME}"), "HTTP 415")
    check(server, wire.simple(REGISTRY, NAME.encode(), f"{NAME};;="), "HTTP 400")
    check(server, wire.simple(f"/registry/{NAME}", NAME.encode()), "HTTP 404")
    check(server, wire.simple(REGISTRY, NAME.encode() * 200_000), "HTTP 413")
    check(server, wire.simple(REGISTRY, CDA, wire.SOAP_TYPE, (f"Content-Encoding: {NAME}",)), "HTTP 415")
    head = f"POST {REGISTRY} HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: {wire.SOAP_TYPE}\r\n"
    long = "".join(f"X-{NAME}-{number}: {NAME * 50}\r\n" for number in range(60))
    h2c = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {NAME}\r\nHTTP2-Settings: {NAME}\r\nContent-Length: 1\r\n\r\n<"
    chunked = f"Transfer-Encoding: chunked\r\n\r\n5;{NAME}\r\n<{NAME[:4]}\r\n0\r\nX-{NAME}: {NAME}\r\n\r\n"
    for rest in (f"{long}\r\n", h2c, chunked, f"Expect: {NAME}\r\nContent-Length: 1\r\n\r\n<"):
        wire.send_raw(server, (head + rest).encode())
    for junk in (f"{NAME} / HTTP/1.1\r\n\r\n", f"POST /registry HTTP/1.1\r\n{NAME}\r\n\r\n", f"{NAME}\r\n\r\n"):
        wire.send_raw(server, junk.encode())


def patient_feed(server: RunningServer) -> None:
    """ITI-8: accepted, acknowledged with an error, and not HL7 at all."""
    good = (
        f"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{samples.oid()}|P|2.3.1\rEVN||20260101\r"
        f"PID|||{PATIENT}||{NAME}^Anne||19480229|F\rPV1||I\r"
    )
    for message in (good, good.replace("A01", "A40"), good.replace("PID|", "PIX|"), f"MSH|{NAME}", NAME):
        with socket.create_connection(("127.0.0.1", server.feed_port), 20) as connection:
            connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            connection.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                connection.recv(4000)


def damage(server: RunningServer) -> None:
    """Documents whose bytes are others, or gone, small and large; a database that is locked; metadata that are damaged."""
    for number, data in ((10, CDA), (11, CDA * 40_000)):
        sent = deposit(number, b"<a>" + data + b"</a>")
        check(server, sent.message(), "Success")
        for lost in (False, True):
            before = {path.name: path for path in wire.blobs(server)}
            found = next(path for path in before.values() if path.stat().st_size == len(data) + 7)
            if lost:
                found.unlink()
            else:
                kept = found.read_bytes()
                found.write_bytes(NAME.encode() + kept[len(NAME) :])
            outcome = cut_or_seen(server, wire.retrieve(DEFAULT_REPOSITORY_ID, f"{OID}.{number}^{NAME}"))
            assert outcome in ("cut", "Failure XDSRepositoryError"), outcome
            if not lost and not found.exists():
                found.write_bytes(kept)
    with contextlib.closing(sqlite3.connect(server.data / "liasse.sqlite", timeout=20, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        seen = wire.send(server, register())
        assert seen.verdict == "Failure XDSRegistryBusy", seen.text
        database.execute("ROLLBACK")
        database.execute("DROP TABLE entry_author")
    author = ("$XDSDocumentEntryAuthorPerson", f"('%{NAME}%')")
    check(server, wire.find_documents(PATIENT, author), "Failure XDSRegistryError")
    check(server, register(), "Failure XDSRegistryError")


def cut_or_seen(server: RunningServer, message: Message) -> str:
    """The verdict, or "cut" where the connection ended before the answer did."""
    with wire.connect(server) as connection:
        connection.sendall(message.as_bytes())
        data = b""
        while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < announced(data):
            more = connection.recv(1 << 16)
            if not more:
                return "cut"
            data += more
    return wire.send(server, message).verdict


def announced(data: bytes) -> int:
    lines = data.split(b"\r\n\r\n", 1)[0].lower().split(b"\r\n")
    return next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))


PATHS: tuple[Callable[[RunningServer], None], ...] = (
    successes,
    every_stored_query,
    other_forms,
    refusals,
    faults,
    packages,
    other_requests,
    patient_feed,
    operators_pages,
    damage,
    operators_pages,
)


def test_the_sentinel_is_nowhere_but_in_the_store(talkative: RunningServer) -> None:
    for path in PATHS:
        path(talkative)
        clean(path.__name__, talkative)
    assert talkative.stop() == 0
    clean("stop", talkative)
    log = talkative.log_text()
    for expected in ('"refused"', '"level": "debug"', '"truncated POST /repository"', '"level": "error"'):
        assert expected in log
    assert wire.staged(talkative) == []
