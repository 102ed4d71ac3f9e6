"""Attacks on the MIME form of a message, over real connections: refused clearly, nothing staged or finished.

D1 (parts and references that do not match), D3 and D13 (where an Include points and stands) are the SOAP layer's and the
transactions'; here it is shown that a Content-ID never becomes a path.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from liasse.reception import BodyLimits
from tests.http_side import (
    BOUNDARY,
    MULTIPART,
    HttpSide,
    body_of,
    headers_of,
    http_side,
    package,
    part,
    read_all,
    request,
    status,
)

ROOT = part("root@a", b"<Envelope/>", "application/xop+xml")
END = f"--{BOUNDARY}--\r\n".encode()


@pytest.fixture(scope="module")
def shared_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpSide]:
    with http_side(tmp_path_factory.mktemp("staged"), body=BodyLimits(in_flight=1000, in_flight_per_client=1000)) as running:
        yield running


@pytest.fixture
def side(shared_side: HttpSide) -> HttpSide:
    shared_side.soap.finished = 0
    shared_side.soap.parts.clear()
    shared_side.records.clear()
    return shared_side


def _refused(side: HttpSide, body: bytes, content_type: str = MULTIPART, *, expected: int = 400) -> None:
    """The request is refused in the same way whether it comes at once or in pieces."""
    message = request(body, content_type)
    for step in (len(message), max(1, len(message) // 3)):
        with side.connect() as client:
            try:
                for at in range(0, len(message), step):
                    client.sendall(message[at : at + step])
            except OSError:
                pass  # cut while still sending: the answer may be lost, what counts is that nothing happened
            response = read_all(client)
        if response:
            assert status(response) == expected
            assert headers_of(response)["content-type"] == "text/plain; charset=utf-8"
            assert len(body_of(response)) < 300
    assert side.soap.finished == 0
    assert side.folder.left() == 0


@pytest.mark.parametrize("second", ["d1@a", "d1%40a", "D1@A", "%64%31@a"])
def test_d2_duplicated_content_ids(side: HttpSide, second: str) -> None:
    _refused(side, package(("d1@a", b"x"), (second, b"y")))


def test_d2_brackets_do_not_make_another_id(side: HttpSide) -> None:
    _refused(side, package(("d1@a", b"x"), end=False) + part("d1@a", b"y").replace(b"<d1@a>", b"d1@a") + END)
    _refused(side, package(("%3Cd1@a%3E", b"x")))


@pytest.mark.parametrize("content_id", ["../../../tmp/liasse-traversal", "/etc/passwd", "file:///x", "..%2F..%2Fx"])
def test_d3_a_content_id_is_a_key_and_never_a_path(side: HttpSide, content_id: str) -> None:
    assert status(side.send(request(package((content_id, b"x")), MULTIPART))) == 200
    assert len(side.soap.parts) == 1
    assert side.folder.left() == 0
    assert not Path("/tmp/liasse-traversal").exists()


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (MULTIPART.replace("root@a", "none@a"), package(("d1@a", b"x")), 400),
        (MULTIPART.replace("root@a", "d1@a"), package(("d1@a", b"x")), 415),
        (MULTIPART.replace("application/xop+xml", "application/pdf"), package(), 415),
        (MULTIPART, ROOT.replace(b"application/xop+xml", b"application/octet-stream") + END, 415),
        (MULTIPART, ROOT + ROOT + END, 400),
        (MULTIPART.replace('start="<root@a>"', "start=one; start=two"), package(), 400),
    ],
)
def test_d4_tricks_with_the_root_part(side: HttpSide, content_type: str, body: bytes, expected: int) -> None:
    _refused(side, body, content_type, expected=expected)


def test_d4_start_absent_and_start_at_a_later_part_are_legal(side: HttpSide) -> None:
    without = MULTIPART.replace('; start="<root@a>"', "")
    assert status(side.send(request(package(("d1@a", b"x")), without))) == 200
    assert status(side.send(request(package(("d1@a", b"x"), root_last=True), MULTIPART))) == 200
    assert side.soap.roots[-2:] == [b"<Envelope/>"] * 2


@pytest.mark.parametrize(
    "inner", [b"\n--uuid:b0\n", b"\n--uuid:b0--\n", b"\r--uuid:b0\r", b"\r\n--uuid:b0x\r\n", b"\r\n --uuid:b0\r\n"]
)
def test_d5_what_is_no_delimiter_stays_content(side: HttpSide, inner: bytes) -> None:
    smuggled = b"%PDF" + inner + b"Content-ID: <evil@a>\r\n\r\nevil"
    assert status(side.send(request(package(("d1@a", smuggled)), MULTIPART))) == 200
    assert {cid: size for cid, (_, size, _) in side.soap.parts.items()} == {"d1@a": len(smuggled)}


@pytest.mark.parametrize("boundary", ["", "x" * 71, "x" * 20_000, "ends in a blank "])
def test_d6_boundaries_of_wrong_length(side: HttpSide, boundary: str) -> None:
    body = package().replace(BOUNDARY.encode(), boundary.encode())
    _refused(side, body, MULTIPART.replace(BOUNDARY, boundary))


def test_d6_a_boundary_of_a_megabyte_does_not_pass_the_header_cap(side: HttpSide) -> None:
    with side.connect() as client:
        try:
            client.sendall(request(b"", MULTIPART.replace(BOUNDARY, "x" * 1_000_000)))
            response = read_all(client)
        except OSError:
            response = b""
    assert not response or status(response) == 431
    assert not side.records


def test_d6_a_boundary_of_pattern_characters_is_taken_literally(side: HttpSide) -> None:
    boundary = "(.*)+[a-z]?'/=:"
    body = package(("d1@a", b"\r\n--(aaaa)+a?'/=:\r\n")).replace(BOUNDARY.encode(), boundary.encode())
    assert status(side.send(request(body, MULTIPART.replace(BOUNDARY, boundary)))) == 200
    assert set(side.soap.parts) == {"d1@a"}


@pytest.mark.parametrize(
    "body",
    [
        package(end=False),
        package(("d1@a", b"x"), end=False) + b"--uuid:b0",
        package(("d1@a", b"x"), end=False) + b"--uuid:b0-",
        b"x" * 9000 + b"\r\n" + package(),
        b"x" * 5_000_000 + b"\r\n" + package(),
        package() + b"x" * 9000,
        package() + b"x" * 5_000_000,
        b"",
        b"--uuid:b0--",
    ],
    ids=[
        "no end",
        "cut in the end",
        "half an end",
        "preamble",
        "long preamble",
        "epilogue",
        "long epilogue",
        "empty",
        "end",
    ],
)
def test_d6_missing_end_preamble_and_epilogue(side: HttpSide, body: bytes) -> None:
    _refused(side, body)


def test_d7_floods_of_parts(side: HttpSide) -> None:
    for count in (50, 20_000):
        _refused(side, ROOT + b"".join(b"--uuid:b0\r\nContent-ID: <%d>\r\n\r\n\r\n" % n for n in range(count)) + END)
    assert side.folder.made < 500


@pytest.mark.parametrize(
    "media_type", ["multipart/related; boundary=x", "Multipart/Mixed; boundary=x", "multipart/alternative"]
)
def test_d7_nested_packages(side: HttpSide, media_type: str) -> None:
    _refused(side, ROOT + part("d1@a", b"--x\r\n\r\n--x--", media_type) + END)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-ID: <a>\r\nContent-ID: <b>",
        b"Content-ID: <a%0D%0AX-Evil:1>",
        b"Content-ID: <a>\nX-Evil: 1",
        b"Content-ID: <a>\rX-Evil: 1",
        b"Content-ID: <a\0b>",
        "Content-ID: <é@a>".encode(),
        b"Content-ID: <%FF%FE>",
        b"Content-ID: <>",
        b"X-No-Id: 1",
        b"Content-ID: <a>\r\nContent-Type: text/xml\r\nContent-Type: text/html",
        b"Content-ID: <a>\r\nContent-Type: text/xml; charset*0=utf; charset*1=8",
        b"Content-ID: <a>\r\nContent-Type: text/xml; charset*=utf-8''x",
        b"Content-ID: <a>\r\nContent-Type: text/xml; charset=a; charset=b",
        b"Content-ID: <a>\r\nno header at all",
        b"Content-ID: <a>\r\nX: " + b"x" * 8300,
        b"Content-ID: <a>\r\n" + b"X: y\r\n" * 200_000 + b"Z: 1",
        b"Content-ID: <a>\r\nX: " + b"x" * 10_000_000,
    ],
    ids=range(17),
)
def test_d8_part_headers(side: HttpSide, headers: bytes) -> None:
    _refused(side, ROOT + b"--uuid:b0\r\n" + headers + b"\r\n\r\nx\r\n" + END)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("quoted-printable", b"=41"),
        ("x-uuencode", b"x"),
        ("gzip", b"x"),
        ("", b"x"),
        ("base64, binary", b"x"),
        ("base64", b"raw bytes \x00\xff"),
        ("base64", b"QUJ"),
        ("base64", b"QUI=QUI="),
    ],
)
def test_d9_transfer_encodings(side: HttpSide, encoding: str, content: bytes) -> None:
    headers = f"Content-Transfer-Encoding: {encoding}\r\n"
    _refused(side, ROOT + part("d1@a", content, headers=headers) + END)


def test_d9_base64_labelled_binary_stays_what_it_is(side: HttpSide) -> None:
    body = ROOT + part("d1@a", b"QUJD", headers="Content-Transfer-Encoding: binary\r\n") + END
    assert status(side.send(request(body, MULTIPART))) == 200
    assert side.soap.parts["d1@a"][1] == 4


def test_d12_truncated_at_every_offset(side: HttpSide) -> None:
    body = package(("d1@a", b"%PDF some content"))
    for sent in range(len(body)):
        with side.connect() as client:
            client.sendall(request(body[:sent], MULTIPART, length=len(body)))
    deadline = time.monotonic() + 20
    while len(side.records) < len(body):
        assert time.monotonic() < deadline, "a truncated upload is still waited for"
        time.sleep(0.01)
    assert {record.outcome for record in side.records} == {"truncated"}
    assert side.soap.finished == 0
    assert side.folder.left() == 0
    assert side.taken("held") == side.taken("staged") == 0
    assert status(side.send(request(body, MULTIPART))) == 200
