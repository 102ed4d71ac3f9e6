"""Answers that other software gave on the wire are read without a complaint about their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.answer import Answer, read_answer
from conformance.checks import Facts, run_standard
from conformance.exchange import HttpResponse
from conformance.vocabulary import STATUSES
from tests.shared_data import shared
from xmlsafe.schema import Schema

pytestmark = pytest.mark.corpus

FOUR = {"iti18": "ITI-18", "iti41": "ITI-41", "iti42": "ITI-42", "iti43": "ITI-43"}


def response_of(path: Path) -> HttpResponse:
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        body = unchunked(body)
    return HttpResponse(int(first.split()[1]), "", headers, body)


def unchunked(data: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            return b"".join(pieces)
        pieces.append(data[:length])
        data = data[length + 2 :]


def captures() -> list[Path]:
    return sorted(path for path in shared("corpus", "wire").glob("*/*/response.http") if path.parent.name[:5] in FOUR)


def test_captured_answers_are_read(message_schema: Schema) -> None:
    paths = captures()
    assert len(paths) >= 12
    for path in paths:
        answer = read_answer(response_of(path))
        assert answer.problems == (), path
        assert answer.result is not None
        assert answer.result.status == STATUSES["Success"], path
        sent = re.search(rb"MessageID[^>]*>([^<]*)<", (path.parent / "request.http").read_bytes())
        assert sent is not None
        facts = Facts(FOUR[path.parent.name[:5]], sent.group(1).decode(), False, {}, message_schema)
        _, findings = run_standard(answer, facts)
        assert [str(finding) for finding in findings] == [], path


def read(client: str, name: str) -> Answer:
    return read_answer(response_of(shared("corpus", "wire", client, name, "response.http")))


def test_captured_documents_are_read_byte_for_byte() -> None:
    one = read("ipf", "iti43_one_document").documents
    assert [(item.unique_id, item.mime_type, item.included) for item in one] == [("1.2.250.1.999.9.77.1", "text/xml", True)]
    assert one[0].data is not None
    assert len(one[0].data) == 278
    two = read("ipf", "iti43_two_documents").documents
    assert sorted(len(item.data or b"") for item in two)[-1] == 3000


def test_captured_metadata_is_read() -> None:
    objects = read("ipf", "iti18_get_all").objects
    assert {item.kind for item in objects} == {"document", "folder", "set", "association"}
    entry = next(item for item in objects if item.value("uniqueId") == "1.2.250.1.999.9.77.1")
    assert entry.value("typeCode") == "11488-4^^2.16.840.1.113883.6.1"
    assert entry.value("version") == "1"
