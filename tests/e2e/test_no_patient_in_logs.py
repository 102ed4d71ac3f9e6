"""A person's name and identifiers, sent through every path at debug level, stay in the database and the documents.

The server's whole output and every file of its folder are searched afterwards.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer, running
from tests.e2e.wire import REGISTRY, REPOSITORY, Message, Seen, package, part, root_part
from xds_metadata import associations as types
from xds_metadata.model import Code

NAME = "Zquxsentinel"
SENTINELS = (NAME, NAME.upper(), "7qx99042sentinel", "1.2.250.1.999.424242424")
PATIENT = f"7qx99042sentinel^^^&{samples.AUTHORITY}&ISO"
PERSON = f"899700000001^{NAME}^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO"
OID = "1.2.250.1.999.424242424"
INFO = (f"PID-5|{NAME}^Anne^^^^^L", f"PID-3|{PATIENT}", "PID-7|19480229")
CDA = f"<ClinicalDocument><name>{NAME}</name></ClinicalDocument>".encode()


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


def deposit(number: int, data: bytes = CDA, **changes: object) -> wire.Deposit:
    """A deposit full of the person."""
    return wire.deposit(
        data,
        **{
            "mime_type": "text/xml",
            "unique_id": f"{OID}.{number}^{NAME}",
            "patient_id": PATIENT,
            "source_patient_id": PATIENT,
            "source_patient_info": INFO,
            "title": NAME,
            "comments": NAME,
            "authors": (samples.author(PERSON),),
            "legal_authenticator": PERSON,
            "uri": f"{NAME}.xml",
            **changes,
        },
    )


def register(**changes: object) -> Message:
    entry = samples.entry(
        patient_id=PATIENT, title=NAME, source_patient_info=INFO, authors=(samples.author(PERSON),), **changes
    )
    return wire.register(samples.submission(entry))


def check(server: RunningServer, message: Message, verdict: str) -> Seen:
    seen = wire.send(server, message)
    assert seen.verdict == verdict, seen.text
    return seen


def successes(server: RunningServer) -> None:
    check(server, deposit(1).message(), "Success")
    check(server, register(), "Success")
    check(server, wire.find_documents(PATIENT, ("$XDSDocumentEntryAuthorPerson", f"('%{NAME}%')")), "Success")
    check(server, wire.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{OID}.1^{NAME}')")), "Success")
    check(server, wire.retrieve(DEFAULT_REPOSITORY_ID, f"{OID}.1^{NAME}"), "Success")


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
    refusals,
    faults,
    packages,
    other_requests,
    patient_feed,
    damage,
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


def clean(after: str, server: RunningServer) -> None:
    """Every file of the server's folder but database and documents."""
    kept = {server.data / "blobs", server.data / "quarantine"}
    searched = 0
    for path in (p for p in server.directory.rglob("*") if p.is_file()):
        if kept.intersection(path.parents) or path.name.startswith("liasse.sqlite"):
            continue
        searched += 1
        assert sentinels_in(path) == [], (after, path.name)
    assert searched >= 2


def sentinels_in(path: Path) -> list[str]:
    """The lines of a file that hold a sentinel, in any case."""
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return [line for line in lines if any(each.lower() in line.lower() for each in SENTINELS)]
