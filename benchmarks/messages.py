"""The messages of the measurements, as complete HTTP bodies. Standard library only: nothing of the server makes them.

Source: IHE ITI TF-2 3.18, 3.41, 3.43; TF-3 4.2 (metadata).
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from dataclasses import dataclass
from typing import Final

SUCCESS: Final = b"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
AUTHORITY: Final = "1.3.6.1.4.1.21367.13.20.1000"
ROOT: Final = "1.3.6.1.4.1.21367.77"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_WSA = "http://www.w3.org/2005/08/addressing"
_RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
_LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
_QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
_XDS = "urn:ihe:iti:xds-b:2007"
_XOP = "http://www.w3.org/2004/08/xop/include"
_OBJECT = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject"
_STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
_FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
_APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
_NUMBERS = itertools.count()
_RUN = uuid.uuid4().int >> 80


@dataclass(frozen=True, slots=True)
class Message:
    """The body of one POST. `path` is the endpoint's."""

    path: str
    content_type: str
    body: bytes

    def http(self, host: str) -> bytes:
        """The whole request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def new_unique_id() -> str:
    """An OID that no other run and no other call gives."""
    return f"{ROOT}.{_RUN}.{next(_NUMBERS)}"


def cx(patient: str) -> str:
    """The patient id on the wire; one that names its authority is it already."""
    return patient if "^" in patient else f"{patient}^^^&{AUTHORITY}&ISO"


def envelope(action: str, body: str, header: str = "") -> bytes:
    """A SOAP 1.2 request with WS-Addressing, and a further header."""
    return (
        f'<e:Envelope xmlns:e="{_SOAP}" xmlns:w="{_WSA}"><e:Header><w:To>http://localhost/</w:To>'
        f"<w:MessageID>urn:uuid:{uuid.uuid4()}</w:MessageID>"
        f"<w:ReplyTo><w:Address>{_WSA}/anonymous</w:Address></w:ReplyTo>"
        f'<w:Action e:mustUnderstand="1">{action}</w:Action>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>'
    ).encode()


def _simple(path: str, action: str, body: str, header: str = "") -> Message:
    return Message(path, f'application/soap+xml; charset=UTF-8; action="{action}"', envelope(action, body, header))


def find_documents(patient: str, header: str = "") -> Message:
    """ITI-18 FindDocuments, LeafClass, every approved entry of the patient. `header`: wsse:Security, if any."""
    action = "urn:ihe:iti:2007:RegistryStoredQuery"
    slots = slot("$XDSDocumentEntryPatientId", f"'{cx(patient)}'") + slot("$XDSDocumentEntryStatus", f"('{_APPROVED}')")
    return _simple(
        "/registry",
        action,
        f'<q:AdhocQueryRequest xmlns:q="{_QUERY}" xmlns:r="{_RIM}"><q:ResponseOption returnComposedObjects="true" '
        f'returnType="LeafClass"/><r:AdhocQuery id="{_FIND_DOCUMENTS}">{slots}</r:AdhocQuery></q:AdhocQueryRequest>',
        header,
    )


def retrieve(repository: str, unique_id: str) -> Message:
    """ITI-43 of one document, in simple SOAP (the answer is MTOM all the same)."""
    return _simple(
        "/repository",
        "urn:ihe:iti:2007:RetrieveDocumentSet",
        f'<x:RetrieveDocumentSetRequest xmlns:x="{_XDS}"><x:DocumentRequest>'
        f"<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId><x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId>"
        "</x:DocumentRequest></x:RetrieveDocumentSetRequest>",
    )


def provide(patient: str, unique_id: str, document: bytes, mime_type: str = "text/xml") -> Message:
    """ITI-41 of one document in one submission set, as an MTOM package."""
    action = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    body = (
        f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{_XDS}">{submit_objects(patient, unique_id, document, mime_type)}'
        f'<x:Document id="d1"><o:Include xmlns:o="{_XOP}" href="cid:d1@bench"/></x:Document>'
        "</x:ProvideAndRegisterDocumentSetRequest>"
    )
    boundary = f"bench.{uuid.uuid4().hex}"
    head = "Content-Transfer-Encoding: binary\r\nContent-ID: <{}>\r\n\r\n"
    package = (
        f'--{boundary}\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'.encode()
        + head.format("root@bench").encode()
        + envelope(action, body)
        + f"\r\n--{boundary}\r\nContent-Type: {mime_type}\r\n{head.format('d1@bench')}".encode()
        + document
        + f"\r\n--{boundary}--\r\n".encode()
    )
    content_type = (
        f'multipart/related; type="application/xop+xml"; boundary="{boundary}"; start="<root@bench>"; '
        f'start-info="application/soap+xml"; action="{action}"'
    )
    return Message("/repository", content_type, package)


def register(patient: str, unique_id: str, document: bytes, mime_type: str = "text/xml") -> Message:
    """ITI-42 of the same metadata."""
    return _simple(
        "/registry", "urn:ihe:iti:2007:RegisterDocumentSet-b", submit_objects(patient, unique_id, document, mime_type)
    )


def submit_objects(patient: str, unique_id: str, document: bytes, mime_type: str) -> str:
    """One DocumentEntry (about 7 kB of ebRIM), one SubmissionSet, one HasMember."""
    return (
        f'<l:SubmitObjectsRequest xmlns:l="{_LCM}" xmlns:r="{_RIM}"><r:RegistryObjectList>'
        f"{_entry(patient, unique_id, document, mime_type)}{_set(patient, unique_id)}"
        f'<r:Association id="a1" associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember" '
        f'objectType="{_OBJECT}:Association" sourceObject="s1" targetObject="d1">{slot("SubmissionSetStatus", "Original")}'
        "</r:Association></r:RegistryObjectList></l:SubmitObjectsRequest>"
    )


def _entry(patient: str, unique_id: str, document: bytes, mime_type: str) -> str:
    parts = (
        _author("d1", "93606bcf-9494-43ec-9b4e-a7748d1a838d"),
        _code("d1", "41a5887f-8865-4c09-adf7-e362475b143a", "REPORT", f"{ROOT}.1.1", "Report"),
        _code("d1", "f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25", "Normal"),
        _code("d1", "a09d5840-386c-46f2-b5ad-9c3699a4309d", "urn:ihe:pcc:xphr:2007", "1.3.6.1.4.1.19376.1.2.3", "XPHR"),
        _code("d1", "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "HOSP", f"{ROOT}.1.2", "Hospital"),
        _code("d1", "cccf5598-8b07-4b77-a05e-ae952c785ead", "GENERAL", f"{ROOT}.1.3", "General medicine"),
        _code("d1", "f0306f51-975f-434e-a61c-c59651d33983", "34133-9", "2.16.840.1.113883.6.1", "Summary of episode note"),
        _code("d1", "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4", "EVENT", f"{ROOT}.1.4", "Event"),
        _identifier("d1", "58a6f841-87b3-4a3e-92fd-a8ffeff98427", cx(patient), "XDSDocumentEntry.patientId"),
        _identifier("d1", "2e82c1f6-a085-4c72-9da3-8640a32e42ab", unique_id, "XDSDocumentEntry.uniqueId"),
    )
    local = f"L{patient.split('^')[0]}^^^&{ROOT}.2&ISO"
    slots = (
        slot("creationTime", "20260102101500"),
        slot("hash", hashlib.sha1(document, usedforsecurity=False).hexdigest()),
        slot("languageCode", "en-GB"),
        slot("legalAuthenticator", f"77^Bench^Author^^^^^^&{AUTHORITY}&ISO"),
        slot("serviceStartTime", "20260102090000"),
        slot("serviceStopTime", "20260102100000"),
        slot("size", str(len(document))),
        slot("sourcePatientId", local),
        slot("sourcePatientInfo", f"PID-3|{local}", "PID-5|Test^Patient^^^", "PID-7|19500102", "PID-8|F"),
    )
    return (
        f'<r:ExtrinsicObject id="d1" mimeType="{mime_type}" objectType="{_STABLE}">{"".join(slots)}'
        f"{_name('A report of twenty kilobytes')}{''.join(parts)}</r:ExtrinsicObject>"
    )


def _set(patient: str, unique_id: str) -> str:
    return (
        f'<r:RegistryPackage id="s1">{slot("submissionTime", "20260102101600")}{_name("A submission")}'
        + _author("s1", "a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d")
        + _code("s1", "aa543740-bdda-424e-8c96-df4873be8500", "CONTENT", f"{ROOT}.1.5", "Content")
        + _identifier("s1", "6b5aea1a-874d-4603-a4bc-96a0a7b38446", cx(patient), "XDSSubmissionSet.patientId")
        + _identifier("s1", "554ac39e-e3fe-47fe-b233-965d2a147832", f"{ROOT}.3", "XDSSubmissionSet.sourceId")
        + _identifier("s1", "96fdda7c-d067-4183-912e-bf5ee74998a8", f"{unique_id}.1", "XDSSubmissionSet.uniqueId")
        + "</r:RegistryPackage>"
        + f'<r:Classification id="m1" classifiedObject="s1" objectType="{_OBJECT}:Classification" '
        'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    )


def slot(name: str, *values: str) -> str:
    """A rim:Slot under the prefix that the messages use."""
    items = "".join(f"<r:Value>{value.replace('&', '&amp;')}</r:Value>" for value in values)
    return f'<r:Slot name="{name}"><r:ValueList>{items}</r:ValueList></r:Slot>'


def _name(value: str) -> str:
    return f'<r:Name><r:LocalizedString xml:lang="en-GB" value="{value}"/></r:Name>'


def _code(owner: str, scheme: str, code: str, system: str, label: str) -> str:
    return (
        f'<r:Classification id="{owner}.{scheme[:8]}" classifiedObject="{owner}" classificationScheme="urn:uuid:{scheme}" '
        f'objectType="{_OBJECT}:Classification" nodeRepresentation="{code}">{slot("codingScheme", system)}{_name(label)}'
        "</r:Classification>"
    )


def _author(owner: str, scheme: str) -> str:
    slots = (
        slot("authorPerson", f"77^Bench^Author^^^^^^&{AUTHORITY}&ISO")
        + slot("authorInstitution", f"Bench Hospital^^^^^&{ROOT}.4&ISO^^^^1")
        + slot("authorRole", "Physician")
        + slot("authorSpecialty", "General medicine")
    )
    return (
        f'<r:Classification id="{owner}.{scheme[:8]}" classifiedObject="{owner}" classificationScheme="urn:uuid:{scheme}" '
        f'objectType="{_OBJECT}:Classification" nodeRepresentation="">{slots}</r:Classification>'
    )


def _identifier(owner: str, scheme: str, value: str, label: str) -> str:
    return (
        f'<r:ExternalIdentifier id="{owner}.{scheme[:8]}" registryObject="{owner}" identificationScheme="urn:uuid:{scheme}" '
        f'objectType="{_OBJECT}:ExternalIdentifier" value="{value.replace("&", "&amp;")}">{_name(label)}'
        "</r:ExternalIdentifier>"
    )


def cda(size: int = 20_480) -> bytes:
    """A CDA document of exactly `size` bytes, with an id that no other call gives."""
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"><realmCode code="FR"/>'
        '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        f'<id root="{ROOT}" extension="{uuid.uuid4()}"/><code code="34133-9" codeSystem="2.16.840.1.113883.6.1"/>'
        "<title>A report of twenty kilobytes</title><component><structuredBody>{}</structuredBody></component>"
        "</ClinicalDocument>"
    )
    section = "<component><section><title>Section</title><text>Nothing abnormal was found.</text></section></component>"
    room = size - len(document) + 2
    body = section * (room // len(section))
    return document.replace("{}", body + " " * (room - len(body))).encode()
