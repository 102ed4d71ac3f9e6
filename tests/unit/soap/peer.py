"""A peer on a loopback socket whose every byte a test decides."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Responder = Callable[["Request", socket.socket], bytes | None]


@dataclass(frozen=True)
class Request:
    """A request as received: header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """Answers each request with what `respond` returns; None closes the connection without a word."""

    respond: Responder
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while (request := read_request(stream.readline, stream.read)) is not None:
                self.requests.append(request)
                answer = self.respond(request, connection)
                if answer is None:
                    return
                connection.sendall(answer)
                if b"\r\nConnection: close\r\n" in answer:
                    return


def read_request(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Request | None:
    line = readline().decode("latin-1").strip()
    if not line:
        return None
    headers = {}
    while header := readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line, headers, read(int(headers.get("content-length", "0"))))


@contextlib.contextmanager
def peer(respond: Responder, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """A listening peer; it is gone when the block ends."""
    running = Peer(respond)
    workers: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}/registry"

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                running.connections += 1
                worker = threading.Thread(target=quietly, args=(connection,), daemon=True)
                workers.append(worker)
                worker.start()

        def quietly(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                running.serve(tls.wrap_socket(connection, server_side=True) if tls else connection)

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield running
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for worker in workers:
                worker.join(timeout=5)


def response(
    body: bytes, status: int = 200, content_type: str | None = "application/soap+xml; charset=UTF-8", *more: str
) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}"] if content_type is not None else []
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode() + body
