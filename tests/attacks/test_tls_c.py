"""Attacks on the transport, rows C1 to C11 of the catalogue, over TLS against the real server: built-in and behind nginx.

C2 (the certificate of one, the assertion of another) is with the assertions. What is asked of a single row in more depth is
in `tests.e2e.test_tls` and, over plain HTTP, in `test_c_connections`.
"""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from pki.testca import TestPki
from tests.e2e import wire
from tests.e2e.tls_domain import FRONTS, PATIENT, TlsDomain, ask, tls_domain

pytestmark = pytest.mark.nginx

QUERY = wire.find_documents(PATIENT)
HIDDEN = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that a smuggler would have the server take for one of its own."""


@pytest.fixture(scope="module", params=FRONTS)
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDomain]:
    settings = {"server": {"header_timeout": 3.0, "body_idle_timeout": 3.0, "minimum_rate_grace": 3.0}}
    with tls_domain(tmp_path_factory.mktemp("attacks"), request.param, settings) as made:
        yield made


def exchange(domain: TlsDomain, data: bytes, *, patience: float = 20.0) -> bytes:
    """Everything that comes back until the server ends the connection, or is silent for `patience` seconds."""
    received = b""
    with domain.connect(domain.context(domain.client)) as connection:
        connection.settimeout(patience)
        try:
            connection.sendall(data)
            while block := connection.recv(65536):
                received += block
        except OSError:
            pass
    return received


def statuses(answer: bytes) -> list[int]:
    """The statuses of all answers in a stream."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


def c1(domain: TlsDomain) -> None:
    stranger = TestPki.create(domain.folder / "stranger", keys="ec").issue("client", "client")
    lost = domain.pki.issue("client", "c1-lost")
    domain.pki.revoke("c1-lost")
    domain.new_lists()
    assert wire.eventually(lambda: not any(domain.served(lost) for _ in range(4)))
    for who in (None, stranger, domain.pki.issue("client", "c1-expired", days=-1)):
        assert not domain.served(who)
    assert domain.nginx is not None or {each["rule"] for each in domain.refusals()} >= {"tls-handshake"}


def c3(domain: TlsDomain) -> None:
    """The session and the connection of a certificate that is revoked after its first use."""
    lost = domain.pki.issue("client", "c3-lost")
    context = domain.context(lost, ssl.TLSVersion.TLSv1_2)
    with domain.connect(context) as first:
        assert ask(first, QUERY).verdict == "Success"
        domain.pki.revoke("c3-lost")
        assert wire.eventually(lambda: ask(first, QUERY).verdict == "fault Sender/FailedAuthentication")
        session = first.session
    domain.new_lists()

    def refused() -> bool:
        try:
            with domain.connect(context, session) as second:
                assert second.session_reused is False
                return ask(second, QUERY).verdict != "Success"
        except ConnectionError:
            return True
        except ssl.SSLError as error:
            return "revoked" in str(error).lower()

    # Each worker finds the new list in its own time.
    assert wire.eventually(lambda: all(refused() for _ in range(4)))
    assert wire.eventually(lambda: not any(domain.served(lost) for _ in range(4)))


def c4(domain: TlsDomain) -> None:
    for version, suites in (
        (ssl.TLSVersion.TLSv1_2, "AES256-SHA256:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "AECDH-AES256-SHA:@SECLEVEL=0"),
    ):
        assert not domain.served(domain.client, version=version, suites=suites), suites


def c5(domain: TlsDomain) -> None:
    for name in ("X-Client-Certificate", "x_client_certificate", "X-CLIENT_CERTIFICATE"):
        message = wire.Message(QUERY.path, QUERY.content_type, QUERY.body, (f"{name}: forged",))
        assert domain.send(message).status == (400 if domain.nginx is None else 200)


def c6(domain: TlsDomain) -> None:
    line = b"POST /registry HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
    hidden = b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"
    for name, data in {
        "length and chunks": line + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden,
        "chunks and length": line + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
        "two lengths": line + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        "a blank before the colon": line
        + b"Transfer-Encoding : chunked\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
        + HIDDEN,
        "chunked of another name": line + b"Transfer-Encoding: xchunked\r\n\r\n" + hidden,
        "two codings": line + b"Transfer-Encoding: chunked, identity\r\n\r\n" + hidden,
        "a length with a sign": line + b"Content-Length: +4\r\n\r\n<a/>" + HIDDEN,
        "a size of chunk that is none": line + b"Transfer-Encoding: chunked\r\n\r\n0x4\r\n<a/>\r\n0\r\n\r\n" + HIDDEN,
    }.items():
        found = statuses(exchange(domain, data, patience=1.0))
        assert len(found) <= 1, (name, found)
        assert all(400 <= status < 600 for status in found), (name, found)
    long = line + b"Transfer-Encoding: chunked\r\n\r\n4;x=" + b"y" * 1_000_000 + b"\r\n<a/>\r\n0\r\n\r\n"
    assert all(status >= 400 for status in statuses(exchange(domain, long)))


def c7(domain: TlsDomain) -> None:
    """Idle in each phase: other clients are answered, the idle ones are ended."""
    post = QUERY.as_bytes()
    beginnings: Mapping[str, bytes] = {"half a line": b"POST /regi", "half a header": post[:40], "half a body": post[:-50]}
    with ExitStack() as stack:
        context = domain.context(domain.client)
        waiting = []
        for number, beginning in enumerate([*beginnings.values()] * 10):
            connection = stack.enter_context(domain.connect(context, source=f"127.0.2.{number + 1}"))
            connection.sendall(beginning)
            connection.settimeout(60)
            waiting.append(connection)
        assert domain.served(domain.client)
        begun = time.monotonic()
        for connection in waiting:
            try:
                while connection.recv(1000):
                    pass
            except OSError:
                continue
        assert time.monotonic() - begun < 60
        assert domain.served(domain.client)


def c8(domain: TlsDomain) -> None:
    line = b"POST /registry HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
    large = exchange(domain, line + b"Content-Length: 99999999999\r\n\r\n<a", patience=15)
    assert statuses(large) == [413]
    many = exchange(domain, line + b"X: " + b"y" * 60_000_000, patience=15)
    assert all(status in (400, 414, 431) for status in statuses(many))
    waiting = exchange(domain, line + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", patience=40)
    assert all(status in (100, 408, 502) for status in statuses(waiting)), waiting
    assert wire.staged(domain.server) == []


def c9(domain: TlsDomain) -> None:
    bomb = zlib.compress(bytes(10_000_000))
    for coding in ("gzip", "deflate", "gzip, gzip", "br"):
        message = wire.Message(QUERY.path, QUERY.content_type, bomb, (f"Content-Encoding: {coding}",))
        assert domain.send(message).status == 415, coding


def c10(domain: TlsDomain) -> None:
    """A client that is connected is served while another address shakes hands again and again."""
    flood = domain.context(domain.client)
    with domain.connect(flood) as kept, ExitStack() as stack:
        for number in range(300):
            stack.enter_context(domain.tcp("127.0.3.1")).setblocking(False)
            if number % 50 == 0:
                with domain.connect(flood, source="127.0.3.1"):
                    assert ask(kept, QUERY).verdict == "Success"
        assert ask(kept, QUERY).verdict == "Success"
    assert domain.served(domain.client)


def c11(domain: TlsDomain) -> None:
    for start, expected in {
        "TRACE / HTTP/1.1": (404, 405),
        "PUT /registry HTTP/1.1": (405,),
        "DELETE /repository HTTP/1.1": (405,),
        "POST //registry HTTP/1.1": (404, 405),
        "POST /%2e%2e/registry HTTP/1.1": (400, 404, 405),
        "POST /registry;jsessionid=1 HTTP/1.1": (404, 405),
        "POST /../etc/passwd HTTP/1.1": (400, 404, 405),
        "POST /registry/ HTTP/1.1": (404, 405),
        "CONNECT x:1 HTTP/1.1": (400, 405),
    }.items():
        found = statuses(exchange(domain, f"{start}\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()))
        assert len(found) == 1, (start, found)
        assert found[0] in expected, (start, found)


ROWS: Mapping[str, Callable[[TlsDomain], None]] = {
    "C1": c1, "C3": c3, "C4": c4, "C5": c5, "C6": c6, "C7": c7, "C8": c8, "C9": c9, "C10": c10, "C11": c11,
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_an_attack_on_the_transport_is_refused(domain: TlsDomain, row: str) -> None:
    before = wire.stored(domain.server)
    ROWS[row](domain)
    assert wire.stored(domain.server) == before
    assert domain.served(domain.client)
