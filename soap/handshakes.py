"""TLS handshakes: who may begin one and when, how long it may take, and what is told of those that fail.

A connection counts for its address before its handshake, not after. One address begins no more than so many handshakes a
second: further ones wait for their turn, so that a flood of them leaves the processor to connections that are established.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Protocol

Contexts = Callable[[], ssl.SSLContext]
"""Gives the context of one new connection; one of the kind `ConnectionContext` tells clients why they are refused."""

OnRefused = Callable[[str, str], None]
"""Told the address of a client and why no session was agreed with it."""

_BURST: Final = 4.0
_MANY: Final = 10_000


class _Telling(ssl.SSLObject):
    """Has the alert sent when a handshake fails: asyncio keeps it to itself, and the client would see a bare end."""

    send_alert: Callable[[], None]

    def do_handshake(self) -> None:
        """As usual."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            self.send_alert()
            raise


class ConnectionContext(ssl.SSLContext):
    """The context of one connection only, whose `transport` takes the alert."""

    sslobject_class = _Telling
    transport: asyncio.Transport

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As usual."""
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _Telling)
        made.send_alert = lambda: self.transport.write(outgoing.read())
        return made


class Pace:
    """Turns of each address: `rate` a second, after a burst of four seconds' worth. Times are those of the loop."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next: dict[str, float] = {}

    def wait(self, address: str, now: float) -> float:
        """Seconds until the next turn of `address`, which is thereby taken."""
        if len(self._next) >= _MANY:
            self._next = {key: due for key, due in self._next.items() if due > now - _BURST}
        due = max(self._next.get(address, 0.0), now - _BURST)
        self._next[address] = due + 1 / self._rate
        return max(0.0, due - now)


class Admission(Protocol):
    """Counts connections; see `soap.http.Gate`."""

    def admit(self, address: str) -> bool: ...

    def leave(self, address: str) -> None: ...


class Handshakes:
    """The connections of one process whose handshake is not complete.

    `begin` gives the protocol of a connection that has one. `timeout` is in seconds, the wait for a turn included. `on_cut`
    is told of connections that were cut before any answer; `on_refused` of those with which no session was agreed.
    """

    def __init__(
        self,
        contexts: Contexts,
        begin: Callable[[], asyncio.Protocol],
        admission: Admission,
        *,
        counted_as: Callable[[str], str],
        full: Callable[[int], bool],
        timeout: float,
        rate: float,
        on_cut: Callable[[bool], None],
        on_refused: OnRefused,
    ) -> None:
        self._contexts, self._begin, self._admission = contexts, begin, admission
        self._counted_as, self._full = counted_as, full
        self._timeout, self._pace = timeout, Pace(rate)
        self._on_cut, self._on_refused = on_cut, on_refused
        self._waiting: dict[asyncio.Task[None], asyncio.Transport] = {}

    def protocol(self) -> asyncio.Protocol:
        """The protocol of a connection that was just accepted."""
        return _Arrival(self)

    def close(self) -> None:
        """Abort those that are not complete."""
        for transport in self._waiting.values():
            transport.abort()

    def arrived(self, transport: asyncio.Transport) -> None:
        """Begin, or abort a connection that is one too many."""
        transport.pause_reading()
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        key = self._counted_as(address)
        wait = self._pace.wait(key, asyncio.get_running_loop().time())
        if wait > self._timeout or self._full(len(self._waiting)) or not self._admission.admit(key):
            self._on_cut(True)
            transport.abort()
            return
        task = asyncio.ensure_future(self._agree(transport, address, key, wait))
        self._waiting[task] = transport
        task.add_done_callback(self._waiting.pop)

    async def _agree(self, transport: asyncio.Transport, address: str, key: str, wait: float) -> None:
        """The handshake, then the connection over to its own protocol, which counts it again."""
        early = _Early()
        try:
            if wait:
                await asyncio.sleep(wait)
            if transport.is_closing():
                return
            context = self._contexts()
            if isinstance(context, ConnectionContext):
                context.transport = transport
            secured = await asyncio.get_running_loop().start_tls(
                transport, early, context, server_side=True, ssl_handshake_timeout=max(0.1, self._timeout - wait)
            )
        except ssl.SSLError as error:
            self._on_refused(address, _reason(error))
            return
        except OSError as error:  # silence, or the end of the connection
            if isinstance(error, ConnectionAbortedError):
                self._on_cut(False)
            return
        finally:
            self._admission.leave(key)
        if secured is not None:
            early.hand_over(secured, self._begin())


class _Arrival(asyncio.Protocol):
    """A connection before its handshake: nothing of it is read."""

    def __init__(self, handshakes: Handshakes) -> None:
        self._handshakes = handshakes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Pass it on."""
        self._handshakes.arrived(transport)


class _Early(asyncio.Protocol):
    """Keeps what a client sends together with the end of its handshake until the connection has its own protocol."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._ended: asyncio.Protocol | None = None
        self._lost = False

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self._data.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, when the end was scheduled before the connection was handed over."""
        self._lost = True
        if self._ended is not None:
            self._ended.connection_lost(exc)

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """The connection is `protocol`'s from now on."""
        if self._lost:
            return
        self._ended = protocol
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self._data:
            if not transport.is_closing():
                protocol.data_received(data)


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return (error.reason or type(error).__name__).replace("_", " ").lower()
