"""The document client against peers that answer wrongly: every reason is told, nothing is taken for a document."""

from __future__ import annotations

import hashlib
import io
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ebrim.model import RegistryError
from ebrim.rs import write_query_answer, write_query_failure, write_registry_response
from liasse.client import Deposit, DocumentClient, Endpoints, ExchangeFailed, Filters, error_line, quoted, quoted_list
from soap.connections import Timeouts
from soap.mtom import write_package
from soap.transaction import Attachment
from tests.unit.soap.peer import Peer, Request, peer, response
from xds_metadata.model import DocumentEntry, Submission, SubmissionSet
from xds_repository.messages import DocumentRequest, write_retrieve_answer
from xmlsafe.namespaces import RS, SOAP12, XDS, XOP

PATIENT = "D''1^^^&1.2.3&ISO"
WANTED = DocumentRequest("1.2.3", "1.2.3.4")
DATA = b"<ClinicalDocument/>"
SHA1 = hashlib.sha1(DATA).hexdigest()
Client = tuple[DocumentClient, Peer]


def envelope(*pieces: bytes) -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP12}"><s:Body>'.encode() + b"".join(pieces) + b"</s:Body></s:Envelope>"


def simple(*pieces: bytes) -> bytes:
    return response(envelope(*pieces))


def packaged(body: tuple[bytes, ...], parts: dict[str, bytes]) -> bytes:
    attachments = [Attachment(cid, "text/xml", len(data), one(data)) for cid, data in parts.items()]
    package = write_package([envelope(*body)], attachments)
    return response(b"".join(package.chunks()), 200, package.content_type)


def one(data: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter((data,))


@contextmanager
def client(answer: bytes | None) -> Iterator[Client]:
    """A client whose registry and repository give one answer to everything."""

    def respond(_request: Request, _connection: socket.socket) -> bytes | None:
        return answer

    with peer(respond) as running:
        endpoints = Endpoints(running.url, running.url.replace("/registry", "/repository"))
        with DocumentClient(endpoints, Timeouts(connect=2, silence=5, total=10)) as opened:
            yield opened, running


def entry(**values: Any) -> DocumentEntry:
    return DocumentEntry("urn:uuid:0a000000-0000-4000-8000-000000000001", "1.2.3.4", **values)


def document(parts: dict[str, bytes], refer: str = "d@test") -> bytes:
    return packaged(write_retrieve_answer([(WANTED, "text/xml", refer)], []), parts)


# retrieve


def retrieve(answer: bytes | None, expected: DocumentEntry | None = None) -> tuple[bytes, str]:
    with client(answer) as (opened, _):
        into = io.BytesIO()
        found = opened.retrieve(WANTED, into, expected)
        assert found.size == len(into.getvalue())
        return into.getvalue(), found.sha1


def test_a_document_is_streamed_and_measured() -> None:
    assert retrieve(document({"d@test": DATA})) == (DATA, SHA1)
    assert retrieve(document({"d@test": DATA}), entry(hash=SHA1.upper(), size=str(len(DATA)))) == (DATA, SHA1)


def test_a_document_inside_the_message_is_taken_too() -> None:
    inline = write_retrieve_answer([(WANTED, "text/xml", "d@test")], [])
    include = f'<xop:Include xmlns:xop="{XOP}" href="cid:d%40test"/>'.encode()
    body = b"".join(inline)
    assert include in body or b'href="cid:d@test"' in body
    start = body.index(b"<xop:Include")
    end = body.index(b"/>", start) + 2
    assert retrieve(simple(body[:start] + b"PENsaW5pY2FsRG9j\ndW1lbnQvPg==" + body[end:])) == (DATA, SHA1)


def test_a_wrong_hash_and_a_wrong_size_are_both_told() -> None:
    with pytest.raises(ExchangeFailed) as failure:
        retrieve(document({"d@test": DATA}), entry(hash="0" * 40, size="20"))
    size, digest = str(failure.value).splitlines()
    assert size == "the document 1.2.3.4: size: the registry says 20 bytes, 19 arrived"
    assert digest.startswith(
        f"the document 1.2.3.4: hash: the registry says {'0' * 40}, the SHA-1 of what arrived is {SHA1}"
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (document({"d@test": DATA, "e@test": DATA}), "the answer holds 2 documents, one is expected"),
        (document({"other@test": DATA}), "refers to 'cid:d@test', which is not among its parts"),
        (document({}), "refers to 'cid:d@test', which is not among its parts"),
    ],
)
def test_an_answer_with_other_parts_than_it_says_is_no_document(answer: bytes, expected: str) -> None:
    with pytest.raises(ExchangeFailed, match=re.escape(expected)):
        retrieve(answer)


def test_a_document_that_is_not_base64_is_refused() -> None:
    response_pieces = (
        f'<x:RetrieveDocumentSetResponse xmlns:x="{XDS}">'.encode(),
        write_registry_response(),
        b"<x:DocumentResponse><x:mimeType>text/xml</x:mimeType><x:Document>!!!</x:Document></x:DocumentResponse>",
        b"</x:RetrieveDocumentSetResponse>",
    )
    with pytest.raises(ExchangeFailed, match="not base64"):
        retrieve(simple(*response_pieces))


def test_the_errors_of_a_retrieval_are_told() -> None:
    errors = [RegistryError("XDSDocumentUniqueIdError", "not here", "1.2.3.4")]
    with pytest.raises(ExchangeFailed) as failure:
        retrieve(packaged(write_retrieve_answer([], errors), {}))
    assert str(failure.value) == "XDSDocumentUniqueIdError: not here [1.2.3.4]"
    assert failure.value.errors == tuple(errors)


def test_a_refusal_without_a_reason_is_told_as_such() -> None:
    failed = f'<rs:RegistryResponse xmlns:rs="{RS}" status="urn:x:Failure"/>'.encode()
    body = (f'<x:RetrieveDocumentSetResponse xmlns:x="{XDS}">'.encode(), failed, b"</x:RetrieveDocumentSetResponse>")
    with pytest.raises(ExchangeFailed, match=r"the document 1\.2\.3\.4: the peer answered Failure and gave no reason"):
        retrieve(simple(*body))


# find


def test_a_query_asks_with_literals_and_reads_what_it_can() -> None:
    filters = Filters(("urn:a", "urn:b"), ("x^^1.2", "it's^^1.2"), ("c^^1",), "2024", "2025")
    with client(simple(*write_query_answer([]))) as (opened, running):
        assert opened.find("D'1^^^&1.2.3&ISO", filters) == ()
    sent = running.requests[0].body.decode()
    for text in (
        "<Value>'D''1^^^&amp;1.2.3&amp;ISO'</Value>",
        "<Value>('urn:a','urn:b')</Value>",
        "<Value>('x^^1.2','it''s^^1.2')</Value>",
        "<Value>('c^^1')</Value>",
        '"$XDSDocumentEntryCreationTimeFrom"><ValueList><Value>2024</Value>',
        '"$XDSDocumentEntryCreationTimeTo"><ValueList><Value>2025</Value>',
    ):
        assert text in sent


def test_the_errors_of_a_query_are_told_one_a_line() -> None:
    errors = [RegistryError("XDSStoredQueryParamNumber", "one"), RegistryError("XDSRegistryError", "two", "there")]
    with client(simple(write_query_failure(errors))) as (opened, _), pytest.raises(ExchangeFailed) as failure:
        opened.entries(["1.2.3"])
    assert str(failure.value).splitlines() == ["XDSStoredQueryParamNumber: one", "XDSRegistryError: two [there]"]
    assert not failure.value.outcome_unknown


def test_success_without_a_list_is_no_answer() -> None:
    body = write_query_answer([])
    empty = b"".join(body).replace(body[-1], b"").partition(b"<RegistryObjectList")[0] + b"</query:AdhocQueryResponse>"
    with client(simple(empty)) as (opened, _), pytest.raises(ExchangeFailed, match="without a RegistryObjectList"):
        opened.find(PATIENT)


# submit


def submission() -> Submission:
    return Submission((SubmissionSet("SubmissionSet01", "1.2.3.9"),), (entry(mime_type="text/xml"),))


def test_warnings_of_an_accepted_submission_are_returned() -> None:
    warning = RegistryError("XDSRegistryMetadataWarning", "mind the gap", severity="Warning")
    with client(simple(write_registry_response([warning]))) as (opened, running):
        assert opened.submit(submission(), [Deposit.of_bytes(entry(), DATA)]) == (warning,)
    assert running.requests[0].headers["content-type"].startswith("multipart/related")
    assert DATA in running.requests[0].body


def test_a_fault_is_told() -> None:
    fault = (
        b'<s:Fault xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Code><s:Value>s:Sender</s:Value></s:Code>'
        b'<s:Reason><s:Text xml:lang="en">no token</s:Text></s:Reason></s:Fault>'
    )
    refused = response(envelope(fault), 500)
    with client(refused) as (opened, running), pytest.raises(ExchangeFailed) as failure:
        opened.submit(submission(), [Deposit.of_bytes(entry(), DATA)])
    assert str(failure.value) == f"{opened.endpoints.repository} refuses the message: SOAP fault (Sender): no token"
    assert opened.endpoints.repository.startswith(running.url.rpartition("/")[0])


def test_a_lost_answer_leaves_the_outcome_open() -> None:
    with client(None) as (opened, _), pytest.raises(ExchangeFailed, match="may have processed") as failure:
        opened.submit(submission(), [Deposit.of_bytes(entry(), DATA)])
    assert failure.value.outcome_unknown


def test_a_web_page_is_no_answer() -> None:
    page = response(b"<html/>", 404, "text/html")
    with client(page) as (opened, _), pytest.raises(ExchangeFailed, match=r"does not answer as an XDS\.b server") as failure:
        opened.find(PATIENT)
    assert "404" in str(failure.value)


def test_a_file_that_grows_while_it_is_sent_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(DATA)
    deposit = Deposit.of_file(entry(), path)
    path.write_bytes(DATA * 2)
    with client(simple(write_registry_response())) as (opened, _), pytest.raises(ExchangeFailed, match="given up"):
        opened.submit(submission(), [deposit])


def test_a_url_of_another_kind_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ExchangeFailed, match="ftp://here"):
        DocumentClient(Endpoints("ftp://here/registry", "http://127.0.0.1/repository"))


def test_literals_double_their_quotes() -> None:
    assert quoted("it's") == "'it''s'"
    assert quoted_list(["a", "b'"]) == "('a','b''')"


def test_an_error_line_names_a_place_that_the_text_does_not() -> None:
    assert error_line(RegistryError("XDSRegistryError", "wrong", "here")) == "XDSRegistryError: wrong [here]"
    assert error_line(RegistryError("XDSRegistryError", "wrong here", "here")) == "XDSRegistryError: wrong here"
