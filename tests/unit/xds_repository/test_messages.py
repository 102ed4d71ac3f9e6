"""The bodies of ITI-41 and ITI-43: what is read, what is refused, and that what is written is read back."""

from __future__ import annotations

import base64

import pytest
from lxml import etree

from ebrim.model import RegistryError
from tests import samples
from tests.e2e import wire
from tests.registry_side import schema
from xds_metadata.errors import XdsFailure
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.profile import IHE
from xds_repository import messages
from xds_repository.messages import DocumentRequest, ProvidedDocument
from xmlsafe import parse
from xmlsafe.namespaces import XDS, XOP


def read(content: str, document_id: str = "d1") -> ProvidedDocument:
    body = parse(wire.provide_body(samples.submission(samples.entry(entry_uuid=document_id)), (document_id, content)))
    (document,) = messages.read_provide_request(body).documents
    return document


def refusal(content: str) -> tuple[str, str]:
    """The rule and the text of the one finding."""
    with pytest.raises(XdsFailure) as caught:
        read(content)
    (finding,) = caught.value.findings
    assert "Document 'd1'" in finding.context
    return finding.rule, finding.context


def test_base64_is_read_with_and_without_line_ends() -> None:
    data = bytes(range(256))
    for text in (
        base64.b64encode(data).decode(),
        base64.encodebytes(data).decode(),
        f"\r\n\t {base64.b64encode(data).decode()}\n",
    ):
        assert read(text) == ProvidedDocument("d1", None, data)
    assert read("") == ProvidedDocument("d1", None, b"")


@pytest.mark.parametrize(
    "text", ["AAA", "A===", "AAAA=", "AAAA====", "AA=A", "AAB=", "AAAA!", "\u00e9\u00e9\u00e9\u00e9", "AA-_"]
)
def test_text_that_is_no_base64_is_refused(text: str) -> None:
    assert refusal(text)[0] == "document-base64"


@pytest.mark.parametrize(
    ("href", "content_id"),
    [
        ("cid:document1@wire", "document1@wire"),
        ("cid:7-1@urn%3Aihe%3Aiti%3Axds-b%3A2007", "7-1@urn:ihe:iti:xds-b:2007"),
        ("cid:7-1@urn:ihe:iti:xds-b:2007", "7-1@urn:ihe:iti:xds-b:2007"),
        ("cid:compte%20rendu%20%C3%A9.xml", "compte rendu \u00e9.xml"),
        ("cid:a%2Fb", "a/b"),
        ("CID:d1@a", "d1@a"),
    ],
)
def test_references_are_read_decoded(href: str, content_id: str) -> None:
    """F14, F15."""
    assert read(wire.include(href)) == ProvidedDocument("d1", content_id, None)
    assert read(f"\n  {wire.include(href)}\n").content_id == content_id


@pytest.mark.parametrize("href", ["http://127.0.0.1:9/x", "file:///etc/passwd", "", "document1@wire", "mid:a@b"])
def test_other_references_are_refused(href: str) -> None:
    """F13, D3."""
    rule, text = refusal(wire.include(href))
    assert rule == "document-href"
    assert "fetched" in text


def test_a_reference_that_is_no_utf8_is_refused() -> None:
    assert refusal(wire.include("cid:%E9@a"))[0] == "document-href"


@pytest.mark.parametrize(
    "content",
    [
        f"AAAA{wire.include('cid:a@b')}",
        f"{wire.include('cid:a@b')}AAAA",
        wire.include("cid:a@b") * 2,
        f"{wire.include('cid:a@b')}<y/>",
        f"<y/>{wire.include('cid:a@b')}",
        wire.include("cid:a@b").replace("/>", "><z/></xop:Include>"),
    ],
)
def test_a_reference_is_the_only_content(content: str) -> None:
    """D13."""
    assert refusal(content)[0] == "document-include"


def test_every_faulty_document_is_told() -> None:
    body = wire.provide_body(
        samples.submission(samples.entry()), ("a", "?"), ("b", wire.include("http://x/")), ("c", "AAAA")
    )
    with pytest.raises(XdsFailure) as caught:
        messages.read_provide_request(parse(body))
    assert [finding.rule for finding in caught.value.findings] == ["document-base64", "document-href"]


def test_a_written_submission_is_read_back() -> None:
    submission = samples.submission(samples.entry(entry_uuid='a"<&>'), samples.entry(entry_uuid="b"))
    documents = (('a"<&>', "document1@wire"), ("b", "compte rendu \u00e9@wire"))
    body = parse(messages.write_provide_request(samples.objects(submission), documents))
    assert schema().is_valid(body)
    again = messages.read_provide_request(body)
    assert from_ebrim(again.objects, IHE) == (submission, ())
    assert [(d.id, d.content_id) for d in again.documents] == list(documents)


def test_own_references_need_no_decoding() -> None:
    """Some receivers compare href and Content-ID as they stand."""
    body = parse(
        messages.write_provide_request(samples.objects(samples.submission(samples.entry())), [("d", "a-1.b@liasse")])
    )
    assert [include.get("href") for include in body.iter(f"{{{XOP}}}Include")] == ["cid:a-1.b@liasse"]


REQUESTS = (
    DocumentRequest("1.2.3", "1.2.3.4"),
    DocumentRequest("1.2.3", "1.2^<&>'\"", "urn:oid:1.2"),
)


def test_a_written_retrieval_is_read_back() -> None:
    body = parse(messages.write_retrieve_request(REQUESTS))
    assert schema().is_valid(body)
    assert messages.read_retrieve_request(body) == REQUESTS


def test_an_empty_home_is_none() -> None:
    body = messages.write_retrieve_request(REQUESTS).replace(b"urn:oid:1.2<", b"<")
    assert [request.home for request in messages.read_retrieve_request(parse(body))] == [None, None]


ERROR = RegistryError("XDSDocumentUniqueIdError", "context", "1.2", "Error")


@pytest.mark.parametrize(
    ("found", "errors", "status"),
    [
        (1, (), "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"),
        (1, (ERROR,), "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"),
        (0, (ERROR,), "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"),
    ],
)
def test_the_status_of_an_answer_follows_from_what_it_holds(
    found: int, errors: tuple[RegistryError, ...], status: str
) -> None:
    rows = [(REQUESTS[1], "text/xml", "document-1@liasse")][:found]
    answer = parse(b"".join(messages.write_retrieve_answer(rows, errors)))
    assert schema().is_valid(answer)
    assert [child.get("status") for child in answer if etree.QName(child).localname == "RegistryResponse"] == [status]
    assert [etree.QName(child).localname for child in answer] == ["RegistryResponse", *["DocumentResponse"] * found]
    if found:
        assert [etree.QName(child).localname for child in answer[1]] == [
            "HomeCommunityId",
            "RepositoryUniqueId",
            "DocumentUniqueId",
            "mimeType",
            "Document",
        ]
        assert answer.findtext(f".//{{{XDS}}}DocumentUniqueId") == REQUESTS[1].unique_id
