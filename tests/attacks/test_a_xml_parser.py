"""Hostile XML, group A: each kind is refused by the parser, without a connection, a file read or a costly detour."""

from __future__ import annotations

import gzip
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lxml import etree

from schemas.paths import MESSAGES, schema_files
from xmlsafe import DOCUMENT, MESSAGE, Limits, XmlError, parse
from xmlsafe.namespaces import RIM, XSI
from xmlsafe.schema import Schema

BOTH = pytest.mark.parametrize("limits", [MESSAGE, DOCUMENT], ids=["message", "document"])


def refusal(data: bytes, limits: Limits = MESSAGE, charset: str | None = None) -> XmlError:
    with pytest.raises(XmlError) as caught:
        parse(data, limits, charset)
    return caught.value


@contextmanager
def listener() -> Iterator[tuple[int, list[int]]]:
    """A loopback port and the list of connections that it saw."""
    seen: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    seen.append(1)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            stop.set()
            thread.join()


def slot_with(value: str, doctype: str = "") -> bytes:
    return (
        f'{doctype}<r:Slot xmlns:r="{RIM}" name="n"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>'.encode()
    )


@BOTH
def test_a1_external_entity_of_a_file(limits: Limits, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("sesame")
    attack = slot_with("&x;", f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>')
    error = refusal(attack, limits)
    assert error.reason == "doctype"
    assert "sesame" not in str(error)


@BOTH
@pytest.mark.parametrize("kind", ["entity", "parameter entity", "external subset", "public"])
def test_a2_a3_nothing_is_fetched(limits: Limits, kind: str) -> None:
    with listener() as (port, seen):
        url = f"http://127.0.0.1:{port}/x.dtd"
        doctype = {
            "entity": f'<!DOCTYPE a [<!ENTITY x SYSTEM "{url}">]>',
            "parameter entity": f'<!DOCTYPE a [<!ENTITY % p SYSTEM "{url}"> %p;]>',
            "external subset": f'<!DOCTYPE a SYSTEM "{url}">',
            "public": f'<!DOCTYPE a PUBLIC "-//x//y" "{url}">',
        }[kind]
        assert refusal(slot_with("v", doctype), limits).reason == "doctype"
    assert seen == []


@pytest.mark.parametrize("before", ["", "\n", "<?xml version='1.0'?>", "<!-- <a> -->", "<?pi <!DOCTYPE?>", "\ufeff"])
def test_a3_doctype_wherever_a_prolog_allows_it(before: str) -> None:
    assert refusal(f"{before}<!DOCTYPE a><a/>".encode()).reason == "doctype"


@BOTH
def test_a4_nested_entities(limits: Limits) -> None:
    entities = '<!ENTITY e0 "ha">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 11))
    assert refusal(slot_with("&e10;", f"<!DOCTYPE a [{entities}]>"), limits).reason == "doctype"


@BOTH
def test_a5_one_long_entity_used_often(limits: Limits) -> None:
    attack = slot_with("&x;" * 5000, f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]>')
    assert refusal(attack, limits).reason == "doctype"


@BOTH
def test_a6_default_attribute(limits: Limits) -> None:
    assert refusal(b'<!DOCTYPE a [<!ATTLIST a ID CDATA "forged">]><a/>', limits).reason == "doctype"


@pytest.mark.parametrize("depth", [65, 257, 2_000, 50_000])
def test_a7_depth_of_a_message(depth: int) -> None:
    assert refusal(b"<a>" * depth + b"</a>" * depth).reason == "depth"


@pytest.mark.parametrize("depth", [257, 2_000, 50_000])
def test_a7_depth_of_a_document(depth: int) -> None:
    assert refusal(b"<a>" * depth + b"</a>" * depth, DOCUMENT).reason == "depth"


def test_a8_long_text() -> None:
    attack = b"<a>" + b"QUJD" * 2_525_000 + b"</a>"
    assert refusal(attack).reason == "size"
    assert len(parse(attack, DOCUMENT).text or "") == 10_100_000


@BOTH
def test_a8_too_many_bytes(limits: Limits) -> None:
    small = Limits(max_bytes=1000, huge=limits.huge)
    assert refusal(b"<a>" + b"x" * 1000 + b"</a>", small).reason == "size"


@BOTH
def test_a9_attributes(limits: Limits) -> None:
    attack = b"<a>" + b"<b " + b" ".join(b'a%d=""' % n for n in range(20_000)) + b"/></a>"
    assert refusal(attack, limits).reason == "attributes"


@BOTH
@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_a10_namespaces_on_one_element(limits: Limits, quote: bytes) -> None:
    attack = b"<a " + b" ".join(b"xmlns:n%d = %bu%b" % (n, quote, quote) for n in range(50_000)) + b"/>"
    assert refusal(attack, limits).reason == "namespaces"


@BOTH
def test_a10_namespaces_spread_over_the_document(limits: Limits) -> None:
    attack = b"<a>" + b"".join(b'<b xmlns:n%d="u"/>' % n for n in range(65)) + b"</a>"
    assert refusal(attack, limits).reason == "namespaces"


@BOTH
def test_a10_one_prefix_for_ever_new_names(limits: Limits) -> None:
    attack = b"<a>" + b"".join(b'<b xmlns="u%d"/>' % n for n in range(65)) + b"</a>"
    assert refusal(attack, limits).reason == "namespaces"


@BOTH
def test_a11_elements(limits: Limits) -> None:
    assert refusal(b"<a>" + b"<b/>" * 1_000_000 + b"</a>", limits).reason == "elements"


@BOTH
def test_a12_xinclude_stays_text(limits: Limits) -> None:
    data = b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'
    root = parse(data, limits)
    assert [child.tag for child in root] == ["{http://www.w3.org/2001/XInclude}include"]
    assert root.xpath("string()") == ""


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        '<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"),
        "<a>é</a>".encode("utf-16-le"),
        "<a>é</a>".encode("utf-16-be"),
        '<?xml version="1.0" encoding="UTF-32"?><a/>'.encode("utf-32"),
        "<a/>".encode("utf-32-be"),
        b'<?xml version="1.0" encoding="UTF-7"?><a>+AOk-</a>',
        b"+ADw-a/+AD4-",
        '<?xml version="1.0" encoding="cp037"?><a/>'.encode("cp037"),
        b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
        b"<?xml version='1.0' encoding='windows-1252'?><a/>",
        b"<a>\xe9</a>",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a13_other_encodings(limits: Limits, data: bytes) -> None:
    assert refusal(data, limits).reason == "encoding"


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-7", "", "us-ascii"])
def test_a13_another_charset_of_the_transport(charset: str) -> None:
    assert refusal(b"<a/>", charset=charset).reason == "encoding"


@BOTH
@pytest.mark.parametrize(
    "data", [b"<a>\0</a>", b"<a>&#0;</a>", b"<a>&#1;</a>", b"<a>\xc0\xbc</a>", b"<a>\xed\xa0\x80</a>", b"<a>&#xD800;</a>"]
)
def test_a14_invalid_characters(limits: Limits, data: bytes) -> None:
    assert refusal(data, limits).reason in ("malformed", "encoding")


@BOTH
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<a ID="1" ID="2"/>', "malformed"),
        (b'<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>', "malformed"),
        (b'<a xmlns:s="u"><b ID="1" s:ID="2"/></a>', "ids"),
        (b'<a xmlns:s="u"><b s:ID ="2" ID="1"/></a>', "ids"),
        (b'<a xmlns:s="u" xmlns:t="v"><b s:ID="1" t:ID="2"/></a>', "ids"),
    ],
)
def test_a15_duplicate_attributes(limits: Limits, data: bytes, reason: str) -> None:
    assert refusal(data, limits).reason == reason


@BOTH
@pytest.mark.parametrize(
    "data", [b"", b"  ", b"<a/><b/>", b"<a/>junk", b"<a><b></a>", b"<a>", b"<a", b"junk<a/>", b"<a>&x;</a>", b'<a b="&x;"/>']
)
def test_a16_not_one_whole_document(limits: Limits, data: bytes) -> None:
    assert refusal(data, limits).reason == "malformed"


@BOTH
def test_a17_compressed_input(limits: Limits) -> None:
    assert refusal(gzip.compress(b"<a/>"), limits).reason == "malformed"


def test_a17_a_file_name_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a/>")
    assert refusal(str(path).encode()).reason == "malformed"


def test_a18_stylesheet_instruction() -> None:
    data = b'<?xml-stylesheet href="http://127.0.0.1:9/x.xsl" type="text/xsl"?><a><?p i?>x<!-- c -->y</a>'
    message = parse(data)
    assert message.getprevious() is None
    assert message.text == "xy"
    assert len(message) == 0
    stylesheet = parse(data, DOCUMENT).getprevious()
    assert stylesheet is not None
    assert isinstance(stylesheet, etree._ProcessingInstruction)


def test_a19_long_name() -> None:
    assert refusal(b"<" + b"a" * 60_000 + b"/>").reason == "size"
    assert refusal(b'<a b="" ' + b"a" * 60_000 + b'=""/>').reason == "size"


@BOTH
def test_a20_a_document_does_not_bring_its_stylesheet(limits: Limits) -> None:
    with listener() as (port, seen):
        parse(f'<?xml-stylesheet href="http://127.0.0.1:{port}/x.xsl" type="text/xsl"?><a/>'.encode(), limits)
    assert seen == []


def test_no_code_of_the_server_transforms() -> None:
    """A transformation could read and write files: the packages that read messages use none."""
    root = Path(__file__).resolve().parents[2]
    packages = ("xmlsafe", "schemas", "soap", "ebrim", "xds_metadata", "xds_registry", "xds_repository", "cda")
    sources = [path for package in packages for path in (root / package).rglob("*.py")]
    assert sources
    assert [path.name for path in sources if re.search(r"\.(XSLT|xslt|xinclude)\b", path.read_text("utf-8"))] == []


def test_an_instance_does_not_choose_its_schema(tmp_path: Path) -> None:
    lenient = tmp_path / "lenient.xsd"
    lenient.write_text(
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{RIM}">'
        '<xs:element name="Invented" type="xs:anyType"/></xs:schema>'
    )
    schema = Schema(schema_files(MESSAGES))
    with listener() as (port, seen):
        for location in (lenient.as_uri(), f"http://127.0.0.1:{port}/x.xsd"):
            data = f'<r:Invented xmlns:r="{RIM}" xmlns:x="{XSI}" x:schemaLocation="{RIM} {location}"/>'
            element = parse(data.encode())
            assert not schema.is_valid(element)
            assert schema.findings(element)
    assert seen == []


@BOTH
def test_no_refusal_quotes_the_message(limits: Limits) -> None:
    for data in (
        b"<sentinel-name><b></sentinel-name>",
        b"<a>&sentinel-name;</a>",
        b'<a sentinel-name="1" sentinel-name="2"/>',
    ):
        error = refusal(data, limits)
        assert "sentinel" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__
