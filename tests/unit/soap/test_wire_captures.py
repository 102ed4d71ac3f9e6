"""Requests of clients nobody here wrote reach the transaction they are meant for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from soap.mime_headers import read_boundary, read_content_id, read_media_type
from soap.mtom import PartBegin, PartData, Splitter
from soap.transaction import Incoming, WireTolerances
from soap.transport import Server
from tests.shared_data import shared
from tests.unit.soap.samples import Behaviour, exchange, incoming
from xmlsafe.namespaces import LCM, QUERY, RMD, XDS

CASES = {
    "ipf/iti41_one_document": "ITI-41",
    "ipf/iti41_two_documents_folder_replace": "ITI-41",
    "ipf/iti41_content_length": "ITI-41",
    "ipf/iti42_register": "ITI-42",
    "ipf/iti61_on_demand": "ITI-61",
    "ipf/iti18_find_documents": "ITI-18",
    "ipf/iti18_get_all": "ITI-18",
    "ipf/iti18_get_documents_uuid": "ITI-18",
    "ipf/iti18_get_documents_unique_id": "ITI-18",
    "ipf/iti18_find_by_reference_id": "ITI-18",
    "ipf/iti43_one_document": "ITI-43",
    "ipf/iti43_two_documents": "ITI-43",
    "ipf/iti57_new_version": "ITI-57",
    "ipf/iti57_status": "ITI-57",
    "ipf/iti86_remove_documents": "ITI-86",
    "ipf/iti18_get_documents_and_associations": "ITI-18",
    "ipf/iti62_remove_metadata": "ITI-62",
    "zeep/iti18_find_documents": "ITI-18",
    "zeep/iti43_one_document": "ITI-43",
}
ACTIONS = {
    "ITI-18": ("urn:ihe:iti:2007:RegistryStoredQuery", f"{{{QUERY}}}AdhocQueryRequest"),
    "ITI-41": ("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest"),
    "ITI-42": ("urn:ihe:iti:2007:RegisterDocumentSet-b", f"{{{LCM}}}SubmitObjectsRequest"),
    "ITI-43": ("urn:ihe:iti:2007:RetrieveDocumentSet", f"{{{XDS}}}RetrieveDocumentSetRequest"),
    "ITI-57": ("urn:ihe:iti:2010:UpdateDocumentSet", f"{{{LCM}}}SubmitObjectsRequest"),
    "ITI-61": ("urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", f"{{{LCM}}}SubmitObjectsRequest"),
    "ITI-62": ("urn:ihe:iti:2010:DeleteDocumentSet", f"{{{LCM}}}RemoveObjectsRequest"),
    "ITI-86": ("urn:ihe:iti:2017:RemoveDocuments", f"{{{RMD}}}RemoveDocumentsRequest"),
}
BUILT = ("ITI-18", "ITI-41", "ITI-42", "ITI-43")


def serving(behaviour: Behaviour, numbers: tuple[str, ...]) -> Server:
    return Server([behaviour.transaction(number, "/all", *ACTIONS[number]) for number in numbers])


def captured(file: Path) -> tuple[bytes, Incoming]:
    """The envelope of a captured HTTP request, and what its header says."""
    head, _, body = file.read_bytes().partition(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    }
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    media_type = read_media_type(headers["content-type"])
    if media_type.name != "multipart/related":
        return body, incoming("/all", charset=media_type.parameters.get("charset"))
    start = media_type.parameters.get("start")
    splitter = Splitter(read_boundary(media_type), start=read_content_id(start) if start else None)
    root, inside = b"", False
    for event in splitter.feed(body):
        if isinstance(event, PartBegin):
            inside = event.root
        elif isinstance(event, PartData) and inside:
            root += event.data
    splitter.finish()
    return root, incoming("/all", mtom=True)


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        whole, body = whole + body[:count], body[count + 2 :]
    return whole


@pytest.mark.corpus
@pytest.mark.parametrize("case", CASES)
def test_a_captured_request_reaches_its_transaction(case: str) -> None:
    data, to = captured(shared("corpus", "wire", *case.split("/"), "request.http"))
    behaviour = Behaviour()
    reply = exchange(data, to, serving(behaviour, tuple(ACTIONS)))
    assert (reply.status, behaviour.handled) == (200, [CASES[case]])
    (message_id,) = re.findall(rb"MessageID[^>]*>([^<]+)<", data)
    assert b"RelatesTo>" + message_id + b"<" in b"".join(reply.pieces)


@pytest.mark.corpus
@pytest.mark.parametrize("case", CASES)
def test_a_captured_request_of_a_transaction_not_served_is_not_supported(case: str) -> None:
    data, to = captured(shared("corpus", "wire", *case.split("/"), "request.http"))
    reply = exchange(data, to, serving(Behaviour(), BUILT))
    assert reply.fault == (None if CASES[case] in BUILT else "wsa:ActionNotSupported")


DMP = WireTolerances(unprefixed_must_understand=True, empty_to=True, soap11_in_mtom_root=True)


@pytest.mark.corpus
def test_the_official_deposit_needs_all_three_tolerances() -> None:
    text = shared("corpus", "dmp-messages", "TD2.1_Alimentation_request.xml").read_bytes()
    root = text[text.index(b"<soap", text.index(b"Content-ID")) : text.index(b"Envelope>") + len(b"Envelope>")]
    behaviour = Behaviour()
    offered = behaviour.transaction("ITI-41", "/all", *ACTIONS["ITI-41"], mtom=True)
    assert exchange(root, incoming("/all", mtom=True), Server([offered], tolerances=DMP)).status == 200
    for lacking in ("unprefixed_must_understand", "empty_to", "soap11_in_mtom_root"):
        others = {name: name != lacking for name in ("unprefixed_must_understand", "empty_to", "soap11_in_mtom_root")}
        reply = exchange(root, incoming("/all", mtom=True), Server([offered], tolerances=WireTolerances(**others)))
        assert reply.status == 500, lacking
