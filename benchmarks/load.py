"""Keep-alive HTTP connections that send the same kind of request, and what was measured. Every answer is checked."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.messages import Message
from benchmarks.process import cpu_seconds


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request. `make` gives the next message, `right` judges the body of its answer."""

    name: str
    make: Callable[[], Message]
    right: Callable[[memoryview], bool]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. Times in milliseconds; `cpu` of the server and `client` of this process, for each request."""

    work: str
    connections: int
    requests: int
    rate: float
    p50: float
    p95: float
    p99: float
    cpu: float
    client: float
    received: int

    def line(self) -> str:
        """For people."""
        return (
            f"{self.work:<26}{self.connections:>4}{self.requests:>8}{self.rate:>9.0f}{self.p50:>9.2f}{self.p95:>9.2f}"
            f"{self.p99:>9.2f}{self.cpu:>9.3f}{self.client:>9.3f}"
        )


HEADER = (
    f"{'work':<26}{'conn':>4}{'requests':>8}{'req/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'cpu ms':>9}{'client':>9}"
)


class WrongAnswer(Exception):
    """An answer that is not what the work expects; a measurement with one is worth nothing."""


class Connection:
    """One connection, over TLS with `tls`; its buffer is used again for every answer."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._address, self._tls = address, tls
        self._host = f"{address[0]}:{address[1]}"
        self._socket: socket.socket | None = None
        self._buffer = bytearray(1 << 20)

    def ask(self, message: Message) -> tuple[int, memoryview]:
        """Send and read the whole answer: status and body, which is valid until the next call."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._socket = self._tls.wrap_socket(self._socket, server_hostname="localhost")
        self._socket.sendall(message.http(self._host))
        have, end = 0, -1
        while end < 0:
            have += self._more(have)
            end = self._buffer.find(b"\r\n\r\n", 0, have)
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        if at < 0:
            raise WrongAnswer(f"no Content-Length in {head!r}")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0])
        start, total = end + 4, end + 4 + size
        if total > len(self._buffer):
            self._buffer.extend(bytes(total - len(self._buffer)))
        while have < total:
            have += self._more(have)
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), memoryview(self._buffer)[start:total]

    def _more(self, have: int) -> int:
        assert self._socket is not None
        with memoryview(self._buffer) as view:
            got = self._socket.recv_into(view[have:])
        if not got:
            raise WrongAnswer("the server closed the connection")
        return got

    def close(self) -> None:
        """Close; the next request connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def send(address: tuple[str, int], work: Work, count: int = 1) -> None:
    """Send some requests, unmeasured."""
    connection = Connection(address)
    for _ in range(count):
        _exchange(connection, work, work.make())
    connection.close()


def _exchange(connection: Connection, work: Work, message: Message) -> tuple[float, int]:
    started = time.perf_counter()
    status, body = connection.ask(message)
    took = time.perf_counter() - started
    with body:
        if status != work.status or not work.right(body):
            raise WrongAnswer(f"{work.name}: HTTP {status} {bytes(body[:2000])!r}")
        return took, len(body)


def measure(
    address: tuple[str, int], pid: int, work: Work, connections: int, count: int, tls: ssl.SSLContext | None = None
) -> Figures:
    """Send `count` requests over `connections`; messages are made before the clock starts."""
    messages = [work.make() for _ in range(count)]
    left = iter(messages)
    taken = threading.Lock()
    times: list[float] = []
    failures: list[BaseException] = []
    received = 0

    def one() -> None:
        nonlocal received
        connection, own, size = Connection(address, tls), [], 0
        try:
            while not failures:
                with taken:
                    message = next(left, None)
                if message is None:
                    break
                took, length = _exchange(connection, work, message)
                own.append(took)
                size += length
        except (OSError, WrongAnswer) as error:
            failures.append(error)
        connection.close()
        with taken:
            times.extend(own)
            received += size

    threads = [threading.Thread(target=one) for _ in range(connections)]
    client, server, began = time.process_time(), cpu_seconds(pid), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    client, server = time.process_time() - client, cpu_seconds(pid) - server
    if failures:
        raise failures[0]
    times.sort()
    p50, p95, p99 = (times[min(count - 1, int(count * share))] * 1000 for share in (0.5, 0.95, 0.99))
    return Figures(
        work.name, connections, count, count / wall, p50, p95, p99, server / count * 1000, client / count * 1000, received
    )
