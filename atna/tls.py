"""A TLS connection that sends, and learns whether the peer has read everything.

`SSLSocket.unwrap` will not do: OpenSSL takes a fatal alert for the end of the peer's side too, so that a server which
refuses our certificate (in TLS 1.3 it does so after we have begun to write) would look like one that has read all. Here TLS
runs over memory, and what follows our close_notify is read as data: it is the peer's close_notify, an alert, or the end of
TCP.
Source: RFC 8446 section 6; RFC 5425 section 4.4.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 1 << 16
_LOOK_AGAIN: Final = 0.005


class TlsSender:
    """One connection over `raw`, an open TCP socket, until `deadline` (monotonic seconds). Methods raise OSError."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Agree upon a session with `host`, whose certificate is checked."""
        self._raw, self._deadline = raw, deadline
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._until_done(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send `data`; that it was sent means nothing yet."""
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            self._tls.write(view[start : start + _CHUNK])
            self._flush()

    def close_confirmed(self) -> None:
        """Say that we close, and wait until the peer does. A reset or an alert means that it did not read everything.

        Some collectors (rsyslog with GnuTLS) end the TCP connection without a close_notify of their own. That will do once
        their kernel has acknowledged every byte: had they closed without reading them, a reset would come instead.
        """
        try:
            self._tls.unwrap()  # with nothing to read it only says that we close
        except ssl.SSLWantReadError:
            self._flush()
        try:
            while True:
                self._until_done(lambda: self._tls.read(_CHUNK))  # a collector has nothing to say; it would do no harm
                _left(self._deadline)
        except ssl.SSLZeroReturnError:
            return
        except ssl.SSLEOFError:
            self._acknowledged()

    def _until_done(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._say_why()
                raise
            else:
                self._flush()
                return

    def _fill(self) -> None:
        self._raw.settimeout(_left(self._deadline))
        data = self._raw.recv(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._raw.settimeout(_left(self._deadline))
            self._raw.sendall(data)

    def _say_why(self) -> None:
        """Our own alert, if there is one: the peer's log should tell why we went away."""
        try:
            self._flush()
        except OSError:
            return

    def _acknowledged(self) -> None:
        """Wait until the peer's kernel has acknowledged what was sent."""
        while _unacknowledged(self._raw):
            _left(self._deadline)
            time.sleep(_LOOK_AGAIN)
        _raise_pending(self._raw)


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes that the peer's kernel has not acknowledged."""
    _raise_pending(connection)
    (left,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    return int(left)


def _raise_pending(connection: socket.socket) -> None:
    failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
