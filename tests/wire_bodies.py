"""Message bodies out of captured HTTP exchanges and published messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from xmlsafe import parse

_ENVELOPE = re.compile(rb"<([\w-]+:)?Envelope\b.*</([\w-]+:)?Envelope\s*>", re.DOTALL)


def body_of(path: Path) -> etree._Element | None:
    """The child of the SOAP Body in an HTTP message or an XML file; None where there is none."""
    data = path.read_bytes()
    head, blank, rest = data.partition(b"\r\n\r\n")
    if blank and b"transfer-encoding: chunked" in head.lower():
        data = _without_chunks(rest)
    envelope = _ENVELOPE.search(data)
    if envelope is None:
        return None
    body = parse(envelope.group()).find("{*}Body")
    return body[0] if body is not None and len(body) else None


def bodies_below(folder: Path, *suffixes: str) -> Iterator[tuple[Path, etree._Element]]:
    """Every file with one of `suffixes` below `folder` that holds a body, and the body."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in suffixes:
            body = body_of(path)
            if body is not None:
                yield path, body


def _without_chunks(data: bytes) -> bytes:
    pieces = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        pieces.append(data[:length])
        data = data[length + 2 :]
    return b"".join(pieces)
