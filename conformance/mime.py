"""The tester's own reader and writer of MTOM packages (multipart/related with XOP), and of Content-Type headers.

The reader takes what is there and lists what is wrong beside it; only where no root part can be told apart does it raise.
Source: RFC 2046 5.1, RFC 2387, RFC 2392, XOP 4, MTOM 3.2; ITI TF-2 Appendix V.3.6.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

_PARAMETER: Final = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";\s]+))\s*')
_KNOWN_ENCODINGS: Final = frozenset({"binary", "8bit", "7bit", "base64", "quoted-printable"})
XOP_TYPE: Final = "application/xop+xml"
SOAP_TYPE: Final = "application/soap+xml"


class Unreadable(Exception):
    """The body is no package that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case and its parameters, names in lower case; `rest` is what could not be read."""

    name: str
    parameters: Mapping[str, str]
    rest: str = ""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A part: its Content-ID as a bare, percent-decoded id (empty if absent), its type, its decoded bytes."""

    content_id: str
    media_type: MediaType
    transfer_encoding: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Package:
    """A package: the root part, the others in order, and what was wrong with the framing."""

    root: BodyPart
    others: tuple[BodyPart, ...]
    problems: tuple[str, ...]

    def part(self, href: str) -> BodyPart | None:
        """The part an `xop:Include` names, compared after percent-decoding on both sides."""
        if not href.lower().startswith("cid:"):
            return None
        wanted = bare_id(href[4:])
        return next((part for part in (*self.others, self.root) if part.content_id == wanted), None)


def bare_id(value: str) -> str:
    """A Content-ID, `start` or cid value without brackets and percent-encoding."""
    return unquote(value.strip().removeprefix("<").removesuffix(">").strip())


def read_media_type(value: str) -> MediaType:
    """A Content-Type header, tolerant: parameters in any case and order, quoted or not."""
    name, separator, _ = value.partition(";")
    rest = value[len(name) :] if separator else ""
    parameters: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(rest, position):
        quoted, plain = match.group(2), match.group(3)
        parameters.setdefault(match.group(1).lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        position = match.end()
    return MediaType(name.strip().lower(), parameters, rest[position:].strip("; \t"))


def read_package(media_type: MediaType, body: bytes) -> Package:
    """Split a multipart body. Raises Unreadable without boundary parameter, without parts, or without the named root."""
    boundary = media_type.parameters.get("boundary")
    if not boundary:
        raise Unreadable("the Content-Type multipart/related has no boundary parameter")
    pieces, problems = _split(body, boundary.encode("utf-8", "replace"))
    if not pieces:
        raise Unreadable(f"no part begins with the announced boundary {boundary!r}")
    parts = [_part(piece, number, problems) for number, piece in enumerate(pieces, start=1)]
    root = _root(parts, media_type.parameters.get("start"))
    others = tuple(part for part in parts if part is not root)
    for name in {part.content_id for part in parts if sum(other.content_id == part.content_id for other in parts) > 1}:
        problems.append(f"several parts have the Content-ID {name!r}")
    return Package(root, others, tuple(problems))


def _split(body: bytes, boundary: bytes) -> tuple[list[bytes], list[str]]:
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(?:(--)[ \t]*(?:\r\n|\Z)|[ \t]*\r\n)")
    pieces: list[bytes] = []
    start: int | None = None
    position = 0
    while match := delimiter.search(body, position):
        if start is not None:
            pieces.append(body[start : match.start()])
        if match.group(1):
            return pieces, []
        start = match.end()
        position = match.end() - 2  # its CRLF may open the next delimiter when a part has neither header nor content
    if start is None:
        return pieces, []
    pieces.append(body[start:])
    return pieces, ["the package ends without its closing boundary: it was cut or is wrongly framed"]


def _part(piece: bytes, number: int, problems: list[str]) -> BodyPart:
    if piece.startswith(b"\r\n"):
        head, data = b"", piece[2:]
    else:
        head, separator, data = piece.partition(b"\r\n\r\n")
        if not separator:
            problems.append(f"part {number}: no empty line ends its headers")
    headers = _headers(head, number, problems)
    encoding = headers.get("content-transfer-encoding", "binary").strip().lower()
    try:
        data = _decode(data, encoding)
    except (binascii.Error, ValueError) as error:
        problems.append(f"part {number}: not {encoding}: {error}")
    if encoding not in _KNOWN_ENCODINGS:
        problems.append(f"part {number}: unknown Content-Transfer-Encoding {encoding!r}")
    return BodyPart(bare_id(headers.get("content-id", "")), read_media_type(headers.get("content-type", "")), encoding, data)


def _headers(head: bytes, number: int, problems: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n"):
        if not line:
            continue
        name, separator, value = line.decode("utf-8", "replace").partition(":")
        if not separator:
            problems.append(f"part {number}: a header line without colon: {line[:60]!r}")
        elif name.strip().lower() in headers:
            problems.append(f"part {number}: the header {name.strip()} occurs twice")
        else:
            headers[name.strip().lower()] = value.strip()
    return headers


def _decode(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.b64decode(b"".join(data.split()), validate=True)
    return quopri.decodestring(data) if encoding == "quoted-printable" else data


def _root(parts: list[BodyPart], start: str | None) -> BodyPart:
    if start is None:
        return parts[0]
    root = next((part for part in parts if part.content_id == bare_id(start)), None)
    if root is None:
        raise Unreadable(f"no part has the Content-ID {start!r} that the start parameter names")
    return root


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """A part to write; `content_id` is bare."""

    content_id: str
    media_type: str
    data: bytes


def write_package(
    root: OutgoingPart,
    others: Iterable[OutgoingPart],
    boundary: str,
    *,
    quoted: bool = True,
    start: bool = True,
    root_last: bool = False,
    preamble: str = "",
    epilogue: str = "",
    transfer_encoding: str = "binary",
) -> tuple[str, bytes]:
    """The Content-Type header and the body of a package.

    `root_last` puts the root part behind the others (the `start` parameter then tells it apart); `transfer_encoding`
    (binary, 8bit or base64) applies to the parts other than the root.
    """
    parts = [*others, root] if root_last else [root, *others]
    chunks = [preamble.encode() + b"\r\n" if preamble else b""]
    for part in parts:
        encoding = "binary" if part is root else transfer_encoding
        data = _folded(part.data) if encoding == "base64" else part.data
        head = (
            f"--{boundary}\r\nContent-Type: {part.media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
            f"Content-ID: <{part.content_id}>\r\n\r\n"
        )
        chunks += [head.encode(), data, b"\r\n"]
    chunks.append(f"--{boundary}--\r\n".encode() + epilogue.encode())
    mark = f'"{boundary}"' if quoted else boundary
    header = f'multipart/related; boundary={mark}; type="{XOP_TYPE}"; start-info="{SOAP_TYPE}"'
    if start:
        header += f'; start="<{root.content_id}>"'
    return header, b"".join(chunks)


def _folded(data: bytes) -> bytes:
    text = base64.b64encode(data)
    return b"\r\n".join(text[index : index + 76] for index in range(0, len(text), 76))


def cid(content_id: str, *, percent_encoded: bool = False) -> str:
    """The URL of a part; `percent_encoded` writes every reserved character (`@`, `:`, …) as %XX."""
    return "cid:" + quote(content_id, safe="" if percent_encoded else "@:!$&'()*+,;=")
