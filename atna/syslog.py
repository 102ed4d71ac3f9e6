"""Syslog: the header and framing of audit messages, and the senders over TLS and UDP.

A batch over TLS has a connection of its own and counts as taken only when the collector has closed its side in answer to our
close_notify: it has then read everything. Neither protocol knows an acknowledgement of the application.
Source: RFC 5424 section 6; RFC 5425 sections 4.3 (octet counting), 4.4 (closure), 5.2 (names); RFC 5426; IHE ITI TF-2 3.20.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from atna.events import AuditEvent
from atna.message import Origin, halves, time_text, without_query, write_message
from atna.tls import TlsSender

PRIORITY: Final = 10 * 8 + 5
"""Facility 10 (security), severity 5 (notice)."""

MESSAGE_ID: Final = "IHE+RFC-3881"
APPLICATION: Final = "liasse"
DATAGRAM: Final = 65_507
"""Bytes of the largest datagram over IPv4."""

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_CONNECT: Final = 5.0


class CollectorError(Exception):
    """A batch was not surely taken; the text says why, without any data of a patient."""


class Collector(Protocol):
    """Where audit messages go."""

    def send(self, events: Sequence[AuditEvent]) -> None:
        """Deliver the events in order. Raises CollectorError: some of them, or all, may have arrived nevertheless."""
        ...


def syslog_message(event: AuditEvent, origin: Origin) -> bytes:
    """The SYSLOG-MSG of an event. PROCID is the process id and the event's own id: what arrives twice shows there."""
    host = _UNPRINTABLE.sub("", origin.host)[:255] or "-"
    header = f"<{PRIORITY}>1 {time_text(event.at)} {host} {APPLICATION} {event.process}.{event.id}"
    return f"{header[:512]} {MESSAGE_ID} - ".encode() + write_message(event, origin)


def frame(message: bytes) -> bytes:
    """The message after its length in bytes."""
    return b"%d %b" % (len(message), message)


@dataclass(frozen=True, slots=True)
class TlsCollector:
    """A collector over TLS. `ca` verifies its certificate, whose name must be `host`; `certificate` and `key` are ours.

    Files are read anew for each batch, and the name resolved anew. `patience`: seconds for one batch, its confirmation
    included.
    """

    host: str
    port: int
    origin: Origin
    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    patience: float = 30.0

    def send(self, events: Sequence[AuditEvent]) -> None:
        """As `Collector.send`, over one connection."""
        data = b"".join(frame(syslog_message(event, self.origin)) for event in events)
        deadline = time.monotonic() + self.patience
        try:
            context = self._context()
        except OSError as error:
            raise CollectorError(f"certificate, key or ca cannot be used: {_reason(error)}") from None
        try:
            with socket.create_connection((self.host, self.port), timeout=min(_CONNECT, self.patience)) as raw:
                connection = TlsSender(raw, context, self.host, deadline)
                connection.send(data)
                connection.close_confirmed()
        except TimeoutError:
            raise CollectorError(f"{self.host}:{self.port} did not take the batch within {self.patience:g} s") from None
        except OSError as error:
            raise CollectorError(f"{self.host}:{self.port}: {_reason(error)}") from None

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class UdpCollector:
    """A collector over UDP: nobody says what arrived. `largest`: bytes of one datagram.

    Nothing is ever cut: a message that is too long goes without its query, of which size and SHA-256 are told; one that is
    still too long goes as several messages.
    """

    host: str
    port: int
    origin: Origin
    largest: int = DATAGRAM

    def send(self, events: Sequence[AuditEvent]) -> None:
        """As `Collector.send`. That no one listens is noticed on the same machine at best."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, protocol) as sender:
                sender.settimeout(_CONNECT)
                sender.connect(address)
                for event in events:
                    for message in self._messages(event):
                        sender.send(message)
        except OSError as error:
            raise CollectorError(f"{self.host}:{self.port}: {_reason(error)}") from None

    def _messages(self, event: AuditEvent) -> list[bytes]:
        message = syslog_message(event, self.origin)
        if len(message) <= self.largest:
            return [message]
        small = without_query(event)
        if small != event:
            return self._messages(small)
        parts = halves(event)
        if len(parts) == 1:
            raise CollectorError(f"an event needs {len(message)} bytes, a datagram holds {self.largest}: use tls")
        return [one for part in parts for one in self._messages(part)]


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    return error.strerror or type(error).__name__
