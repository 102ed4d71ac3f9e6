"""The first bytes of a document against its mimeType."""

from __future__ import annotations

import pytest

from tests import samples
from xds_metadata.errors import Finding
from xds_repository.content import MOST_PARSED, BasicContentCheck, content_check


def findings(mime_type: str | None, data: bytes, severity: str = "Error") -> tuple[Finding, ...]:
    entry = samples.entry(mime_type=mime_type, unique_id="1.2.3")
    half = len(data) // 2
    return BasicContentCheck(severity).check(entry, len(data), data[:4096], iter([data[:half], data[half:]]))


XSLT = b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>'
SOUND = {
    "application/pdf": b"%PDF-1.7\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/tiff": b"MM\x00*",
    "application/dicom": bytes(128) + b"DICM",
    "application/zip": b"PK\x03\x04",
    "text/rtf": b"{\\rtf1",
    "application/rtf": b"{\\rtf1",
    "text/xml": b"\xef\xbb\xbf<?xml version='1.0'?><a/>",
    "application/xml": b"<a/>",
    "application/fhir+xml": b"<a/>",
    "application/xslt+xml": XSLT,
    "text/plain": b"words",
    "text/html": b"<p>",
    "application/octet-stream": b"\x00",
    "TEXT/XML; charset=UTF-8": b"<a/>",
}


@pytest.mark.parametrize("mime_type", SOUND)
def test_sound_documents_have_no_finding(mime_type: str) -> None:
    assert findings(mime_type, SOUND[mime_type]) == ()


@pytest.mark.parametrize(
    ("mime_type", "data", "word"),
    [
        ("application/pdf", b"<html/>", "application/pdf"),
        ("application/pdf", b" %PDF-1.4", "application/pdf"),
        ("image/jpeg", b"\x89PNG\r\n\x1a\n", "image/jpeg"),
        ("application/dicom", b"DICM", "application/dicom"),
        ("text/xml", b"%PDF-1.4", "XML (malformed)"),
        ("text/xml", b"<a>", "XML (malformed)"),
        ("text/xml", b'<?xml version="1.0" encoding="text"?><a/>', "XML (encoding)"),
        ("text/xml", b'<?xml version="1.0"?><?xml version="1.0"?><a/>', "XML (malformed)"),
        ("text/xml", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "XML (doctype)"),
        ("text/xml", " <?xml version='1.0'?><a/>".encode("utf-16"), "XML (encoding)"),
        ("application/fhir+xml", b"{}", "XML (malformed)"),
        ("application/xslt+xml", b"<a/>", "stylesheet"),
        ("text/plain", b"%PDF-1.4", "no text"),
        ("text/html", b"MZ\x90", "no text"),
        ("application/pdf", b"", "empty"),
        ("application/octet-stream", b"", "empty"),
        (None, b"", "empty"),
    ],
)
def test_a_contradiction_is_one_finding(mime_type: str | None, data: bytes, word: str) -> None:
    """D11, F29."""
    (finding,) = findings(mime_type, data)
    assert (finding.code, finding.location, finding.rule) == ("InvalidDocumentContent", "1.2.3", "content")
    assert word in finding.context


def test_a_document_of_one_line_is_judged_like_any_other() -> None:
    """F31."""
    data = b"<a>" + b"<b>text</b>" * 30_000 + b"</a>"
    assert len(data) > 300_000
    assert findings("text/xml", data) == ()


@pytest.mark.parametrize("data", [b"<!-- words --><a/>", b"<a/>", b"<c:a xmlns:c='urn:hl7-org:v3'/>"])
def test_a_declaration_is_not_needed(data: bytes) -> None:
    """F32, F33."""
    assert findings("text/xml", data) == ()


def test_a_blank_before_the_declaration_is_malformed() -> None:
    """F32."""
    (finding,) = findings("text/xml", b" <?xml version='1.0'?><a/>")
    assert "malformed" in finding.context


def test_the_setting_decides_what_a_finding_does() -> None:
    assert content_check("off") is None
    assert content_check("warn") == BasicContentCheck("Warning")
    assert content_check("refuse") == BasicContentCheck("Error")
    assert [finding.severity for finding in findings("application/pdf", b"x", "Warning")] == ["Warning"]


@pytest.mark.parametrize(
    ("head", "sound"), [(b"\xef\xbb\xbf\r\n <a>", True), (b"<a>", True), (b"%PDF-1.4", False), (b"", False)]
)
def test_a_document_too_large_to_be_parsed_is_judged_by_its_beginning(head: bytes, sound: bool) -> None:
    entry = samples.entry(mime_type="text/xml", unique_id="1.2.3")
    whole = iter([b"not read"])
    found = BasicContentCheck("Error").check(entry, MOST_PARSED + 1, head, whole)
    assert [f.code for f in found] == ([] if sound else ["InvalidDocumentContent"])
    assert list(whole) == [b"not read"]
