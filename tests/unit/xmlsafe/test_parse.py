"""What the parser accepts, and that its limits are exact."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from xmlsafe import DOCUMENT, MESSAGE, Limits, XmlError, parse, thread_should_end


@pytest.mark.parametrize(
    "data",
    [
        b"<a>\xc3\xa9</a>",
        b"\xef\xbb\xbf<a>\xc3\xa9</a>",
        b'<?xml version="1.0"?><a>\xc3\xa9</a>',
        b"<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<a>\xc3\xa9</a>",
        b'\xef\xbb\xbf<?xml version = "1.0" encoding="UTF8"?><a>\xc3\xa9</a>',
        b" \r\n<a>&#233;</a>\n",
        b"<!-- c --><?p i?><a><![CDATA[\xc3\xa9]]></a><!-- c -->",
    ],
)
@pytest.mark.parametrize("limits", [MESSAGE, DOCUMENT], ids=["message", "document"])
def test_utf8_documents(data: bytes, limits: Limits) -> None:
    root = parse(data, limits)
    assert (root.tag, root.text) == ("a", "é")


@pytest.mark.parametrize("charset", [None, "utf-8", "UTF-8", '"utf-8"', "utf8", " UTF-8 "])
def test_charsets_of_the_transport(charset: str | None) -> None:
    assert parse(b"<a/>", charset=charset).tag == "a"


@pytest.mark.parametrize(
    "declaration", ['version="1.1"', 'version="2.0"', 'encoding="UTF-8"', 'version="1.0" standalone="maybe"']
)
def test_other_declarations(declaration: str) -> None:
    with pytest.raises(XmlError) as caught:
        parse(f"<?xml {declaration}?><a/>".encode())
    assert caught.value.reason == "malformed"


def test_doctype_as_content() -> None:
    assert parse(b"<a><![CDATA[<!DOCTYPE a>]]></a>").text == "<!DOCTYPE a>"
    assert parse(b"<!-- <!DOCTYPE a> --><a/>").tag == "a"
    assert parse(b"<?p <!DOCTYPE a>?><a/>", DOCUMENT).tag == "a"


def test_annotations() -> None:
    data = b"<a>x<!-- c -->y<?p i?>z</a>"
    assert parse(data).text == "xyz"
    assert [type(child) for child in parse(data, DOCUMENT)] == [etree._Comment, etree._ProcessingInstruction]


def test_text_is_never_trimmed() -> None:
    assert parse(b"<a> \n <b/> </a>").text == " \n "


@pytest.mark.parametrize("limits", [MESSAGE, DOCUMENT], ids=["message", "document"])
def test_depth_is_exact(limits: Limits) -> None:
    parse(b"<a>" * limits.depth + b"</a>" * limits.depth, limits)
    with pytest.raises(XmlError, match="depth"):
        parse(b"<a>" * (limits.depth + 1) + b"</a>" * (limits.depth + 1), limits)


def test_attributes_are_exact() -> None:
    def element(count: int) -> bytes:
        return b"<r><a " + b" ".join(b'a%d=""' % n for n in range(count)) + b"/></r>"

    parse(element(64))
    with pytest.raises(XmlError, match="attributes"):
        parse(element(65))


def test_namespaces_are_exact() -> None:
    def element(count: int) -> bytes:
        return b"<a>" + b"".join(b'<b xmlns:n%d="u%d"/>' % (n, n) for n in range(count)) + b"</a>"

    parse(element(64))
    with pytest.raises(XmlError, match="namespaces"):
        parse(element(65))


def test_repeated_declarations_count_once() -> None:
    repeated = b"<b xmlns='u' xmlns:s=\"v\"/>" * 500
    assert len(parse(b"<a>" + repeated + b"</a>")) == 500


def test_elements_are_exact() -> None:
    limits = Limits(max_bytes=10_000, elements=100)
    parse(b"<a>" + b"<b/>" * 99 + b"</a>", limits)
    with pytest.raises(XmlError, match="elements"):
        parse(b"<a>" + b"<b/>" * 100 + b"</a>", limits)


def test_bytes_are_exact() -> None:
    limits = Limits(max_bytes=10)
    parse(b"<a>123</a>", limits)
    with pytest.raises(XmlError, match="11 bytes, at most 10"):
        parse(b"<a>1234</a>", limits)


def test_one_id_of_either_kind() -> None:
    parse(b'<a xmlns:s="u"><b ID="1"/><b s:ID="1"/><b ID="2" s:Id="3" id="4"/></a>')


def test_no_ids_are_collected() -> None:
    """Nothing may find an element by an identifier that a sender chose: the same xml:id may even repeat."""
    root = parse(b'<a><b xml:id="x"/><c xml:id="x"/></a>')
    assert [child.tag for child in root] == ["b", "c"]


def test_detail_locates() -> None:
    with pytest.raises(XmlError) as caught:
        parse(b"<a>\n  <b></c>\n</a>")
    assert caught.value.detail.startswith("not well-formed XML at line 2, column ")


def test_threads_use_parsers_of_their_own() -> None:
    documents = [b"<a>" + b"<b>%d</b>" % n * 50 + b"</a>" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        roots = list(pool.map(parse, documents))
    assert [root[49].text for root in roots] == [str(n) for n in range(200)]


def test_a_thread_should_end_after_much_input() -> None:
    """Each thread counts for itself what it parsed, refused or not."""

    def worn(document: bytes, times: int) -> bool:
        for _ in range(times):
            with contextlib.suppress(XmlError):
                parse(document)
        return thread_should_end()

    sound, broken = b"<a>" + b"x" * 1_000_000 + b"</a>", b"<a>" + b"x" * 1_000_000
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert not one.submit(worn, sound, 15).result()
        assert one.submit(worn, broken, 2).result()
        assert not other.submit(worn, sound, 1).result()


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: f"<a>{text}</a>".encode("utf-8", "surrogatepass")))
def test_any_bytes_give_an_element_or_our_error(data: bytes) -> None:
    for limits in (MESSAGE, DOCUMENT):
        try:
            assert isinstance(parse(data, limits), etree._Element)
        except XmlError as error:
            assert error.detail  # noqa: PT017
