"""ITI-18 Registry Stored Query: one statement of objects with the caller's scope inside it.

1. decode: schema, query id, parameters (all errors). 2. patients: from the parameter, or located by id. 3. decision and
scope. 4. the select. 5. the journal row, committed. 6. encode: stored leaves joined inside an envelope.
Source: IHE ITI TF-2 3.18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree
from sqlalchemy.engine.interfaces import DBAPICursor

from access_control.from_call import context_of
from access_control.policy import Action, Target
from access_control.refusal import refuse_access
from ebrim.model import AdhocQuery
from ebrim.read import read_adhoc_query_request
from ebrim.rs import write_query_answer, write_query_failure
from ebrim.write import write_object_ref
from journal.rows import Attempt, JournalRow
from soap.received import body_as_received
from soap.transaction import Body, Call, Transaction
from xds_metadata.answers import REGISTRY, check_schema, registry_errors
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.patients import key_of_text
from xds_metadata.unjudged import LONGEST_IDENTIFIER, claimed_patient
from xds_registry.actor import Registry
from xds_registry.found import Found
from xds_registry.refusals import refusal
from xds_registry.select import serialise
from xds_registry.stored_queries import QUERIES, Plan, StoredQuery
from xds_registry.stored_queries.filters import PATIENT
from xds_registry.stored_queries.literals import LiteralError, read_values
from xds_registry.stored_queries.parameters import bind
from xds_registry.vocabulary import UUID_PREFIX, Kind
from xmlsafe.namespaces import QUERY, RIM

ACTION = "urn:ihe:iti:2007:RegistryStoredQuery"
LEAF_CLASS, OBJECT_REF = "LeafClass", "ObjectRef"
REFERENCES_PER_OBJECT = 20
"""A reference is so much smaller than an object: who may not get that many objects can still learn which there are."""


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """A query ready to run; `patient` is the key text of its patient parameter, if it has one."""

    query: StoredQuery
    plan: Plan
    leaves: bool
    patient: str | None


def decode(registry: Registry, call: Call) -> BoundQuery:
    """The query in the body. Raises XdsFailure."""
    check_schema(registry.schema, call.body, "Error")
    return bind_query(read_adhoc_query_request(call.body))


def bind_query(request: AdhocQuery) -> BoundQuery:
    """The stored query with its parameters bound. Raises XdsFailure with every finding."""
    query = QUERIES.get(request.id)
    if query is None:
        raise XdsFailure(
            Finding("XDSUnknownStoredQuery", f"{request.id} is not a stored query known here", rule="query-known")
        )
    if request.return_type not in (LEAF_CLASS, OBJECT_REF):
        raise XdsFailure(
            Finding("Error", f"returnType {request.return_type}: expected LeafClass or ObjectRef", rule="return-type")
        )
    bound = bind(request.slots, query.parameters)
    return BoundQuery(query, query.plan(bound), request.return_type == LEAF_CLASS, bound.get(PATIENT))


def handle(registry: Registry, call: Call) -> Body:
    """Select, journal, answer."""
    request: BoundQuery = call.request
    ctx = context_of(call, registry.clock)
    limit = registry.settings.result_limit * (1 if request.leaves else REFERENCES_PER_OBJECT)
    with registry.database.read_raw() as cursor:
        if request.plan.anchor is None:
            patients: tuple[str, ...] = (request.patient or "",)
        else:
            patients = registry.selector.locate(cursor, request.plan.anchor)
        keys = [key_of_text(key) for key in patients]
        action = Action.FIND if request.plan.anchor is None else Action.GET
        decision = registry.policy.may(ctx, action, Target(tuple(keys), references=not request.leaves))
        refuse_access(decision)
        scope = registry.policy.scope(ctx, action, keys)
        found = registry.selector.run(cursor, request.plan.selection, scope, limit + 1)
        _check_answer(request, found, limit)
        pieces = encode(registry, cursor, found) if request.leaves else references(found)
    name = request.query.name
    digest, evidence = call.digest, lambda: body_as_received(call)
    rows = [
        JournalRow(patient, "query", (("query", name),), decision, "Success", digest, evidence=evidence)
        for patient in (patients if scope.patients is None else scope.patients) or ("",)
    ]
    registry.database.write_short(registry.record(ctx, rows))
    return Body(write_query_answer(pieces))


def _check_answer(request: BoundQuery, found: Sequence[Found], limit: int) -> None:
    if len(found) > limit:
        hint = "narrow the query, or ask for ObjectRef" if request.leaves else "narrow the query"
        raise XdsFailure(Finding("XDSTooManyResults", f"more than {limit} objects; {hint}", rule="result-limit"))
    if request.query.single_patient and request.leaves:
        patients = {row.patient for row in found if row.kind != Kind.ASSOCIATION}
        if len(patients) > 1:
            raise XdsFailure(
                Finding(
                    "XDSResultNotSinglePatient",
                    "the objects belong to several patients; ask for ObjectRef",
                    rule="one-patient",
                )
            )


def encode(registry: Registry, cursor: DBAPICursor, found: Sequence[Found]) -> list[bytes]:
    """The objects, read in the snapshot in which they were found."""
    return serialise(found, registry.selector.leaves.fetch(cursor, found))


def references(found: Sequence[Found]) -> list[bytes]:
    """References to the objects."""
    return [write_object_ref(UUID_PREFIX + row.id) for row in found]


def asked(call: Call) -> Attempt:
    """Which query about whom; of a message that was not decoded, what it says itself."""
    request: BoundQuery | None = call.request
    name, patient = (request.query.name, request.patient or "") if request is not None else _claimed(call.body)
    return Attempt("query", patient, (("query", name),) if name else (), lambda: body_as_received(call))


def _claimed(body: etree._Element) -> tuple[str, str]:
    """Name of the query and key text of its patient, each empty where it cannot be told."""
    element = body.find(f"{{{RIM}}}AdhocQuery")
    query = QUERIES.get(element.get("id", "")) if element is not None else None
    if element is None or query is None:
        return "", ""
    wanted = {row.name for row in query.parameters if row.key == PATIENT}
    slot = next((each for each in element.iterchildren(f"{{{RIM}}}Slot") if each.get("name") in wanted), None)
    text = slot.findtext(f".//{{{RIM}}}Value") or "" if slot is not None else ""
    try:
        values = read_values(text) if len(text) <= LONGEST_IDENTIFIER else ()
    except LiteralError:
        values = ()
    return query.name, claimed_patient(values[0]) if len(values) == 1 else ""


def refuse(registry: Registry, call: Call, error: Exception) -> Body | None:
    """The Failure that stands for what decode or handle raised."""
    findings = refusal(registry, call, error, asked(call))
    if findings is None:
        return None
    return Body((write_query_failure(registry_errors(findings, REGISTRY)),), outcome="failure")


def transaction(registry: Registry) -> Transaction:
    """The descriptor."""
    return Transaction(
        number="ITI-18",
        title="Registry Stored Query",
        endpoint="/registry",
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=f"{{{QUERY}}}AdhocQueryRequest",
        decode=lambda call: decode(registry, call),
        handle=lambda call: handle(registry, call),
        refuse=lambda call, error: refuse(registry, call, error),
    )
