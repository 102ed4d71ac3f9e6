"""HTTP/1.1 for the open network: uvicorn with the limits it lacks.

A connection is cut when its header is late or too long, when its body stands still or drips, when its answer is not taken,
or when its address has too many. One sweep over all connections does the timing, so that a request costs no timer. A
connection whose reading we paused ourselves is never blamed for the silence.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import signal
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from soap.answering import EXTENSIONS, Cycle
from soap.handshakes import Contexts, Handshakes, OnRefused

AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

CutReason = Literal["handshake", "header-timeout", "header-size", "body-idle", "slow", "answer-idle", "connections"]

PEER_CERTIFICATE = "peer_certificate"
"""The key of `scope["state"]` under which the client certificate is found, in DER; absent without one."""

_SWEEP_TICKS = 5  # of uvicorn's tick, a tenth of a second
_UPGRADE_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})
_IPV6_NETWORK = 64
_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a peer may do before anything it sends is understood. Durations in seconds, sizes in bytes; of one process.

    `header_timeout` also bounds a TLS handshake. A body must keep `minimum_rate` (bytes per second) after
    `minimum_rate_grace`; what it is ahead counts, up to `body_idle_timeout` of silence. `answer_idle_timeout` is how long a
    client may take nothing of an answer. A connection older than `connection_age` is ended once it has answered. An address
    begins `handshakes_per_address` TLS handshakes a second, further ones wait. Addresses of IPv6 count by their /64; a Unix
    socket is not counted.
    """

    connections: int = 2000
    connections_per_address: int = 200
    header_timeout: float = 10.0
    header_bytes: int = 32_768
    body_idle_timeout: float = 30.0
    minimum_rate: int = 4096
    minimum_rate_grace: float = 10.0
    answer_idle_timeout: float = 60.0
    keep_alive: float = 15.0
    connection_age: float = math.inf
    handshakes_per_address: float = 50.0


class _Phase(Enum):
    HEADER = "header"
    BODY = "body"
    WAITING = "waiting"  # for our answer, or for a further request


class _HeaderTooLarge(Exception):
    """Raised in a callback of the parser; it reaches us as its own error."""


class Gate:
    """Counts the connections of each address."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._open: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Whether one more connection of that address is allowed; it is counted then."""
        if self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One connection less."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


def counted_as(address: str) -> str:
    """The key under which an address is counted: itself, or its /64 network for IPv6."""
    if ":" not in address:
        return address
    try:
        inside = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if inside.ipv4_mapped is not None:
        return str(inside.ipv4_mapped)
    return str(ipaddress.IPv6Network((inside, _IPV6_NETWORK), strict=False))


class HttpProtocol(HttpToolsProtocol):
    """One connection. `check` must be called now and then; `on_cut` is told why a connection was cut."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        limits: HttpLimits,
        gate: Gate,
        on_cut: Callable[[CutReason], None],
    ) -> None:
        super().__init__(config, server_state, {})
        self.access_log = False
        self._limits = limits
        self._gate = gate
        self._on_cut = on_cut
        self._counted: str | None = None
        self._certificate: bytes | None = None
        self._phase = _Phase.HEADER
        self._born = self.loop.time()
        self._since = self._checked = self.loop.time()
        self._header_bytes = 0
        self._without_progress = 0
        self._progress = False
        self._too_large = False
        self._credit = 0.0
        self._new_body_bytes = 0
        self._unsent = 0
        self._sent_at = 0.0
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or abort it."""
        super().connection_made(transport)
        # uvicorn adds a connection before it counts; ours is among them.
        full = len(self.server_state.connections) > self._limits.connections
        if self.client is not None:
            address = counted_as(self.client[0])
            if not full and self._gate.admit(address):
                self._counted = address
            else:
                full = True
        if full:
            self._cut("connections")
            return
        own = transport.get_extra_info("socket")
        if own is not None and own.family != socket.AF_UNIX:
            # asyncio does so only where the listening socket was made with an explicit protocol number.
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificate = tls.getpeercert(binary_form=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place of the connection back."""
        if self._counted is not None:
            self._gate.leave(self._counted)
            self._counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; bytes that are neither body nor end of a header are capped."""
        if self._phase is _Phase.WAITING and (self.cycle is None or self.cycle.response_complete):
            self._begin_header()
        self._progress = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse_header()
            return
        self._without_progress = 0 if self._progress else self._without_progress + len(data)
        if self._without_progress > self._limits.header_bytes:
            self._too_large = True
            self._refuse_header()

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        if self._phase is not _Phase.HEADER:
            self._begin_header()
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line; the trailer of a chunked body is counted and dropped."""
        self._count_header(len(name) + len(value) + 4)
        if self._phase is _Phase.HEADER:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application starts, unless the parser takes the rest for another protocol: see `_feed`."""
        if self.parser.should_upgrade():
            return
        before, self.cycle = self.cycle, self._new_cycle()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # pipelined
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self._progress = True
        self._phase = _Phase.BODY
        self._checked = self.loop.time()
        self._credit = self._limits.minimum_rate_grace
        self._new_body_bytes = 0

    def _new_cycle(self) -> Cycle:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        version = self.parser.get_http_version()
        self.scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": {} if self._certificate is None else {PEER_CERTIFICATE: self._certificate},
            "extensions": EXTENSIONS,
        }
        return Cycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0"
            and self.parser.should_keep_alive()
            and self.loop.time() - self._born < self._limits.connection_age,
            self.on_response_complete,
        )

    def on_body(self, body: bytes) -> None:
        """Some bytes of the body."""
        self._progress = True
        self._new_body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._progress = True
        self._phase = _Phase.WAITING

    def on_response_complete(self) -> None:
        """The answer is written: the next request may start. The sweep ends a connection that none comes over."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._idle_since = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def check(self, now: float) -> None:
        """Cut the connection if it is late. `now` is the time of the loop."""
        elapsed, self._checked = now - self._checked, now
        if self._answer_is_stuck(now):
            self._cut("answer-idle")
        elif self.transport.is_closing():
            return
        elif self.flow.read_paused:
            self._since += elapsed
        elif self._phase is _Phase.HEADER:
            if now - self._since > self._limits.header_timeout:
                self._cut("header-timeout")
        elif self._phase is _Phase.BODY:
            if not self.cycle.waiting_for_100_continue:
                self._check_rate(elapsed)
        elif self.cycle.response_complete and now - self._idle_since > self._limits.keep_alive:
            self.transport.close()

    def _check_rate(self, elapsed: float) -> None:
        """The credit of a body in seconds: bytes earn it, time spends it, so that a fast start buys a bounded pause."""
        received, self._new_body_bytes = self._new_body_bytes, 0
        earned = self._credit + received / self._limits.minimum_rate
        self._credit = min(earned, max(self._limits.body_idle_timeout, self._credit)) - elapsed
        if self._credit < 0:
            self._cut("slow" if received else "body-idle")

    def _answer_is_stuck(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._sent_at = unsent, now
            return False
        return now - self._sent_at > self._limits.answer_idle_timeout

    def _begin_header(self) -> None:
        self._phase = _Phase.HEADER
        self._since = self.loop.time()

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            self._too_large = True
            raise _HeaderTooLarge

    def _feed(self, data: bytes) -> None:
        """Feed the parser; a request that offers another protocol (h2c, as some clients always do) is read as HTTP/1.1.

        The parser would take the body for that protocol's bytes, so the request starts over without its offer.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = self._without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                # As uvicorn's own: what follows a request that asks to close is no error, it is not answered.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError("CONNECT")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode("ascii"))]
        lines += [b"%b: %b" % header for header in self.headers if header[0] not in _UPGRADE_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close")
        return b"\r\n".join([*lines, b"", b""])

    def _refuse_header(self) -> None:
        if self._too_large:
            self._on_cut("header-size")
            self._refuse(431, "The header of the request is too large.")
        else:
            self._refuse(400, "Invalid HTTP request received.")

    def _refuse(self, status: int, text: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        body = text.encode("ascii") + b"\n"
        head = STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        head += b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(head + body)
        self.transport.close()

    def _cut(self, reason: CutReason) -> None:
        self._on_cut(reason)
        self.transport.abort()


def _unheard(_reason: CutReason) -> None:
    """Nobody counts."""


def _untold(_address: str, _reason: str) -> None:
    """Nobody is told."""


class Server(uvicorn.Server):
    """One process that serves an ASGI application on sockets that are already bound and listening.

    SIGTERM (and SIGINT, unless ignored) drains: no new connections, requests under way have `drain_timeout` seconds. With
    `tls`, the contexts of new connections, the handshake is bounded by the header's time limit, and `on_refused` is told of
    handshakes that failed. `on_started` is called when connections are accepted.
    """

    def __init__(
        self,
        app: AsgiApp,
        limits: HttpLimits,
        *,
        tls: Contexts | None = None,
        drain_timeout: float = 30.0,
        on_cut: Callable[[CutReason], None] = _unheard,
        on_refused: OnRefused = _untold,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=limits.keep_alive,  # type: ignore[arg-type]
            timeout_graceful_shutdown=math.ceil(drain_timeout),
        )
        super().__init__(config)
        self._limits = limits
        self._gate = Gate(limits.connections_per_address)
        self._on_cut = on_cut
        self._handshakes = self._prepare(tls, on_refused) if tls is not None else None
        self._on_started = on_started

    def _connection(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self._limits, self._gate, self._on_cut)

    def _prepare(self, contexts: Contexts, on_refused: OnRefused) -> Handshakes:
        def full(waiting: int) -> bool:
            return waiting + len(self.server_state.connections) >= self._limits.connections

        return Handshakes(
            contexts,
            self._connection,
            self._gate,
            counted_as=counted_as,
            full=full,
            timeout=self._limits.header_timeout,
            rate=self._limits.handshakes_per_address,
            on_cut=lambda too_many: self._on_cut("connections" if too_many else "handshake"),
            on_refused=on_refused,
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on the sockets."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        protocol = self._connection if self._handshakes is None else self._handshakes.protocol
        self.servers = [await loop.create_server(protocol, sock=each, backlog=self.config.backlog) for each in sockets or ()]
        self.started = True
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; clients whose handshake is not complete have nothing under way."""
        if self._handshakes is not None:
            self._handshakes.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Sweep over the connections twice a second."""
        if counter % _SWEEP_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                assert isinstance(connection, HttpProtocol)
                connection.check(now)
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while serving. Unlike the original, what was handled is not raised again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = [each for each in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, self.handle_exit) for each in handled}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def serve(app: AsgiApp, sockets: Sequence[socket.socket], limits: HttpLimits, **options: Any) -> None:
    """Serve until a signal ends it; `options` are those of Server. Returns after the requests under way have ended."""
    Server(app, limits, **options).run(sockets=list(sockets))
