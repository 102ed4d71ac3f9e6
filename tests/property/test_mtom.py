"""The splitter gives one result for all chunk sizes, and agrees with an independent parser where both have an opinion."""

from __future__ import annotations

import base64
import os
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from soap.mime_headers import MimeError
from soap.mtom import PartBegin, PartData, PartEnd, Splitter, write_package
from soap.transaction import Attachment

BOUNDARY = b"B-1"
pytestmark = pytest.mark.proof
EXAMPLES = 5000 if os.environ.get("LIASSE_PROOF") == "1" else 200

# Pieces that meet all the traps: delimiters whole and cut, line ends of all kinds, headers, padding.
_DELIMITERS = (b"--", b"-", b"B-1", b"--B-1", b"\r\n--B-1", b"\r\n--B-1--", b"\r\n--B-1\r\n")
_HEADERS = (b":", b"Content-ID: <a>", b"Content-ID: <b>", b"\r\n\r\n", b"Content-Transfer-Encoding: base64")
_PIECES = st.sampled_from((b"\r\n", b"\r", b"\n", b" ", b"\t", b"x", b"QUJD", b"QQ==", b"=", *_DELIMITERS, *_HEADERS))
_BODIES = st.lists(_PIECES, max_size=40).map(b"".join)
_CONTENTS = st.lists(st.one_of(_PIECES, st.binary(max_size=20)), max_size=12).map(b"".join)

Outcome = tuple[list[tuple[str | None, bool, bytes]], str | None]


def _split(body: bytes, cuts: list[int]) -> Outcome:
    """The parts that were complete, and the reason of the refusal, if any."""
    splitter = Splitter(BOUNDARY)
    parts: list[tuple[str | None, bool, bytes]] = []
    try:
        current, data = PartBegin(None, None, root=False), b""  # type: ignore[arg-type]
        for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            for event in splitter.feed(body[begin:end]):
                match event:
                    case PartBegin():
                        current, data = event, b""
                    case PartData(data=more):
                        assert more
                        data += more
                    case PartEnd():
                        parts.append((current.content_id, current.root, data))
        splitter.finish()
    except MimeError as error:
        return parts, error.reason
    return parts, None


@settings(max_examples=EXAMPLES, deadline=None)
@given(_BODIES, st.data())
def test_chunks_do_not_matter(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    whole = _split(body, [])
    assert _split(body, list(range(len(body)))) == whole
    assert _split(body, cuts) == whole


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(_CONTENTS, st.booleans()), min_size=1, max_size=5), st.integers(1, 40))
def test_parts_come_back_as_they_were(contents: list[tuple[bytes, bool]], chunk: int) -> None:
    body = b""
    for number, (content, as_base64) in enumerate(contents):
        # A sender chooses a boundary that does not occur in the content; base64 needs no such care.
        if BOUNDARY in content and not as_base64:
            content = content.replace(BOUNDARY, b"B-2")
            contents[number] = (content, False)
        encoding = b"\r\nContent-Transfer-Encoding: base64" if as_base64 else b""
        wire = base64.encodebytes(content) if as_base64 else content
        body += b"--B-1\r\nContent-ID: <%d>%b\r\n\r\n%b\r\n" % (number, encoding, wire)
    parts, reason = _split(body + b"--B-1--", list(range(chunk, len(body), chunk)))
    assert reason is None
    assert parts == [(str(number), number == 0, content) for number, (content, _) in enumerate(contents)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=100), st.lists(st.lists(st.binary(max_size=50), max_size=3), max_size=3))
def test_what_we_write_we_read(envelope: bytes, documents: list[list[bytes]]) -> None:
    attachments = [
        Attachment(f"{number}@x", "text/xml", sum(map(len, chunks)), chunks.__iter__)
        for number, chunks in enumerate(documents)
    ]
    package = write_package((envelope,), attachments)
    body = b"".join(package.chunks())
    assert len(body) == package.size
    splitter = Splitter(package.content_type.split('boundary="')[1].split('"')[0].encode())
    events = list(splitter.feed(body))
    splitter.finish()
    data = [event.data for event in events if isinstance(event, PartData)]
    assert b"".join(data) == envelope + b"".join(map(b"".join, documents))
    assert sum(isinstance(event, PartEnd) for event in events) == 1 + len(documents)


def _oracle(body: bytes) -> tuple[list[bytes], bool]:
    """The contents of the parts that python-multipart ends, and whether it refuses the body."""
    parts: list[bytes] = []
    current = bytearray()

    def on_data(data: bytes, start: int, end: int) -> None:
        current.extend(data[start:end])

    def on_end() -> None:
        parts.append(bytes(current))
        current.clear()

    parser = MultipartParser(BOUNDARY, {"on_part_data": on_data, "on_part_end": on_end})
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError:
        return parts, True
    return parts, False


_SIMPLE_HEADERS = st.sampled_from(
    [b"Content-ID: <%d>", b"X-Other: 1\r\nContent-ID: <%d>", b"Content-ID: <%d>\r\nX-Other:  y z "]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(_SIMPLE_HEADERS, _CONTENTS), min_size=1, max_size=5))
def test_an_independent_parser_sees_the_same_parts(drawn: list[tuple[bytes, bytes]]) -> None:
    body = b""
    for number, (headers, content) in enumerate(drawn):
        body += b"--B-1\r\n" + headers % number + b"\r\n\r\n" + content + b"\r\n"
    body += b"--B-1--\r\n"
    theirs, they_refuse = _oracle(body)
    ours, reason = _split(body, [])
    if reason is None and not they_refuse and not _allowed_to_differ(body):
        assert [content for _, _, content in ours] == theirs


def _allowed_to_differ(body: bytes) -> bool:
    """Where the other parser is known to be laxer or stricter: blanks after a boundary, and text after the final one."""
    lines = body.split(b"\r\n")
    delimiters = [line for line in lines if line.startswith(b"--B-1")]
    plain = [key for key, _ in groupby(delimiters, key=lambda line: line in (b"--B-1", b"--B-1--"))]
    return plain != [True] or delimiters.index(b"--B-1--") != len(delimiters) - 1
