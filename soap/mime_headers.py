"""MIME headers as messages carry them: media types with parameters, Content-IDs, the header block of a part.

Everything that the grammar leaves to guessing is refused: parameters given twice, continuations, control characters.
Source: RFC 2045 section 5.1, RFC 2046 section 5.1.1, RFC 2392 (cid), RFC 5322 section 2.2.3 (folding).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Possessive throughout: a hostile value costs linear time.
_MEDIA = re.compile(rf"[ \t]*+({_TCHAR}+/{_TCHAR}+)[ \t]*+(?=;|$)")
_PARAMETER = re.compile(
    rf';[ \t]*+(?:({_TCHAR}+)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"[ \t]*+|([^";]*+)))?(?=;|$)',
)
_HEADER_NAME = re.compile(rf"({_TCHAR}):")
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e]")
_FORBIDDEN_IN_ID = re.compile(r"[\x00-\x1f\x7f-\x9f<>]")
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_FOLD = re.compile(r"\r\n[ \t]+")
_BOUNDARY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,68}[\x21-\x7e])?")

_TRANSFER_ENCODINGS = frozenset({"binary", "8bit", "7bit", "base64"})


class MimeError(Exception):
    """A message whose MIME form cannot be used.

    `reason` is a stable word for programs and logs, `status` the HTTP status that answers it, the text is for people. The
    text quotes nothing of a part's content.
    """

    def __init__(self, reason: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case (`multipart/related`) and its parameters, names in lower case, values unquoted."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """What the header block of a part says; `content_id` is without brackets and percent-decoded."""

    content_id: str | None
    media_type: MediaType
    transfer_encoding: str


OCTET_STREAM = MediaType("application/octet-stream")

_SHORT = 160
"""Characters; a package's Content-Type is longer, and never the same twice."""


def read_media_type(value: str) -> MediaType:
    """Read a Content-Type value as `parse_media_type` does; short ones, which clients repeat, are remembered."""
    return _remembered(value) if len(value) <= _SHORT else parse_media_type(value)


def parse_media_type(value: str) -> MediaType:
    """Read a Content-Type value; parameters may be tight, unspaced, quoted or not, followed by a stray semicolon.

    Raises MimeError: `content-type` when the form is wrong, `parameter-duplicate`, `parameter-continuation` (RFC 2231).
    """
    if _UNPRINTABLE.search(value):
        raise MimeError("content-type", "Content-Type: a character outside printable ASCII, expected ASCII only")
    found = _MEDIA.match(value)
    if found is None:
        raise MimeError("content-type", f"Content-Type: {value[:80]!r} is not type/subtype with parameters after ';'")
    parameters: dict[str, str] = {}
    at = found.end()
    while at < len(value):
        parameter = _PARAMETER.match(value, at)
        if parameter is None:
            raise MimeError("content-type", f"Content-Type: cannot read the parameter at {value[at : at + 40]!r}")
        at = parameter.end()
        if parameter[1] is not None:
            _add_parameter(parameters, parameter[1].lower(), parameter[2], parameter[3])
    return MediaType(found[1].lower(), parameters)


_remembered = lru_cache(maxsize=64)(parse_media_type)


def _add_parameter(parameters: dict[str, str], name: str, quoted: str | None, plain: str | None) -> None:
    if "*" in name:
        raise MimeError("parameter-continuation", f"Content-Type: parameter {name!r} uses RFC 2231, expected a plain value")
    if name in parameters:
        raise MimeError("parameter-duplicate", f"Content-Type: parameter {name!r} is given twice, expected once")
    if quoted is not None:
        parameters[name] = re.sub(r"\\(.)", r"\1", quoted)
    else:
        parameters[name] = (plain or "").rstrip(" \t")


def read_boundary(media_type: MediaType) -> bytes:
    """The boundary parameter of a multipart type: 1 to 70 printable characters, no blank at its ends."""
    boundary = media_type.parameters.get("boundary")
    if boundary is None:
        raise MimeError("boundary-missing", "Content-Type: multipart without boundary parameter, expected one")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MimeError(
            "boundary",
            f"Content-Type: boundary of {len(boundary)} characters, expected 1 to 70 printable ones, no blank at the ends",
        )
    return boundary.encode("ascii")


def read_content_id(value: str) -> str:
    """A Content-ID or `start` value without brackets, percent-decoded as UTF-8; the result is compared exactly.

    Raises MimeError `content-id` when it is empty, has one bracket only, is not ASCII, or holds control characters after
    decoding.
    """
    text = value.strip(" \t")
    if text.startswith("<") and text.endswith(">") and len(text) > 1:
        text = text[1:-1]
    if "<" in text or ">" in text:
        raise MimeError("content-id", f"Content-ID: {value[:80]!r} has unpaired brackets")
    return _decoded(text, value)


def read_cid(href: str) -> str:
    """The Content-ID that an `xop:Include/@href` names: `cid:` removed, percent-decoded as UTF-8.

    Raises MimeError `href` for any other scheme; the address is never fetched.
    """
    if href[:4].lower() != "cid:":
        raise MimeError("href", f"href: {href[:80]!r}, expected cid: and the Content-ID of a part")
    return _decoded(href[4:], href)


def _decoded(text: str, shown: str) -> str:
    if not text.isascii():
        raise MimeError(
            "content-id", f"Content-ID: {shown[:80]!r} holds characters outside ASCII, expected percent-encoding"
        )
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MimeError("content-id", f"Content-ID: {shown[:80]!r} is not UTF-8 after percent-decoding") from error
    if not decoded or _FORBIDDEN_IN_ID.search(decoded):
        raise MimeError("content-id", f"Content-ID: {shown[:80]!r} is empty or holds controls or brackets once decoded")
    return decoded


def read_part_headers(block: bytes) -> PartHeaders:
    """Read the header lines of one part, `block` being everything between the delimiter line and the empty line.

    Only Content-ID, Content-Type and Content-Transfer-Encoding are read, each at most once; others are ignored.
    Raises MimeError.
    """
    if _BARE_LINE_END.search(block):
        raise MimeError("part-header", "part header: bare CR, bare LF or NUL, expected lines that end with CR LF")
    found: dict[str, str] = {}
    text = _FOLD.sub(" ", block.decode("latin-1"))
    for line in text.split("\r\n") if text else ():
        name = _HEADER_NAME.match(line)
        if name is None:
            raise MimeError("part-header", "part header: a line without 'Name:' at its start")
        key = name[1].lower()
        if key not in ("content-id", "content-type", "content-transfer-encoding"):
            continue
        if key in found:
            raise MimeError("part-header-duplicate", f"part header: {key} is given twice, expected once")
        found[key] = line[name.end() :].strip(" \t")
    return _part_headers(found)


def _part_headers(found: Mapping[str, str]) -> PartHeaders:
    content_id = read_content_id(found["content-id"]) if "content-id" in found else None
    media_type = read_media_type(found["content-type"]) if "content-type" in found else OCTET_STREAM
    if media_type.name.startswith("multipart/"):
        raise MimeError("nested-multipart", "Content-Type: a multipart inside the package, expected plain parts")
    encoding = found.get("content-transfer-encoding", "binary").rstrip(" \t;").lower()
    if encoding not in _TRANSFER_ENCODINGS:
        raise MimeError(
            "transfer-encoding",
            f"Content-Transfer-Encoding: {encoding[:40]!r}, expected binary, 8bit, 7bit or base64",
        )
    return PartHeaders(content_id, media_type, encoding)
