"""Playing recorded bytes over a socket, and reading the answer with the parser of the conformance tester."""

from __future__ import annotations

import http.client
import re
import socket

from conformance.answer import Answer, read_answer
from conformance.exchange import HttpResponse
from tests.e2e.server import RunningServer

_TIMEOUT = 30.0


def play(server: RunningServer, message: bytes) -> Answer:
    """Send raw HTTP as it is and read the whole answer."""
    with socket.create_connection(("127.0.0.1", server.port), _TIMEOUT) as connection:
        connection.sendall(message)
        with http.client.HTTPResponse(connection, method="POST") as response:
            response.begin()
            body = response.read()
            return read_answer(HttpResponse(response.status, response.reason, tuple(response.getheaders()), body))


def readdressed(message: bytes, server: RunningServer, path: str) -> bytes:
    """A recorded request with another path and Host; every other byte, chunk marks included, stays."""
    changed, first = re.subn(rb"^POST \S+ HTTP/1\.1\r\n", b"POST " + path.encode() + b" HTTP/1.1\r\n", message, count=1)
    changed, second = re.subn(rb"\r\nHost: [^\r]*\r\n", f"\r\nHost: {server.address}\r\n".encode(), changed, count=1)
    assert (first, second) == (1, 1)
    return changed
