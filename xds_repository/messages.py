"""The bodies of ITI-41 and ITI-43, read and written.

Source: IHE ITI TF-2 3.41, 3.43; XDS.b document repository schema (child order).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote

from lxml import etree

from ebrim.model import RegistryError, RegistryObjectList
from ebrim.read import SUBMIT_OBJECTS_REQUEST, read_submit_objects_request
from ebrim.rs import write_registry_response, write_submit_objects_request
from ebrim.write import attribute, text
from xds_metadata.errors import METADATA_ERROR, Finding, XdsFailure
from xds_metadata.from_ebrim import shown
from xmlsafe.namespaces import XDS, XMIME, XMIME_2005, XOP

PROVIDE_ROOT = f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest"
RETRIEVE_ROOT = f"{{{XDS}}}RetrieveDocumentSetRequest"
_DOCUMENT = f"{{{XDS}}}Document"
_INCLUDE = f"{{{XOP}}}Include"
_REQUEST = f"{{{XDS}}}DocumentRequest"
_CONTENT_TYPE_HINTS = {"draft": XMIME, "final": XMIME_2005}
_hinted = etree.XPath(
    "xds:Document[@draft:contentType or @final:contentType]", namespaces={"xds": XDS, **_CONTENT_TYPE_HINTS}
)
_WHITE = " \t\r\n"
_PLAIN = "@"
"""Stands in our own Content-IDs and needs no escape in a cid: some receivers compare without decoding."""


@dataclass(frozen=True, slots=True)
class ProvidedDocument:
    """One xds:Document: the Content-ID of its part (decoded), or its inline bytes."""

    id: str
    content_id: str | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class ProvideRequest:
    """The body of ITI-41."""

    objects: RegistryObjectList
    documents: tuple[ProvidedDocument, ...]


def drop_content_type_hints(body: etree._Element) -> None:
    """Take xmime:contentType off the documents: some MTOM stacks write it, the schema does not know it, nothing reads it."""
    for document in cast(list[etree._Element], _hinted(body)):
        for namespace in _CONTENT_TYPE_HINTS.values():
            document.attrib.pop(f"{{{namespace}}}contentType", "")


def read_provide_request(body: etree._Element) -> ProvideRequest:
    """The body of ITI-41, valid by its schema. Raises XdsFailure for content that is neither a part nor base64."""
    objects = RegistryObjectList()
    documents: list[ProvidedDocument] = []
    findings: list[Finding] = []
    for child in body:
        if child.tag == SUBMIT_OBJECTS_REQUEST:
            objects = read_submit_objects_request(child)
        elif child.tag == _DOCUMENT:
            document = _read_document(child, findings)
            if document is not None:
                documents.append(document)
    if findings:
        raise XdsFailure(findings)
    return ProvideRequest(objects, tuple(documents))


def _read_document(element: etree._Element, findings: list[Finding]) -> ProvidedDocument | None:
    document_id = element.get("id", "")
    label = f"Document {shown(document_id)}"

    def refuse(rule: str, problem: str) -> None:
        findings.append(Finding(METADATA_ERROR, f"{label}: {problem}", rule=rule))

    includes = [child for child in element if child.tag == _INCLUDE]
    if not includes:
        data = _base64(element.text or "")
        if data is None:
            refuse("document-base64", "its content is not base64")
            return None
        return ProvidedDocument(document_id, None, data)
    include = includes[0]
    around = (element.text or "") + (include.tail or "")
    href = include.get("href", "")
    if len(element) != 1 or around.strip(_WHITE) or len(include):
        refuse("document-include", "xop:Include must be its only content")
    elif href[:4].lower() != "cid:":
        refuse("document-href", f"href {shown(href)} is no cid: reference; nothing else is ever fetched")
    else:
        try:
            return ProvidedDocument(document_id, unquote(href[4:], errors="strict"), None)
        except UnicodeDecodeError:
            refuse("document-href", f"href {shown(href)} is not UTF-8 after percent-decoding")
    return None


def _base64(text: str) -> bytes | None:
    """The bytes, or None for text that an encoder would not have written; white space may stand anywhere."""
    digits = "".join(text.split())
    try:
        data = binascii.a2b_base64(digits)
    except (binascii.Error, ValueError):
        return None
    return data if binascii.b2a_base64(data, newline=False).decode() == digits else None


def _include(content_id: str) -> str:
    return f'<xop:Include xmlns:xop="{XOP}" href="cid:{quote(content_id, safe=_PLAIN)}"/>'


def write_provide_request(objects: RegistryObjectList, documents: Sequence[tuple[str, str]]) -> bytes:
    """The body of ITI-41. `documents` are (Document/@id, Content-ID without brackets)."""
    items = "".join(
        f'<xds:Document id="{attribute(document_id)}">{_include(content_id)}</xds:Document>'
        for document_id, content_id in documents
    )
    return (
        f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{XDS}">'.encode()
        + write_submit_objects_request(objects)
        + items.encode()
        + b"</xds:ProvideAndRegisterDocumentSetRequest>"
    )


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """One document asked for by ITI-43."""

    repository: str
    unique_id: str
    home: str | None = None


def read_retrieve_request(body: etree._Element) -> tuple[DocumentRequest, ...]:
    """The body of ITI-43, valid by its schema."""
    return tuple(each_request(body))


def each_request(body: etree._Element) -> Iterator[DocumentRequest]:
    """The documents that a body asks for, one after the other; what it does not say is empty."""
    return (
        DocumentRequest(
            repository=request.findtext(f"{{{XDS}}}RepositoryUniqueId") or "",
            unique_id=request.findtext(f"{{{XDS}}}DocumentUniqueId") or "",
            home=request.findtext(f"{{{XDS}}}HomeCommunityId") or None,
        )
        for request in body
        if request.tag == _REQUEST
    )


def write_retrieve_request(requests: Sequence[DocumentRequest]) -> bytes:
    """The body of ITI-43."""
    items = "".join(f"<xds:DocumentRequest>{_ids(request)}</xds:DocumentRequest>" for request in requests)
    return f'<xds:RetrieveDocumentSetRequest xmlns:xds="{XDS}">{items}</xds:RetrieveDocumentSetRequest>'.encode()


def _ids(request: DocumentRequest) -> str:
    home = f"<xds:HomeCommunityId>{text(request.home)}</xds:HomeCommunityId>" if request.home else ""
    return (
        f"{home}<xds:RepositoryUniqueId>{text(request.repository)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{text(request.unique_id)}</xds:DocumentUniqueId>"
    )


def write_retrieve_answer(
    found: Sequence[tuple[DocumentRequest, str, str]], errors: Sequence[RegistryError]
) -> tuple[bytes, ...]:
    """The body of an ITI-43 answer. `found` are (request, mimeType, Content-ID); its status follows from both."""
    items = "".join(
        f"<xds:DocumentResponse>{_ids(request)}<xds:mimeType>{text(mime_type)}</xds:mimeType>"
        f"<xds:Document>{_include(content_id)}</xds:Document></xds:DocumentResponse>"
        for request, mime_type, content_id in found
    )
    return (
        f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">'.encode(),
        write_registry_response(errors, partial=bool(found)),
        items.encode(),
        b"</xds:RetrieveDocumentSetResponse>",
    )
