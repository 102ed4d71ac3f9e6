"""One question over HTTP: what a responder, or whoever stands in its place, cannot make us do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from liasse import ocsp_client
from liasse.ocsp_client import NoAnswer, post
from pki.ocsp import MAX_RESPONSE

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n"


@contextmanager
def listening(speak: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """One connection at a time: the request is read, then `speak` does what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection, suppress(OSError):
                    speak(connection, read(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def read(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"question"):
        block = connection.recv(65_536)
        if not block:
            break
        data += block
    return data


def says(*parts: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(b"".join(parts))


def refusal(place: str) -> str:
    with pytest.raises(NoAnswer) as refused:
        post(place, b"question")
    return str(refused.value)


def test_a_question_and_its_answer() -> None:
    seen: list[bytes] = []

    def speak(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        connection.sendall(OK + b"Content-Length: 6\r\n\r\nanswer")

    with listening(speak) as place:
        assert post(f"http://{place}/status?of=ca", b"question") == b"answer"
    head = seen[0].decode()
    assert head.startswith("POST /status?of=ca HTTP/1.1\r\n")
    assert f"\r\nHost: {place}\r\n" in head
    assert "\r\nContent-Type: application/ocsp-request\r\n" in head
    assert "\r\nContent-Length: 8\r\n" in head


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "HTTP 503"),
        (OK + b"Content-Length: 100\r\n\r\nshort", "95 bytes are missing"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "no HTTP answer: BadStatusLine"),
        (b"", "Remote end closed connection without response"),
    ],
)
def test_what_is_no_answer(said: bytes, cause: str) -> None:
    with listening(says(said)) as place:
        assert refusal(f"http://{place}/") == cause


def test_an_endless_answer_is_read_to_its_bound() -> None:
    def speak(connection: socket.socket, _: bytes) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with listening(speak) as place:
        assert len(post(f"http://{place}/", b"question")) == MAX_RESPONSE + 1


def test_a_responder_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsp_client, "SILENCE", 0.2)

    def speak(connection: socket.socket, _: bytes) -> None:
        connection.recv(1)

    with listening(speak) as place:
        assert refusal(f"http://{place}/") == "timed out"


@pytest.mark.parametrize("beginning", [b"", OK, OK + b"Content-Length: 5000\r\n\r\n"])
def test_a_responder_that_drips_is_cut(beginning: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsp_client, "TIME", 0.5)
    over = threading.Event()

    def speak(connection: socket.socket, _: bytes) -> None:
        connection.sendall(beginning or b"HTTP/1.1 200 ")
        while not over.wait(0.02):
            connection.sendall(b"x")

    with listening(speak) as place:
        assert refusal(f"http://{place}/") == "not complete after 0.5 s"
        over.set()


def test_a_handshake_that_drips_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsp_client, "TIME", 0.5)
    over = threading.Event()

    def drip() -> None:
        """A record of the handshake that is announced and comes byte by byte."""
        connection = server.accept()[0]
        with connection, suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00\x02")
            while not over.wait(0.02):
                connection.sendall(b"\0")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        assert refusal(f"https://127.0.0.1:{server.getsockname()[1]}/") == "not complete after 0.5 s"
        over.set()
        thread.join(60)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refusal(f"http://127.0.0.1:{port}/") == "Connection refused"


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with listening(says(OK, b"Content-Length: 6\r\n\r\nanswer")) as place:
        assert post(f"http://{place}/", b"question") == b"answer"
