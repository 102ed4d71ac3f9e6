"""One question to an OCSP responder over HTTP: no redirection, no proxy, a bounded answer in a bounded time.

Source: RFC 6960 appendix A.1.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

from pki.ocsp import MAX_RESPONSE

SILENCE: Final = 3.0
"""Seconds that a responder may be silent."""

TIME: Final = 5.0
"""Seconds from a connection to the whole answer."""

_HEADERS: Final = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response", "Connection": "close"}


class NoAnswer(Exception):
    """Nothing came that could be an OCSP response. The text says why, not where."""


def post(url: str, question: bytes) -> bytes:
    """What the responder at `url` answers; at most one byte more than MAX_RESPONSE is read. Raises NoAnswer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    try:
        with _connected(parts.hostname or "", port, ssl.create_default_context() if secure else None) as connected:
            connection = kind(parts.hostname or "", port)
            connection.sock = connected
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, question, _HEADERS)
            with connection.getresponse() as answer:
                if answer.status != http.HTTPStatus.OK:
                    raise NoAnswer(f"HTTP {answer.status}")
                data = answer.read(MAX_RESPONSE + 1)
                if answer.length and len(data) <= MAX_RESPONSE:
                    raise NoAnswer(f"{answer.length} bytes are missing")
                return data
    except OSError as error:
        raise NoAnswer(error.strerror or str(error) or type(error).__name__) from error
    except (http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"no HTTP answer: {type(error).__name__}") from error


@contextmanager
def _connected(host: str, port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A connection that ends when its time is over, whatever it is doing."""
    connected = socket.create_connection((host, port), SILENCE)
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(TIME, end)
    timer.daemon = True
    try:
        if context is not None:
            connected = context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
        timer.start()
        if isinstance(connected, ssl.SSLSocket):
            connected.do_handshake()
        yield connected
    finally:
        timer.cancel()
        connected.close()
        if over.is_set():
            raise TimeoutError(f"not complete after {TIME:g} s")
