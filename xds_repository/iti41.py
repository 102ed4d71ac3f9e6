"""ITI-41 Provide and Register Document Set-b: documents stored, their metadata registered, or neither.

1. decode: schema, objects, metadata rules, documents against entries; all findings at once, before documents are received.
2. handle: parts against documents, hash and size; 3. may this sender submit; 4. content; 5. bytes made durable; 6. the
registration, with the documents' state and the journal row in its transaction. 7. encode: a RegistryResponse.
Source: IHE ITI TF-2 3.41.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.facts import facts_of
from access_control.from_call import context_of
from access_control.policy import Action, Target
from access_control.refusal import refuse_access
from ebrim import model as rim
from ebrim.rs import write_registry_response
from journal.rows import Attempt, JournalRow
from soap.staging import FailedPart
from soap.transaction import Body, Call, Transaction
from xds_metadata.answers import REPOSITORY, check_count, check_schema, outcome_of, registry_errors
from xds_metadata.errors import METADATA_ERROR, Finding, XdsFailure, errors
from xds_metadata.model import Submission
from xds_metadata.patients import key_of_text, patient_column
from xds_metadata.registration import Effect, Registration, objects_of, submission_digest
from xds_metadata.rules import judge_objects
from xds_metadata.rules.values import PROVIDE
from xds_metadata.unjudged import claimed_submission
from xds_repository.actor import Repository, refusal
from xds_repository.documents import PENDING, STORED, StoredDocument, forget_pending, put_documents
from xds_repository.matching import Matched, check_parts, check_received, fill_in, match
from xds_repository.messages import PROVIDE_ROOT, drop_content_type_hints, read_provide_request
from xds_repository.ports import RegistryNotAvailable
from xds_repository.staging import StagedFile
from xds_repository.store import StoreUnavailable

ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Provided:
    """A submission whose metadata is right, before its documents have been received."""

    objects: rim.RegistryObjectList
    submission: Submission
    matched: tuple[Matched, ...]


def decode(repository: Repository, call: Call) -> Provided:
    """The submission in the body. Raises XdsFailure with every finding that needs neither documents nor stored data."""
    check_count(call.body)
    drop_content_type_hints(call.body)
    check_schema(repository.schema, call.body, METADATA_ERROR)
    request = read_provide_request(call.body)
    now = datetime.fromtimestamp(repository.clock() / 1_000_000, UTC)
    submission, findings = judge_objects(request.objects, PROVIDE, repository.profile, repository.codes, now)
    matched, unmatched = match(submission, request.documents, repository.profile.document_id_caseless)
    findings += unmatched
    if errors(findings):
        raise XdsFailure(findings)
    return Provided(request.objects, submission, matched)


def handle(repository: Repository, call: Call) -> Body:
    """Store and register, or neither. Whatever is not taken over is discarded."""
    request: Provided = call.request
    inline: list[StagedFile] = []
    try:
        return _handle(repository, call, request, inline)
    finally:
        for staged in inline:
            staged.discard()


def _handle(repository: Repository, call: Call, request: Provided, inline: list[StagedFile]) -> Body:
    ctx = context_of(call, repository.clock)
    # 2. parts, hash and size
    findings = list(check_parts(request.matched, call.parts))
    if findings:
        raise XdsFailure(findings)
    received = {m.entry.entry_uuid: _received(repository, m, call, inline) for m in request.matched}
    for m in request.matched:
        findings.extend(check_received(m.entry, received[m.entry.entry_uuid]))
    if findings:
        raise XdsFailure(findings)
    # 3. access, before anything reads stored data
    submission = request.submission
    decision = _decide(repository, ctx, submission)
    # 4. content
    warnings = tuple(_check_content(repository, request.matched, received))
    if errors(warnings):
        raise XdsFailure(warnings)
    # 5. bytes durable, then 6. the registration
    objects, filled = fill_in(request.objects, submission, received, repository.unique_id)
    repository.store.commit_all(_once(received))
    warnings += _register(repository, ctx, objects, filled, received, decision)
    # 7. the answer
    return Body((write_registry_response(registry_errors(warnings, REPOSITORY)),), outcome=outcome_of(warnings))


def _once(received: Mapping[str, StagedFile]) -> list[StagedFile]:
    """One staged file for each different content; twins are discarded with the rest."""
    return list({staged.sha256: staged for staged in received.values()}.values())


def _received(repository: Repository, m: Matched, call: Call, inline: list[StagedFile]) -> StagedFile:
    if m.document.content_id is not None:
        staged = call.parts[m.document.content_id].staged
        if isinstance(staged, FailedPart):
            raise staged.error
        if not isinstance(staged, StagedFile):
            raise StoreUnavailable("the part was written to another store")
        return staged
    staged = repository.store.stage()
    inline.append(staged)
    staged.write(m.document.data or b"")
    staged.close()
    return staged


def _decide(repository: Repository, ctx: RequestContext, submission: Submission) -> Decision:
    groups = (submission.submission_sets, submission.entries, submission.folders)
    patients = sorted({patient_column(item.patient_id) for group in groups for item in group})
    unique_ids = tuple(e.unique_id or "" for e in submission.entries)
    target = Target(tuple(map(key_of_text, patients)), unique_ids, tuple(map(facts_of, submission.entries)))
    decision = repository.policy.may(ctx, Action.SUBMIT, target)
    refuse_access(decision)
    return decision


def _check_content(
    repository: Repository, matched: Sequence[Matched], received: Mapping[str, StagedFile]
) -> Iterator[Finding]:
    if repository.content_check is None:
        return
    for m in matched:
        staged = received[m.entry.entry_uuid]
        with staged.open() as file:
            head = file.read(_HEAD)
            file.seek(0)
            yield from repository.content_check.check(m.entry, staged.size, head, iter(lambda: file.read(1 << 18), b""))


def _register(
    repository: Repository,
    ctx: RequestContext,
    objects: rim.RegistryObjectList,
    submission: Submission,
    received: Mapping[str, StagedFile],
    decision: Decision,
) -> tuple[Finding, ...]:
    digest = submission_digest(objects, [(key, staged.sha256) for key, staged in received.items()])
    owner = submission.submission_sets[0]
    row = JournalRow(patient_column(owner.patient_id), "provide", objects_of(submission), decision, "Success", digest)
    state = STORED if repository.registry.in_process else PENDING
    documents = [
        StoredDocument(
            e.unique_id or "",
            received[e.entry_uuid].sha256,
            received[e.entry_uuid].sha1,
            received[e.entry_uuid].size,
            e.mime_type or "",
            state,
        )
        for e in submission.entries
    ]
    proved = ctx.subject.id if ctx.subject.digest else ""
    request = Registration(objects, submission, digest, proved or owner.source_id or "")
    put: list[Effect] = [put_documents(documents, ctx.at)] if documents else []
    journaled = repository.record(ctx, [row])
    if repository.registry.in_process:

        def again(connection: Connection) -> None:
            repository.record(ctx, [row], once=False)(connection)

        return repository.registry.register(ctx, replace(request, effects=(*put, journaled), replay_effects=(*put, again)))
    for effect in put:
        repository.database.write(effect)
    return _register_remotely(repository, ctx, request, documents, journaled)


def _register_remotely(
    repository: Repository,
    ctx: RequestContext,
    request: Registration,
    documents: Sequence[StoredDocument],
    journaled: Effect,
) -> tuple[Finding, ...]:
    """Documents are pending while the registry is asked; a lost answer leaves them so, to be resolved later.

    After Success the rows are put again: another submission of the same documents, refused meanwhile, may have forgotten
    them.
    """
    unique_ids = [document.unique_id for document in documents]
    try:
        warnings = repository.registry.register(ctx, request)
    except RegistryNotAvailable as error:
        if not error.sent:
            repository.database.write(lambda connection: forget_pending(connection, unique_ids))
        raise
    except XdsFailure:
        repository.database.write(lambda connection: forget_pending(connection, unique_ids))
        raise

    def stored(connection: Connection) -> None:
        if documents:
            put_documents([replace(document, state=STORED) for document in documents], ctx.at)(connection)
        journaled(connection)

    repository.database.write(stored)
    return warnings


def asked(call: Call) -> Attempt:
    """Which submission about whom; of a message that was not decoded, what it says itself."""
    request: Provided | None = call.request
    if request is None:
        return Attempt("provide", *claimed_submission(call.body))
    patient = patient_column(request.submission.submission_sets[0].patient_id)
    return Attempt("provide", patient, objects_of(request.submission))


def refuse(repository: Repository, call: Call, error: Exception) -> Body | None:
    """The Failure that stands for what decode or handle raised."""
    findings = refusal(repository, call, error, asked(call))
    if findings is None:
        return None
    return Body((write_registry_response(registry_errors(findings, REPOSITORY)),), outcome="failure")


def transaction(repository: Repository) -> Transaction:
    """The descriptor."""
    return Transaction(
        number="ITI-41",
        title="Provide and Register Document Set-b",
        endpoint="/repository",
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=PROVIDE_ROOT,
        decode=lambda call: decode(repository, call),
        handle=lambda call: handle(repository, call),
        refuse=lambda call, error: refuse(repository, call, error),
        mtom=True,
        mtom_in_kind=True,
    )
