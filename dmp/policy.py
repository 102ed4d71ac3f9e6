"""The access policy `dmp`: tables and a short list of rules in a fixed order, decided on a subject, a record and entries.

1. caller and record; 2. functional right; 3. the record exists and is active; 4. a blocked professional deposits only;
5. mode: an authorisation, or no opposition; 6. what is changed. What may be seen of a record is a Scope.
Source: PDT-INF-526 v1.8; R.1111-26 and after of the public health code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, Change, EntryFacts, OpenedPolicy, Target
from access_control.scope import AllOf, Condition, HasStatus, Scope
from database.handle import Database
from dmp.caller import Caller, caller_of
from dmp.codes import INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES, MASKED, RESTRICTIVE, SIGNATURE_TYPE
from dmp.reading import NOTHING, own, readable
from dmp.record_views import StoredViews
from dmp.rights import functional_right
from dmp.rules import allow, refuse
from dmp.settings import DmpSettings, read_settings
from dmp.views import RecordView, RecordViews
from xds_metadata.datatypes import DatatypeError, PatientKey, patient_key
from xds_metadata.patients import key_text

_MEMO: Final = "dmp"
_FEEDING: Final = "ITI-41"
_HIDDEN: Final = frozenset({INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES})
_STATUS_RIGHTS: Final = {("Approved", "Archived"): "archive", ("Archived", "Approved"): "unarchive"}
WITHOUT_AUTHORISATION: Final = frozenset({"deposit", "deposit-secretary", "find-reference", "delete"})
_ALL, _NOT_DELETED = ("Approved", "Deprecated", "Archived", "Deleted"), ("Approved", "Deprecated", "Archived")


@dataclass(frozen=True, slots=True)
class Situation:
    """A caller before a record. `patient` is None where the assertion names none."""

    caller: Caller
    patient: PatientKey | None
    view: RecordView
    reason: str = ""
    secret: bool = False


class DmpPolicy:
    """The rules over a record store. Thread-safe."""

    following: frozenset[str] = frozenset(RESTRICTIVE)

    def __init__(self, views: RecordViews, settings: DmpSettings) -> None:
        self._views = views
        self._settings = settings

    @property
    def settings(self) -> DmpSettings:
        """The choices that the rules leave open."""
        return self._settings

    def may(self, ctx: RequestContext, action: Action, target: Target) -> Decision:
        """The first rule that speaks against it, or that none does."""
        situation = self.situation(ctx)
        broken = next(self.broken(ctx, situation, action, target), None)
        return allow() if broken is None else refuse(broken)

    def scope(self, ctx: RequestContext, action: Action, patients: Sequence[PatientKey]) -> Scope:  # noqa: ARG002
        """What the caller sees of the record that his assertion names; of another record nothing exists for him."""
        situation = self.situation(ctx)
        if situation.patient is None:
            return Scope(NOTHING, patients=())
        visible = _visible(situation.caller, situation.view, action, reasoned=bool(situation.reason.strip()))
        return Scope(visible, patients=(key_text(situation.patient),))

    def situation(self, ctx: RequestContext) -> Situation:
        """The caller before the record; read once for a request."""
        known = ctx.memo.get(_MEMO)
        if isinstance(known, Situation):
            return known
        subject = ctx.subject
        patient = _patient(subject.patient)
        found = Situation(
            caller_of(subject, role_based=self._settings.role_based_columns),
            patient,
            RecordView() if patient is None else self._views.view(patient, subject, ctx.at),
            subject.reason,
            "INVISIBLE_REPRESENTANTS_LEGAUX" in subject.confidentiality,
        )
        ctx.memo[_MEMO] = found
        return found

    def broken(self, ctx: RequestContext, situation: Situation, action: Action, target: Target) -> Iterator[str]:
        """The ids of the rules that are not met, in the order of decision."""
        if situation.caller.kind == "unknown" and not situation.view.relation:
            yield "dmp-caller"
        if not _same_patient(situation.patient, action, target):
            yield "dmp-patient"
        if action is Action.SUBMIT and ctx.transaction != _FEEDING:
            yield "dmp-transaction"
        if action is Action.CHANGE:
            for change in target.changes:
                yield from self._broken_by(situation, change)
            return
        yield from gate(situation, _right_of(situation, action, target))
        if action is Action.SUBMIT:
            for entry in target.entries:
                yield from self._broken_by_entry(situation, entry)

    def _broken_by_entry(self, situation: Situation, entry: EntryFacts) -> Iterator[str]:
        if entry.type_code.partition("^^")[0] == SIGNATURE_TYPE:
            return
        if situation.secret and INVISIBLE_REPRESENTATIVES not in entry.confidentiality:
            yield "dmp-secret"
        together = {MASKED, INVISIBLE_PATIENT} <= set(entry.confidentiality)
        if together and not self._settings.cumulate_invisible_and_masked:
            yield "dmp-cumulation"

    def _broken_by(self, situation: Situation, change: Change) -> Iterator[str]:
        """What speaks against a change of a stored entry that the caller sees."""
        if change.kind == "replace":
            if not is_own(situation.caller, change.entry):
                yield "dmp-replace"
            return
        if change.kind in ("append", "transform"):
            return
        if change.kind == "metadata":
            yield from self._broken_by_visibility(situation, change)
            return
        right = "delete" if change.status == "Deleted" else _STATUS_RIGHTS.get((change.entry.status, change.status))
        if right is None or change.entry.status not in ("Approved", "Archived"):
            yield "dmp-change"
            return
        if _of_patient(change.entry):
            if situation.view.relation != "holder" and not (situation.view.attending and situation.caller.kind == "doctor"):
                yield "dmp-of-patient"
            yield from gate(situation, right_over(right, change.entry))
            return
        yield from gate(situation, right)
        yield from _limit(situation, right, change.entry)

    def _broken_by_visibility(self, situation: Situation, change: Change) -> Iterator[str]:
        added, removed = set(change.added), set(change.removed)
        if change.other or not (added | removed) <= set(RESTRICTIVE):
            yield "dmp-change"
        elif not added | removed:
            yield from gate(situation, "mask")
        if added & _HIDDEN:
            yield "dmp-irreversible"
        if MASKED in added:
            yield from gate(situation, "mask")
            remaining = set(change.entry.confidentiality) - removed
            if INVISIBLE_PATIENT in remaining and not self._settings.cumulate_invisible_and_masked:
                yield "dmp-cumulation"
        if MASKED in removed:
            yield from gate(situation, "unmask")
            yield from _limit(situation, "unmask", change.entry)
        if removed & _HIDDEN:
            yield from gate(situation, "make-visible")

    @staticmethod
    def statuses(situation: Situation, action: Action) -> tuple[str, ...]:
        """The statuses of documents that the action may touch; what a query asks for narrows them further."""
        hidden = situation.view.relation or action in (Action.GET, Action.SUBMIT, Action.CHANGE)
        return _NOT_DELETED if hidden else _ALL


@lru_cache(maxsize=256)
def _visible(caller: Caller, view: RecordView, action: Action, *, reasoned: bool) -> Condition:
    situation = Situation(caller, None, view, "stated" if reasoned else "")
    seen = HasStatus(DmpPolicy.statuses(situation, action))
    if next(scope_gate(situation, action), None) is not None:
        return NOTHING
    return AllOf((seen, own(caller) if own_only(situation, action) else readable(caller, view)))


def scope_gate(situation: Situation, action: Action) -> Iterator[str]:
    """Why nothing of the record is visible for an action, in the order of decision; nothing where something may be."""
    if situation.view.relation:
        if situation.view.state != "active":
            yield "dmp-record-missing" if situation.view.state in ("missing", "destroyed") else "dmp-record-closed"
        return
    closed = list(gate(situation, _reading_right(action)))
    if closed and not _sees_own(situation, action):
        yield from closed


def own_only(situation: Situation, action: Action) -> bool:
    """Whether the caller sees no more than what he is an author of: he may not search, but file or find by reference."""
    return not situation.view.relation and _closed(situation, _reading_right(action)) and _sees_own(situation, action)


def _sees_own(situation: Situation, action: Action) -> bool:
    if action in (Action.SUBMIT, Action.CHANGE):
        return not _closed(situation, _feeding(situation.caller))
    return action is Action.GET and not _closed(situation, "find-reference")


def _reading_right(action: Action) -> str:
    return "read" if action is Action.RETRIEVE else "search"


def _closed(situation: Situation, right: str) -> bool:
    return next(gate(situation, right), None) is not None


def _feeding(caller: Caller) -> str:
    return "deposit-secretary" if caller.kind == "staff_card" else "deposit"


def gate(situation: Situation, right: str) -> Iterator[str]:
    """The rules before any document: functional right, record, block, mode. Those that are not met, in order."""
    caller, view = situation.caller, situation.view
    feeding = right in ("deposit", "deposit-secretary")
    if not view.relation and not functional_right(right, caller, attending=view.attending).allowed:
        yield "dmp-right"
    if view.state in ("missing", "destroyed"):
        yield "dmp-record-missing"
    elif view.state == "closed":
        yield "dmp-record-closed"
    if view.relation or feeding:
        return
    if view.blocked:
        yield "dmp-blocked"
    if caller.mode == "normal":
        if right not in WITHOUT_AUTHORISATION and view.authorisation != "valid":
            yield "dmp-authorisation-expired" if view.authorisation == "expired" else "dmp-authorisation"
        return
    if view.opposed_break_glass if caller.mode == "bris_de_glace" else view.opposed_regulation:
        yield "dmp-emergency-opposed"
    if caller.mode == "bris_de_glace" and not situation.reason.strip():
        yield "dmp-emergency-reason"


def _limit(situation: Situation, right: str, entry: EntryFacts) -> Iterator[str]:
    """A right that is limited to documents of his own, or of the structure."""
    if situation.view.relation:
        if not _of_patient(entry):
            yield "dmp-own"
        return
    limit = functional_right(right, situation.caller, attending=situation.view.attending).limit
    if (limit == 8 and not is_own(situation.caller, entry)) or (limit == 9 and not _of_structure(situation.caller, entry)):
        yield "dmp-own"


def is_own(caller: Caller, entry: EntryFacts) -> bool:
    """Whether he is an author of the entry; for a structure and its staff, whether the structure is."""
    if caller.kind in ("structure", "staff_card", "staff_member"):
        return _of_structure(caller, entry)
    return bool(caller.person) and caller.person in entry.persons


def _of_structure(caller: Caller, entry: EntryFacts) -> bool:
    return bool(caller.structure) and caller.structure in entry.institutions


def _of_patient(entry: EntryFacts) -> bool:
    """Whether the patient deposited it himself: he is its author."""
    return key_text(entry.patient) in entry.persons


def right_over(right: str, entry: EntryFacts) -> str:
    """The functional right that a change of this entry needs: a document of the patient is deleted by who may archive it."""
    return "archive" if right == "delete" and _of_patient(entry) else right


def _right_of(situation: Situation, action: Action, target: Target) -> str:
    """The functional right that an action needs. References alone need less, once the document is known by its id."""
    if action is Action.SUBMIT:
        return _feeding(situation.caller)
    if action is Action.RETRIEVE:
        return "read"
    return "find-reference" if action is Action.GET and target.references else "search"


def _same_patient(patient: PatientKey | None, action: Action, target: Target) -> bool:
    """GET names objects, whose owners the caller is not told: the scope leaves out those of others."""
    if patient is None:
        return False
    if action is Action.GET:
        return True
    named = (*target.patients, *(entry.patient for entry in target.entries))
    return all(one == patient for one in (*named, *(change.entry.patient for change in target.changes)))


@lru_cache(maxsize=1024)
def _patient(cx: str) -> PatientKey | None:
    try:
        return patient_key(cx) if cx else None
    except DatatypeError:
        return None


def configure(options: Mapping[str, object]) -> OpenedPolicy:
    """The entry point. Raises ValueError for options that are none."""
    settings = read_settings(options)

    def opened(database: Database) -> DmpPolicy:
        return DmpPolicy(StoredViews(database, settings), settings)

    return opened
