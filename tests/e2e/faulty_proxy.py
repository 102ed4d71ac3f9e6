"""A proxy between the conformance tester and a right server that spoils every answer by one named fault."""

from __future__ import annotations

import base64
import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Passing:
    """An answer on its way back."""

    status: int
    content_type: str
    body: bytes

    def boundary(self) -> bytes:
        """The boundary of a package, empty for simple SOAP."""
        found = re.search(r'boundary="?([^";]+)', self.content_type)
        return found.group(1).encode() if found else b""

    def parts(self) -> list[bytes]:
        """The parts of a package, each with headers, without the line end before the next boundary."""
        pieces = self.body.split(b"--" + self.boundary())
        return [piece.removeprefix(b"\r\n").removesuffix(b"\r\n") for piece in pieces[1:-1]]


Alter = Callable[[Passing], Passing]


def _substitute(pattern: bytes, replacement: bytes) -> Alter:
    return lambda answer: replace(answer, body=re.sub(pattern, replacement, answer.body))


def _simple_retrieve(answer: Passing) -> Passing:
    """A retrieve answered as simple SOAP, its documents inline."""
    if b"RetrieveDocumentSetResponse" not in answer.body or not answer.boundary():
        return answer
    root, *others = answer.parts()
    contents = {}
    for part in others:
        head, _, data = part.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)content-id:\s*<([^>]+)>", head)
        assert found is not None
        contents[found.group(1)] = base64.b64encode(data)
    text = root.partition(b"\r\n\r\n")[2]
    for name, content in contents.items():
        href = b"cid:" + re.escape(name).replace(b"@", b"(?:@|%40)")
        text = re.sub(rb"<[^<>]*Include[^<>]*" + href + rb"[^<>]*?(?:/>|>\s*</[^<>]*Include>)", content, text)
    return Passing(answer.status, "application/soap+xml; charset=UTF-8", text)


def _flip_document_byte(answer: Passing) -> Passing:
    """The last byte of the last document changed by one bit."""
    if b"RetrieveDocumentSetResponse" not in answer.body or len(answer.parts()) < 2:
        return answer
    position = answer.body.rindex(b"\r\n--" + answer.boundary()) - 1
    body = bytearray(answer.body)
    body[position] ^= 1
    return replace(answer, body=bytes(body))


@dataclass(frozen=True)
class Fault:
    """A built-in fault and the check of the tester that has to find it."""

    alter: Alter
    check: str


FAULTS: Mapping[str, Fault] = {
    "lid left out": Fault(_substitute(rb' lid="[^"]*"', b""), "rim.objects"),
    "simple SOAP for a retrieve": Fault(_simple_retrieve, "http.media-type"),
    "another error code": Fault(
        _substitute(rb'errorCode="XDSRegistryDeprecatedDocumentError"', b'errorCode="XDSRegistryError"'), "error"
    ),
    "RelatesTo left out": Fault(
        _substitute(rb"(?s)<(?:[\w.-]+:)?RelatesTo[ >].*?</(?:[\w.-]+:)?RelatesTo>", b""), "wsa.relates-to"
    ),
    "a byte of the document changed": Fault(_flip_document_byte, "document"),
}


@contextmanager
def faulty_proxy(upstream: str, alter: Alter) -> Iterator[str]:
    """A proxy on loopback before the server `upstream` (scheme, host, port); yields its base URL. Only POST passes."""
    place = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
            try:
                connection.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"]})
                response = connection.getresponse()
                answer = Passing(response.status, response.getheader("Content-Type") or "", response.read())
            finally:
                connection.close()
            answer = alter(answer)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tester reports what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
