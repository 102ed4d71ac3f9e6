"""The ASGI application: SOAP endpoints, pages for GET, and nothing else.

A simple-SOAP request costs one hop to a worker thread, and so does an MTOM request that has arrived whole. A larger package
is judged as soon as its root part is complete, before more of it is read; its other parts are written aside in blocks.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from liasse.answer import Answer, close_chunks, next_block, plain, render
from liasse.front import front_address, front_certificate, refuse_claims
from liasse.logs import log_line
from liasse.reception import BodyLimits, Disconnected, Receive, Refusal, RequestBody, StageFactory, header_values
from liasse.upload import UNTOLD, Package, Service, charset, hold
from soap.answering import WHOLE
from soap.mime_headers import MediaType, MimeError, read_media_type
from soap.transaction import Incoming, SoapServer

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Pages = Callable[[str, str, str], tuple[int, str, bytes] | None]
"""Answers GET: path, query and Host header to (status, content type, bytes), or None. In the event loop: must not block."""

ENDPOINTS = ("/registry", "/repository")
"""Where both actors are; the one that an instance does not have answers with a fault."""

_SIMPLE = frozenset({"application/soap+xml", "text/xml"})
_NO_STORE = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What is known of a request once it is over: for counters and one log line.

    `path` is "" unless it is an endpoint. `outcome` is that of the SOAP answer ("success", "partial", "warning", "failure",
    "fault") where one was sent whole, otherwise another stable word ("page", "truncated", "cut", the reason of a refusal…).
    `action` and `fault` are those of the reply, `transaction` is its number where the message reached one.
    """

    method: str
    path: str
    peer: str
    status: int
    outcome: str
    bytes_in: int
    bytes_out: int
    seconds: float
    action: str | None = None
    fault: str | None = None
    transaction: str | None = None


def create_app(
    server: SoapServer,
    stages: StageFactory,
    pages: Pages,
    limits: BodyLimits,
    pool: Executor,
    *,
    paths: Collection[str] = ENDPOINTS,
    observe: Callable[[RequestRecord], None] | None = None,
) -> AsgiApp:
    """The application of one process.

    `paths` are those that SOAP messages are posted to. `observe` is told of every request at its end, in the event loop.
    """
    return application(Service(server, stages, limits, pool), pages, paths, observe)


def application(
    service: Service,
    pages: Pages,
    endpoints: Collection[str],
    observe: Callable[[RequestRecord], None] | None,
) -> AsgiApp:
    """The application over a service that the caller keeps an eye on."""
    paths = {path: f"POST {path}" for path in endpoints}

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"ASGI scope {scope['type']!r}: only http is served")
        request = _Request(scope, receive, send, service)
        answer: Answer | None = None
        try:
            answer = await request.answer(pages, paths)
            await request.respond(answer)
        except Disconnected:
            request.outcome = "truncated"
        finally:
            record = request.record(paths, answer)
            _log_request(record, paths.get(record.path, "request"))
            if observe is not None:
                observe(record)

    return app


def _log_request(record: RequestRecord, event: str) -> None:
    """One line: pages, which monitors ask for all the time, at debug level."""
    log = structlog.get_logger().debug if record.outcome == "page" else log_line
    log(
        f"truncated {event}" if record.outcome == "truncated" else event,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        code=record.fault or record.outcome,
        duration=round(record.seconds, 6),
        logger="liasse.http",
        peer=record.peer,
        status=record.status,
        transaction=record.transaction,
    )


def _page(pages: Pages, request: _Request, endpoints: Collection[str]) -> Answer:
    if request.method in ("GET", "HEAD"):
        page = pages(request.path, request.query, request.host)
        if page is not None:
            status, content_type, body = page
            return Answer(status, content_type, len(body), (body,), outcome="page")
    if request.path not in endpoints:
        return plain(404, "no such resource", "not-found")
    answer = plain(405, "this address takes SOAP messages by POST", "method")
    answer.headers = ((b"allow", b"POST"),)
    return answer


class _Request:
    """One request from its header to the end of its answer."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, service: Service) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._service = service
        self._started = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.peer: str | None = scope["client"][0] if scope.get("client") else None
        self.outcome = ""
        self._status = 0
        self._sent = 0
        self._body: RequestBody | None = None
        self._certificate: bytes | None = None
        self._address = self.peer or UNTOLD

    @property
    def query(self) -> str:
        """The query string as text, not decoded."""
        return str(self._scope.get("query_string", b"").decode("latin-1"))

    @property
    def host(self) -> str:
        """The Host header, empty without one."""
        values = [value for name, value in self._scope["headers"] if name == b"host"]
        return str(values[0].decode("latin-1")) if len(values) == 1 else ""

    def record(self, endpoints: Collection[str], answer: Answer | None) -> RequestRecord:
        """The summary of a request that is over."""
        return RequestRecord(
            self.method,
            self.path if self.path in endpoints else "",
            self._address,
            self._status,
            self.outcome or (answer.outcome if answer else "failed"),
            self._body.received if self._body else 0,
            self._sent,
            time.perf_counter() - self._started,
            answer.action if answer else None,
            answer.fault if answer else None,
            answer.transaction if answer else None,
        )

    async def answer(self, pages: Pages, endpoints: Collection[str]) -> Answer:
        """Receive a message and process it, or find the page that is asked for. Raises Disconnected."""
        try:
            if self.method == "POST" and self.path in endpoints:
                return await self._serve()
            return _page(pages, self, endpoints)
        except Refusal as refusal:
            return plain(refusal.status, str(refusal), refusal.reason)
        except MimeError as error:
            return plain(error.status, str(error), error.reason)
        except Disconnected:
            raise
        except Exception as error:
            structlog.get_logger().error("a request failed", logger="liasse.http", exc_info=error)
            return plain(500, "internal error", "failed")

    async def _serve(self) -> Answer:
        headers = header_values(self._scope["headers"])
        self._from_front(headers)
        self._body = RequestBody(self._receive, self._announced(), self._service.limits.request_size)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal(415, "Content-Encoding: expected none", "content-encoding")
        if b"content-type" not in headers:
            raise Refusal(415, "Content-Type: missing, expected application/soap+xml or multipart/related", "media-type")
        media_type = read_media_type(headers[b"content-type"].decode("latin-1"))
        if media_type.name == "multipart/related":
            return await Package(self._service, self._body, self.peer, self._incoming(media_type, mtom=True)).receive(
                media_type
            )
        if media_type.name in _SIMPLE:
            return await self._simple(self._body, self._incoming(media_type, mtom=False))
        raise Refusal(
            415,
            f"Content-Type: {media_type.name}, expected application/soap+xml or multipart/related",
            "media-type",
        )

    def _announced(self) -> int | None:
        """The length of the body where it is known; the HTTP parser has checked that it is a number given once."""
        length = 0
        for name, value in self._scope["headers"]:
            if name == b"transfer-encoding":
                return None
            if name == b"content-length":
                length = int(value)
        return length

    def _from_front(self, headers: Mapping[bytes, bytes]) -> None:
        """Who the client is: told by the front on the Unix socket, by the connection itself elsewhere."""
        if self.peer is not None:
            refuse_claims(self._scope["headers"])
            state = self._scope.get("state") or {}
            self._certificate = state.get("peer_certificate")
        else:
            self._certificate = front_certificate(headers)
            self._address = front_address(headers) or UNTOLD

    def _incoming(self, media_type: MediaType, *, mtom: bool) -> Incoming:
        return Incoming(
            path=self.path,
            mtom=mtom,
            peer=self._address,
            certificate=self._certificate,
            action_hint=media_type.parameters.get("action"),
            charset=None if mtom else charset(media_type),
        )

    async def _simple(self, body: RequestBody, incoming: Incoming) -> Answer:
        limit = self._service.limits.message_size
        held = self._service.held.open(self.peer)
        pieces: list[bytes] = []
        try:
            while data := await body.read():
                hold(held, body.received, len(data), limit)
                pieces.append(data)
            return await self._service.process(incoming, _answer_simple, self._service, b"".join(pieces), incoming)
        finally:
            held.give_back()

    async def respond(self, answer: Answer) -> None:
        """Send an answer; after an early one, read a little on before the connection is closed."""
        if self._body is None:
            self._body = RequestBody(self._receive, self._announced(), sys.maxsize)
        unread = not self._body.complete
        headers = list(answer.headers)
        if self.method == "POST":
            headers.append(_NO_STORE)
        if answer.content_type is not None:
            headers.append((b"content-type", answer.content_type.encode("latin-1")))
        self._status = answer.status
        if answer.rest is None and not unread and WHOLE in self._scope.get("extensions", ()):
            await self._send({"type": WHOLE, "status": answer.status, "headers": headers, "pieces": answer.first})
            self._sent = answer.size
            return
        headers.append((b"content-length", b"%d" % answer.size))
        if unread:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        more = answer.rest is not None or unread
        first = b"".join(answer.first)
        await self._send({"type": "http.response.body", "body": first, "more_body": more})
        self._sent = len(first)
        if answer.rest is not None:
            await self._stream(answer.rest)
        elif unread:
            if self._body.begun or not any(name == b"expect" for name, _ in self._scope["headers"]):
                await self._body.drain(self._service.limits.drain_bytes, self._service.limits.drain_seconds)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, rest: Iterator[bytes]) -> None:
        """Send the further blocks. When their source fails we stop without the last one: the server cuts the connection."""
        gone = asyncio.ensure_future(self._receive())
        ahead = self._next_block(rest)
        try:
            while not gone.done():
                block = await ahead
                if block:
                    ahead = self._next_block(rest)
                await self._send({"type": "http.response.body", "body": block, "more_body": bool(block)})
                self._sent += len(block)
                if not block:
                    return
            self.outcome = "client-gone"
        except Exception as error:
            self.outcome = "cut"
            structlog.get_logger().error("an answer was cut", logger="liasse.http", exc_info=error)
        finally:
            gone.cancel()
            with suppress(Exception):
                await ahead
            await self._service.hop(close_chunks, rest)

    def _next_block(self, rest: Iterator[bytes]) -> asyncio.Future[bytes]:
        """The next block, read and hashed in a worker thread while the one before it is sent."""
        return asyncio.ensure_future(self._service.hop(next_block, rest, self._service.limits.block))


def _answer_simple(service: Service, root: bytes, incoming: Incoming) -> Answer:
    exchange = service.server.open(root, incoming)
    reply = exchange.reply if exchange.reply is not None else service.server.finish(exchange, {})
    return render(reply, service.limits.block)
