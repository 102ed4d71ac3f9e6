"""The only XML parser of the product: bytes in, an lxml element out, or an XmlError.

Nothing is ever fetched, expanded or repaired: a document type declaration is refused before libxml2 sees it, the encoding is
UTF-8, and depth, elements, attributes and namespaces are bounded. The checks are ordered by price: byte counts first,
compiled XPath expressions on the finished tree afterwards, and only where the byte counts make a violation possible.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Final

from lxml import etree

from xmlsafe.errors import XmlError

_MEGABYTE: Final = 1_000_000
_NAMES_KEPT: Final = 16 * _MEGABYTE
_SHORTEST_ELEMENT: Final = len(b"<b/>")

_FOREIGN_ENCODINGS: Final = (
    b"\xff\xfe",  # UTF-16 or UTF-32, little endian, with byte order mark
    b"\xfe\xff",
    b"\x00",  # UTF-16 or UTF-32, big endian
    b"<\x00",
    b"\x4c\x6f\xa7\x94",  # EBCDIC
    b"+ADw",  # UTF-7
)
_NO_DOCTYPE: Final = "a document type declaration is not accepted"
_BOM: Final = b"\xef\xbb\xbf"
_UTF8_NAMES: Final = frozenset({"utf-8", "utf8"})
_DECLARATION = re.compile(
    rb"<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*[\"']1\.0[\"']"
    rb"(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z][A-Za-z0-9._-]{0,40})[\"'])?"
    rb"(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*[\"'](?:yes|no)[\"'])?[ \t\r\n]*\?>"
)
_PROLOG_WITH_DOCTYPE = re.compile(rb"(?:[ \t\r\n]|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL)
_DECLARED_NAMESPACE = re.compile(rb"[^\"'<>]*(?:\"[^\"]*\"|'[^']*')")

_LIBXML_REASONS: Final = {
    etree.ErrorTypes.ERR_INVALID_ENCODING: "encoding",
    etree.ErrorTypes.ERR_UNSUPPORTED_ENCODING: "encoding",
    etree.ErrorTypes.ERR_UNKNOWN_ENCODING: "encoding",
    etree.ErrorTypes.ERR_RESOURCE_LIMIT: "size",
    etree.ErrorTypes.ERR_NAME_TOO_LONG: "size",
}


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What a document may consist of; instances are compared by identity.

    `max_bytes` of the serialised form; `depth` of nested elements (root is 1); `elements` in all, counted on the tags in
    the bytes; `attributes` on one element; `namespaces` as distinct declarations (prefix and name) in the document.
    `huge` lifts libxml2's cap of 10 MB on one text. `annotations` keeps comments and processing instructions.
    """

    max_bytes: int
    depth: int = 64
    elements: int = 200_000
    attributes: int = 64
    namespaces: int = 64
    huge: bool = False
    annotations: bool = False


MESSAGE: Final = Limits(max_bytes=16 * _MEGABYTE)
"""SOAP envelopes: one text holds at most 10 MB, comments and processing instructions are dropped."""

DOCUMENT: Final = Limits(max_bytes=100 * _MEGABYTE, depth=256, huge=True, annotations=True)
"""Clinical documents: large inline bodies, comments and processing instructions are kept."""


class _Machine:
    """The parser and the compiled checks of one thread for one set of limits."""

    __slots__ = ("attributes", "depth", "ids", "parser")

    def __init__(self, limits: Limits) -> None:
        self.parser = etree.XMLParser(
            encoding="UTF-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            attribute_defaults=False,
            recover=False,
            collect_ids=False,
            huge_tree=limits.huge,
            remove_comments=not limits.annotations,
            remove_pis=not limits.annotations,
        )
        self.depth = etree.XPath(f"boolean({'/*' * (limits.depth + 1)})")
        self.attributes = etree.XPath(f"boolean(//*/@*[{limits.attributes + 1}])")
        self.ids = etree.XPath("boolean(//*/@*[local-name() = 'ID'][2])")


class _Machines(threading.local):
    def __init__(self) -> None:
        self.by_limits: dict[Limits, _Machine] = {}
        self.parsed = 0


_machines = _Machines()


def parse(data: bytes, limits: Limits = MESSAGE, charset: str | None = None) -> etree._Element:
    """The root element of the document `data`.

    `charset` is what the transport declared (the charset parameter of a media type), None where it declared nothing. Raises
    XmlError for whatever is not well-formed UTF-8 XML 1.0 without document type within `limits`. Safe to call from any
    thread; parsers are not shared between threads.

    Source: XML 1.0 5th edition; Namespaces in XML 1.0; SOAP 1.2 part 1 section 5 (no document type declaration).
    """
    names_doctype = _check_bytes(data, limits, charset)
    _machines.parsed += len(data)
    machine = _machines.by_limits.get(limits)
    if machine is None:
        machine = _machines.by_limits[limits] = _Machine(limits)
    try:
        root = etree.fromstring(data, machine.parser)
    except etree.XMLSyntaxError as error:
        raise _refusal(error) from None
    _check_tree(root, data, limits, machine)
    if names_doctype and root.getroottree().docinfo.internalDTD is not None:
        raise XmlError("doctype", _NO_DOCTYPE)
    return root


def thread_should_end() -> bool:
    """Whether the calling thread has parsed so much (16 MB) that it should end after its present task.

    libxml2 keeps every element and attribute name that a thread has ever met until that thread ends, so a peer that sends
    ever new names makes a lasting thread grow without bound. A pool of threads that end in time holds at most some 30 MB of
    names each; a new thread costs about 0.1 ms, and 2 ms for each schema it validates with.
    """
    return _machines.parsed > _NAMES_KEPT


def _check_bytes(data: bytes, limits: Limits, charset: str | None) -> bool:
    """Whether the text of a document type declaration occurs, be it as content."""
    if len(data) > limits.max_bytes:
        raise XmlError("size", f"{len(data)} bytes, at most {limits.max_bytes} are accepted")
    if charset is not None and charset.strip("\"' ").lower() not in _UTF8_NAMES:
        raise XmlError("encoding", "the transport declares another charset, UTF-8 is expected")
    start = len(_BOM) if data.startswith(_BOM) else 0
    _check_encoding(data, start)
    names_doctype = b"<!DOCTYPE" in data
    if names_doctype and _PROLOG_WITH_DOCTYPE.match(data, start):
        raise XmlError("doctype", _NO_DOCTYPE)
    if len(data) >= _SHORTEST_ELEMENT * limits.elements and data.count(b"</") + data.count(b"/>") > limits.elements:
        raise XmlError("elements", f"at most {limits.elements} elements are accepted")
    if data.count(b"xmlns") > limits.namespaces and _distinct_namespaces(data) > limits.namespaces:
        raise XmlError("namespaces", f"at most {limits.namespaces} namespace declarations are accepted")
    return names_doctype


def _check_encoding(data: bytes, start: int) -> None:
    if data.startswith(_FOREIGN_ENCODINGS, start):
        raise XmlError("encoding", "the first bytes are those of another encoding, UTF-8 is expected")
    if not data.startswith(b"<?xml", start) or data[start + 5 : start + 6] not in (b" ", b"\t", b"\r", b"\n"):
        return
    declaration = _DECLARATION.match(data, start)
    if declaration is None:
        raise XmlError("malformed", "the XML declaration is not one of XML 1.0")
    name = declaration[1]
    if name is not None and name.decode("ascii").lower() not in _UTF8_NAMES:
        raise XmlError("encoding", "the XML declaration names another encoding, UTF-8 is expected")


def _distinct_namespaces(data: bytes) -> int:
    """How many different namespace declarations the bytes can hold: an upper bound, in one pass."""
    seen = set()
    for piece in data.split(b"xmlns")[1:]:
        declared = _DECLARED_NAMESPACE.match(piece)
        seen.add(declared[0] if declared else piece)
    return len(seen)


def _check_tree(root: etree._Element, data: bytes, limits: Limits, machine: _Machine) -> None:
    if data.count(b"</") >= limits.depth and machine.depth(root):
        raise XmlError("depth", f"at most {limits.depth} nested elements are accepted")
    if data.count(b"=") > limits.attributes and machine.attributes(root):
        raise XmlError("attributes", f"at most {limits.attributes} attributes on one element are accepted")
    if b":ID" in data and machine.ids(root):
        raise XmlError("ids", "one element carries two ID attributes")


def _refusal(error: etree.XMLSyntaxError) -> XmlError:
    """Our error for one of libxml2, whose own text quotes the input."""
    line, column = error.position
    code: int = getattr(error, "code", 0)
    if code == etree.ErrorTypes.ERR_RESOURCE_LIMIT and "depth" in (error.msg or ""):
        return XmlError("depth", f"elements are nested too deeply at line {line}, column {column}")
    reason = _LIBXML_REASONS.get(code, "malformed")
    what = {"size": "a text or name is too long", "encoding": "bytes are not UTF-8"}.get(reason, "not well-formed XML")
    return XmlError(reason, f"{what} at line {line}, column {column}")
