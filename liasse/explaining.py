"""An operator has a decision on access explained: of one caller, about one record or one document of it.

The look at the record is journaled before anything is shown, as the other acts of an operator are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, select

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, Change, EntryFacts, Target
from access_control.subject import Subject
from database.handle import Database
from dmp.codes import BASE, INVISIBLE_PATIENT, MASKED
from dmp.explain import Explanation, Shown, explain
from dmp.policy import DmpPolicy
from dmp.record import By
from dmp.records import reason_text
from journal.rows import JournalRow, journal
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text
from xds_registry import tables as t
from xds_registry.entry_facts import load_entry_facts

EXPLAINED: Final = "access-explain"


class NoSuchDocument(Exception):
    """The record has no document with this uniqueId."""


@dataclass(frozen=True, slots=True)
class Question:
    """One act: what the policy is asked, the functional right that it needs, and what it does to a document."""

    action: Action
    right: str
    transaction: str
    change: Change | None = None
    reads: bool = False


_NOTHING: Final = EntryFacts("", PatientKey("", ""), "", ())


def _changing(right: str, transaction: str, **what: object) -> Question:
    return Question(Action.CHANGE, right, transaction, Change(what.pop("kind"), _NOTHING, **what))  # type: ignore[arg-type]


QUESTIONS: Final = {
    "search": Question(Action.FIND, "search", "ITI-18", reads=True),
    "look-up": Question(Action.GET, "search", "ITI-18", reads=True),
    "read": Question(Action.RETRIEVE, "read", "ITI-43", reads=True),
    "deposit": Question(Action.SUBMIT, "deposit", "ITI-41"),
    "mask": _changing("mask", "ITI-57", kind="metadata", added=(MASKED,)),
    "unmask": _changing("unmask", "ITI-57", kind="metadata", removed=(MASKED,)),
    "make-visible": _changing("make-visible", "ITI-57", kind="metadata", removed=(INVISIBLE_PATIENT,)),
    "archive": _changing("archive", "ITI-57", kind="status", status="Archived"),
    "unarchive": _changing("unarchive", "ITI-57", kind="status", status="Approved"),
    "delete": _changing("delete", "ITI-57", kind="status", status="Deleted"),
    "replace": _changing("deposit", "ITI-41", kind="replace"),
}
"""By the name that an operator gives. All but deposits and searches concern a document."""


def explain_access(
    database: Database,
    policy: DmpPolicy,
    subject: Subject,
    patient: PatientKey,
    question: Question,
    unique_id: str,
    by: By,
) -> Explanation:
    """What each rule says of the act of `subject`. Raises NoSuchDocument and DatabaseError; `unique_id` may be empty.

    A record may have several entries of a document: it may happen where it may with one of them.
    """
    found: list[Explanation] = []
    for document in _look(database, patient, unique_id, subject, by):
        ctx = RequestContext(question.transaction, "", by.at, subject=subject)
        found.append(_explain(policy, ctx, patient, question, unique_id, document))
    return next((one for one in found if one.allowed), found[0])


def _explain(
    policy: DmpPolicy, ctx: RequestContext, patient: PatientKey, question: Question, unique_id: str, document: Shown | None
) -> Explanation:
    if question.action is Action.SUBMIT:
        filed = document.facts if document is not None else replace(_NOTHING, patient=patient, confidentiality=BASE[:1])
        target = Target((patient,), entries=(filed,))
        right = "deposit-secretary" if policy.situation(ctx).caller.kind == "staff_card" else question.right
        return explain(policy, ctx, question.action, target, right)
    if question.change is not None and document is not None:
        target = Target((patient,), changes=(replace(question.change, entry=document.facts),))
        if question.change.kind == "replace":
            filing = _explain(policy, ctx, patient, QUESTIONS["deposit"], unique_id, document)
            if not filing.allowed:
                return filing
        return explain(policy, ctx, question.action, target, question.right, document)
    target = Target((patient,), (unique_id,) if unique_id else ())
    return explain(policy, ctx, question.action, target, question.right, document)


def _look(database: Database, patient: PatientKey, unique_id: str, subject: Subject, by: By) -> Sequence[Shown | None]:
    """The entries of the document, the latest first, where one is named; that somebody looked is committed before."""
    objects = [("document", unique_id)] if unique_id else []
    objects.append(("as", subject.id or subject.structure))
    decision = Decision(allowed=True, rule="operator")
    row = JournalRow(key_text(patient), EXPLAINED, objects, decision, "Success", detail=reason_text(by))
    ctx = RequestContext("operator", "", by.at, subject=by.subject)

    def statements(connection: Connection) -> Sequence[Shown]:
        journal(ctx, [row])(connection)
        return _find(connection, patient, unique_id) if unique_id else ()

    found = database.write(statements)
    if unique_id and not found:
        raise NoSuchDocument(f"the record has no document {unique_id}")
    return found or (None,)


def _find(connection: Connection, patient: PatientKey, unique_id: str) -> Sequence[Shown]:
    e, v = t.entry.c, t.object_version.c
    wanted = (
        select(e.patient, e.id, e.class_code)
        .select_from(t.entry.join(t.object_version, v.id == e.id))
        .where(e.patient == key_text(patient), e.unique_id == unique_id, e.withdrawn == 0, v.latest == 1)
        .order_by(e.registered_at.desc(), e.id)
    )
    rows = connection.execute(wanted).all()
    facts = load_entry_facts(connection, [(row.patient, row.id) for row in rows])
    return [Shown(facts[row.id], row.class_code or "") for row in rows]
