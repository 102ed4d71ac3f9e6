"""A document source, consumer and administrator over the wire: ITI-41, ITI-18, ITI-43 and ITI-57 against any server.

Every call raises ExchangeFailed with one line for each reason, whatever went wrong: no connection, a SOAP fault, ebRS
errors, an answer that does not hold what was asked for. Source: IHE ITI TF-2 3.18, 3.41, 3.43;
XDS Metadata Update supplement, ITI-57.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast
from urllib.parse import unquote

from lxml import etree

from ebrim.model import AdhocQuery, RegistryError, RegistryObjectList, Slot
from ebrim.read import REGISTRY_OBJECT_LIST, read_object_list, read_registry_errors, read_status
from ebrim.rs import write_adhoc_query_request, write_submit_objects_request
from soap.client import Answer, PartSink, SoapClient, SoapFault, spool
from soap.connections import AddressError, ClientError, NotConnected, SentButNoAnswer, Timeouts
from soap.transaction import Attachment, Body
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import APPROVED, DocumentEntry, Submission
from xds_metadata.profile import DMP, Profile
from xds_metadata.to_ebrim import to_ebrim
from xds_repository.messages import DocumentRequest, write_provide_request, write_retrieve_request
from xmlsafe.namespaces import RS, XDS, XOP

PROVIDE: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
QUERY: Final = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
UPDATE: Final = "urn:ihe:iti:2010:UpdateDocumentSet"
FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"

Sign = Callable[[str], bytes]
"""Makes the serialised wsse:Security header of one message that concerns the patient (CX, empty for none)."""

_CHUNK: Final = 262_144
_READER: Final = Profile(
    "reader",
    datatypes=DMP.datatypes,
    author_without_node_representation=True,
    code_without_display=True,
    foreign_slots=True,
    signs_submission_set=True,
)
"""Answers of foreign registries are read as far as they can be; nothing in them is a reason to fail."""


class ExchangeFailed(Exception):
    """An exchange did not do what was asked. The text has one line for each reason.

    `errors` are the ebRS errors of the answer, if it had any; `outcome_unknown` is true when the peer may have processed
    the request although no answer says so.
    """

    def __init__(self, text: str, errors: Sequence[RegistryError] = (), *, outcome_unknown: bool = False) -> None:
        super().__init__(text)
        self.errors = tuple(errors)
        self.outcome_unknown = outcome_unknown


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The URLs of a registry (ITI-18) and a repository (ITI-41, ITI-43)."""

    registry: str
    repository: str


@dataclass(frozen=True, slots=True)
class Deposit:
    """A document to provide: its entry's id in the submission, media type, size in bytes, and its bytes, given once."""

    entry_uuid: str
    mime_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)

    @classmethod
    def of_bytes(cls, entry: DocumentEntry, data: bytes) -> Deposit:
        """The document `data`, described by `entry`."""
        return cls(entry.entry_uuid, entry.mime_type or "application/octet-stream", len(data), lambda: iter((data,)))

    @classmethod
    def of_file(cls, entry: DocumentEntry, path: Path) -> Deposit:
        """The document in the file `path`, streamed from it. Raises OSError."""
        mime_type = entry.mime_type or "application/octet-stream"
        return cls(entry.entry_uuid, mime_type, path.stat().st_size, lambda: _read_file(path))


@dataclass(frozen=True, slots=True)
class Filters:
    """What FindDocuments narrows by. Statuses are URNs, codes `code^^scheme`, times DTM (of creation, the end excluded)."""

    statuses: tuple[str, ...] = (APPROVED,)
    type_codes: tuple[str, ...] = ()
    class_codes: tuple[str, ...] = ()
    created_from: str | None = None
    created_to: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A document that arrived: as what, how many bytes, and their SHA-1 (lower-case hex)."""

    request: DocumentRequest
    mime_type: str
    size: int
    sha1: str


class DocumentClient:
    """A document source and consumer. Safe for concurrent calls; connections are kept until `close`.

    `tls` is used for https, with the client's certificate; `sign` makes the wsse:Security header of each message.
    Raises ExchangeFailed for an address that is no http or https URL.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        timeouts: Timeouts | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        sign: Sign | None = None,
    ) -> None:
        self.endpoints = endpoints
        self._sign = sign
        try:
            self._registry = SoapClient(endpoints.registry, timeouts, tls=tls)
            self._repository = SoapClient(endpoints.repository, timeouts, tls=tls)
        except AddressError as error:
            raise ExchangeFailed(str(error)) from error

    def submit(self, submission: Submission, documents: Sequence[Deposit]) -> tuple[RegistryError, ...]:
        """Provide and register a submission (ITI-41, MTOM) with its documents; returns the warnings of the answer.

        Raises ExchangeFailed, also for a document whose size changes meanwhile, and OSError when one cannot be read.
        """
        ids = [(each.entry_uuid, f"document-{number}@liasse") for number, each in enumerate(documents, 1)]
        objects = _numbered(submission)
        attachments = tuple(
            Attachment(content_id, each.mime_type, each.size, each.chunks)
            for (_, content_id), each in zip(ids, documents, strict=True)
        )
        body = Body((write_provide_request(objects, ids),), attachments)
        patient = _patient(submission)
        where = self.endpoints.repository
        with self._exchange(self._repository, where, PROVIDE, body, mtom=True, patient=patient) as answer:
            errors = read_registry_errors(answer.body)
            if read_status(answer.body) != "Success":
                raise _refused(answer.body, errors, "the submission")
            return errors

    def update(self, submission: Submission) -> tuple[RegistryError, ...]:
        """Change the metadata or the status of registered entries (ITI-57); returns the warnings of the answer.

        Raises ExchangeFailed.
        """
        body = Body((write_submit_objects_request(_numbered(submission)),))
        patient = _patient(submission)
        with self._exchange(self._registry, self.endpoints.registry, UPDATE, body, patient=patient) as answer:
            errors = read_registry_errors(answer.body)
            if read_status(answer.body) != "Success":
                raise _refused(answer.body, errors, "the update")
            return errors

    def find(self, patient: str, filters: Filters | None = None) -> tuple[DocumentEntry, ...]:
        """The entries of a patient (CX), as ITI-18 FindDocuments returns them. Raises ExchangeFailed."""
        wanted = filters or Filters()
        slots = [
            Slot("$XDSDocumentEntryPatientId", (quoted(patient),)),
            Slot("$XDSDocumentEntryStatus", (quoted_list(wanted.statuses),)),
        ]
        for name, values in (("TypeCode", wanted.type_codes), ("ClassCode", wanted.class_codes)):
            if values:
                slots.append(Slot(f"$XDSDocumentEntry{name}", (quoted_list(values),)))
        for name, time in (("From", wanted.created_from), ("To", wanted.created_to)):
            if time is not None:
                slots.append(Slot(f"$XDSDocumentEntryCreationTime{name}", (time,)))
        return self.query(FIND_DOCUMENTS, slots, patient)

    def entries(self, unique_ids: Sequence[str], patient: str = "") -> tuple[DocumentEntry, ...]:
        """The entries with these uniqueIds, whatever their status (ITI-18 GetDocuments). Raises ExchangeFailed."""
        return self.query(GET_DOCUMENTS, [Slot("$XDSDocumentEntryUniqueId", (quoted_list(unique_ids),))], patient)

    def query(self, query_id: str, slots: Sequence[Slot], patient: str = "") -> tuple[DocumentEntry, ...]:
        """The entries in the LeafClass answer to any stored query; `patient` is whom the assertion names.

        Raises ExchangeFailed.
        """
        body = Body((write_adhoc_query_request(AdhocQuery(query_id, "LeafClass", None, tuple(slots))),))
        with self._exchange(self._registry, self.endpoints.registry, QUERY, body, patient=patient) as answer:
            if read_status(answer.body) not in ("Success", "PartialSuccess"):
                raise _refused(answer.body, read_registry_errors(answer.body), "the query")
            objects = answer.body.find(REGISTRY_OBJECT_LIST)
            if objects is None:
                raise ExchangeFailed("the registry answered Success without a RegistryObjectList")
            return from_ebrim(read_object_list(objects), _READER)[0].entries

    def retrieve(self, request: DocumentRequest, into: BinaryIO, expected: DocumentEntry | None = None) -> Retrieved:
        """Write one document to `into` while it arrives (ITI-43), and compare it with its entry, if that is known.

        `into` is neither closed nor rewound; after a failure it may hold a part of the document.
        Raises ExchangeFailed; what `into` raises passes through.
        """
        arrived: list[_Measured] = []

        def sink(_content_id: str, _media_type: str) -> BinaryIO:
            arrived.append(_Measured(into if not arrived else None))
            return cast("BinaryIO", arrived[-1])

        body = Body((write_retrieve_request([request]),))
        where, patient = self.endpoints.repository, (expected.patient_id or "") if expected is not None else ""
        with self._exchange(self._repository, where, RETRIEVE, body, mtom=True, sink=sink, patient=patient) as answer:
            errors = read_registry_errors(answer.body)
            found = answer.body.find(f"{{{XDS}}}DocumentResponse")
            if found is None:
                raise _refused(answer.body, errors, f"the document {request.unique_id}")
            document = found.find(f"{{{XDS}}}Document")
            if not arrived and document is not None:
                arrived.append(_inline(document, into))
            part = _the_part(document, answer, arrived, request)
            mime_type = found.findtext(f"{{{XDS}}}mimeType") or ""
        retrieved = Retrieved(request, mime_type, part.size, part.sha1.hexdigest())
        if expected is not None:
            _check_against(expected, retrieved)
        return retrieved

    def close(self) -> None:
        """Close the kept connections."""
        self._registry.close()
        self._repository.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _exchange(
        self,
        client: SoapClient,
        url: str,
        action: str,
        body: Body,
        *,
        mtom: bool = False,
        sink: PartSink = spool,
        patient: str = "",
    ) -> Answer:
        blocks = (self._sign(patient),) if self._sign is not None else ()
        try:
            return client.call(action, body, mtom=mtom, sink=sink, blocks=blocks)
        except SoapFault as fault:
            raise ExchangeFailed(f"{url} refuses the message: {fault}") from fault
        except NotConnected as error:
            raise ExchangeFailed(f"{url} cannot be reached: {error}") from error
        except SentButNoAnswer as error:
            text = f"{url} may have processed the request, its answer did not arrive: {error}"
            raise ExchangeFailed(text, outcome_unknown=True) from error
        except ClientError as error:
            raise ExchangeFailed(f"{url} does not answer as an XDS.b server: {error}") from error
        except ValueError as error:
            raise ExchangeFailed(f"the message to {url} was given up: {error}") from error


def _numbered(submission: Submission) -> RegistryObjectList:
    """The objects of a submission, their parts with symbolic ids."""
    numbers = count(1)
    return to_ebrim(submission, lambda: f"part-{next(numbers)}")


def _patient(submission: Submission) -> str:
    return next((each.patient_id for each in submission.submission_sets if each.patient_id), "")


def quoted(value: str) -> str:
    """A string literal of a stored query."""
    return "'" + value.replace("'", "''") + "'"


def quoted_list(values: Sequence[str]) -> str:
    """A list of string literals of a stored query."""
    return "(" + ",".join(quoted(value) for value in values) + ")"


class _Measured:
    """A file for a part: hashes and counts what it passes on. Without a target the bytes are dropped."""

    def __init__(self, target: BinaryIO | None) -> None:
        self._target = target
        self.sha1 = hashlib.sha1(usedforsecurity=False)
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha1.update(data)
        self.size += len(data)
        if self._target is not None:
            self._target.write(data)
        return len(data)

    def seek(self, _offset: int) -> int:
        return 0

    def close(self) -> None:
        """The target belongs to the caller."""


def _inline(document: etree._Element, into: BinaryIO) -> _Measured:
    """A document that came as base64 inside the message: not as the profile asks, but whole."""
    measured = _Measured(into)
    if document.find(f"{{{XOP}}}Include") is None:
        try:
            measured.write(base64.b64decode("".join((document.text or "").split()), validate=True))
        except ValueError as error:
            raise ExchangeFailed(f"the document inside the answer is not base64: {error}") from error
    return measured


def _the_part(
    document: etree._Element | None, answer: Answer, arrived: Sequence[_Measured], request: DocumentRequest
) -> _Measured:
    """The one part that the answer's document refers to."""
    include = document.find(f"{{{XOP}}}Include") if document is not None else None
    if document is None or len(arrived) != 1:
        raise ExchangeFailed(f"the document {request.unique_id}: the answer holds {len(arrived)} documents, one is expected")
    if include is not None:
        href = include.get("href", "")
        if unquote(href.removeprefix("cid:")) not in answer.parts:
            raise ExchangeFailed(
                f"the document {request.unique_id}: the answer refers to {href!r}, which is not among its parts"
            )
    return arrived[0]


def _check_against(entry: DocumentEntry, found: Retrieved) -> None:
    lines = []
    if entry.size is not None and entry.size != str(found.size):
        lines.append(f"size: the registry says {entry.size} bytes, {found.size} arrived")
    if entry.hash is not None and entry.hash.lower() != found.sha1:
        lines.append(f"hash: the registry says {entry.hash}, the SHA-1 of what arrived is {found.sha1}")
    if lines:
        raise ExchangeFailed("\n".join(f"the document {found.request.unique_id}: {line}" for line in lines))


def _refused(answer: etree._Element, errors: Sequence[RegistryError], what: str) -> ExchangeFailed:
    inner = answer.find(f"{{{RS}}}RegistryResponse")
    status = read_status(answer if inner is None else inner) or "without a status"
    if not errors:
        return ExchangeFailed(f"{what}: the peer answered {status} and gave no reason")
    return ExchangeFailed("\n".join(error_line(error) for error in errors), errors)


def error_line(error: RegistryError) -> str:
    """An ebRS error for people: code, context, and the location where it adds something."""
    place = f" [{error.location}]" if error.location and error.location not in error.context else ""
    return f"{error.code}: {error.context}{place}"


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
