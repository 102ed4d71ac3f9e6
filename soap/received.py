"""The child of the SOAP Body as it was received, byte for byte, for who has to keep it as evidence."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from soap.transaction import Call

_WORD: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def body_as_received(call: Call) -> bytes:
    """The bytes of the body element. Namespaces that it inherits from the envelope are declared in its start tag.

    Where the place of the element cannot be told from the bytes (comments, another element of that name), the element is
    serialised: the same content, other bytes.
    """
    body, message = call.body, call.message
    tag = body.tag.rpartition("}")[2].encode()
    if body.prefix is not None:
        tag = b"%b:%b" % (body.prefix.encode(), tag)
    begin, end = message.find(b"<" + tag), message.rfind(b"</" + tag)
    if begin < 0 or end < begin or message.find(b"<" + tag, begin + 1) > 0 or _has_sections(message):
        return etree.tostring(body, encoding="UTF-8", xml_declaration=False, with_tail=False)
    whole = message[begin : message.index(b">", end) + 1]
    first = whole.index(b">")
    start_tag = whole[: first if whole.count(b'"', 0, first) % 2 == whole.count(b"'", 0, first) % 2 == 0 else _start(whole)]
    names, missing = whole.replace(b"xmlns:", b""), b""
    for prefix, uri in body.nsmap.items():
        if not _is_declared(prefix, start_tag) and _may_be_used(prefix, names):
            missing += _declaration(prefix, uri)
    return whole if not missing else whole[: len(tag) + 1] + missing + whole[len(tag) + 1 :]


def _has_sections(message: bytes) -> bool:
    """Whether there are comments or CDATA sections, where an element's name may stand without being one."""
    return message.find(b"<!--") >= 0 or message.find(b"<![CDATA[") >= 0


def _start(element: bytes) -> int:
    """Where the start tag ends: the first > outside of quotes."""
    found = re.match(rb"<[^>\"']*(?:\"[^\"]*\"[^>\"']*|'[^']*'[^>\"']*)*>", element)
    return found.end() if found else 0


def _is_declared(prefix: str | None, start_tag: bytes) -> bool:
    name = b"xmlns" if prefix is None else b"xmlns:" + prefix.encode()
    if b" %b=" % name in start_tag:
        return True
    return name in start_tag and re.search(rb"\s%b\s*=" % re.escape(name), start_tag) is not None


def _may_be_used(prefix: str | None, element: bytes) -> bool:
    """Whether the prefix stands anywhere as a whole word before a colon."""
    if prefix is None:
        return True
    colon = prefix.encode() + b":"
    found = element.find(colon)
    while found > 0 and element[found - 1] in _WORD:
        found = element.find(colon, found + 1)
    return found >= 0


def _declaration(prefix: str | None, uri: str) -> bytes:
    name = "xmlns" if prefix is None else f"xmlns:{prefix}"
    value = uri.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f' {name}="{value}"'.encode()
