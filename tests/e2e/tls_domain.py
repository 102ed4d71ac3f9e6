"""A server over mutual TLS, built-in or behind nginx, and clients with certificates of every sort."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.testca import Credentials, TestPki
from tests.e2e import wire
from tests.e2e.server import RunningServer, merged, running
from tests.e2e.wire import Message, Seen
from tests.nginx import Files, Nginx, nginx_with

Front = Literal["built-in", "nginx"]
FRONTS: Sequence[Front] = ("built-in", "nginx")
PATIENT = "P1^^^&1.2.250.1.213.1.4.10&ISO"


@dataclass
class TlsDomain:
    """A server, and who may talk to it. `client` has a certificate that is accepted."""

    front: Front
    pki: TestPki
    server: RunningServer
    port: int
    folder: Path
    client: Credentials
    nginx: Nginx | None = None

    def context(
        self,
        who: Credentials | None,
        version: ssl.TLSVersion | None = None,
        suites: str = "",
        authorities: Path | None = None,
    ) -> ssl.SSLContext:
        """How a client with the certificate `who` talks."""
        context = ssl.create_default_context(cafile=authorities or self.pki.authorities)
        if who is not None:
            context.load_cert_chain(who.certificate, who.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if suites:
            context.set_ciphers(suites)
        return context

    def tcp(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine, before anything is sent."""
        return wire.prompt(socket.create_connection(("127.0.0.1", self.port), 20, (source, 0)))

    @contextlib.contextmanager
    def connect(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None, source: str = "127.0.0.1"
    ) -> Iterator[ssl.SSLSocket]:
        """A session with it."""
        with (
            self.tcp(source) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as connection,
        ):
            yield connection

    def send(self, message: Message, context: ssl.SSLContext | None = None) -> Seen:
        """Send a message over a connection of its own, and read the answer."""
        with self.connect(context or self.context(self.client)) as connection:
            return ask(connection, message)

    def served(self, who: Credentials | None, **how: Any) -> bool:
        """Whether a client is answered a query; refused means that its handshake fails or that HTTP 400 or a fault comes."""
        try:
            return self.send(wire.find_documents(PATIENT), self.context(who, **how)).verdict == "Success"
        except (OSError, HTTPException):
            return False

    def reaches(self, who: Credentials) -> bool:
        """Whether a client is answered at all."""
        try:
            return bool(self.send(wire.find_documents(PATIENT), self.context(who)).verdict)
        except (OSError, HTTPException):
            return False

    def refusals(self) -> list[dict[str, Any]]:
        """What the security log says."""
        lines = (json.loads(line) for line in self.server.log_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("logger") == "liasse.security"]

    def new_lists(self) -> None:
        """nginx reads the newest revocation lists; Liasse finds them itself."""
        if self.nginx is not None:
            write_lists(self.pki, self.folder / "front.crl")
            self.nginx.reload()


def ask(connection: ssl.SSLSocket, message: Message) -> Seen:
    """Send a message over a connection that is kept, and read the answer."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(message.as_bytes())
    return wire.receive(connection)


def write_lists(pki: TestPki, into: Path) -> None:
    """The newest revocation lists in one PEM file."""
    into.write_bytes(b"".join(x509.load_der_x509_crl(crl.read_bytes()).public_bytes(Encoding.PEM) for crl in pki.crls))


def server_files(pki: TestPki, folder: Path, name: str = "server") -> tuple[Path, Path]:
    """A new certificate of the server with its chain, and its key, copied to `folder`/server.{pem,key}."""
    made = pki.issue("server", name, hosts=["127.0.0.1", "localhost"])
    certificate, key = folder / "server.pem", folder / "server.key"
    for target, data in ((certificate, made.certificate.read_bytes() + made.chain.read_bytes()), (key, b"")):
        aside = target.with_suffix(".new")
        aside.write_bytes(data or made.key.read_bytes())
        aside.chmod(0o600)
        aside.replace(target)
    return certificate, key


@contextlib.contextmanager
def tls_domain(
    folder: Path,
    front: Front,
    settings: Mapping[str, Any] | None = None,
    others: Sequence[TestPki] = (),
    *,
    assertions: Sequence[str] = (),
    program: Sequence[str] = (),
) -> Iterator[TlsDomain]:
    """A running server. `others` are PKIs that are trusted beside its own; assertions of these kinds are required.

    `program`: an installed one in place of the one under test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pki = TestPki.create(folder / "pki", keys="ec")
    client = pki.issue("client", "client")
    certificate, key = server_files(pki, folder)
    authorities = [each.authorities for each in (pki, *others)]
    table: dict[str, Any] = {
        "client_ca": authorities,
        "crl": [crl for each in (pki, *others) for crl in each.crls],
        "crl_refresh": 1,
    }
    if assertions:
        asked = {"required": True, "kinds": list(assertions), "anchors": [pki.authorities]}
        settings = merged({"assertions": asked}, settings or {})
    if front == "built-in":
        table |= {"certificate": certificate, "key": key}
        chosen = merged({"tls": table}, settings or {})
        with running(folder / "server", chosen, tls=_health(pki, client), program=program) as server:
            yield TlsDomain(front, pki, server, server.port, folder, client)
        return
    path = folder / "http.sock"
    chosen = merged({"tls": table, "server": {"unix_socket": path, "workers": 2}}, settings or {})
    write_lists(pki, folder / "front.crl")
    for other in others:
        with (folder / "front.crl").open("ab") as file:
            write_lists(other, folder / "other.crl")
            file.write((folder / "other.crl").read_bytes())
    with (folder / "authorities.pem").open("wb") as together:
        for each in authorities:
            with each.open("rb") as file:
                shutil.copyfileobj(file, together)
    files = Files(certificate, key, folder / "authorities.pem", folder / "front.crl")
    with running(folder / "server", chosen, program=program) as server, nginx_with(folder, path, files) as ahead:
        domain = TlsDomain(front, pki, server, ahead.port, folder, client, ahead)
        assert wire.eventually(lambda: domain.reaches(client))
        yield domain


def _health(pki: TestPki, client: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.authorities)
    context.load_cert_chain(client.certificate, client.key)
    return context
