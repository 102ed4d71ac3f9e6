"""MLLP: HL7 messages framed by 0B and 1C 0D over TCP, one answer for each.

A peer that is silent, slow, too big, too numerous or does not read its answers is cut. Between frames CR and LF are passed
over; anything else there ends the connection.
Source: IHE ITI TF-2 Appendix C, HL7 Minimal Lower Layer Protocol.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

START, END = b"\x0b", b"\x1c\r"
_BETWEEN = b"\r\n"
_MOST_BETWEEN = 1024


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """Bytes of a message; seconds between messages, and for one to arrive or its answer to be taken; connections."""

    message_size: int = 1_048_576
    idle_timeout: float = 300.0
    message_timeout: float = 10.0
    connections: int = 64


OnMessage = Callable[[bytes, str], Awaitable[bytes]]
"""Takes a message without its frame and the peer's address; gives the answer without frame. May not raise."""


class _Cut(Exception):
    """The peer broke a rule of framing or a limit; the reason is constant text."""


class FeedServer:
    """A listening MLLP server. Made by `serve_feed`."""

    def __init__(self, on_message: OnMessage, limits: FeedLimits) -> None:
        self._on_message, self._limits = on_message, limits
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], bool] = {}

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections on a bound, listening socket."""
        self._server = await asyncio.start_server(self._connection, sock=listener, limit=self._limits.message_size + 2)

    async def close(self, patience: float = 5.0) -> None:
        """Accept no more; messages that are being answered have `patience` seconds to be, idle connections are closed."""
        if self._server is not None:
            self._server.close()
        for task, busy in list(self._open.items()):
            if not busy:
                task.cancel()
        if self._open:
            _, late = await asyncio.wait(list(self._open), timeout=patience)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._limits.connections:
            log.warning("a feed connection was refused: too many", transaction="ITI-8", count=len(self._open))
            writer.close()
            return
        self._open[task] = False
        try:
            while await self._one(reader, writer, task):
                pass
        except _Cut as error:
            log.warning("a feed connection was cut", transaction="ITI-8", peer=_peer(writer), code=str(error))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            del self._open[task]
            if not writer.transport.is_closing() and writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> bool:
        """Read one message and answer it. False when the peer has closed between messages."""
        if not await self._frame_begins(reader):
            return False
        message = await self._rest_of_frame(reader)
        self._open[task] = True
        reply = await self._on_message(message, _peer(writer))
        writer.write(START + reply + END)
        try:
            async with asyncio.timeout(self._limits.message_timeout):
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()
            raise _Cut("answers are not read") from None
        self._open[task] = False
        return self._server is not None and self._server.is_serving()

    async def _frame_begins(self, reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(self._limits.idle_timeout):
                for _ in range(_MOST_BETWEEN):
                    byte = await reader.read(1)
                    if byte == START:
                        return True
                    if not byte:
                        return False
                    if byte not in _BETWEEN:
                        break
        except TimeoutError:
            raise _Cut("idle") from None
        raise _Cut("bytes outside a frame")

    async def _rest_of_frame(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._limits.message_timeout):
                framed = await reader.readuntil(END[:1])
        except TimeoutError:
            raise _Cut("a message did not arrive in time") from None
        except asyncio.LimitOverrunError:
            raise _Cut("a message is too long") from None
        except asyncio.IncompleteReadError:
            raise _Cut("a message ended without its frame") from None
        if len(framed) > self._limits.message_size + 1:
            raise _Cut("a message is too long")
        return framed[:-1]


async def serve_feed(listener: socket.socket, on_message: OnMessage, limits: FeedLimits) -> FeedServer:
    """Serve MLLP on a bound, listening socket until `close`."""
    server = FeedServer(on_message, limits)
    await server.listen(listener)
    return server


def _peer(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else "unix"
