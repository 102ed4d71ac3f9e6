"""The sample configuration of nginx, with addresses and paths of the test, in front of the real HTTP side."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.http_side import (
    MULTIPART,
    HttpSide,
    body_of,
    headers_of,
    http_side,
    package,
    read_all,
    request,
    status,
)
from tests.nginx import nginx

pytestmark = pytest.mark.nginx


@dataclass
class Front:
    """nginx, and what is behind it."""

    port: int
    side: HttpSide
    tls: ssl.SSLContext

    @contextmanager
    def connect(self) -> Iterator[ssl.SSLSocket]:
        """A connection over TLS."""
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            yield client

    def send(self, data: bytes) -> bytes:
        """Send, and read to the end."""
        with self.connect() as client:
            client.sendall(data)
            return read_all(client)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    path, staged = tmp_path / "http.sock", tmp_path / "staged"
    staged.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with http_side(staged, listener=listener) as side, nginx(tmp_path, path) as (port, tls):
            yield Front(port, side, tls)


def test_messages_pass(front: Front) -> None:
    simple = front.send(request(b"<Envelope/>"))
    assert (status(simple), body_of(simple)) == (200, b"<Envelope>ok</Envelope>")
    assert headers_of(simple)["content-type"] == 'application/soap+xml; charset=UTF-8; action="urn:test:Response"'
    data = bytes(range(256)) * 20_000
    answer = front.send(request(package(("d1@a", data), root=b"give 2000000"), MULTIPART))
    assert status(answer) == 200
    assert len(body_of(answer)) == int(headers_of(answer)["content-length"]) > 2_000_000
    assert front.side.soap.parts["d1@a"][1] == len(data)
    assert {each.peer for each in front.side.soap.incoming} == {"127.0.0.1"}


def test_documents_are_not_collected_before_they_reach_us(front: Front) -> None:
    body = request(package(("d1@a", b"x" * 3_000_000)), MULTIPART)
    with front.connect() as client:
        client.sendall(body[:1_000_000])
        deadline = time.monotonic() + 20
        while not front.side.soap.roots:
            assert time.monotonic() < deadline, "the root part did not arrive while the client still sends"
            time.sleep(0.01)
        client.sendall(body[1_000_000:])
        assert status(read_all(client)) == 200


def test_an_early_refusal_reaches_the_client(front: Front) -> None:
    body = request(package(("d1@a", b"x" * 3_000_000), root=b"refuse"), MULTIPART)
    with front.connect() as client:
        client.sendall(body[:100_000])
        assert status(read_all(client)) == 500
    assert front.side.folder.left() == 0


def test_an_upload_cut_midway_leaves_nothing(front: Front) -> None:
    body = request(package(("d1@a", b"x" * 3_000_000)), MULTIPART)
    with front.connect() as client:
        client.sendall(body[:1_000_000])
        deadline = time.monotonic() + 20
        while not front.side.folder.made:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    while not front.side.records:
        assert time.monotonic() < deadline, "the upload is still waited for"
        time.sleep(0.01)
    assert front.side.records[0].outcome == "truncated"
    assert front.side.folder.left() == 0


def test_an_expecting_client_and_one_that_offers_http2(front: Front) -> None:
    with front.connect() as client:
        client.sendall(request(b"", length=4, headers="Expect: 100-continue\r\n"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"<a/>")
        assert status(read_all(client)) == 200
    assert status(front.send(request(b"<a/>", headers="Upgrade: h2c\r\n"))) == 200
