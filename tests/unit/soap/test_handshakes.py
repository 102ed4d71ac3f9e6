"""Handshakes: turns of an address, what a client sends early, and the alert that says why it is refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from soap.handshakes import ConnectionContext, Pace
from tests.e2e.wire import eventually
from tests.http_side import FAST, http_side, own_certificate, read_all, request, status


def test_turns_of_an_address_after_its_burst() -> None:
    pace = Pace(10.0)
    waits = [pace.wait("a", 100.0) for _ in range(45)]
    assert waits[:41] == [0.0] * 41
    assert waits[41:] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert pace.wait("b", 100.0) == 0.0
    assert pace.wait("a", 101.0) == 0.0, "time gives turns back"


def test_addresses_that_were_long_silent_are_forgotten() -> None:
    pace = Pace(10.0)
    for number in range(10_000):
        pace.wait(str(number), 100.0)
    assert pace.wait("late", 200.0) == 0.0
    assert len(pace._next) == 1


def contexts(folder: Path) -> tuple[ConnectionContext, ssl.SSLContext]:
    certificate, key = own_certificate(folder)
    ours, theirs = ConnectionContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (ours, theirs):
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(certificate)
    ours.verify_mode = ssl.CERT_REQUIRED
    return ours, theirs


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_that_comes_with_the_end_of_the_handshake(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Both leave in one write, as a fast client does it; nothing of the request is lost."""
    ours, theirs = contexts(tmp_path)
    theirs.maximum_version = version
    (tmp_path / "staged").mkdir()
    with http_side(tmp_path / "staged", tls=ours) as side, side.connect() as plain:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = theirs.wrap_bio(incoming, outgoing, server_hostname="localhost")
        asked = False
        answer = b""
        while not answer.endswith(b"</Envelope>"):
            try:
                if not asked:
                    client.do_handshake()
                    client.write(request(b"<a/>"))
                    asked = True
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                data = plain.recv(65536)
                assert data, "the connection ended"
                incoming.write(data)
        assert status(answer) == 200


def test_a_client_is_told_why_it_is_refused(tmp_path: Path) -> None:
    ours, theirs = contexts(tmp_path)
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.load_verify_locations(tmp_path / "certificate.pem")
    bare.maximum_version = ssl.TLSVersion.TLSv1_2
    (tmp_path / "staged").mkdir()
    with http_side(tmp_path / "staged", tls=ours) as side:
        with side.connect() as plain, pytest.raises(ssl.SSLError, match=r"(?i)alert handshake failure"):
            bare.wrap_socket(plain, server_hostname="localhost")
        with side.connect() as plain, theirs.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(request(b"<a/>"))
            assert status(read_all(client)) == 200


def test_connections_count_before_their_handshake(tmp_path: Path) -> None:
    ours, _ = contexts(tmp_path)
    (tmp_path / "staged").mkdir()
    limits = replace(FAST, connections_per_address=3)
    with http_side(tmp_path / "staged", limits, tls=ours) as side:
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(side.connect()) for _ in range(5)]
            assert all(_end(each) for each in silent)
        # What ends a handshake is counted after its end.
        assert eventually(lambda: sorted(side.cuts) == ["connections"] * 2 + ["handshake"] * 3)


def _end(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_is_no_tls_is_refused(tmp_path: Path) -> None:
    ours, _ = contexts(tmp_path)
    (tmp_path / "staged").mkdir()
    with http_side(tmp_path / "staged", tls=ours) as side, side.connect() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
        assert b"HTTP/1.1 200" not in read_all(plain)
        assert side.records == []
