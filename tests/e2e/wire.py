"""Messages as bytes, sent as they are over a socket, and what became of them: a verdict in one line, and what is stored.

Nothing here repairs or checks what a test builds. Answers are read by the conformance tester, which shares no
parser with the server.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from xml.sax.saxutils import escape

from conformance.answer import Answer, read_answer
from conformance.exchange import HttpResponse
from ebrim import model as rim
from ebrim.rs import write_adhoc_query_request, write_submit_objects_request
from tests import samples
from tests.e2e.server import RunningServer
from xds_metadata.model import DocumentEntry, Submission
from xds_registry.stored_queries import QUERIES
from xds_repository.messages import DocumentRequest, write_retrieve_request

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
XDS = "urn:ihe:iti:xds-b:2007"
XOP = "http://www.w3.org/2004/08/xop/include"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
REGISTRY, REPOSITORY = "/registry", "/repository"

SOAP_TYPE = "application/soap+xml; charset=UTF-8"
BOUNDARY = "wire.boundary-1"
PACKAGE_TYPE = (
    f'multipart/related; type="application/xop+xml"; boundary="{BOUNDARY}"; start="<root@wire>"; '
    'start-info="application/soap+xml"'
)
ROOT_TYPE = 'application/xop+xml; charset=UTF-8; type="application/soap+xml"'
PDF = b"%PDF-1.4\n% a document of a test\n%%EOF\n"
IDS = {query.name: query.id for query in QUERIES.values()}

_TIMEOUT = 60.0
_PATIENCE = 15.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """A POST: where to, what it says it is, and its body; `headers` are further complete lines."""

    path: str
    content_type: str
    body: bytes
    headers: tuple[str, ...] = ()

    def as_bytes(self, length: int | None = None) -> bytes:
        """The HTTP request; `length` is announced in place of the body's own."""
        announced = len(self.body) if length is None else length
        lines = (
            f"POST {self.path} HTTP/1.1",
            "Host: liasse.test",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {announced}",
            *self.headers,
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8") + self.body

    def replaced(self, old: str | bytes, new: str | bytes, count: int = -1) -> Message:
        """The message with other bytes in its body; what is replaced must be there."""
        old, new = (each.encode() if isinstance(each, str) else each for each in (old, new))
        assert old in self.body, old
        return Message(self.path, self.content_type, self.body.replace(old, new, count), self.headers)


@dataclass(frozen=True)
class Seen:
    """An answer.

    `verdict`: "Success", "Failure CODE,…", "PartialSuccess CODE,…", "DMPOk", "fault Code[/Subcode]" or "HTTP 415".
    """

    verdict: str
    text: str
    answer: Answer

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.answer.http.status


def message_id() -> str:
    """A fresh wsa:MessageID."""
    return samples.new_uuid()


def envelope(action: str, body: str | bytes, *, header: str = "", message: str | None = None) -> bytes:
    """A SOAP 1.2 envelope with WS-Addressing."""
    body = body.encode() if isinstance(body, str) else body
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"<a:MessageID>{message or message_id()}</a:MessageID>"
        f"<a:ReplyTo><a:Address>{WSA}/anonymous</a:Address></a:ReplyTo>{header}</s:Header><s:Body>"
    ).encode() + (body + b"</s:Body></s:Envelope>")


def simple(path: str, data: bytes, content_type: str = SOAP_TYPE, headers: Sequence[str] = ()) -> Message:
    """An envelope as simple SOAP."""
    return Message(path, content_type, data, tuple(headers))


def part(content_id: str, data: bytes, media_type: str = "application/pdf", *headers: str) -> bytes:
    """One part, from its delimiter to the CR LF that belongs to the next."""
    lines = (f"--{BOUNDARY}", f"Content-Type: {media_type}", *headers, f"Content-ID: <{content_id}>", "", "")
    return "\r\n".join(lines).encode("utf-8") + data + b"\r\n"


def root_part(data: bytes, content_id: str = "root@wire") -> bytes:
    """The root part."""
    return part(content_id, data, ROOT_TYPE, "Content-Transfer-Encoding: binary")


def package(
    path: str, *parts: bytes, content_type: str = PACKAGE_TYPE, end: bytes | None = None, headers: Sequence[str] = ()
) -> Message:
    """Parts as a multipart message; `end` stands in place of the final delimiter."""
    tail = f"--{BOUNDARY}--\r\n".encode() if end is None else end
    return Message(path, content_type, b"".join(parts) + tail, tuple(headers))


def entry(**changes: object) -> DocumentEntry:
    """A PDF entry as a source sends it: hash, size and repository are the repository's to say."""
    return samples.entry(
        **{"mime_type": "application/pdf", "hash": None, "size": None, "repository_unique_id": None, **changes}
    )


def include(href: str) -> str:
    """An xop:Include."""
    return f'<xop:Include xmlns:xop="{XOP}" href="{escape(href)}"/>'


def provide_body(value: Submission | rim.RegistryObjectList, *documents: tuple[str, str]) -> bytes:
    """The body of ITI-41; a document is its id and the XML inside its element."""
    objects = samples.objects(value) if isinstance(value, Submission) else value
    items = "".join(f'<x:Document id="{escape(document_id)}">{content}</x:Document>' for document_id, content in documents)
    return (
        f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{XDS}">'.encode()
        + write_submit_objects_request(objects)
        + items.encode()
        + b"</x:ProvideAndRegisterDocumentSetRequest>"
    )


@dataclass(frozen=True)
class Deposit:
    """A valid ITI-41 of PDF documents: a test breaks one thing of it."""

    submission: Submission
    documents: tuple[bytes, ...]

    @property
    def unique_ids(self) -> tuple[str, ...]:
        """Of the documents, in order."""
        return tuple(e.unique_id or "" for e in self.submission.entries)

    def cids(self) -> tuple[str, ...]:
        """The Content-IDs of the documents."""
        return tuple(f"document{number}@wire" for number in range(1, len(self.documents) + 1))

    def root(self, hrefs: Sequence[str] | None = None) -> bytes:
        """The envelope; `hrefs` in place of the right references."""
        hrefs = hrefs if hrefs is not None else [f"cid:{cid}" for cid in self.cids()]
        pairs = zip(self.submission.entries, hrefs, strict=True)
        return envelope(PROVIDE, provide_body(self.submission, *((e.entry_uuid, include(href)) for e, href in pairs)))

    def parts(self) -> tuple[bytes, ...]:
        """The document parts."""
        binary = "Content-Transfer-Encoding: binary"
        return tuple(
            part(cid, data, "application/pdf", binary) for cid, data in zip(self.cids(), self.documents, strict=True)
        )

    def message(self) -> Message:
        """The whole message, as it should be."""
        return package(REPOSITORY, root_part(self.root()), *self.parts())


def deposit(*documents: bytes, **changes: object) -> Deposit:
    """A submission of documents (one PDF unless given); `changes` apply to every entry."""
    documents = documents or (PDF,)
    return Deposit(samples.submission(*(entry(**changes) for _ in documents)), documents)


def register(value: Submission | rim.RegistryObjectList) -> Message:
    """ITI-42."""
    objects = samples.objects(value) if isinstance(value, Submission) else value
    return simple(REGISTRY, envelope(REGISTER, write_submit_objects_request(objects)))


def query(name: str, *parameters: tuple[str, str | Sequence[str]], leaves: bool = True) -> Message:
    """ITI-18; a parameter is one rim:Value or several, in query syntax."""
    slots = tuple(rim.Slot(key, (value,) if isinstance(value, str) else tuple(value)) for key, value in parameters)
    request = rim.AdhocQuery(IDS.get(name, name), "LeafClass" if leaves else "ObjectRef", None, slots)
    return simple(REGISTRY, envelope(QUERY, write_adhoc_query_request(request)))


def find_documents(patient: str, *more: tuple[str, str | Sequence[str]]) -> Message:
    """FindDocuments of approved entries."""
    status = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
    quoted = patient.replace("'", "''")
    return query("FindDocuments", ("$XDSDocumentEntryPatientId", f"'{quoted}'"), ("$XDSDocumentEntryStatus", status), *more)


def retrieve(repository: str, *unique_ids: str) -> Message:
    """ITI-43."""
    return simple(
        REPOSITORY, envelope(RETRIEVE, write_retrieve_request([DocumentRequest(repository, each) for each in unique_ids]))
    )


def connect(server: RunningServer, timeout: float = _TIMEOUT) -> socket.socket:
    """A connection to the clinical listener."""
    return connect_to(server.port, timeout)


def connect_to(port: int, timeout: float = _TIMEOUT) -> socket.socket:
    """A connection to a port of this machine."""
    return prompt(socket.create_connection(("127.0.0.1", port), timeout))


def prompt(connection: socket.socket) -> socket.socket:
    """The connection, sending the rest of a message without waiting for what arrived."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(server: RunningServer, message: Message) -> Seen:
    """Send the whole message, then read the answer. What an early answer leaves unsent is no error."""
    with connect(server) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(message.as_bytes())
        return receive(connection)


def receive(connection: socket.socket) -> Seen:
    """The answer that comes on a connection."""
    with HTTPResponse(connection, method="POST") as response:
        response.begin()
        body = response.read()
        return seen(HttpResponse(response.status, response.reason, tuple(response.getheaders()), body))


def send_raw(server: RunningServer, data: bytes, *, end: bool = False) -> Seen | None:
    """Send bytes, and with `end` end our side; None where the server ends the connection without an answer."""
    with connect(server) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        if end:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        try:
            return receive(connection)
        except (HTTPException, ConnectionResetError):
            return None


def seen(response: HttpResponse) -> Seen:
    """The verdict on an answer."""
    if response.status not in (200, 202) and not (response.header("Content-Type") or "").startswith(
        ("application/soap+xml", "multipart/related", "text/xml")
    ):
        answer = read_answer(HttpResponse(response.status, response.reason, response.headers, b""))
        return Seen(f"HTTP {response.status}", response.body.decode("utf-8", "replace"), answer)
    answer = read_answer(response)
    if answer.fault is not None:
        codes = (answer.fault.code, *answer.fault.subcodes)
        return Seen("fault " + "/".join(re.sub(r"\{.*\}", "", code) for code in codes), answer.fault.reason, answer)
    if answer.result is None:
        status = None if answer.body is None else answer.body.findtext(".//{*}status")
        assert status, response.body[:500]
        return Seen(status, "", answer)
    errors = answer.result.errors
    found = ",".join(sorted({error.code for error in errors}))
    status = answer.result.status.rpartition(":")[2]
    return Seen(f"{status} {found}".strip(), "\n".join(error.context for error in errors), answer)


@dataclass(frozen=True)
class Stored:
    """What a server keeps: rows of each table but the journal's, and files of documents."""

    rows: Mapping[str, int]
    blobs: int


def stored(server: RunningServer) -> Stored:
    """What the server keeps now."""
    return Stored(rows(server), len(blobs(server)))


def rows(server: RunningServer) -> dict[str, int]:
    """Rows by table, the journal and the scheduler's lease apart."""
    with contextlib.closing(open_database(server)) as database:
        names = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not name.startswith(("sqlite_", "journal", "lease", "alembic", "audit", "assertion"))
        ]
        return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def open_database(server: RunningServer) -> sqlite3.Connection:
    """The server's database, for reading."""
    return sqlite3.connect(f"file:{server.data / 'liasse.sqlite'}?mode=ro", uri=True, timeout=20)


def blobs(server: RunningServer) -> list[Path]:
    """The files of documents."""
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file()]


def staged(server: RunningServer) -> list[str]:
    """The files written aside; lock files of living processes do not count."""
    return [name for name in os.listdir(server.data / "staging") if not name.endswith(".lock")]


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true before patience ends."""
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def cpu_seconds(server: RunningServer) -> float:
    """Processor time that the server and its processes have used."""
    ticks = 0
    for pid in (server.process.pid, *children(server.process.pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def sha1(data: bytes) -> str:
    """The hash of a document."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def listed(values: Iterable[str]) -> str:
    """A list in query syntax."""
    return "(" + ",".join("'" + value.replace("'", "''") + "'" for value in values) + ")"
