"""The tester's own package reader and writer."""

from __future__ import annotations

import pytest

from conformance.mime import OutgoingPart, Unreadable, bare_id, cid, read_media_type, read_package, write_package

ROOT = OutgoingPart("root@a", "application/xop+xml", b"<e/>")
DATA = bytes(range(256)) + b"\r\n--B\r\n--Bx\r\n\r\n"


def read(head: str, body: bytes) -> list[tuple[str, bytes]]:
    package = read_package(read_media_type(head), body)
    assert package.problems == ()
    return [(part.content_id, part.data) for part in (package.root, *package.others)]


@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize("encoding", ["binary", "8bit", "base64"])
@pytest.mark.parametrize("root_last", [True, False])
def test_what_is_written_is_read(quoted: bool, encoding: str, root_last: bool) -> None:
    parts = [OutgoingPart("d1@a", "x/y", DATA), OutgoingPart("d2@a", "x/y", b"")]
    head, body = write_package(
        ROOT, parts, "b7", quoted=quoted, root_last=root_last, preamble="hello", epilogue="bye", transfer_encoding=encoding
    )
    assert read(head, body) == [("root@a", b"<e/>"), ("d1@a", DATA), ("d2@a", b"")]


def test_without_start_the_first_part_is_the_root() -> None:
    head, body = write_package(ROOT, [OutgoingPart("d@a", "x/y", b"1")], "b7", start=False)
    assert "start=" not in head
    assert read(head, body)[0] == ("root@a", b"<e/>")


@pytest.mark.parametrize(
    "body",
    [
        b"--B\r\n\r\nX\r\n--B--",
        b"--B \t\r\n\r\nX\r\n--B--\r\n",
        b"preamble\r\n--B\r\n\r\nX\r\n--B--\r\nepilogue\r\n--B\r\n\r\nnot a part",
        b"\r\n--B\r\nContent-Type: a/b;\r\n folded=1\r\n\r\nX\r\n--B-- \r\n",
    ],
)
def test_legal_frames_are_read(body: bytes) -> None:
    assert [data for _, data in read("multipart/related; boundary=B", body)] == [b"X"]


def test_a_delimiter_with_more_behind_it_is_data() -> None:
    assert read("multipart/related; boundary=B", b"--B\r\n\r\nX\r\n--Bar\r\nY\r\n--B--")[0][1] == b"X\r\n--Bar\r\nY"


def test_line_ends_before_the_delimiter_belong_to_the_content_but_for_the_last() -> None:
    assert read("multipart/related; boundary=B", b"--B\r\n\r\nabc\r\n\r\n--B--")[0][1] == b"abc\r\n"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"--B\r\n\r\nX", "without its closing boundary"),
        (b"--B\r\nno headers end\r\n--B--", "no empty line"),
        (b"--B\r\nnocolon\r\n\r\nX\r\n--B--", "without colon"),
        (b"--B\r\nContent-ID: a\r\nContent-ID: b\r\n\r\nX\r\n--B--", "occurs twice"),
        (b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--B--", "not base64"),
        (b"--B\r\nContent-Transfer-Encoding: gzip\r\n\r\nX\r\n--B--", "unknown Content-Transfer-Encoding"),
        (b"--B\r\nContent-ID: <a>\r\n\r\nX\r\n--B\r\nContent-ID: a\r\n\r\nY\r\n--B--", "several parts"),
    ],
)
def test_what_is_wrong_with_a_frame_is_told(body: bytes, problem: str) -> None:
    package = read_package(read_media_type("multipart/related; boundary=B"), body)
    assert any(problem in text for text in package.problems)


@pytest.mark.parametrize(
    ("head", "body", "reason"),
    [
        ("multipart/related", b"--B\r\n\r\nX\r\n--B--", "no boundary parameter"),
        ("multipart/related; boundary=C", b"--B\r\n\r\nX\r\n--B--", "no part begins"),
        ("multipart/related; boundary=B; start=q", b"--B\r\n\r\nX\r\n--B--", "no part has the Content-ID 'q'"),
        ("multipart/related; boundary=B", b"", "no part begins"),
    ],
)
def test_an_unreadable_package_is_refused(head: str, body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_package(read_media_type(head), body)


def test_quoted_printable_is_decoded() -> None:
    body = b"--B\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n--B--"
    assert read("multipart/related; boundary=B", body)[0][1] == "é".encode()


@pytest.mark.parametrize("spelling", ["<7-1@urn:ihe:x>", "7-1%40urn%3Aihe%3Ax", " <7-1@urn%3Aihe:x> "])
def test_ids_are_compared_without_brackets_and_percent_encoding(spelling: str) -> None:
    assert bare_id(spelling) == "7-1@urn:ihe:x"


def test_a_part_is_found_by_cid_only() -> None:
    head, body = write_package(ROOT, [OutgoingPart("7-1@urn:x", "a/b", b"1")], "b7")
    package = read_package(read_media_type(head), body)
    for href in (cid("7-1@urn:x"), cid("7-1@urn:x", percent_encoded=True)):
        part = package.part(href)
        assert part is not None
        assert part.data == b"1"
    assert package.part("http://127.0.0.1/7-1@urn:x") is None
    assert package.part("cid:other") is None


def test_a_media_type_is_read_whatever_its_spelling() -> None:
    read = read_media_type('Multipart/Related;Type="application/xop+xml" ; BOUNDARY="a;\\"b";start=<x@y>')
    assert read.name == "multipart/related"
    assert read.parameters == {"type": "application/xop+xml", "boundary": 'a;"b', "start": "<x@y>"}
    assert read.rest == ""
    assert read_media_type("a/b; charset").rest == "charset"
