"""Receiving a request: its body under caps, and the parts of an MTOM package written aside while they arrive.

What runs in the event loop never blocks; `Deposit` is the blocking half and runs in worker threads, one call at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from soap.mtom import PartBegin, PartData, PartEnd
from soap.staging import FailedPart
from soap.transaction import Exchange, Incoming, Part, Reply, SoapServer, StagedPart

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class StageFactory(Protocol):
    """Where received parts are written aside."""

    def new(self) -> StagedPart:
        """An empty part. May block."""
        ...


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a request may cost, in bytes and seconds.

    `message_size`: an envelope, alone or as root part. `request_size`: a whole request. `staged_*`: bytes of parts written
    aside before their root part is judged. `held_*`: bytes of envelopes in memory that are not yet complete. `in_flight`:
    requests that are processed or wait for it, `in_flight_per_client` of one client, of which `threads_per_client` are
    processed at once. `drain_*`: what is still read after an early refusal. `block`: bytes that go to or from a thread at
    once.
    """

    message_size: int = 16_777_216
    request_size: int = 1_073_741_824
    parts: int = 50
    staged_per_peer: int = 33_554_432
    staged_total: int = 268_435_456
    held_per_peer: int = 67_108_864
    held_total: int = 268_435_456
    in_flight: int = 64
    in_flight_per_client: int = 32
    threads_per_client: int = 6
    drain_bytes: int = 16_777_216
    drain_seconds: float = 5.0
    block: int = 262_144


class Refusal(Exception):
    """A request that ends here with an HTTP status and a short text; `reason` is a stable word for logs and counters."""

    def __init__(self, status: int, text: str, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class Disconnected(Exception):
    """The client went away before its request was complete."""


class Quota:
    """Bytes taken by all and by each peer; used in the event loop only. `peer` None is not counted on its own."""

    def __init__(self, per_peer: int, total: int) -> None:
        self._per_peer = per_peer
        self._total = total
        self._taken = 0
        self._by_peer: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """Bytes taken at present."""
        return self._taken

    def open(self, peer: str | None) -> Share:
        """The share of one request, at first empty."""
        return Share(self, peer)

    def _move(self, peer: str | None, size: int) -> bool:
        """Take (or give back, if negative); False, and nothing taken, when it does not fit."""
        own = self._by_peer.get(peer, 0) + size if peer is not None else 0
        if size > 0 and (own > self._per_peer or self._taken + size > self._total):
            return False
        self._taken += size
        if peer is not None:
            if own:
                self._by_peer[peer] = own
            else:
                self._by_peer.pop(peer, None)
        return True


class Share:
    """What one request has taken of a quota."""

    def __init__(self, quota: Quota, peer: str | None) -> None:
        self._quota = quota
        self._peer = peer
        self._size = 0

    def take(self, size: int) -> bool:
        """Whether `size` bytes more fit; they are taken then."""
        if not self._quota._move(self._peer, size):
            return False
        self._size += size
        return True

    def give_back(self) -> None:
        """Return all that was taken. Safe to call twice."""
        if self._size:
            self._quota._move(self._peer, -self._size)
            self._size = 0


class RequestBody:
    """The body of one request, read under a cap on the whole.

    `received` counts its bytes, `complete` says that the last one was given out, `begun` that reading was tried.
    """

    def __init__(self, receive: Receive, announced: int | None, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.received = 0
        self.begun = False
        self.complete = announced == 0
        if announced is not None and announced > limit:
            raise Refusal(413, f"the request announces {announced} bytes, at most {limit} are accepted", "size")

    async def read(self) -> bytes:
        """The next bytes, empty only at the end. Raises Refusal 413 beyond the cap, Disconnected."""
        while not self.complete:
            self.begun = True
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            data: bytes = message.get("body", b"")
            self.complete = not message.get("more_body", False)
            self.received += len(data)
            if self.received > self._limit:
                raise Refusal(413, f"the request is larger than {self._limit} bytes", "size")
            if data:
                return data
        return b""

    async def drain(self, size: int, seconds: float) -> None:
        """Read on and forget, at most that much and that long, so that a client that still sends can read its answer."""
        self._limit = self.received + size
        try:
            async with asyncio.timeout(seconds):
                while await self.read():
                    pass
        except (TimeoutError, Refusal, Disconnected):
            return


Work = PartBegin | PartData | PartEnd


class Deposit:
    """One MTOM message between its parts and the SOAP layer. Every method may block."""

    def __init__(self, server: SoapServer, stages: StageFactory) -> None:
        self._server = server
        self._stages = stages
        self._parts: dict[str, Part] = {}
        self._staged: list[StagedPart] = []
        self._current: StagedPart | None = None
        self._content_id = ""
        self._exchange: Exchange | None = None

    def judge(self, root: bytes, incoming: Incoming) -> Reply | None:
        """First phase of the exchange; a reply says that the message ends here."""
        self._exchange = self._server.open(root, incoming)
        return self._exchange.reply

    def stage(self, work: Sequence[Work]) -> None:
        """Write parts aside. A storage that fails gives a FailedPart, never an incomplete one."""
        for event in work:
            match event:
                case PartBegin():
                    self._begin(event)
                case PartData(data=data):
                    self._try(lambda part, data=data: part.write(data))  # type: ignore[misc]
                case PartEnd():
                    self._try(lambda part: part.close())

    def finish(self) -> Reply:
        """Second phase; afterwards whatever was not taken over is forgotten."""
        assert self._exchange is not None
        try:
            return self._server.finish(self._exchange, self._parts)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget every part. Safe to call twice."""
        staged, self._staged = self._staged, []
        for part in staged:
            try:
                part.discard()
            except Exception as error:
                structlog.get_logger().error("a staged part could not be discarded", exc_info=error)

    @property
    def staged(self) -> bool:
        """Whether there is something to discard."""
        return bool(self._staged)

    def _begin(self, event: PartBegin) -> None:
        self._content_id = event.content_id or ""
        try:
            self._current = self._stages.new()
            self._staged.append(self._current)
        except Exception as error:
            self._current = FailedPart(error)
        self._parts[self._content_id] = Part(self._content_id, event.media_type.name, self._current)

    def _try(self, act: Callable[[StagedPart], None]) -> None:
        assert self._current is not None
        try:
            act(self._current)
        except Exception as error:
            self._current = FailedPart(error)
            failed = self._parts[self._content_id]
            self._parts[self._content_id] = Part(failed.content_id, failed.media_type, self._current)


def header_values(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """The headers this side reads. Raises Refusal 400 when one of them is given twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in found:
                raise Refusal(400, f"the header {name.decode()} is given twice, expected once", "header")
            found[name] = value
    return found


_READ = frozenset({b"content-type", b"content-encoding", b"x-client-certificate", b"x-forwarded-for"})
