"""The Document Registry: what its transactions share, and the registration behind ITI-42 and an in-process ITI-41.

Source: IHE ITI TF-2 3.42.4.1.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.policy import AccessPolicy, Action, Target
from access_control.refusal import refuse_access
from access_control.scope import Scope
from database.errors import ConstraintViolated, DatabaseBusy, DatabaseError, DatabaseFull, OutcomeUnknown
from database.handle import Database
from ebrim.rs import write_registry_response
from journal.rows import Record, journal
from xds_metadata.answers import REGISTRY
from xds_metadata.codes import CodeSets
from xds_metadata.errors import Finding, XdsFailure, errors
from xds_metadata.model import Submission
from xds_metadata.patients import key_of_text, patient_column
from xds_metadata.profile import Profile
from xds_metadata.registration import Registration
from xds_registry import lifecycle, write
from xds_registry.conditions import TABLES, Clause
from xds_registry.identifiers import Assigned, assign, chosen_uuids
from xds_registry.references import Facts, SetIdentity
from xds_registry.related import Restricted, changes, missing_codes, related_entries, with_codes
from xds_registry.rows import Rows, build_rows
from xds_registry.select import Selector
from xds_registry.visibility import ScopeNames, visible
from xds_registry.vocabulary import Kind, bare
from xmlsafe.schema import Schema

MICROSECONDS = 1_000_000
ATTEMPTS = 3
"""Runs of a submission that met another writer, or restrictions that it has to take over."""
_FEW_OBJECTS, _FEW_CODES = 8, 40
"""What most submissions do not exceed."""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What an operator decides. `retry_window` in seconds; `result_limit` objects in one LeafClass answer; more references.

    `authorities`: the affinity domain's assigning authorities (OIDs), empty for all. `known_patients_only`: a patient must
    have been announced. `retry_needs_message_id`: a repeated submission is recognised only with its first MessageID.
    """

    authorities: frozenset[str] = frozenset()
    known_patients_only: bool = False
    home_community_id: str | None = None
    retry_window: int = 86_400
    retry_needs_message_id: bool = False
    result_limit: int = 20_000


@dataclass(frozen=True)
class Registry:
    """The actor: its store, its policy, its dialect. `clock` gives microseconds since 1970 UTC.

    `record` writes down what was done for whom.
    """

    database: Database
    policy: AccessPolicy
    profile: Profile
    codes: CodeSets
    schema: Schema
    settings: RegistrySettings
    clock: Callable[[], int]
    selector: Selector
    record: Record = journal

    def register(self, ctx: RequestContext, request: Registration) -> bytes:
        """Store one submission, all or nothing, and return the ebRS answer: that of the first time for a retry.

        The metadata rules have been applied. Raises XdsFailure with every finding on stored data, worded as the registry's,
        and DatabaseError where nothing was stored.
        """
        self.check_authorities(request.submission)
        try:
            if _large(request):
                self._judge_beforehand(ctx, request)
            for _ in range(ATTEMPTS):
                try:
                    return self._register(ctx, request)
                except ConstraintViolated:
                    continue  # another writer was first: what it stored now shows in the facts
                except Restricted as found:
                    request = with_codes(request, found.codes, self.codes)
            return self._register(ctx, request)
        except XdsFailure as failure:
            raise worded(failure.findings) from None

    def _judge_beforehand(self, ctx: RequestContext, request: Registration) -> None:
        """Raise XdsFailure for what is stored now already: leaves and rows are built for a submission that stands only.

        The transaction that writes judges again.
        """
        submission = request.submission
        if _ambiguous(submission):
            return
        retry = write.RetryKey(request.sender, request.digest, ctx.message_id, ctx.at, b"")
        scope = self._scope(ctx, submission)
        with self.database.read() as connection:
            known = write.find_set(connection, submission.submission_sets[0].unique_id or "")
            if self.replay(known, retry) is not None:
                return
            facts = write.load_facts(
                connection,
                write.Concern(submission, *chosen_uuids(request.objects)),
                visible_under(scope, connection.dialect.name),
                known_only=self.settings.known_patients_only,
                lock=False,
            )
        findings = lifecycle.plan(submission, facts).findings
        if errors(findings):
            raise XdsFailure(findings)

    def _scope(self, ctx: RequestContext, submission: Submission) -> Scope:
        patients = {patient_column(cx) for cx in lifecycle.patient_ids(submission)}
        return self.policy.scope(ctx, Action.SUBMIT, [key_of_text(key) for key in sorted(patients)])

    def _register(self, ctx: RequestContext, request: Registration) -> bytes:
        now = datetime.fromtimestamp(ctx.at / MICROSECONDS, UTC).strftime("%Y%m%d%H%M%S")
        assigned = assign(request, self.settings.home_community_id)
        prepared = build_rows(assigned, ctx.at, now)
        answer = write_registry_response()
        retry = write.RetryKey(request.sender, request.digest, ctx.message_id, ctx.at, answer)
        scope = self._scope(ctx, request.submission)
        concern = write.Concern(assigned.submission, assigned.submitted_uuids, [part for part, _ in assigned.part_uuids])
        unique_id = request.submission.submission_sets[0].unique_id or ""

        def statements(connection: Connection) -> bytes:
            known = write.find_set(connection, unique_id)
            stored = self.replay(known, retry)
            if stored is None:
                facts = write.load_facts(
                    connection,
                    concern,
                    visible_under(scope, connection.dialect.name),
                    known_only=self.settings.known_patients_only,
                )
                # Each statement may see a later state than the one before: the same message may have come through meanwhile.
                stored = self.replay(facts.sets.get(unique_id), retry)
                if stored is None:
                    self._check_related(ctx, connection, assigned, facts)
                    rows = Rows({name: list(values) for name, values in prepared.tables.items()})
                    write.carry_out(connection, assigned, facts, rows, retry, now, self.policy.following)
            for effect in request.effects if stored is None else request.replay_effects:
                effect(connection)
            return answer if stored is None else stored

        try:
            return self.database.write(statements)
        except OutcomeUnknown:
            return self.after_unknown(unique_id, retry)

    def _check_related(self, ctx: RequestContext, connection: Connection, assigned: Assigned, facts: Facts) -> None:
        """What happens to stored entries is decided, and passes restrictions on. Raises Fault, Restricted."""
        submission = assigned.submission
        related = related_entries(connection, submission, facts)
        if not related:
            return
        patients = tuple({entry.patient: None for entry in related.values()})
        target = Target(patients, changes=changes(submission, related))
        refuse_access(self.policy.may(ctx, Action.CHANGE, target))
        missing = missing_codes(submission, related, self.policy.following)
        if missing:
            raise Restricted({assigned.symbolic.get(entry, entry): codes for entry, codes in missing.items()})

    def replay(self, known: SetIdentity | None, retry: write.RetryKey) -> bytes | None:
        """The stored answer when this is a repetition of a submission that succeeded lately."""
        if known is None or known.answer is None or (known.sender, known.digest) != (retry.sender, retry.digest):
            return None
        if self.settings.retry_needs_message_id and known.message_id != retry.message_id:
            return None
        if retry.at - known.answered_at > self.settings.retry_window * MICROSECONDS:
            return None
        return known.answer

    def after_unknown(self, unique_id: str, retry: write.RetryKey) -> bytes:
        """The commit's outcome was lost: the identity row tells."""
        with self.database.read() as connection:
            known = write.find_set(connection, unique_id)
        if known is not None and known.digest == retry.digest and known.answered_at == retry.at:
            return retry.answer
        raise DatabaseBusy("the registration was not carried out; it may be sent again")

    def check_authorities(self, submission: Submission) -> None:
        """Raise XdsFailure for a patient of an authority outside the affinity domain."""
        allowed = self.settings.authorities
        if not allowed:
            return
        foreign = [
            patient_id
            for patient_id in dict.fromkeys(lifecycle.patient_ids(submission))
            if key_of_text(patient_column(patient_id)).authority not in allowed
        ]
        if foreign:
            raise worded(Finding("XDSUnknownPatientId", cx, rule="patient-authority") for cx in foreign)


def _large(request: Registration) -> bool:
    """Whether leaves and rows of the submission cost more than to look at what is stored once more than needed."""
    objects = (*request.objects.extrinsic_objects, *request.objects.packages, *request.objects.associations)
    return len(objects) > _FEW_OBJECTS or sum(len(item.classifications) for item in objects) > _FEW_CODES


def _ambiguous(submission: Submission) -> bool:
    """Whether a symbolic id is the UUID of another object but for its prefix: as columns they would look the same."""
    groups = (submission.submission_sets, submission.entries, submission.folders, submission.associations)
    ids = [item.entry_uuid for group in groups for item in group]
    return len({bare(i) for i in ids}) < len(ids)


def visible_under(scope: Scope, dialect: str) -> Callable[[Kind], Clause]:
    """By kind of object, the clause under which a stored one is there for the caller."""
    return lambda kind: visible(kind, TABLES[kind], scope, ScopeNames(dialect, scope))


def worded(findings: Iterable[Finding]) -> XdsFailure:
    """The failure with the registry's own wording of codes, so that a repository can pass it on as it is."""
    return XdsFailure([Finding(f.for_actor(REGISTRY), f.context, f.location, f.rule, f.severity) for f in findings])


def store_failure(error: DatabaseError) -> Finding:
    """The finding that stands for a database failure; it names no stored value."""
    if isinstance(error, DatabaseBusy):
        return Finding("Busy", "the registry is busy; the message may be sent again", rule="database-busy")
    if isinstance(error, DatabaseFull):
        return Finding("OutOfResources", "the registry has no space left", rule="database-full")
    return Finding("Error", "the registry's database is not available; the message may be sent again", rule="database")
