"""The answering half of a request: what the application sends, and one message more than ASGI has for a whole answer.

`WHOLE` is announced in `scope["extensions"]`. Its message gives status, headers (without Content-Length) and the pieces of a
body that is at hand; it goes out with one write. An answer in two messages goes out with two, and wakes its reader twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

WHOLE: Final = "http.response.whole"
EXTENSIONS: Final[dict[str, dict[object, object]]] = {WHOLE: {}}

_FULL = 1 << 18
_MOST_PIECES = 1024
"""What one writev takes on Linux."""


class Cycle(RequestResponseCycle):
    """uvicorn's cycle of one request, with `WHOLE`."""

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Take a message of the application."""
        if message["type"] != WHOLE:
            await super().send(message)  # type: ignore[arg-type]
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            raise RuntimeError("a whole answer after another one has begun")
        self.response_started = True
        self.waiting_for_100_continue = False
        self._write(message["status"], message["headers"], message["pieces"])
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], pieces: tuple[bytes, ...]) -> None:
        size = sum(map(len, pieces))
        lines = [b"%b: %b\r\n" % header for header in (*self.default_headers, *headers)]
        head = b"%b%bcontent-length: %d\r\n%b\r\n" % (
            STATUS_LINE[status],
            b"".join(lines),
            size,
            b"" if self.keep_alive else b"connection: close\r\n",
        )
        if head.count(b"\n") != len(lines) + 3 + (not self.keep_alive):
            raise RuntimeError("a line end inside a header")
        if self.scope["method"] == "HEAD":
            self.transport.write(head)
        else:
            self._leave((head, *pieces))

    def _leave(self, pieces: tuple[bytes, ...]) -> None:
        """The socket takes what it can from where the pieces are; the transport, which would join them, sends the rest."""
        transport, sent = self.transport, 0
        if self.scope["scheme"] != "http":
            for joined in _joined(pieces):
                transport.write(joined)
            return
        if len(pieces) <= _MOST_PIECES and not transport.get_write_buffer_size() and not transport.is_closing():
            try:
                sent = os.writev(transport.get_extra_info("socket").fileno(), pieces)
            except OSError:  # a full or a broken connection: the transport will see the same
                sent = 0
        if left := _after(pieces, sent):
            transport.writelines(left)


def _joined(pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each piece that TLS is given becomes a record of its own."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _FULL:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _after(pieces: tuple[bytes, ...], sent: int) -> list[bytes]:
    """What is left of `pieces` behind their first `sent` bytes; no empty one: asyncio would try for ever to send it."""
    for number, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:], *filter(None, pieces[number + 1 :])]
        sent -= len(piece)
    return []
