"""ITI-42 Register Document Set-b: metadata of documents that a repository keeps.

1. decode: schema, objects, metadata rules, all findings at once. 2. handle: may this sender submit, then the registration.
3. encode: a RegistryResponse. A refusal is journaled too.
Source: IHE ITI TF-2 3.42.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from access_control.facts import facts_of
from access_control.from_call import context_of, sender_of
from access_control.policy import Action, Target
from access_control.refusal import refuse_access
from ebrim.read import read_submit_objects_request
from ebrim.rs import write_registry_response
from journal.rows import Attempt, JournalRow
from soap.transaction import Body, Call, Transaction
from xds_metadata.answers import REGISTRY, check_count, check_schema, registry_errors
from xds_metadata.errors import METADATA_ERROR, XdsFailure, errors
from xds_metadata.patients import key_of_text, patient_column
from xds_metadata.registration import Registration, objects_of, submission_digest
from xds_metadata.rules import judge_objects
from xds_metadata.rules.values import REGISTER
from xds_metadata.unjudged import claimed_submission
from xds_registry import lifecycle
from xds_registry.actor import MICROSECONDS, Registry
from xds_registry.refusals import refusal
from xmlsafe.namespaces import LCM

ACTION = "urn:ihe:iti:2007:RegisterDocumentSet-b"


def decode(registry: Registry, call: Call) -> Registration:
    """The registration in the body. Raises XdsFailure with every finding that needs no stored data."""
    check_count(call.body)
    check_schema(registry.schema, call.body, METADATA_ERROR)
    objects = read_submit_objects_request(call.body)
    now = datetime.fromtimestamp(registry.clock() / MICROSECONDS, UTC)
    submission, findings = judge_objects(objects, REGISTER, registry.profile, registry.codes, now)
    if errors(findings):
        raise XdsFailure(findings)
    sender = sender_of(call, submission.submission_sets[0].source_id or "")
    return Registration(objects, submission, submission_digest(objects), sender)


def handle(registry: Registry, call: Call) -> Body:
    """Register and answer. Raises XdsFailure or DatabaseError: nothing was stored."""
    request: Registration = call.request
    ctx = context_of(call, registry.clock)
    patients = sorted({patient_column(cx) for cx in lifecycle.patient_ids(request.submission)})
    unique_ids = tuple(e.unique_id or "" for e in request.submission.entries)
    entries = tuple(map(facts_of, request.submission.entries))
    target = Target(tuple(key_of_text(key) for key in patients), unique_ids, entries)
    decision = registry.policy.may(ctx, Action.SUBMIT, target)
    refuse_access(decision)
    owner = request.submission.submission_sets[0]
    row = JournalRow(
        patient_column(owner.patient_id), "register", objects_of(request.submission), decision, "Success", request.digest
    )

    def again(connection: Connection) -> None:
        registry.record(ctx, [row], once=False)(connection)

    effects = (registry.record(ctx, [row]),)
    answer = registry.register(ctx, replace(request, effects=effects, replay_effects=(again,)))
    return Body((answer,))


def asked(call: Call) -> Attempt:
    """Which submission about whom; of a message that was not decoded, what it says itself."""
    request: Registration | None = call.request
    if request is None:
        return Attempt("register", *claimed_submission(call.body))
    patient = patient_column(request.submission.submission_sets[0].patient_id)
    return Attempt("register", patient, objects_of(request.submission))


def refuse(registry: Registry, call: Call, error: Exception) -> Body | None:
    """The Failure that stands for what decode or handle raised."""
    findings = refusal(registry, call, error, asked(call))
    if findings is None:
        return None
    return Body((write_registry_response(registry_errors(findings, REGISTRY)),), outcome="failure")


def transaction(registry: Registry) -> Transaction:
    """The descriptor."""
    return Transaction(
        number="ITI-42",
        title="Register Document Set-b",
        endpoint="/registry",
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=f"{{{LCM}}}SubmitObjectsRequest",
        decode=lambda call: decode(registry, call),
        handle=lambda call: handle(registry, call),
        refuse=lambda call, error: refuse(registry, call, error),
    )
