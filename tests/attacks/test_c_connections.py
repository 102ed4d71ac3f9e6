"""Connections that say nothing, too little, too slowly or too much are cut; others are answered meanwhile."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from liasse.reception import BodyLimits
from soap.http import HttpLimits
from tests.e2e.wire import eventually
from tests.http_side import FAST, MULTIPART, HttpSide, http_side, own_certificate, package, read_all, request, status

CROWD = 1000


@contextmanager
def _crowd(side: HttpSide, first_words: bytes, size: int = CROWD) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(side.connect()) for _ in range(size)]
        for client in clients:
            if first_words:
                client.sendall(first_words)
        yield clients


def _serve_others_until_cut(
    side: HttpSide, clients: list[socket.socket], drip: Callable[[socket.socket], None] | None = None
) -> int:
    """Other requests are answered while the crowd waits; returns how many were, once the whole crowd is cut."""
    answered = 0
    waiting = set(clients)
    deadline = time.monotonic() + 60
    while waiting:
        assert time.monotonic() < deadline, f"{len(waiting)} connections are still open"
        assert status(side.send(request(b"<a/>"))) == 200
        answered += 1
        poll = select.poll()
        by_number = {client.fileno(): client for client in waiting}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(50):
            if not _is_open(by_number[number]):
                waiting.discard(by_number[number])
        if drip is not None:
            for client in list(waiting):
                try:
                    drip(client)
                except OSError:
                    waiting.discard(client)
    return answered


def _is_open(client: socket.socket) -> bool:
    try:
        return client.recv(1000) != b""
    except OSError:
        return False


@pytest.mark.parametrize(
    ("first_words", "reason"),
    [
        (b"", "header-timeout"),
        (b"POST /registry HTTP/1.1\r\nHost: a\r\nContent-Ty", "header-timeout"),
        (request(b"<Env", length=100_000), "body-idle"),
        (request(package(("d1@a", b"x"))[:150], MULTIPART, length=100_000), "body-idle"),
    ],
    ids=["silent", "half a header", "stalled body", "stalled package"],
)
def test_a_thousand_connections_that_stand_still(tmp_path: Path, first_words: bytes, reason: str) -> None:
    # a thousand envelopes that arrive together may be judged at once
    at_once = BodyLimits(in_flight=2 * CROWD, in_flight_per_client=2 * CROWD)
    patient = replace(FAST, minimum_rate_grace=4.0)  # longer than a busy machine needs between two looks at the crowd
    with http_side(tmp_path, patient, body=at_once) as side, _crowd(side, first_words) as clients:
        assert _serve_others_until_cut(side, clients) > 1
        assert side.cuts == [reason] * CROWD
        assert side.folder.left() == 0


def test_one_byte_at_a_time(tmp_path: Path) -> None:
    """A drip stops neither the clock of a header nor the rate that a body must keep."""
    with http_side(tmp_path) as side:
        for first_words, reason in (
            (b"GET / HTTP/1.1\r\nX: ", "header-timeout"),
            (request(b"", length=100_000), "slow"),
        ):
            with _crowd(side, first_words, 20) as clients:
                _serve_others_until_cut(side, clients, lambda client: client.sendall(b"x"))
            assert reason in side.cuts
            assert len(side.cuts) == 20
            side.cuts.clear()


def test_line_ends_do_not_keep_a_connection_alive(tmp_path: Path) -> None:
    with http_side(tmp_path) as side, _crowd(side, b"GET / HTTP/1.1\r\n\r\n", 5) as clients:
        for client in clients:
            assert b"200 OK" in client.recv(1000)
        _serve_others_until_cut(side, clients, lambda client: client.sendall(b"\r\n"))
        assert set(side.cuts) == {"header-timeout"}


@pytest.mark.parametrize(
    "line",
    [b"X-Endless: y\r\n", b"y", b"x", b"\r\n"],
    ids=["many lines", "one line", "target", "line ends"],
)
def test_endless_headers(tmp_path: Path, line: bytes) -> None:
    with http_side(tmp_path) as side:
        start = {b"y": b"GET / HTTP/1.1\r\nX: ", b"x": b"GET /", b"X-Endless: y\r\n": b"GET / HTTP/1.1\r\n"}.get(line, b"")
        with side.connect() as client:
            sent = 0
            try:
                client.sendall(start)
                while sent < 50_000_000:
                    client.sendall(line * 1000)
                    sent += 1000 * len(line)
            except OSError:
                pass
            response = read_all(client)
        assert sent < 20_000_000, "the header was never refused"
        assert not response or status(response) == 431
        assert side.cuts == ["header-size"]
        assert status(side.send(request(b"<a/>"))) == 200


@pytest.mark.parametrize("endless", [b"X-Trailer: y\r\n", b"y"], ids=["trailer lines", "one trailer line"])
def test_endless_trailers(tmp_path: Path, endless: bytes) -> None:
    start = b"POST /registry HTTP/1.1\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n0\r\n"
    with http_side(tmp_path) as side, side.connect() as client:
        client.sendall(start + (b"X: " if endless == b"y" else b""))
        with pytest.raises(OSError):  # noqa: PT012 - which write fails depends on buffers
            for _ in range(50_000):
                client.sendall(endless * 1000)
        assert side.cuts == ["header-size"]
        assert side.soap.finished == 0


def test_trailers_do_not_become_headers(tmp_path: Path) -> None:
    body = b"4\r\n<a/>\r\n0\r\nContent-Type: text/html\r\nExpect: x\r\n\r\n"
    head = b"POST /registry HTTP/1.1\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with http_side(tmp_path) as side:
        assert status(side.send(head + body)) == 200


def test_connections_of_one_address_are_capped(tmp_path: Path) -> None:
    with http_side(tmp_path, replace(FAST, connections_per_address=10, header_timeout=30.0)) as side:
        with _crowd(side, b"", 30) as clients:
            assert eventually(lambda: side.cuts == ["connections"] * 20)
            assert eventually(lambda: sum(not select.select([client], [], [], 0)[0] for client in clients) <= 10)
            time.sleep(0.3)
            assert sum(not select.select([client], [], [], 0)[0] for client in clients) == 10
        deadline = time.monotonic() + 10
        while side.server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert status(side.send(request(b"<a/>"))) == 200


def test_connections_of_all_are_capped(tmp_path: Path) -> None:
    with http_side(tmp_path, replace(FAST, connections=10, header_timeout=30.0)) as side, _crowd(side, b"", 30):
        assert eventually(lambda: side.cuts == ["connections"] * 20)
        assert eventually(lambda: len(side.server.server_state.connections) <= 10)
        time.sleep(0.3)
        assert len(side.server.server_state.connections) == 10


def test_a_connection_that_we_paused_is_not_cut(tmp_path: Path) -> None:
    """The client sends as fast as it is let; what takes long is our own work."""
    with http_side(tmp_path) as side:
        judge = side.soap.open

        def slow(root: bytes, incoming: object) -> object:
            time.sleep(3 * FAST.minimum_rate_grace)
            return judge(root, incoming)  # type: ignore[arg-type]

        side.soap.open = slow  # type: ignore[method-assign, assignment]
        response = side.send(request(package(("d1@a", b"x" * 3_000_000)), MULTIPART))
        assert status(response) == 200
        assert not side.cuts


def test_a_body_ahead_of_its_rate_may_pause(tmp_path: Path) -> None:
    with http_side(tmp_path) as side, side.connect() as client:
        body = request(package(("d1@a", b"x" * 100_000)), MULTIPART)
        client.sendall(body[:90_000])
        time.sleep(FAST.minimum_rate_grace + 0.3)
        client.sendall(body[90_000:])
        assert status(read_all(client)) == 200
        assert not side.cuts


def test_a_client_that_takes_no_answer_is_cut(tmp_path: Path) -> None:
    with http_side(tmp_path) as side, side.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request(package(root=b"give 100000000"), MULTIPART))
        deadline = time.monotonic() + 30
        while not side.records:
            assert time.monotonic() < deadline, "the answer is still offered"
            time.sleep(0.05)
        assert side.cuts == ["answer-idle"]
        assert side.records[0].bytes_out < 100_000_000


def test_the_certificate_of_a_client_and_its_silence_in_the_handshake(tmp_path: Path) -> None:
    """Silent connections before the handshake are cut too, and the application is given the client's certificate."""
    certificate, key = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    staged = tmp_path / "staged"
    staged.mkdir()
    limits = HttpLimits(connections_per_address=5000, header_timeout=1.0)
    with http_side(staged, limits, tls=context) as side, _crowd(side, b"", 200) as clients:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ours.load_cert_chain(certificate, key)
        ours.load_verify_locations(certificate)
        with side.connect() as plain, ours.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(request(b"<a/>"))
            assert status(read_all(client)) == 200
        for silent in clients:
            assert not _is_open(silent)
    expected = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    assert [each.certificate for each in side.soap.incoming] == [expected]
