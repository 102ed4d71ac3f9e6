"""ITI-57 Update Document Set: new versions of document entries, and changes of their status.

1. decode: schema, objects, metadata rules, all findings at once. 2. handle: is it a repetition; what do the leaves say that
it is about. 3. In one transaction: facts, access decision, plan, rows, journal row. 4. encode: a RegistryResponse.
A refusal is journaled too. What is hidden from the caller is answered as what is unknown.
Source: IHE XDS Metadata Update supplement, ITI-57.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.from_call import context_of, sender_of
from access_control.policy import Action, Target
from access_control.refusal import refuse_access
from access_control.scope import Scope
from database.errors import ConstraintViolated, DatabaseBusy, OutcomeUnknown
from ebrim.parents import fill_parent_ids
from ebrim.read import read_submit_objects_request
from ebrim.rs import write_registry_response
from journal.rows import Attempt, JournalRow
from soap.transaction import Body, Call, Transaction
from xds_metadata.answers import REGISTRY, check_count, check_schema, registry_errors
from xds_metadata.associations import UPDATE_AVAILABILITY_STATUS
from xds_metadata.errors import METADATA_ERROR, XdsFailure, errors
from xds_metadata.patients import key_of_text, patient_column
from xds_metadata.registration import Registration, objects_of, submission_digest
from xds_metadata.rules import judge_objects
from xds_metadata.rules.values import UPDATE
from xds_metadata.unjudged import claimed_submission
from xds_registry import lifecycle, update_write, write
from xds_registry.actor import ATTEMPTS, MICROSECONDS, Registry, visible_under, worded
from xds_registry.entry_facts import load_entry_facts
from xds_registry.identifiers import Assigned, assign
from xds_registry.refusals import refusal
from xds_registry.rows import Rows, build_rows
from xds_registry.update import Operations, changes, operations, plan
from xds_registry.update_facts import Contents, UpdateFacts, load_contents
from xds_registry.update_write import Reading
from xds_registry.vocabulary import UUID_PREFIX
from xmlsafe.namespaces import LCM

ACTION = "urn:ihe:iti:2010:UpdateDocumentSet"
REPEATED = Decision(allowed=True, rule="repeated")
"""Of a message that was carried out before, from the same sender: it does nothing and tells nothing."""
NOTHING_THERE = Decision(allowed=False, rule="update-reference")
"""Of a message none of whose entries is there for the caller: it fails without being decided on."""


class _Changed(Exception):
    """What was read before the transaction is not what it found."""


@dataclass(frozen=True, slots=True)
class _Update:
    """One update, ready to be carried out. `patients`: keys of those whom the message names."""

    patients: frozenset[str]
    assigned: Assigned
    asked: Operations
    rows: Rows
    retry: write.RetryKey
    scope: Scope
    now: str


def decode(registry: Registry, call: Call) -> Registration:
    """The submission in the body. Raises XdsFailure with every finding that needs no stored data."""
    check_count(call.body)
    if registry.profile.missing_parent_ids:
        fill_parent_ids(call.body)
    check_schema(registry.schema, call.body, METADATA_ERROR)
    objects = read_submit_objects_request(call.body)
    now = datetime.fromtimestamp(registry.clock() / MICROSECONDS, UTC)
    submission, findings = judge_objects(objects, UPDATE, registry.profile, registry.codes, now)
    if errors(findings):
        raise XdsFailure(findings)
    sender = sender_of(call, submission.submission_sets[0].source_id or "")
    return Registration(objects, submission, submission_digest(objects), sender)


def handle(registry: Registry, call: Call) -> Body:
    """Update and answer. Raises XdsFailure, Fault or DatabaseError: nothing was stored."""
    request: Registration = call.request
    ctx = context_of(call, registry.clock)
    registry.check_authorities(request.submission)
    try:
        for _ in range(ATTEMPTS):
            try:
                return Body((_update(registry, ctx, request),))
            except (ConstraintViolated, _Changed):
                continue  # another writer was first: what it stored now shows in the facts
        raise DatabaseBusy("others keep changing what the update is about; it may be sent again")
    except XdsFailure as failure:
        raise worded(failure.findings) from None


def _update(registry: Registry, ctx: RequestContext, request: Registration) -> bytes:
    made = _prepare(registry, ctx, request)
    contents = _read_contents(registry, made)
    unique_id = request.submission.submission_sets[0].unique_id or ""

    def statements(connection: Connection) -> bytes:
        stored = registry.replay(write.find_set(connection, unique_id), made.retry)
        if stored is not None:
            registry.record(ctx, [_row(request, REPEATED, ())], once=False)(connection)
            return stored
        facts = update_write.load_facts(connection, made.assigned, made.asked, _reading(registry, made, lock=True))
        came_through = registry.replay(facts.identifiers.sets.get(unique_id), made.retry) is not None
        if came_through or not contents.cover(facts):
            raise _Changed
        decision = _decide(registry, ctx, made, facts, contents, connection)
        planned = plan(made.assigned.submission, made.asked, facts, registry.profile)
        if errors(planned.findings):
            words = made.assigned.in_sender_words
            raise XdsFailure([replace(f, context=words(f.context)) for f in planned.findings])
        rows, retry, following = made.rows, made.retry, registry.policy.following
        update_write.carry_out(connection, made.assigned, facts, planned, contents.links, rows, retry, made.now, following)
        named = (version.unique_id for version in (*facts.latest.values(), *facts.named.values()))
        registry.record(ctx, [_row(request, decision, named)])(connection)
        return made.retry.answer

    try:
        return registry.database.write(statements)
    except OutcomeUnknown:
        return registry.after_unknown(unique_id, made.retry)


def _prepare(registry: Registry, ctx: RequestContext, request: Registration) -> _Update:
    now = datetime.fromtimestamp(ctx.at / MICROSECONDS, UTC).strftime("%Y%m%d%H%M%S")
    assigned = assign(request, registry.settings.home_community_id)
    asked = operations(assigned)
    assigned = update_write.as_versions(assigned, asked)
    rows = build_rows(assigned, ctx.at, now, update_write.version_numbers(asked))
    retry = write.RetryKey(request.sender, request.digest, ctx.message_id, ctx.at, write_registry_response())
    patients = frozenset(map(patient_column, lifecycle.patient_ids(request.submission)))
    scope = registry.policy.scope(ctx, Action.CHANGE, [key_of_text(key) for key in sorted(patients)])
    return _Update(patients, assigned, asked, rows, retry, scope, now)


def _reading(registry: Registry, made: _Update, *, lock: bool) -> Reading:
    visible = visible_under(made.scope, registry.database.dialect.name)
    return Reading(visible, known_only=registry.settings.known_patients_only, lock=lock)


def _read_contents(registry: Registry, made: _Update) -> Contents:
    """What the leaves say that a new version is compared with and that it carries over. A change of status needs none."""
    if not made.asked.versions:
        return Contents()
    with registry.database.read() as connection:
        facts = update_write.load_facts(connection, made.assigned, made.asked, _reading(registry, made, lock=False))
        return load_contents(connection, facts)


def _decide(
    registry: Registry,
    ctx: RequestContext,
    made: _Update,
    facts: UpdateFacts,
    contents: Contents,
    connection: Connection,
) -> Decision:
    """Whether all of it may happen. Raises Fault."""
    concerned = [(version.patient, version.id) for version in (*facts.latest.values(), *facts.named.values())]
    found = changes(made.asked, facts, contents.entries, load_entry_facts(connection, concerned))
    if not found:
        return NOTHING_THERE
    patients = {change.entry.patient: None for change in found}
    patients |= {key_of_text(key): None for key in sorted(made.patients)}
    decision = registry.policy.may(ctx, Action.CHANGE, Target(tuple(patients), changes=found))
    refuse_access(decision)
    return decision


def _row(request: Registration, decision: Decision, unique_ids: Iterable[str]) -> JournalRow:
    owner = request.submission.submission_sets[0]
    named = (("document", unique_id) for unique_id in dict.fromkeys(unique_ids))
    objects = (("submission-set", owner.unique_id or ""), *named)
    return JournalRow(patient_column(owner.patient_id), "update", objects, decision, "Success", request.digest)


def asked(call: Call) -> Attempt:
    """Which update about whom; of a message that was not decoded, what it says itself."""
    request: Registration | None = call.request
    if request is None:
        return Attempt("update", *claimed_submission(call.body))
    submission = request.submission
    patient = patient_column(submission.submission_sets[0].patient_id)
    targets = (a.target for a in submission.associations if a.type == UPDATE_AVAILABILITY_STATUS)
    stored = (("entry", target) for target in targets if target.startswith(UUID_PREFIX))
    return Attempt("update", patient, (*objects_of(submission), *stored))


def refuse(registry: Registry, call: Call, error: Exception) -> Body | None:
    """The Failure that stands for what decode or handle raised."""
    findings = refusal(registry, call, error, asked(call))
    if findings is None:
        return None
    return Body((write_registry_response(registry_errors(findings, REGISTRY)),), outcome="failure")


def transaction(registry: Registry) -> Transaction:
    """The descriptor; the answer's action is that of the profile."""
    return Transaction(
        number="ITI-57",
        title="Update Document Set",
        endpoint="/registry",
        request_actions=(ACTION,),
        response_action=registry.profile.update_response,
        body_root=f"{{{LCM}}}SubmitObjectsRequest",
        decode=lambda call: decode(registry, call),
        handle=lambda call: handle(registry, call),
        refuse=lambda call, error: refuse(registry, call, error),
    )
