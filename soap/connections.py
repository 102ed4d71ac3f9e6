"""HTTP/1.1 for the SOAP client: kept connections to one address, bounded waits, and errors that say what may have happened.

What matters after a failure is whether the peer may have processed the request: NotConnected says that it cannot have, every
other error that it may have.
"""

from __future__ import annotations

import http.client
import select
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_CHUNK: Final = 262_144
_IDLE_SECONDS: Final = 4.0
_MOST_IDLE: Final = 8
_EARLY_ANSWER_SECONDS: Final = 2.0
_CERTIFICATE_ALERTS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE", "DECRYPT_ERROR")


class ClientError(Exception):
    """A request got no answer that can be read. `may_have_been_processed` is false where the peer cannot have seen it."""

    may_have_been_processed = True


class AddressError(ClientError, ValueError):
    """The address of a peer is not an http or https URL."""

    may_have_been_processed = False


class NotConnected(ClientError):
    """No connection, or it broke before the request had left completely: nothing was processed."""

    may_have_been_processed = False


class SentButNoAnswer(ClientError):
    """The request left, its answer did not arrive or broke off: the outcome is unknown."""


class BadAnswer(ClientError):
    """The peer answered something that is no SOAP answer to our request. `status` is that of HTTP, None below HTTP."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect (TLS included), of silence in either direction, and for one exchange in all."""

    connect: float = 5.0
    silence: float = 30.0
    total: float = 600.0


class HttpAnswer:
    """The answer to one POST.

    When `chunks` was read to its end the connection is kept; a `with` block that is left earlier cuts it.
    """

    def __init__(self, owner: Connections, held: _Held, response: http.client.HTTPResponse, *, reusable: bool) -> None:
        self._owner = owner
        self._held = held
        self._response = response
        self._reusable = reusable and not response.will_close
        self._complete = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    def header(self, name: str) -> str | None:
        """The value of a header field, None where it is absent; several are joined by commas."""
        return self._response.getheader(name)

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises SentButNoAnswer when it breaks off or takes too long."""
        while not self._response.isclosed():
            try:
                self._held.wait_at_most(self._owner.timeouts.silence)
                data = self._response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise SentButNoAnswer(f"the answer of {self._owner.name} broke off: {_cause(error)}") from error
            if not data:
                break
            yield data
        if self._response.length:
            raise SentButNoAnswer(f"the answer of {self._owner.name} broke off {self._response.length} bytes before its end")
        self._complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._response.close()
        if self._complete and self._reusable:
            self._owner.keep(self._held)
        else:
            self._held.connection.close()


class _Held:
    """A connection and the deadline of the exchange it is used for."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.socket = connection.sock
        self.deadline = 0.0
        self.idle_since = 0.0

    def wait_at_most(self, seconds: float) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the exchange is over")
        self.socket.settimeout(min(seconds, left))

    def refuses_us(self, error: Exception) -> bool:
        """Whether the peer ended the handshake over our certificate: with TLS 1.3 that is told after our side had ended."""
        reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
        new = not self.idle_since
        return new and "ALERT" in reason and any(word in reason for word in _CERTIFICATE_ALERTS)

    def usable(self) -> bool:
        """Whether the peer still keeps it: a kept connection has nothing to read, unless its end."""
        if time.monotonic() - self.idle_since > _IDLE_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)


class Connections:
    """Connections to one URL, reused between calls. Safe for concurrent calls; each takes a connection of its own.

    `tls` is used for https; without it the platform's trust store decides. Redirects are not followed, proxies not used.
    """

    def __init__(self, url: str, timeouts: Timeouts | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        self._tls, self._host, self._port, self._target = _read_url(url)
        self._context = (tls or ssl.create_default_context()) if self._tls else None
        self._idle: list[_Held] = []
        self._lock = threading.Lock()
        self.name = f"{self._host}:{self._port}"

    def post(self, content_type: str, size: int, chunks: Iterable[bytes]) -> HttpAnswer:
        """Send a body of `size` bytes. What iterating `chunks` raises passes through, after the connection was cut.

        Raises NotConnected and SentButNoAnswer.
        """
        held = self._take()
        held.deadline = time.monotonic() + self.timeouts.total
        try:
            return self._exchange(held, content_type, size, chunks)
        except BaseException:
            held.connection.close()
            raise

    def keep(self, held: _Held) -> None:
        """Take a connection back whose exchange is complete."""
        held.idle_since = time.monotonic()
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(held)
                return
        held.connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for held in idle:
            held.connection.close()

    def _take(self) -> _Held:
        while True:
            with self._lock:
                held = self._idle.pop() if self._idle else None
            if held is None:
                return self._connect()
            if held.usable():
                return held
            held.connection.close()

    def _connect(self) -> _Held:
        timeout = min(self.timeouts.connect, self.timeouts.total)
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        )
        connection.auto_open = 0  # never a second connection within one exchange
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotConnected(f"no connection to {self.name}: {_cause(error)}") from error
        return _Held(connection)

    def _exchange(self, held: _Held, content_type: str, size: int, chunks: Iterable[bytes]) -> HttpAnswer:
        connection, sent, source = held.connection, 0, iter(chunks)
        try:
            held.wait_at_most(self.timeouts.silence)
            connection.putrequest("POST", self._target, skip_accept_encoding=True)
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
        except OSError as error:
            return self._early_answer(held, error, sent, size)
        for chunk in source:
            try:
                held.wait_at_most(self.timeouts.silence)
                connection.send(chunk)
            except OSError as error:
                return self._early_answer(held, error, sent, size)
            sent += len(chunk)
        try:
            held.wait_at_most(self.timeouts.silence)
            return HttpAnswer(self, held, connection.getresponse(), reusable=True)
        except OSError as error:
            if held.refuses_us(error):
                raise NotConnected(f"{self.name} does not accept our certificate: {_cause(error)}") from error
            raise SentButNoAnswer(f"{self.name} got the request and did not answer: {_cause(error)}") from error
        except http.client.HTTPException as error:
            raise BadAnswer(f"{self.name} does not answer in HTTP: {_cause(error)}") from error

    def _early_answer(self, held: _Held, error: OSError, sent: int, size: int) -> HttpAnswer:
        """A peer that refuses may answer and stop reading; its answer is worth more than the broken connection."""
        try:
            held.wait_at_most(_EARLY_ANSWER_SECONDS)
            return HttpAnswer(self, held, held.connection.getresponse(), reusable=False)
        except (OSError, http.client.HTTPException) as other:
            if held.refuses_us(other):
                raise NotConnected(f"{self.name} does not accept our certificate: {_cause(other)}") from other
        raise NotConnected(f"the connection to {self.name} broke after {sent} of {size} bytes: {_cause(error)}") from error


def _read_url(url: str) -> tuple[bool, str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"the address {url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise AddressError(f"the address {url!r} is not accepted, expected http://host/path or https://host/path")
    if any(character <= " " or character > "~" for character in url):
        raise AddressError(f"the address {url!r} holds blanks or characters that need percent-encoding")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme == "https", host, port or (443 if parts.scheme == "https" else 80), target


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
