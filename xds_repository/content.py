"""Are the bytes what the metadata say? First bytes by media type, and well-formed XML where XML is promised.

Rules of CDA itself belong to package `cda`; this is what any document must meet. XML beyond 8 MB is judged by its beginning
only, so that a large document costs no memory.
Source: IHE ITI TF-2 3.41.4.1.3 (content that contradicts metadata); TF-3 4.2.4 (InvalidDocumentContent).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xds_metadata.errors import Finding
from xds_metadata.model import DocumentEntry
from xds_repository.ports import ContentCheck
from xmlsafe.errors import XmlError
from xmlsafe.parse import DOCUMENT, parse

CODE = "InvalidDocumentContent"
MOST_PARSED = 8_388_608
"""Bytes of XML that are parsed whole."""
_STYLESHEETS = frozenset(
    {"{http://www.w3.org/1999/XSL/Transform}stylesheet", "{http://www.w3.org/1999/XSL/Transform}transform"}
)
_MAGIC: dict[str, tuple[tuple[int, bytes], ...]] = {
    "application/pdf": ((0, b"%PDF-"),),
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/gif": ((0, b"GIF87a"), (0, b"GIF89a")),
    "image/tiff": ((0, b"II*\x00"), (0, b"MM\x00*")),
    "application/dicom": ((128, b"DICM"),),
    "application/zip": ((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
    "application/rtf": ((0, b"{\\rtf"),),
    "text/rtf": ((0, b"{\\rtf"),),
}
_FOREIGN = (b"%PDF-", b"PK\x03\x04", b"MZ", b"\x7fELF", b"\xff\xd8\xff", b"\x89PNG")
"""What a text never begins with."""


@dataclass(frozen=True, slots=True)
class BasicContentCheck:
    """Compares bytes with mimeType. `severity` is "Error" (refuse) or "Warning"."""

    severity: str

    def check(self, entry: DocumentEntry, size: int, head: bytes, whole: Iterable[bytes]) -> tuple[Finding, ...]:
        """At most one finding a document; `location` is its uniqueId."""
        mime_type = (entry.mime_type or "").partition(";")[0].strip().lower()
        problem = _problem(mime_type, size, head, whole)
        if problem is None:
            return ()
        text = f"DocumentEntry {entry.unique_id}: {problem}"
        return (Finding(CODE, text, entry.unique_id or "", rule="content", severity=self.severity),)


def _problem(mime_type: str, size: int, head: bytes, whole: Iterable[bytes]) -> str | None:
    if size == 0:
        return "the document is empty"
    if mime_type in _MAGIC:
        if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC[mime_type]):
            return None
        return f"mimeType is {mime_type}, the document does not begin like one"
    if mime_type == "application/xslt+xml":
        return _xml_problem(mime_type, size, head, whole, _STYLESHEETS)
    if mime_type in ("text/xml", "application/xml") or mime_type.endswith("+xml"):
        return _xml_problem(mime_type, size, head, whole, None)
    if mime_type.startswith("text/") and head.startswith(_FOREIGN):
        return f"mimeType is {mime_type}, the document is no text"
    return None


def _xml_problem(mime_type: str, size: int, head: bytes, whole: Iterable[bytes], roots: frozenset[str] | None) -> str | None:
    if size > MOST_PARSED:
        begins = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(b"<")
        return None if begins else f"mimeType is {mime_type}, the document does not begin like XML"
    try:
        root = parse(b"".join(whole), DOCUMENT)
    except XmlError as error:
        return f"mimeType is {mime_type}, the document cannot be read as XML ({error.reason})"
    if roots is not None and root.tag not in roots:
        return f"mimeType is {mime_type}, the document's root is no stylesheet"
    return None


def content_check(mode: str) -> ContentCheck | None:
    """The check for a setting: off, warn or refuse."""
    if mode == "off":
        return None
    return BasicContentCheck("Error" if mode == "refuse" else "Warning")
