"""ITI-43 Retrieve Document Set: the stored bytes, unchanged, each in a part of its own.

1. decode: schema, requested documents. 2. find: our repository, stored, readable. 3. decision. 4. the journal rows,
committed before the first byte leaves. 5. encode: found documents and one error for each other.
Source: IHE ITI TF-2 3.43.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from access_control.decision import Decision
from access_control.from_call import context_of
from access_control.policy import Action, Target
from access_control.refusal import refuse_access
from database.errors import DatabaseError
from ebrim.rs import write_registry_response
from journal.rows import Attempt, JournalRow
from soap.transaction import Attachment, Body, Call, Transaction
from xds_metadata.answers import REPOSITORY, check_schema, outcome_of, registry_errors
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.from_ebrim import shown
from xds_metadata.unjudged import Objects, claimed_documents
from xds_repository.actor import Repository, refusal
from xds_repository.documents import STORED, StoredDocument
from xds_repository.messages import (
    RETRIEVE_ROOT,
    DocumentRequest,
    each_request,
    read_retrieve_request,
    write_retrieve_answer,
)
from xds_repository.ports import Holders
from xds_repository.store import BlobCorrupt, BlobMissing, StoreUnavailable
from xmlsafe.namespaces import XDS

ACTION = "urn:ihe:iti:2007:RetrieveDocumentSet"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


@dataclass(frozen=True, slots=True)
class Readable:
    """A document that can go out: its row and the function that gives its bytes once."""

    request: DocumentRequest
    document: StoredDocument
    chunks: Callable[[], Iterator[bytes]]


def decode(repository: Repository, call: Call) -> tuple[DocumentRequest, ...]:
    """The documents asked for. Raises XdsFailure."""
    check_schema(repository.schema, call.body, "Error")
    requests = read_retrieve_request(call.body)
    if len(requests) > repository.most_documents:
        text = f"{len(requests)} documents are asked for, at most {repository.most_documents} are given at once"
        raise XdsFailure(Finding("XDSTooManyResults", text, rule="document-limit"))
    return requests


def handle(repository: Repository, call: Call) -> Body:
    """Find, journal, answer."""
    requests: tuple[DocumentRequest, ...] = call.request
    ctx = context_of(call, repository.clock)
    wanted = tuple(request.unique_id for request in requests)
    decision = repository.policy.may(ctx, Action.RETRIEVE, Target(objects=wanted))
    refuse_access(decision)
    findings: list[Finding] = []
    rows = _rows(repository, wanted)
    holders = repository.registry.holders(ctx, wanted)
    if holders.restricted:  # what the caller may not see is to him what does not exist
        rows = {unique_id: row if holders.of.get(unique_id) else None for unique_id, row in rows.items()}
    looked_up = [(request, _find(repository, request, rows, findings)) for request in requests]
    journaled = _journal_rows(repository, looked_up, holders, decision, call.digest)
    repository.database.write_short(repository.record(ctx, journaled))
    return encode([item for _, item in looked_up if item is not None], findings)


def _journal_rows(
    repository: Repository,
    looked_up: Sequence[tuple[DocumentRequest, Readable | None]],
    holders: Holders,
    decision: Decision,
    digest: str,
) -> list[JournalRow]:
    """The rows of what was given and of what was not."""
    return [
        JournalRow(patient, "retrieve", objects, decision, "Success" if given else "Failure", digest)
        for patient, objects, given in _concerned(repository, looked_up, holders)
    ]


def _concerned(
    repository: Repository,
    looked_up: Iterable[tuple[DocumentRequest, Readable | None]],
    holders: Holders,
) -> Iterator[tuple[str, Objects, bool]]:
    """(patient, objects, whether they are given) for each document and patient of it; once for all documents of nobody.

    Under a policy that looks at some patients only, these are those of whom documents of nobody were asked for.
    """
    strange: list[tuple[str, str]] = []
    for request, item in looked_up:
        objects, of = _objects(repository, request), holders.of.get(request.unique_id)
        if of or item is not None:
            yield from ((patient, objects, item is not None) for patient in of or ("",))
        else:
            strange += objects
    if strange:
        yield from ((patient, tuple(strange), False) for patient in holders.asked or ("",))


def _objects(repository: Repository, request: DocumentRequest) -> Objects:
    """A request as records name it: the repository where it is not ours."""
    document = (("document", request.unique_id),)
    return document if request.repository == repository.unique_id else (*document, ("repository", request.repository))


def _rows(repository: Repository, unique_ids: Sequence[str]) -> dict[str, Any]:
    """The rows of all, read in one snapshot."""
    with repository.database.read_raw() as cursor:
        return {
            unique_id: repository.find_one.execute(cursor, {"unique_id": unique_id}).fetchone()
            for unique_id in set(unique_ids)
        }


def _find(
    repository: Repository, request: DocumentRequest, rows: Mapping[str, Any], findings: list[Finding]
) -> Readable | None:
    if request.repository != repository.unique_id:
        findings.append(
            Finding(
                "XDSUnknownRepositoryId",
                f"{request.unique_id}: repositoryUniqueId {shown(request.repository)} is not this repository's, "
                f"{repository.unique_id}",
                request.unique_id,
                rule="repository-known",
            )
        )
        return None
    row = rows[request.unique_id]
    document = StoredDocument(*row) if row is not None else None
    if document is None or document.state != STORED:
        findings.append(
            Finding(
                "XDSDocumentUniqueIdError",
                f"{request.unique_id}: the document is not available",
                request.unique_id,
                rule="document-known",
            )
        )
        return None
    try:
        chunks = repository.store.read_verified(document.sha256, document.size)
    except (BlobCorrupt, BlobMissing, StoreUnavailable):
        findings.append(
            Finding(
                "Error",
                f"{request.unique_id}: the stored document cannot be read; the operator is told",
                request.unique_id,
                rule="document-readable",
            )
        )
        return None
    return Readable(request, document, lambda: chunks)


def encode(found: Sequence[Readable], findings: Sequence[Finding]) -> Body:
    """The answer: one part a document, under a Content-ID of our own."""
    token = secrets.token_hex(8)
    ids = [f"document-{number}.{token}@liasse" for number in range(1, len(found) + 1)]
    rows = [(item.request, item.document.mime_type, cid) for item, cid in zip(found, ids, strict=True)]
    attachments = tuple(
        Attachment(cid, _media_type(item.document.mime_type), item.document.size, item.chunks)
        for item, cid in zip(found, ids, strict=True)
    )
    pieces = write_retrieve_answer(rows, registry_errors(findings, REPOSITORY, most=None))
    return Body(pieces, attachments, outcome_of(findings, partial=bool(found)))


def _media_type(mime_type: str) -> str:
    """The entry's mimeType where it can stand in a header, without parameters; no charset is invented."""
    return mime_type if _MEDIA_TYPE.fullmatch(mime_type) else "application/octet-stream"


def asked(repository: Repository, call: Call) -> list[Attempt]:
    """Which documents of whom, as far as that is known; of a message that was not decoded, what it says itself."""
    requests: Sequence[DocumentRequest] | None = call.request
    if requests is None:
        unique_ids = (request.unique_id for request in each_request(call.body))
        return [Attempt("retrieve", objects=claimed_documents(unique_ids, len(call.body)))]
    try:
        holders = repository.registry.holders(
            context_of(call, repository.clock), [request.unique_id for request in requests]
        )
    except DatabaseError:
        holders = Holders({})
    concerned = _concerned(repository, ((request, None) for request in requests), holders)
    return [Attempt("retrieve", patient, objects) for patient, objects, _ in concerned]


def refuse(repository: Repository, call: Call, error: Exception) -> Body | None:
    """The Failure that stands for what decode or handle raised."""
    attempts = asked(repository, call) if not isinstance(error, DatabaseError) else ()
    findings = refusal(repository, call, error, *attempts)
    if findings is None:
        return None
    response = write_registry_response(registry_errors(findings, REPOSITORY))
    opening = f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">'.encode()
    return Body((opening, response, b"</xds:RetrieveDocumentSetResponse>"), outcome="failure")


def transaction(repository: Repository) -> Transaction:
    """The descriptor."""
    return Transaction(
        number="ITI-43",
        title="Retrieve Document Set",
        endpoint="/repository",
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=RETRIEVE_ROOT,
        decode=lambda call: decode(repository, call),
        handle=lambda call: handle(repository, call),
        refuse=lambda call, error: refuse(repository, call, error),
        mtom=True,
    )
