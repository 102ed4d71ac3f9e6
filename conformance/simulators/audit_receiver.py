"""An audit record repository that judges what it is sent: over TLS with client certificates, and over UDP.

It can also misbehave, to see what a product does then: read slowly, reset connections, end them without a close_notify.
The command is in `receive.py`. Source: IHE ITI TF-2 3.20; RFC 5425, RFC 5426.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from conformance.findings import Finding
from conformance.simulators.audit_checks import Audit, judge
from conformance.simulators.syslog import FRAMING, FrameReader

_READ: Final = 65_536
_DATAGRAM: Final = 65_535
_LOOK: Final = 0.1
_IDLE: Final = 60.0
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that arrived: `transport` is tls, tcp or udp; `repeated` when the same bytes came before."""

    number: int
    transport: str
    peer: str
    message: bytes
    id: str
    audit: Audit | None
    findings: tuple[Finding, ...]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the receiver does with a connection.

    `pause`: seconds before each read of `read` bytes; `reset_after`: bytes after which a connection is reset; without
    `close_notify` it ends TCP only, as some products do. `refuse`: connections are closed before the handshake.
    """

    pause: float = 0.0
    read: int = _READ
    reset_after: int | None = None
    close_notify: bool = True
    refuse: bool = False


def server_context(certificate: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and 1.3; with `client_ca` a client certificate of that authority is required. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@dataclass
class AuditReceiver:
    """Listens until it is closed. Ports 0 take free ones, None does not listen. `context` None means TCP in clear.

    `notify` is called with each message, one at a time. `received` holds all, in the order in which they were complete;
    `failures` says which connections ended in an error, and how.
    """

    tcp: int | None = None
    udp: int | None = None
    host: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    notify: Callable[[Received], None] | None = None
    received: list[Received] = field(default_factory=list, init=False)
    failures: list[str] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)
    _seen: set[bytes] = field(default_factory=set, init=False)
    _threads: list[threading.Thread] = field(default_factory=list, init=False)
    _sockets: list[socket.socket] = field(default_factory=list, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def open(self) -> Self:
        """Bind and listen; afterwards `tcp` and `udp` are the ports taken. Raises OSError."""
        self._stop.clear()
        if self.tcp is not None:
            listener = self._bind(socket.SOCK_STREAM, self.tcp)
            listener.listen(16)
            self.tcp = listener.getsockname()[1]
            self._start(lambda: self._accept(listener))
        if self.udp is not None:
            receiver = self._bind(socket.SOCK_DGRAM, self.udp)
            self.udp = receiver.getsockname()[1]
            self._start(lambda: self._datagrams(receiver))
        return self

    def close(self) -> None:
        """End every connection and listen no more. It can be opened again, on the same ports."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()
        self._threads.clear()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        self.close()

    def wait_for(self, count: int, seconds: float) -> bool:
        """Whether `count` different messages have arrived within `seconds`."""
        end = time.monotonic() + seconds
        while len(self.different()) < count:
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK / 10)
        return True

    def different(self) -> list[Received]:
        """What arrived in a right frame, without repetitions."""
        with self._lock:
            return [one for one in self.received if not (one.repeated or any(f.check == FRAMING for f in one.findings))]

    def _bind(self, kind: socket.SocketKind, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        one = socket.socket(family, kind)
        self._sockets.append(one)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((self.host, port))
        one.settimeout(_LOOK)
        return one

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        workers: list[threading.Thread] = []
        while not self._stop.is_set():
            try:
                connection, address = listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            peer = f"{address[0]}:{address[1]}"
            worker = threading.Thread(target=self._serve, args=(connection, peer), daemon=True)
            worker.start()
            workers = [one for one in workers if one.is_alive()] + [worker]
        for worker in workers:
            worker.join()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        try:
            connection.settimeout(_IDLE)
            with connection:
                if self.behaviour.refuse:
                    return
                if self.context is None:
                    self._read(connection, peer, "tcp")
                    return
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self._read(secured, peer, "tls")
        except OSError as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            with self._lock:
                self.failures.append(f"{peer}: {reason or type(error).__name__}")

    def _read(self, connection: socket.socket, peer: str, transport: str) -> None:
        frames, read, last = FrameReader(), 0, time.monotonic()
        connection.settimeout(_LOOK)
        while not self._stop.is_set():
            behaviour = self.behaviour
            self._stop.wait(behaviour.pause)
            try:
                data = connection.recv(behaviour.read)
            except TimeoutError:
                if time.monotonic() - last > _IDLE:
                    raise
                continue
            last, read = time.monotonic(), read + len(data)
            for frame in frames.feed(data):
                self._take(transport, peer, frame.message, frame.findings)
            if not data:
                for frame in frames.end():
                    self._take(transport, peer, frame.message, frame.findings)
                if isinstance(connection, ssl.SSLSocket) and behaviour.close_notify:
                    with suppress(OSError):
                        connection.unwrap()
                return
            if behaviour.reset_after is not None and read >= behaviour.reset_after:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return

    def _datagrams(self, receiver: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                message, address = receiver.recvfrom(_DATAGRAM)
            except TimeoutError:
                continue
            self._take("udp", f"{address[0]}:{address[1]}", message, ())

    def _take(self, transport: str, peer: str, message: bytes, findings: tuple[Finding, ...]) -> None:
        judged = judge(message)
        digest = hashlib.sha256(message).digest()
        with self._lock:
            number = len(self.received) + 1
            repeated = digest in self._seen
            self._seen.add(digest)
            one = Received(
                number, transport, peer, message, judged.id, judged.audit, (*findings, *judged.findings), repeated
            )
            self.received.append(one)
            if self.notify is not None:
                self.notify(one)
