"""MTOM packages: a push splitter for `multipart/related` without any I/O, and the writer.

The splitter takes chunks of any size and gives the same events whatever the chunks were. Only CR LF ends a line around a
delimiter; a delimiter followed by neither CR LF (after optional blanks) nor `--` is content.
Source: RFC 2046 section 5.1, RFC 2387, W3C MTOM and XOP 1.0; IHE ITI TF-2 Appendix V.
"""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from soap.mime_headers import MediaType, MimeError, PartHeaders, read_part_headers
from soap.transaction import Attachment

# After a delimiter: the final mark, the end of its line, or the end of what has arrived while either is still possible.
_AFTER_DELIMITER = rb"(?:(?P<end>--)|[ \t]{0,256}+(?P<next>\r\n)|(?:[ \t]{0,256}+\r?|-)\Z)"
_WHITE_SPACE = b" \t\r\n"
_OWN_CONTENT_ID = re.compile(r"[A-Za-z0-9.@-]{1,200}")
_PLAIN_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_PLAIN_ACTION = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,400}")


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """Caps of one package: number of parts, and bytes of one header block, of the preamble, of the epilogue."""

    parts: int = 50
    header_bytes: int = 8192
    preamble_bytes: int = 8192
    epilogue_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins; `root` when it is the root part; `content_id` is never None for other parts."""

    content_id: str | None
    media_type: MediaType
    root: bool


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the current part, transfer encoding removed, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The current part is complete."""

    root: bool


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = "preamble"
    HEADERS = "headers"
    DATA = "data"
    EPILOGUE = "epilogue"


class Splitter:
    """Splits one package. Feed every chunk, exhaust what `feed` yields, then call `finish`.

    `boundary` is the parameter's value; `start` the decoded Content-ID of the root part, None for the first part. Both
    methods raise MimeError; after that the splitter is of no more use.
    """

    def __init__(self, boundary: bytes, *, start: str | None = None, limits: MimeLimits | None = None) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._delimiter_line = re.compile(re.escape(self._delimiter) + _AFTER_DELIMITER)
        self._start = start
        self._limits = limits or MimeLimits()
        self._state = _State.PREAMBLE
        self._held = b"\r\n"  # so that a delimiter in the first line is found like any other
        self._skipped = -2
        self._ids: set[str] = set()
        self._parts = 0
        self._root_seen = False
        self._in_root = False
        self._lead = 0
        self._base64: _Base64Reader | None = None

    @property
    def complete(self) -> bool:
        """Whether the final boundary has been read."""
        return self._state is _State.EPILOGUE

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes."""
        buffer = self._held + data if self._held else data
        at = 0
        while True:
            before = self._state
            if before is _State.EPILOGUE:
                self._skip(len(buffer) - at, self._limits.epilogue_bytes, "epilogue")
                at = len(buffer)
                break
            if before is _State.HEADERS:
                found = self._read_headers(buffer, at)
                if found is None:
                    break
                begin, at = found
                yield begin
                continue
            end, at = self._find_delimiter(buffer, at)
            if before is _State.DATA:
                yield from self._content(buffer, end)
            else:
                self._skip(end.stop - end.start, self._limits.preamble_bytes, "preamble")
            if self._state is before:
                break
        self._held = buffer[at:]

    def finish(self) -> None:
        """No more bytes come. Raises MimeError: `no-part`, `truncated` (no final boundary) or `no-root`."""
        if self._state is _State.PREAMBLE or (self._state is _State.EPILOGUE and not self._parts):
            raise MimeError("no-part", "multipart: no part found between delimiters of the announced boundary")
        if self._state is not _State.EPILOGUE:
            raise MimeError("truncated", "multipart: the body ends without the final boundary")
        if not self._root_seen:
            raise MimeError("no-root", "multipart: no part has the Content-ID that the start parameter names")

    def _skip(self, count: int, limit: int, where: str) -> None:
        self._skipped += count
        if self._skipped > limit:
            raise MimeError(where, f"multipart: {where} of more than {limit} bytes")

    def _find_delimiter(self, buffer: bytes, at: int) -> tuple[slice, int]:
        """Where the content ends that begins at `at`, and where to go on; moves the state when a delimiter was found."""
        found = buffer.find(self._delimiter, at)
        if found >= 0 and (line := self._delimiter_line.search(buffer, found)) is not None:
            if line.lastgroup is None:  # more bytes will tell
                return slice(at, line.start()), line.start()
            self._state = _State.EPILOGUE if line.lastgroup == "end" else _State.HEADERS
            return slice(at, line.start()), line.end() if line.lastgroup == "end" else line.start("next")
        tail = buffer.rfind(b"\r", max(at, len(buffer) - len(self._delimiter) + 1))
        if tail < 0 or not self._delimiter.startswith(buffer[tail:]):
            tail = len(buffer)
        return slice(at, tail), tail

    def _content(self, buffer: bytes, part: slice) -> Iterator[Event]:
        start, stop = part.start, part.stop
        if start < stop and self._lead:
            start, self._lead = start + self._lead, 0
        if start < stop:
            data = buffer if stop - start == len(buffer) else buffer[start:stop]
            if self._base64 is not None:
                data = self._base64.feed(data)
            if data:
                yield PartData(data)
        if self._state is not _State.DATA:
            if self._base64 is not None:
                self._base64.finish()
            self._skipped = 0
            yield PartEnd(self._in_root)

    def _read_headers(self, buffer: bytes, at: int) -> tuple[PartBegin, int] | None:
        """The part that begins; `at` is at the CR LF that ends the delimiter's line. None when more bytes are needed."""
        limit = self._limits.header_bytes
        end = buffer.find(b"\r\n\r\n", at, at + limit + 4)
        if end < 0:
            if len(buffer) - at >= limit + 4:
                raise MimeError("part-header-size", f"part header: more than {limit} bytes")
            return None
        block = buffer[at:end]
        if self._delimiter in block + b"\r\n":
            raise MimeError("part-header", "part header: a delimiter before the empty line that ends the header")
        headers = read_part_headers(block[2:])
        self._state = _State.DATA
        # The empty line's CR LF may also begin the delimiter of a part without content: it stays in reach.
        self._lead = 2
        return self._begin(headers), end + 2

    def _begin(self, headers: PartHeaders) -> PartBegin:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise MimeError("part-count", f"multipart: more than {self._limits.parts} parts")
        root = headers.content_id == self._start if self._start is not None else self._parts == 1
        if headers.content_id is None:
            if not root:
                raise MimeError("content-id-missing", "multipart: a part without Content-ID that is not the root part")
        elif (folded := headers.content_id.casefold()) in self._ids:
            raise MimeError("content-id-duplicate", "multipart: two parts have one Content-ID after decoding")
        else:
            self._ids.add(folded)
        self._root_seen = self._root_seen or root
        self._in_root = root
        self._base64 = _Base64Reader() if headers.transfer_encoding == "base64" else None
        return PartBegin(headers.content_id, headers.media_type, root)


class _Base64Reader:
    """Decodes base64 text in chunks; line breaks and blanks may stand anywhere, nothing else is tolerated."""

    def __init__(self) -> None:
        self._held = b""
        self._padded = False

    def feed(self, text: bytes) -> bytes:
        digits = self._held + text.translate(None, _WHITE_SPACE)
        whole = len(digits) & ~3
        self._held = digits[whole:]
        if not whole:
            return b""
        if self._padded:
            raise MimeError("base64", "base64: text after the padding")
        return self._decode(digits[:whole])

    def _decode(self, digits: bytes) -> bytes:
        try:
            data = binascii.a2b_base64(digits, strict_mode=True)
        except binascii.Error as error:
            raise MimeError("base64", f"base64: {error}") from error
        if digits.endswith(b"="):
            self._padded = True
            if binascii.b2a_base64(data[-(len(data) % 3) :], newline=False) != digits[-4:]:
                raise MimeError("base64", "base64: unused bits before the padding are not zero")
        return data

    def finish(self) -> None:
        if self._held:
            raise MimeError("base64", "base64: the text ends inside a group of four characters")


@dataclass(frozen=True, slots=True)
class Package:
    """A multipart body ready to send: value of Content-Type, size in bytes, and its bytes, given once by `chunks`.

    `chunks` runs the attachments' own iterators (they may block) and raises ValueError when one gives more or fewer bytes
    than it announced: the connection must then be cut.
    """

    content_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


def write_package(pieces: Iterable[bytes], attachments: Sequence[Attachment] = (), *, action: str | None = None) -> Package:
    """Pack an envelope (UTF-8 pieces) and its attachments; the same form serves requests and answers.

    Every part says `Content-Transfer-Encoding: binary`. Content-IDs must match `[A-Za-z0-9.@-]+`, else ValueError; a media
    type that could not stand in a header is replaced by application/octet-stream, an action that could not is left out.
    """
    token = secrets.token_hex(16)
    boundary, root_id = f"MIMEBoundary.{token}", f"root.{token}@liasse"
    envelope = b"".join(pieces)
    head = _part_head(boundary, 'application/xop+xml; charset=UTF-8; type="application/soap+xml"', root_id, first=True)
    heads = tuple(
        _part_head(boundary, _safe_media_type(each.media_type), _own_content_id(each.content_id)) for each in attachments
    )
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")

    def chunks() -> Iterator[bytes]:
        lead = head + envelope
        for own_head, attachment in zip(heads, attachments, strict=True):
            yield lead + own_head
            lead = b""
            yield from _exactly(attachment)
        yield lead + tail

    size = len(head) + len(envelope) + sum(map(len, heads)) + sum(each.size for each in attachments) + len(tail)
    return Package(_content_type(boundary, root_id, action), size, chunks)


def _content_type(boundary: str, root_id: str, action: str | None) -> str:
    value = (
        f'multipart/related; type="application/xop+xml"; boundary="{boundary}"; start="<{root_id}>"; '
        'start-info="application/soap+xml"'
    )
    return value + action_parameter(action)


def action_parameter(action: str | None) -> str:
    """`; action="…"` for a Content-Type, or nothing when the action is absent or could not stand between quotes."""
    return f'; action="{action}"' if action is not None and _PLAIN_ACTION.fullmatch(action) else ""


def _part_head(boundary: str, media_type: str, content_id: str, *, first: bool = False) -> bytes:
    return (
        f"{'' if first else chr(13) + chr(10)}--{boundary}\r\n"
        f"Content-Type: {media_type}\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        f"Content-ID: <{content_id}>\r\n\r\n"
    ).encode("ascii")


def _safe_media_type(value: str) -> str:
    return value if _PLAIN_MEDIA_TYPE.fullmatch(value) else "application/octet-stream"


def _own_content_id(value: str) -> str:
    if _OWN_CONTENT_ID.fullmatch(value) is None:
        raise ValueError(f"Content-ID of an attachment: {value[:80]!r}, expected only letters, digits, '.', '@' and '-'")
    return value


def _exactly(attachment: Attachment) -> Iterator[bytes]:
    left = attachment.size
    for chunk in attachment.chunks():
        left -= len(chunk)
        if left < 0:
            break
        if chunk:
            yield chunk
    if left:
        raise ValueError(f"attachment {attachment.content_id}: announced {attachment.size} bytes, differs by {-left}")
