"""A running HTTP side for tests: the real application and server on loopback, over a small SOAP layer."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from liasse.app import RequestRecord, application, create_app
from liasse.reception import BodyLimits
from liasse.upload import Service
from soap.http import CutReason, HttpLimits, Server, serve
from soap.transaction import Attachment, Exchange, Incoming, Part, Reply

FAST = HttpLimits(
    connections=5000,
    connections_per_address=5000,
    header_timeout=1.0,
    body_idle_timeout=2.0,
    minimum_rate=4096,
    minimum_rate_grace=1.0,
    answer_idle_timeout=1.5,
    keep_alive=5.0,
)
"""Limits short enough for a test."""


class FolderPart:
    """A staged part in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hash = hashlib.sha256()
        self.size = 0
        self._file: BinaryIO = path.open("xb")

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self.hash.update(data)
        self.size += len(data)

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass
class Folder:
    """The staging area: a folder. `fail_after` bytes in all, writing fails as on a full disk."""

    path: Path
    fail_after: int | None = None
    made: int = 0
    most_bytes: int = 0

    def new(self) -> FolderPart:
        """An empty part."""
        self.made += 1
        part = FolderPart(self.path / str(self.made))
        if self.fail_after is not None:
            write, limit = part.write, self.fail_after

            def failing(data: bytes) -> None:
                if part.size + len(data) > limit:
                    raise OSError(28, "No space left on device")
                write(data)

            part.write = failing  # type: ignore[method-assign]
        return part

    def left(self) -> int:
        """Files that are still there."""
        return len(list(self.path.iterdir()))


@dataclass
class Judged:
    """An exchange; `reply` when the root part was refused."""

    root: bytes
    incoming: Incoming
    reply: Reply | None = None


@dataclass
class Recorder:
    """A SOAP layer for tests: the root's text says how to answer, everything received is written down.

    `refuse`: answered in the first phase. `give N`: an attachment of N bytes. `break N`: one that fails after N bytes.
    """

    roots: list[bytes] = field(default_factory=list)
    incoming: list[Incoming] = field(default_factory=list)
    finished: int = 0
    parts: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def open(self, root: bytes, incoming: Incoming) -> Judged:
        """First phase."""
        self.roots.append(root)
        self.incoming.append(incoming)
        if b"refuse" in root:
            return Judged(root, incoming, Reply(500, mtom=incoming.mtom, pieces=(b"<Refused/>",), fault="Sender"))
        return Judged(root, incoming)

    def finish(self, exchange: Exchange, parts: Mapping[str, Part]) -> Reply:
        """Second phase."""
        assert isinstance(exchange, Judged)
        self.finished += 1
        for content_id, part in parts.items():
            if isinstance(part.staged, FolderPart):
                assert part.staged.path.stat().st_size == part.staged.size
                self.parts[content_id] = (part.media_type, part.staged.size, part.staged.hash.hexdigest())
            else:
                self.failed[content_id] = type(part.staged).__name__
        attachments = tuple(_attachments(exchange.root))
        pieces = (b"<Envelope>", b"ok", b"</Envelope>")
        return Reply(200, exchange.incoming.mtom, pieces, attachments, action="urn:test:Response")


def _attachments(root: bytes) -> Iterator[Attachment]:
    for number, (kind, size) in enumerate(re.findall(rb"(give|break) (\d+)", root)):
        yield Attachment(f"{number}@test", "application/pdf", int(size), partial(_bytes, kind, int(size)))


def _bytes(kind: bytes, size: int) -> Iterator[bytes]:
    block = bytes(range(256)) * 256
    for at in range(0, size, len(block)):
        if kind == b"break" and at + len(block) > size // 2:
            raise OSError(5, "Input/output error")
        yield block[: size - at]


@dataclass
class HttpSide:
    """A running server."""

    port: int
    soap: Recorder
    folder: Folder
    records: list[RequestRecord]
    cuts: list[CutReason]
    server: Server
    service: Service

    def taken(self, quota: str) -> int:
        """Bytes that requests hold of a quota at present."""
        return {"held": self.service.held, "staged": self.service.staged}[quota].taken

    def connect(self, timeout: float = 20.0) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def send(self, data: bytes, timeout: float = 20.0) -> bytes:
        """Send, and read to the end of the connection."""
        with self.connect(timeout) as client:
            client.sendall(data)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """All bytes until the peer ends the connection, in order or not."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@contextmanager
def http_side(
    folder: Path,
    limits: HttpLimits | None = None,
    body: BodyLimits | None = None,
    *,
    fail_after: int | None = None,
    listener: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[HttpSide]:
    """Run the application in a thread of its own."""
    stages = Folder(folder, fail_after)
    soap = Recorder()
    records: list[RequestRecord] = []
    cuts: list[CutReason] = []
    started = threading.Event()
    if listener is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        port = listener.getsockname()[1]
    else:
        port = 0
    listener.setblocking(False)
    with ThreadPoolExecutor(4) as pool:
        service = Service(soap, stages, body or BodyLimits(), pool)
        app = application(service, _pages, ("/registry", "/repository"), records.append)
        contexts = None if tls is None else lambda: tls
        server = Server(app, limits or FAST, tls=contexts, drain_timeout=1, on_cut=cuts.append, on_started=started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(10)
            yield HttpSide(port, soap, stages, records, cuts, server, service)
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def _pages(path: str, query: str, _host: str) -> tuple[int, str, bytes] | None:
    if path == "/":
        return 200, "text/html; charset=utf-8", b"<h1>Liasse</h1>"
    if path == "/broken":
        raise KeyError(path)
    if path in ("/registry", "/repository") and query == "wsdl":
        return 200, "text/xml; charset=utf-8", b"<definitions/>"
    return None


def request(
    body: bytes,
    content_type: str = "application/soap+xml; charset=UTF-8",
    *,
    path: str = "/repository",
    headers: str = "",
    close: bool = True,
    length: int | None = None,
) -> bytes:
    """An HTTP request with a body of known length."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n{headers}"
        f"{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n"
    ).encode("latin-1") + body


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, for both sides, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    own, secret = folder / "certificate.pem", folder / "key.pem"
    own.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return own, secret


BOUNDARY = "uuid:b0"
MULTIPART = f'multipart/related; type="application/xop+xml"; boundary="{BOUNDARY}"; start="<root@a>"'


def package(*documents: tuple[str, bytes], root: bytes = b"<Envelope/>", root_last: bool = False, end: bool = True) -> bytes:
    """A multipart body: a root part and documents by Content-ID."""
    lead = [part("root@a", root, 'application/xop+xml; charset=UTF-8; type="application/soap+xml"')]
    rest = [part(content_id, data) for content_id, data in documents]
    return b"".join(rest + lead if root_last else lead + rest) + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def part(content_id: str, data: bytes, media_type: str = "application/pdf", headers: str = "") -> bytes:
    """One part with its delimiter line."""
    return (
        f"--{BOUNDARY}\r\nContent-Type: {media_type}\r\nContent-ID: <{content_id}>\r\n{headers}\r\n".encode()
        + data
        + b"\r\n"
    )


def status(response: bytes) -> int:
    """The status of the first final response."""
    line = response.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split(b"\r\n", 1)[0]
    assert line.startswith(b"HTTP/1.1 "), response[:200]
    return int(line.split(b" ")[1])


def headers_of(response: bytes) -> Mapping[str, str]:
    """The header fields of a response, names in lower case."""
    lines = response.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def body_of(response: bytes) -> bytes:
    """What follows the header."""
    return response.split(b"\r\n\r\n", 1)[1]


def main(folder: str) -> None:
    """A server in a process of its own: prints its port, serves until SIGTERM."""
    with ThreadPoolExecutor(4) as pool, socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(Recorder(), Folder(Path(folder)), _pages, BodyLimits(), pool)
        serve(app, [listener], HttpLimits(), on_started=lambda: print(listener.getsockname()[1], flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
