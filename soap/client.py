"""The client side of the SOAP layer: one request, one answer, over HTTP, with MTOM in both directions."""

from __future__ import annotations

import ssl
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from lxml import etree

from soap.connections import (
    AddressError,
    BadAnswer,
    ClientError,
    Connections,
    HttpAnswer,
    NotConnected,
    SentButNoAnswer,
    Timeouts,
)
from soap.envelope import Frame, read_envelope
from soap.faults import Fault, QName, quote
from soap.mime_headers import MediaType, MimeError, read_boundary, read_content_id, read_media_type
from soap.mtom import PartBegin, PartData, PartEnd, Splitter, action_parameter, write_package
from soap.transaction import Body
from xmlsafe import MESSAGE, XmlError, parse
from xmlsafe.namespaces import SOAP11, SOAP12, WSA

__all__ = [
    "AddressError",
    "Answer",
    "BadAnswer",
    "ClientError",
    "NotConnected",
    "PartSink",
    "SentButNoAnswer",
    "SoapClient",
    "SoapFault",
    "Timeouts",
    "spool",
]

PartSink = Callable[[str, str], BinaryIO]
"""Given Content-ID (decoded, without brackets) and media type of a part, returns the file its bytes are written to."""

_SOAP_TYPES: Final = ("application/soap+xml", "text/xml")
_IN_MEMORY: Final = 1_000_000


class SoapFault(ClientError):
    """The peer answered with a SOAP fault. `code` is the local name ("Sender"), `subcodes` are outermost first."""

    def __init__(self, code: str, subcodes: tuple[QName, ...], reason: str, status: int) -> None:
        names = ", ".join((code, *(name.local for name in subcodes)))
        super().__init__(f"SOAP fault ({names}): {reason}")
        self.code = code
        self.subcodes = subcodes
        self.reason = reason
        self.status = status


@dataclass(slots=True)
class Answer:
    """An answer that is no fault: the child of its Body, and the files of the parts that followed, by Content-ID.

    The files stand at their beginning. Closing the answer closes them.
    """

    action: str | None
    body: etree._Element
    parts: Mapping[str, BinaryIO] = field(default_factory=dict)

    def close(self) -> None:
        """Close the files of the parts."""
        for part in self.parts.values():
            part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def spool(_content_id: str, _media_type: str) -> BinaryIO:
    """The usual sink: a temporary file, in memory up to 1 MB."""
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))


class SoapClient:
    """A client of one endpoint. Safe for concurrent calls. Nothing is opened before the first call.

    `tls` is used for https, the platform's trust store without it; `largest_answer` bounds the bytes of one answer, parts
    included. Raises AddressError.
    """

    def __init__(
        self,
        url: str,
        timeouts: Timeouts | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        largest_answer: int = 4_000_000_000,
    ) -> None:
        self._url = url
        self._connections = Connections(url, timeouts, tls)
        self._largest = largest_answer

    def call(
        self,
        action: str,
        body: Body,
        *,
        mtom: bool = False,
        sink: PartSink = spool,
        blocks: Sequence[bytes] = (),
    ) -> Answer:
        """Send one request and read its answer. `blocks` are serialised header blocks beside those of WS-Addressing.

        Attachments are streamed and need `mtom`. Raises SoapFault, NotConnected, SentButNoAnswer, BadAnswer; what an
        attachment's iterator or the sink raises passes through.
        """
        message_id = f"urn:uuid:{uuid.uuid4()}"
        frame = Frame.for_action(action, self._url, reply_expected=True)
        pieces = frame.around(body.pieces, message_id=message_id, blocks=blocks)
        content_type, size, chunks = _http_body(pieces, body, action, mtom=mtom)
        with self._connections.post(content_type, size, chunks) as http:
            return self._read(http, message_id, sink)

    def close(self) -> None:
        """Close the kept connections."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, http: HttpAnswer, message_id: str, sink: PartSink) -> Answer:
        parts: dict[str, BinaryIO] = {}
        try:
            root = self._receive(http, parts, sink)
            action, body = _read_root(root, http.status, message_id)
            for part in parts.values():
                part.seek(0)
        except BaseException:
            for part in parts.values():
                part.close()
            raise
        return Answer(action, body, parts)

    def _receive(self, http: HttpAnswer, parts: dict[str, BinaryIO], sink: PartSink) -> bytes:
        """The bytes of the envelope; the other parts go to their files while they arrive."""
        content_type = http.header("Content-Type")
        if content_type is None:
            raise BadAnswer(f"HTTP {http.status} without a SOAP message", http.status)
        try:
            media_type = read_media_type(content_type)
            if http.header("Content-Encoding") not in (None, "identity"):
                raise BadAnswer("the answer is compressed, which was not asked for", http.status)
            if media_type.name == "multipart/related":
                return _receive_package(self._bounded(http), media_type, parts, sink)
        except MimeError as error:
            raise BadAnswer(f"the answer (HTTP {http.status}) is no readable package: {error}", http.status) from error
        if media_type.name not in _SOAP_TYPES:
            raise BadAnswer(f"HTTP {http.status} with {media_type.name}, a SOAP message is expected", http.status)
        return _joined(self._bounded(http), http.status)

    def _bounded(self, http: HttpAnswer) -> Iterator[bytes]:
        left = self._largest
        for chunk in http.chunks():
            left -= len(chunk)
            if left < 0:
                raise BadAnswer(f"the answer is larger than {self._largest} bytes", http.status)
            yield chunk


def _http_body(pieces: Sequence[bytes], body: Body, action: str, *, mtom: bool) -> tuple[str, int, Iterator[bytes]]:
    if mtom:
        package = write_package(pieces, body.attachments, action=action)
        return package.content_type, package.size, package.chunks()
    if body.attachments:
        raise ValueError(f"{len(body.attachments)} attachments cannot travel in simple SOAP, mtom is expected")
    content_type = f"application/soap+xml; charset=UTF-8{action_parameter(action)}"
    return content_type, sum(map(len, pieces)), iter((b"".join(pieces),))


def _joined(chunks: Iterator[bytes], status: int) -> bytes:
    message = bytearray()
    for chunk in chunks:
        _grow(message, chunk, status)
    return bytes(message)


def _grow(message: bytearray, data: bytes, status: int | None) -> None:
    message += data
    if len(message) > MESSAGE.max_bytes:
        raise BadAnswer(f"the envelope is larger than {MESSAGE.max_bytes} bytes", status)


def _receive_package(chunks: Iterator[bytes], media_type: MediaType, parts: dict[str, BinaryIO], sink: PartSink) -> bytes:
    start = media_type.parameters.get("start")
    splitter = Splitter(read_boundary(media_type), start=read_content_id(start) if start else None)
    root = bytearray()
    into: BinaryIO | None = None
    for chunk in chunks:
        for event in splitter.feed(chunk):
            match event:
                case PartBegin(root=True) | PartEnd():
                    into = None
                case PartBegin(content_id=content_id):
                    assert content_id is not None
                    into = parts[content_id] = sink(content_id, event.media_type.name)
                case PartData(data=data) if into is not None:
                    into.write(data)
                case PartData(data=data):
                    _grow(root, data, None)
    splitter.finish()
    return bytes(root)


def _read_root(root: bytes, status: int, message_id: str) -> tuple[str | None, etree._Element]:
    """Action and body of an envelope that is the answer to `message_id`. Raises SoapFault and BadAnswer."""
    try:
        envelope = read_envelope(parse(root), (SOAP12, SOAP11))
    except XmlError as error:
        raise BadAnswer(f"the answer (HTTP {status}) is not acceptable XML: {error}", status) from error
    except Fault as fault:
        raise BadAnswer(f"the answer (HTTP {status}) is no SOAP envelope: {fault}", status) from fault
    if envelope.body.tag == f"{{{envelope.soap}}}Fault":
        raise _read_fault11(envelope.body, status) if envelope.soap == SOAP11 else _read_fault(envelope.body, status)
    if envelope.soap == SOAP11 or status != 200:
        version = "1.1" if envelope.soap == SOAP11 else "1.2"
        raise BadAnswer(f"HTTP {status} with a SOAP {version} message that is no fault, HTTP 200 and 1.2 expected", status)
    header = envelope.header
    related = header.findtext(f"{{{WSA}}}RelatesTo") if header is not None else None
    if related is not None and related != message_id:
        raise BadAnswer(f"the answer relates to {quote(related)}, expected is {quote(message_id)}", status)
    return header.findtext(f"{{{WSA}}}Action") if header is not None else None, envelope.body


def _read_fault(fault: etree._Element, status: int) -> SoapFault:
    soap = {"s": SOAP12}
    subcodes = [_read_name(value) for value in fault.iterfind("s:Code//s:Subcode/s:Value", soap)]
    code = fault.find("s:Code/s:Value", soap)
    reason = fault.findtext("s:Reason/s:Text", "no reason was given", soap)
    return SoapFault(_read_name(code).local if code is not None else "none", tuple(subcodes), reason.strip(), status)


def _read_fault11(fault: etree._Element, status: int) -> SoapFault:
    code = fault.find("faultcode")
    reason = fault.findtext("faultstring", "no reason was given")
    return SoapFault(_read_name(code).local if code is not None else "none", (), reason.strip(), status)


def _read_name(value: etree._Element) -> QName:
    prefix, _, local = (value.text or "").strip().rpartition(":")
    return QName(value.nsmap.get(prefix or None) or "", local)
