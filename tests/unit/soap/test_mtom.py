"""The splitter and the writer of MTOM packages."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from soap.mime_headers import MimeError, read_boundary, read_content_id, read_media_type
from soap.mtom import Event, PartBegin, PartData, PartEnd, Splitter, write_package
from soap.transaction import Attachment

BOUNDARY = b"uuid:aaa"
ROOT = b"--uuid:aaa\r\nContent-Type: application/xop+xml\r\nContent-ID: <root@a>\r\n\r\n<Envelope/>\r\n"
END = b"--uuid:aaa--"


def part(content: bytes, headers: bytes = b"Content-ID: <d1@a>") -> bytes:
    """One part of a package, its delimiter line before and a line end after."""
    return b"--uuid:aaa\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


def split(body: bytes, chunk: int = 1 << 20, start: str | None = None) -> list[Event]:
    """All events of a body fed in chunks of that size."""
    splitter = Splitter(BOUNDARY, start=start)
    events = [event for at in range(0, len(body), chunk) for event in splitter.feed(body[at : at + chunk])]
    splitter.finish()
    return events


def contents(events: list[Event]) -> dict[str | None, bytes]:
    """The bytes of each part by Content-ID."""
    found: dict[str | None, bytes] = {}
    current: str | None = None
    for event in events:
        match event:
            case PartBegin(content_id=content_id):
                current = content_id
                found[current] = b""
            case PartData(data=data):
                found[current] += data
            case PartEnd():
                pass
    return found


def refused(body: bytes, start: str | None = None) -> str:
    """The reason of the refusal, the same for whole bodies and single bytes."""
    reasons = set()
    for chunk in (1 << 20, 1):
        with pytest.raises(MimeError) as caught:
            split(body, chunk, start)
        reasons.add(caught.value.reason)
        assert caught.value.status == 400
    (reason,) = reasons
    return reason


def test_root_and_one_part() -> None:
    events = split(ROOT + part(b"%PDF\r\n\r\n") + END)
    assert contents(events) == {"root@a": b"<Envelope/>", "d1@a": b"%PDF\r\n\r\n"}
    assert [event.root for event in events if isinstance(event, PartBegin)] == [True, False]


def test_preamble_epilogue_padding_and_final_line_end() -> None:
    body = b"preamble\r\n" + ROOT + part(b"x").replace(b"aaa\r\n", b"aaa \t \r\n", 1) + END + b"  \r\nepilogue"
    assert contents(split(body)) == contents(split(body, 1)) == {"root@a": b"<Envelope/>", "d1@a": b"x"}


@pytest.mark.parametrize(
    "content",
    [
        b"\n--uuid:aaa\n",
        b"\n--uuid:aaa--\n",
        b"\r\n--uuid:aaaa\r\n",
        b"\r\n--uuid:aaa \tx",
        b"\r\n--uuid:aaa\rx",
        b"\r\n--uuid:aaa\nx",
        b"\r\n--uuid:aaa-x",
        b"\r\n--uuid:aaa --",
        b"\r\n--uuid:aaa" + b" " * 300 + b"\r\n",
        b"--uuid:aaa x\r\n--uuid:aa",
        b"\r\n--UUID:AAA\r\n",
        b"\r\r\n-",
    ],
)
def test_d5_what_looks_like_a_delimiter_and_is_content(content: bytes) -> None:
    body = ROOT + part(content) + END
    for chunk in (1, 2, 3, 7, 1 << 20):
        assert contents(split(body, chunk))["d1@a"] == content


def test_f22_last_line_end_belongs_to_the_delimiter() -> None:
    assert contents(split(ROOT + part(b"abc\r\n") + END))["d1@a"] == b"abc\r\n"


def test_parts_without_content() -> None:
    without_line = b"--uuid:aaa\r\nContent-ID: <e@a>\r\n\r\n"
    for chunk in (1, 1 << 20):
        assert contents(split(ROOT + part(b"") + without_line + END, chunk)) == {
            "root@a": b"<Envelope/>",
            "d1@a": b"",
            "e@a": b"",
        }


def test_parts_in_any_order() -> None:
    events = split(part(b"x") + ROOT + END, start="root@a")
    assert [(event.content_id, event.root) for event in events if isinstance(event, PartBegin)] == [
        ("d1@a", False),
        ("root@a", True),
    ]


def test_f24_part_without_transfer_encoding_is_raw() -> None:
    every = bytes(range(256)) * 3
    assert contents(split(ROOT + part(every) + END))["d1@a"] == every


@pytest.mark.parametrize("encoding", [b"8bit", b"7bit", b"BINARY", b"binary;"])
def test_plain_transfer_encodings(encoding: bytes) -> None:
    headers = b"Content-ID: <d1@a>\r\nContent-Transfer-Encoding: " + encoding
    assert contents(split(ROOT + part(b"\x00=3D\xff", headers) + END))["d1@a"] == b"\x00=3D\xff"


def test_base64_is_decoded_in_chunks_of_any_size() -> None:
    data = bytes(range(256)) * 10 + b"z"
    body = ROOT + part(base64.encodebytes(data), b"Content-ID: <d1@a>\r\nContent-Transfer-Encoding: Base64") + END
    for chunk in (1, 5, 64, 1 << 20):
        assert contents(split(body, chunk))["d1@a"] == data


@pytest.mark.parametrize(
    "text", [b"QUJ", b"QUI=QUI=", b"QU=I", b"Q!JD", b"====", b"QUI=\r\nQ", b"QUJ=", b"QR==", b"QUJD\xe9"]
)
def test_d9_base64_that_is_refused(text: bytes) -> None:
    body = ROOT + part(text, b"Content-ID: <d1@a>\r\nContent-Transfer-Encoding: base64") + END
    assert refused(body) == "base64"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no-part"),
        (b"<Envelope/>", "no-part"),
        (b"--uuid:bbb\r\n\r\n<Envelope/>\r\n--uuid:bbb--", "no-part"),  # F19
        (END, "no-part"),
        (b"--uuid:aaa", "no-part"),
        (b"--uuid:aaa\r\n", "truncated"),
        (ROOT, "truncated"),
        (ROOT + b"--uuid:aaa", "truncated"),
        (ROOT + b"--uuid:aaa-", "truncated"),
        (ROOT + part(b"x"), "truncated"),
        (ROOT.replace(b"\r\n", b"\n") + END, "no-part"),
        (b"x" * 8193 + b"\r\n" + ROOT + END, "preamble"),
        (ROOT + END + b"x" * 8193, "epilogue"),
        (ROOT + part(b"x", b"Content-ID: <b>\r\nX: " + b"x" * 8192) + END, "part-header-size"),
        (ROOT + b"--uuid:aaa\r\n" + b"X: y\r\n" * 200_00, "part-header-size"),
        (ROOT + b"--uuid:aaa\r\nContent-ID: <b>\r\n--uuid:aaa\r\n\r\nx\r\n" + END, "part-header"),
        (ROOT + part(b"x", b"X: 1") + END, "content-id-missing"),
        (ROOT + part(b"x") + part(b"y") + END, "content-id-duplicate"),
        (ROOT + part(b"x") + part(b"y", b"Content-ID: d1%40a") + END, "content-id-duplicate"),
        (ROOT + part(b"x") + part(b"y", b"Content-ID: <D1@A>") + END, "content-id-duplicate"),
        (ROOT + ROOT + END, "content-id-duplicate"),
        (ROOT + part(b"x", b"Content-Type: multipart/related; boundary=b") + END, "nested-multipart"),
        (ROOT + b"".join(part(b"", b"Content-ID: <%d>" % n) for n in range(50)) + END, "part-count"),
    ],
)
def test_d2_d6_d7_d8_packages_that_are_refused(body: bytes, reason: str) -> None:
    assert refused(body) == reason


def test_fifty_parts_and_full_caps_are_accepted() -> None:
    many = b"".join(part(b"", b"Content-ID: <%d>" % n) for n in range(48))
    widest = part(b"x", b"Content-ID: <w>\r\nX: ".ljust(8190, b"y"))
    body = b"x" * 8190 + b"\r\n" + ROOT + many + widest + END + b"z" * 8192
    assert len(contents(split(body))) == len(contents(split(body, 1))) == 50


def test_d4_start_that_names_no_part() -> None:
    assert refused(ROOT + END, start="other@a") == "no-root"


def test_d12_truncated_at_every_offset() -> None:
    body = ROOT + part(b"some content") + END
    for length in range(len(body)):
        splitter = Splitter(BOUNDARY)
        list(splitter.feed(body[:length]))
        assert not splitter.complete
        with pytest.raises(MimeError):
            splitter.finish()


def _attachment(content_id: str, *chunks: bytes, size: int | None = None, media_type: str = "application/pdf") -> Attachment:
    def give() -> Iterator[bytes]:
        yield from chunks

    return Attachment(content_id, media_type, sum(map(len, chunks)) if size is None else size, give)


def test_written_packages_are_split_again() -> None:
    package = write_package((b"<Envelope>", b"</Envelope>"), (_attachment("1@a", b"%PDF", b"", b"\r\n"), _attachment("2@a")))
    body = b"".join(package.chunks())
    media_type = read_media_type(package.content_type)
    start = read_content_id(media_type.parameters["start"])
    assert len(body) == package.size
    assert media_type.parameters["type"] == "application/xop+xml"
    assert media_type.parameters["start-info"] == "application/soap+xml"
    splitter = Splitter(read_boundary(media_type), start=start)
    events = list(splitter.feed(body))
    splitter.finish()
    assert contents(events) == {start: b"<Envelope></Envelope>", "1@a": b"%PDF\r\n", "2@a": b""}


def test_f24_our_parts_always_say_binary() -> None:
    body = b"".join(write_package((b"<a/>",), (_attachment("1@a", b"x"),)).chunks())
    assert body.count(b"Content-Transfer-Encoding: binary\r\n") == body.count(b"Content-ID: ") == 2


def test_the_action_goes_into_the_content_type_only_when_it_can_stand_there() -> None:
    assert read_media_type(write_package((b"<a/>",), action="urn:x").content_type).parameters["action"] == "urn:x"
    for action in ('urn:"x', "urn:\r\nX-Evil: 1", "", None):
        assert "action" not in read_media_type(write_package((b"<a/>",), action=action).content_type).parameters


def test_f26_no_value_reaches_a_part_header() -> None:
    evil = _attachment("1@a", b"x", media_type="text/xml\r\nX-Evil: 1")
    body = b"".join(write_package((b"<a/>",), (evil,)).chunks())
    assert b"X-Evil" not in body
    assert body.count(b"Content-Type: application/octet-stream\r\n") == 1
    with pytest.raises(ValueError, match="Content-ID of an attachment"):
        write_package((b"<a/>",), (_attachment("1@a\r\nX-Evil: 1", b"x"),))


def test_content_ids_of_ours_are_plain() -> None:
    body = b"".join(write_package((b"<a/>",), (_attachment("1@a", b"x"),)).chunks())
    for content_id in re.findall(rb"Content-ID: <(.*?)>", body):
        assert re.fullmatch(rb"[A-Za-z0-9.@-]+", content_id)


@pytest.mark.parametrize("size", [2, 4])
def test_an_attachment_of_another_size_than_announced_stops_before_the_final_boundary(size: int) -> None:
    package = write_package((b"<a/>",), (_attachment("1@a", b"xyz", size=size),))
    sent: list[bytes] = []
    with pytest.raises(ValueError, match=r"attachment 1@a: announced \d bytes"):
        sent.extend(package.chunks())
    assert not b"".join(sent).endswith(b"--\r\n")
