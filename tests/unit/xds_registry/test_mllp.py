"""Framing over real sockets: what is answered, what is cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from xds_registry.mllp import FeedLimits, FeedServer, serve_feed

PATIENCE = 20.0


async def echo(message: bytes, _peer: str) -> bytes:
    return b"ACK " + message


class Peer:
    """A client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\x1c\r")

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


Connect = Callable[[], Awaitable[Peer]]


def with_server(
    story: Callable[[Connect, FeedServer], Awaitable[None]],
    limits: FeedLimits | None = None,
    on_message: Callable[[bytes, str], Awaitable[bytes]] = echo,
) -> None:
    """Run a story against a server on a free port."""

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        server = await serve_feed(listener, on_message, limits or FeedLimits())
        peers: list[Peer] = []

        async def connect() -> Peer:
            peers.append(Peer(*await asyncio.open_connection("127.0.0.1", port)))
            return peers[-1]

        try:
            await story(connect, server)
        finally:
            for peer in peers:
                await peer.close()
            await server.close()

    asyncio.run(run())


def test_the_answer_is_framed() -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0bMSH|one\r\x1c\r")
        assert await peer.answer() == b"\x0bACK MSH|one\r\x1c\r"

    with_server(story)


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b"\r\r\n"])
def test_line_ends_between_frames_break_nothing(between: bytes) -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0bone\x1c\r" + between + b"\x0btwo\x1c\r" + between)
        assert [await peer.answer(), await peer.answer()] == [b"\x0bACK one\x1c\r", b"\x0bACK two\x1c\r"]

    with_server(story)


def test_a_message_may_come_byte_by_byte() -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        for byte in b"\x0bslow\x1c\r":
            peer.send(bytes([byte]))
            await peer.writer.drain()
        assert await peer.answer() == b"\x0bACK slow\x1c\r"

    with_server(story)


def test_connections_are_served_side_by_side() -> None:
    release = asyncio.Event()

    async def waiting(message: bytes, _peer: str) -> bytes:
        if message == b"wait":
            await release.wait()
        return message

    async def story(connect: Connect, _server: FeedServer) -> None:
        first, second = await connect(), await connect()
        first.send(b"\x0bwait\x1c\r")
        second.send(b"\x0bquick\x1c\r")
        assert await second.answer() == b"\x0bquick\x1c\r"
        release.set()
        assert await first.answer() == b"\x0bwait\x1c\r"

    with_server(story, on_message=waiting)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", FeedLimits()),
        (b"\n" * 1025, FeedLimits()),
        (b"\x0b" + b"a" * 2000 + b"\x1c\r", FeedLimits(message_size=1000)),
        (b"\x0b" + b"a" * 100_000, FeedLimits(message_size=1000)),
        (b"\x0bhalf", FeedLimits(message_timeout=0.05)),
        (b"", FeedLimits(idle_timeout=0.05)),
    ],
    ids=["no-frame", "endless-blanks", "too-long", "endless", "stalled", "silent"],
)
def test_peers_that_are_cut(data: bytes, limits: FeedLimits) -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        peer.send(data)
        assert await peer.rest() == b""

    with_server(story, limits)


def test_a_message_of_exactly_the_limit_is_answered() -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0b" + b"a" * 1000 + b"\x1c\r")
        assert len(await peer.answer()) == 1000 + len(b"\x0bACK \x1c\r")

    with_server(story, FeedLimits(message_size=1000))


def test_a_message_cut_off_by_its_sender_is_never_processed() -> None:
    seen: list[bytes] = []

    async def note(message: bytes, _peer: str) -> bytes:
        seen.append(message)
        return b""

    async def story(connect: Connect, _server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0bhalf a message")
        peer.writer.write_eof()
        assert await peer.rest() == b""

    with_server(story, on_message=note)
    assert seen == []


def test_connections_beyond_the_limit_are_refused_and_the_others_go_on() -> None:
    async def story(connect: Connect, _server: FeedServer) -> None:
        first = await connect()
        first.send(b"\x0bone\x1c\r")
        await first.answer()
        second = await connect()
        assert await second.rest() == b""
        first.send(b"\x0btwo\x1c\r")
        assert await first.answer() == b"\x0bACK two\x1c\r"

    with_server(story, FeedLimits(connections=1))


def test_a_peer_that_does_not_read_its_answers_is_cut() -> None:
    answered = asyncio.Event()

    async def big(_message: bytes, _peer: str) -> bytes:
        answered.set()
        return b"a" * 50_000_000

    async def story(connect: Connect, server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0bone\x1c\r")
        async with asyncio.timeout(PATIENCE):
            await answered.wait()
            while server.connections:
                await asyncio.sleep(0.01)
        assert len(await peer.rest()) < 50_000_000

    with_server(story, FeedLimits(message_timeout=0.1), big)


def test_closing_answers_what_was_begun_and_ends_idle_connections() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def waiting(message: bytes, _peer: str) -> bytes:
        begun.set()
        await release.wait()
        return message

    async def story(connect: Connect, server: FeedServer) -> None:
        busy, idle = await connect(), await connect()
        busy.send(b"\x0bone\x1c\r")
        await begun.wait()
        closing = asyncio.create_task(server.close())
        assert await idle.rest() == b""
        release.set()
        assert await busy.rest() == b"\x0bone\x1c\r"
        await closing

    with_server(story, on_message=waiting)


def test_closing_does_not_wait_for_ever() -> None:
    begun = asyncio.Event()

    async def stuck(_message: bytes, _peer: str) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async def story(connect: Connect, server: FeedServer) -> None:
        peer = await connect()
        peer.send(b"\x0bone\x1c\r")
        await begun.wait()
        await server.close(patience=0.05)
        assert await peer.rest() == b""

    with_server(story, on_message=stuck)
