"""Whole answers, written at once, and connections that wait for a further request."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import pytest

from soap.answering import WHOLE, _after, _joined
from soap.http import HttpLimits, Server

Message = MutableMapping[str, Any]
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


@contextmanager
def serving(answer: Message, limits: HttpLimits | None = None) -> Iterator[socket.socket]:
    """A connection to a server that always gives this answer."""

    async def app(
        scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        assert WHOLE in scope["extensions"]
        await send(answer)

    started = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(app, limits or HttpLimits(), drain_timeout=1, on_started=started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(10)
            with socket.create_connection(listener.getsockname(), 20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


def whole(*pieces: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Message:
    """The message."""
    return {"type": WHOLE, "status": status, "headers": headers, "pieces": pieces}


def read_answer(client: socket.socket) -> tuple[bytes, bytes]:
    """Header and body of an answer of known length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    (size,) = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < size:
        body += client.recv(65536)
    return head, body


MANY = tuple(b"%06d" % number * 2000 for number in range(900))
"""More bytes than a socket takes at once."""


@pytest.mark.parametrize(
    "pieces", [(b"one",), (b"one", b"", b"two"), (), (b"x" * 8_000_000,), MANY, MANY + MANY, (b"", *MANY, b"")]
)
def test_a_whole_answer_arrives_and_the_connection_serves_again(pieces: tuple[bytes, ...]) -> None:
    with serving(whole(*pieces, headers=((b"x-own", b"1"),))) as client:
        for _ in range(3):
            client.sendall(GET)
            head, body = read_answer(client)
            assert body == b"".join(pieces)
            lines = head.split(b"\r\n")
            assert lines[0] == b"HTTP/1.1 200 OK"
            assert lines.count(b"x-own: 1") == 1
            assert sum(line.startswith(b"date: ") for line in lines) == 1
            assert b"connection: close" not in lines


def test_nothing_empty_is_left_for_the_transport() -> None:
    """From Python 3.12 on an empty piece at the end would stay in the transport's buffer and turn its loop for ever."""
    pieces = (b"", b"ab", b"", b"cd", b"")
    assert [_after(pieces, sent) for sent in range(5)] == [[b"ab", b"cd"], [b"b", b"cd"], [b"cd"], [b"d"], []]


@pytest.mark.parametrize("pieces", [(), (b"",), (b"a", b"", b"b"), MANY, (b"x" * 8_000_000, b"y"), (*MANY, b"")])
def test_tls_is_given_few_pieces(pieces: tuple[bytes, ...]) -> None:
    joined = list(_joined(pieces))
    assert b"".join(joined) == b"".join(pieces)
    assert all(joined)
    assert len(joined) <= sum(map(len, pieces)) // (1 << 18) + 1


def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    with serving(whole(b"a", b"b")) as client:
        client.sendall(GET * 5 + GET.replace(b"Host", b"Connection: close\r\nHost"))
        received = b""
        while data := client.recv(65536):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 6
    assert received.count(b"\r\n\r\nab") == 6
    assert received.count(b"connection: close") == 1


def test_head_is_answered_without_a_body() -> None:
    with serving(whole(b"abc")) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        received = b""
        while data := client.recv(65536):
            received += data
    assert received.endswith(b"content-length: 3\r\nconnection: close\r\n\r\n")


def test_http_1_0_is_closed_after_its_answer() -> None:
    with serving(whole(b"abc")) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while data := client.recv(65536):
            received += data
    assert b"\r\nconnection: close\r\n" in received
    assert received.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nx: y"])
def test_a_line_end_inside_a_header_is_never_sent(value: bytes) -> None:
    with serving(whole(b"abc", headers=((b"x-own", value),))) as client:
        client.sendall(GET)
        assert client.recv(65536) == b""


def test_a_connection_without_a_further_request_is_closed() -> None:
    with serving(whole(b"abc"), HttpLimits(keep_alive=0.2)) as client:
        client.sendall(GET)
        assert read_answer(client)[1] == b"abc"
        assert client.recv(65536) == b""


def test_a_connection_lives_as_long_as_requests_come() -> None:
    with serving(whole(b"abc"), HttpLimits(keep_alive=60)) as client:
        for _ in range(3):
            client.sendall(GET)
            assert read_answer(client)[1] == b"abc"
            asyncio.run(asyncio.sleep(0.6))  # more than one sweep
