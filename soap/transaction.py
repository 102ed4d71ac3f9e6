"""What a SOAP transaction is, and the values that travel between the HTTP side, the SOAP layer and the actors.

One exchange has two phases. `decode` runs as soon as the root part of the message is complete: envelope, addressing,
dispatch, body. `handle` runs when every further part has been received. A transaction that refuses in the first phase is
answered without reading the documents that follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lxml import etree

from soap.faults import Fault

Outcome = Literal["success", "partial", "warning", "failure", "fault"]
"""How an exchange ended: "warning" is a success with warnings, "partial" a success for some of what was asked, "failure" a
refusal in the transaction's own kind of answer, "fault" a SOAP fault."""


class StagedPart(Protocol):
    """A received part of an MTOM message while it is written aside. Methods may block: call them off the event loop."""

    def write(self, data: bytes) -> None:
        """Append decoded bytes."""
        ...

    def close(self) -> None:
        """No more bytes follow: hashes and size are final."""
        ...

    def discard(self) -> None:
        """Forget the bytes. Safe to call twice, and after they were taken over."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part that followed the root part: its Content-ID without brackets and percent-decoded, its media type, its bytes."""

    content_id: str
    media_type: str
    staged: StagedPart


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document that leaves as a part of its own; `chunks` gives its bytes once, `size` of them."""

    content_id: str
    media_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Body:
    """The serialised child of the SOAP Body (UTF-8 pieces, declaring its own namespaces) and the parts it includes.

    `outcome` tells logs and counters what the pieces say.
    """

    pieces: tuple[bytes, ...]
    attachments: tuple[Attachment, ...] = ()
    outcome: Outcome = "success"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What the HTTP side knows of a request.

    `path` without query; `mtom` when the message is a multipart package; `peer` the address as text; `certificate` the
    client certificate in DER where TLS gave one; `action_hint` the action parameter of Content-Type, never authoritative.
    """

    path: str
    mtom: bool
    peer: str
    certificate: bytes | None = None
    action_hint: str | None = None
    charset: str | None = None


@dataclass(slots=True)
class Call:
    """One exchange in the hands of a transaction.

    `request` is what `decode` returned; `parts` are filled before `handle`, by Content-ID. `security` is the wsse:Security
    header element, if any; `message` the bytes it was parsed from; `caller` what the server's `authenticate` made of them.
    `evidence` are the signed bytes that proved the caller, where they are yet to be kept: `authenticate` sets it.
    `deadline` is a monotonic time in seconds after which nobody waits for the answer.
    """

    transaction: Transaction
    incoming: Incoming
    message_id: str
    action: str
    reply_to: str | None
    body: etree._Element
    security: etree._Element | None = None
    message: bytes = b""
    caller: Any = None
    evidence: bytes = b""
    request: Any = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    deadline: float | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the message's root part, lower-case hexadecimal."""
        return hashlib.sha256(self.message).hexdigest()


OnFault = Callable[["Call", Fault], None]
"""Is told of the fault that a dispatched call is answered with, before it is sent. May block."""

Authenticate = Callable[[Call], Any]
"""Says who calls, before the body is decoded; a Fault that it raises is the answer. May block."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The descriptor of one IHE transaction on one endpoint.

    `decode(call)` reads the body element and may raise; `handle(call)` answers and may raise; `refuse(call, exception)`
    turns what either raised into an answer of the transaction's own kind, or returns None when it knows no such answer (a
    Fault is then sent). `request_actions` are all accepted wsa:Action values, the first is the one we send. `mtom` says
    that the answer is always an MTOM package; `mtom_in_kind` that a simple-SOAP request is answered as simple SOAP.
    """

    number: str
    title: str
    endpoint: str
    request_actions: tuple[str, ...]
    response_action: str
    body_root: str
    decode: Callable[[Call], Any]
    handle: Callable[[Call], Body]
    refuse: Callable[[Call, Exception], Body | None]
    mtom: bool = False
    mtom_in_kind: bool = False

    @property
    def method_name(self) -> str:
        """The name of the spyne service method: `iti18` for ITI-18."""
        return self.number.replace("-", "").lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP: status, the envelope in pieces, and the attachments if the answer is an MTOM package.

    No `pieces` means an empty body without Content-Type (status 202: the sender asked for no answer). `media_type` is that
    of the envelope: "application/soap+xml", or "text/xml" for the VersionMismatch that answers a SOAP 1.1 message.
    `transaction` is the number of the transaction, once the message was dispatched to one.
    """

    status: int
    mtom: bool
    pieces: tuple[bytes, ...]
    attachments: tuple[Attachment, ...] = ()
    action: str | None = None
    fault: str | None = None
    media_type: str = "application/soap+xml"
    outcome: Outcome = "success"
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class WireTolerances:
    """Deviations of the wire that a profile accepts; each is off unless the profile names it.

    `unprefixed_must_understand`: the attribute without the SOAP namespace; `empty_to`: an empty wsa:To;
    `soap11_in_mtom_root`: an envelope in the SOAP 1.1 namespace inside an MTOM root part.
    """

    unprefixed_must_understand: bool = False
    empty_to: bool = False
    soap11_in_mtom_root: bool = False


class Exchange(Protocol):
    """A message between its two phases. `reply` is set when the first phase already answered."""

    reply: Reply | None


class SoapServer(Protocol):
    """The SOAP layer as the HTTP side sees it. Neither method raises; both may block and belong in a worker thread."""

    def open(self, root: bytes, incoming: Incoming) -> Exchange:
        """First phase: parse, addressing, dispatch, decode."""
        ...

    def finish(self, exchange: Exchange, parts: Mapping[str, Part]) -> Reply:
        """Second phase: handle and serialise."""
        ...
