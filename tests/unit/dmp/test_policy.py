"""The rules of the shared record, one broken at a time, and what is seen when none is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from access_control.policy import Action, Change, EntryFacts, Target, UnknownPolicy, load_policy
from access_control.scope import AllOf, AnyOf, CodesWithin, Condition, FieldIn, HasActor, HasStatus, Not
from access_control.subject import Coded, Subject
from database import Database
from dmp.policy import DmpPolicy
from dmp.rules import RULES
from dmp.views import RecordView
from tests.unit.dmp.world import (
    A00,
    G15,
    HIDDEN,
    MASKED,
    ME,
    MY_OFFICE,
    OPEN_RECORD,
    OTHER,
    PATIENT,
    R01,
    SECRET,
    N,
    Store,
    entry,
    policy,
    request,
    subject,
)
from xds_metadata.patients import key_text

OWN = Target((PATIENT,))
DOCUMENT = Target(objects=("1.2.3",))
OCCUPATIONAL = subject(Coded("10", G15), Coded("SM25", R01))
NURSE, OPTICIAN = subject(Coded("60", G15)), subject(Coded("28", G15))
STRUCTURE, STAFF = subject(authentication="INDIRECTE"), subject(Coded("SECRETARIAT_MEDICAL", A00))
GLASS = subject(mode="bris_de_glace", reason="unconscious")
REGULATION = subject(mode="centre_15")
CLOSED, MISSING = replace(OPEN_RECORD, state="closed"), RecordView()
NO_CONSENT, EXPIRED = replace(OPEN_RECORD, authorisation="none"), replace(OPEN_RECORD, authorisation="expired")
BLOCKED, ATTENDING = replace(OPEN_RECORD, blocked=True), replace(OPEN_RECORD, attending=True)
PUBLISHED, FEED = (Target((PATIENT,), entries=(entry(),)), "ITI-41")


def rule(
    action: Action,
    target: Target,
    view: RecordView = OPEN_RECORD,
    who: Subject | None = None,
    call: str = "ITI-41",
    **how: Any,
) -> str:
    """The rule that decides."""
    decision = policy(view, **how).may(request(who, call), action, target)
    assert decision.allowed is (decision.rule == "dmp-allowed")
    assert decision.code == RULES[decision.rule].code
    return decision.rule


@pytest.mark.parametrize(
    ("action", "target", "view", "who", "expected"),
    [
        (Action.FIND, OWN, OPEN_RECORD, subject(), "dmp-allowed"),
        (Action.FIND, OWN, OPEN_RECORD, subject(digest=""), "dmp-caller"),
        (Action.FIND, OWN, OPEN_RECORD, subject(patient=""), "dmp-patient"),
        (Action.FIND, OWN, OPEN_RECORD, subject(patient="no CX"), "dmp-patient"),
        (Action.FIND, Target((OTHER,)), OPEN_RECORD, subject(), "dmp-patient"),
        (Action.FIND, Target((PATIENT, OTHER)), OPEN_RECORD, subject(), "dmp-patient"),
        (Action.GET, Target((OTHER,)), OPEN_RECORD, subject(), "dmp-allowed"),
        (Action.FIND, OWN, OPEN_RECORD, STRUCTURE, "dmp-right"),
        (Action.FIND, OWN, OPEN_RECORD, STAFF, "dmp-right"),
        (Action.GET, Target(references=True), OPEN_RECORD, STRUCTURE, "dmp-allowed"),
        (Action.GET, Target(), OPEN_RECORD, STRUCTURE, "dmp-right"),
        (Action.RETRIEVE, DOCUMENT, OPEN_RECORD, STRUCTURE, "dmp-right"),
        (Action.RETRIEVE, DOCUMENT, OPEN_RECORD, OCCUPATIONAL, "dmp-right"),
        (Action.FIND, OWN, OPEN_RECORD, OCCUPATIONAL, "dmp-allowed"),
        (Action.FIND, OWN, MISSING, subject(), "dmp-record-missing"),
        (Action.FIND, OWN, replace(OPEN_RECORD, state="destroyed"), subject(), "dmp-record-missing"),
        (Action.FIND, OWN, CLOSED, subject(), "dmp-record-closed"),
        (Action.SUBMIT, PUBLISHED, CLOSED, subject(), "dmp-record-closed"),
        (Action.SUBMIT, PUBLISHED, MISSING, subject(), "dmp-record-missing"),
        (Action.FIND, OWN, BLOCKED, subject(), "dmp-blocked"),
        (Action.FIND, OWN, BLOCKED, GLASS, "dmp-blocked"),
        (Action.SUBMIT, PUBLISHED, BLOCKED, subject(), "dmp-allowed"),
        (Action.FIND, OWN, NO_CONSENT, subject(), "dmp-authorisation"),
        (Action.RETRIEVE, DOCUMENT, EXPIRED, subject(), "dmp-authorisation-expired"),
        (Action.RETRIEVE, DOCUMENT, replace(OPEN_RECORD, authorisation="removed"), subject(), "dmp-authorisation"),
        (Action.GET, Target(references=True), NO_CONSENT, subject(), "dmp-allowed"),
        (Action.FIND, Target((PATIENT,), references=True), NO_CONSENT, subject(), "dmp-authorisation"),
        (Action.SUBMIT, PUBLISHED, NO_CONSENT, subject(), "dmp-allowed"),
        (Action.FIND, OWN, NO_CONSENT, GLASS, "dmp-allowed"),
        (Action.FIND, OWN, NO_CONSENT, REGULATION, "dmp-allowed"),
        (Action.FIND, OWN, replace(NO_CONSENT, opposed_break_glass=True), GLASS, "dmp-emergency-opposed"),
        (Action.FIND, OWN, replace(NO_CONSENT, opposed_regulation=True), GLASS, "dmp-allowed"),
        (Action.FIND, OWN, replace(NO_CONSENT, opposed_regulation=True), REGULATION, "dmp-emergency-opposed"),
        (Action.FIND, OWN, NO_CONSENT, subject(mode="bris_de_glace", reason=" "), "dmp-emergency-reason"),
        (Action.SUBMIT, PUBLISHED, OPEN_RECORD, STRUCTURE, "dmp-allowed"),
        (Action.SUBMIT, PUBLISHED, OPEN_RECORD, STAFF, "dmp-allowed"),
        (Action.SUBMIT, PUBLISHED, OPEN_RECORD, subject(authentication="INDIRECTE_RENFORCEE"), "dmp-right"),
    ],
)
def test_the_first_rule_that_is_not_met_decides(
    action: Action, target: Target, view: RecordView, who: Subject, expected: str
) -> None:
    assert rule(action, target, view, who) == expected


def test_documents_enter_through_the_repository() -> None:
    assert rule(Action.SUBMIT, PUBLISHED, call="ITI-42") == "dmp-transaction"


def test_what_a_document_may_carry() -> None:
    def of(*codes: str, who: Subject | None = None, type_code: str = "x^^y", **how: Any) -> str:
        filed = Target((PATIENT,), entries=(entry(confidentiality=codes, type_code=type_code),))
        return rule(Action.SUBMIT, filed, who=who, **how)

    assert of(N, MASKED) == of(N, HIDDEN) == of(N, SECRET, MASKED) == "dmp-allowed"
    assert of(N, MASKED, HIDDEN) == "dmp-cumulation"
    assert of(N, MASKED, HIDDEN, type_code="E1762^^ASTM") == "dmp-allowed"
    assert of(N, MASKED, HIDDEN, cumulate_invisible_and_masked=True) == "dmp-allowed"
    secret = subject(confidentiality="INVISIBLE_REPRESENTANTS_LEGAUX^1.2.250.1.213.1.1.4.13")
    assert of(N, who=secret) == "dmp-secret"
    assert of(N, SECRET, who=secret) == "dmp-allowed"


MINE, OURS = entry(persons=(ME,)), entry(institutions=(MY_OFFICE,))
OF_PATIENT = entry(persons=(key_text(PATIENT),))


def change(kind: Any, of: EntryFacts, view: RecordView = OPEN_RECORD, who: Subject | None = None, **what: Any) -> str:
    return rule(Action.CHANGE, Target((PATIENT,), changes=(Change(kind, of, **what),)), view, who)


@pytest.mark.parametrize(
    ("kind", "of", "view", "who", "what", "expected"),
    [
        ("replace", MINE, OPEN_RECORD, subject(), {}, "dmp-allowed"),
        ("replace", entry(), OPEN_RECORD, subject(), {}, "dmp-replace"),
        ("replace", OURS, OPEN_RECORD, STRUCTURE, {}, "dmp-allowed"),
        ("replace", OURS, OPEN_RECORD, subject(), {}, "dmp-replace"),
        ("replace", MINE, OPEN_RECORD, STRUCTURE, {}, "dmp-replace"),
        ("replace", entry(patient=OTHER, persons=(ME,)), OPEN_RECORD, subject(), {}, "dmp-patient"),
        ("append", entry(), OPEN_RECORD, subject(), {}, "dmp-allowed"),
        ("transform", entry(), OPEN_RECORD, subject(), {}, "dmp-allowed"),
        ("metadata", entry(), OPEN_RECORD, subject(), {"added": (MASKED,)}, "dmp-allowed"),
        ("metadata", entry(), NO_CONSENT, subject(), {"added": (MASKED,)}, "dmp-authorisation"),
        ("metadata", entry(), OPEN_RECORD, GLASS, {"added": (MASKED,)}, "dmp-right"),
        ("metadata", entry(), OPEN_RECORD, STRUCTURE, {"added": (MASKED,)}, "dmp-right"),
        ("metadata", entry(), OPEN_RECORD, subject(), {"added": (MASKED,), "other": True}, "dmp-change"),
        ("metadata", entry(), OPEN_RECORD, subject(), {"removed": (N,)}, "dmp-change"),
        ("metadata", entry(), OPEN_RECORD, subject(), {}, "dmp-allowed"),
        ("metadata", entry(), NO_CONSENT, subject(), {}, "dmp-authorisation"),
        ("metadata", entry(), OPEN_RECORD, STRUCTURE, {}, "dmp-right"),
        ("metadata", entry(), OPEN_RECORD, subject(), {"added": (HIDDEN,)}, "dmp-irreversible"),
        ("metadata", entry(), OPEN_RECORD, subject(), {"added": (SECRET,)}, "dmp-irreversible"),
        ("metadata", entry(confidentiality=(N, HIDDEN)), OPEN_RECORD, subject(), {"added": (MASKED,)}, "dmp-cumulation"),
        ("metadata", entry(confidentiality=(N, HIDDEN)), OPEN_RECORD, subject(), {"removed": (HIDDEN,)}, "dmp-allowed"),
        ("metadata", entry(confidentiality=(N, MASKED)), OPEN_RECORD, subject(), {"removed": (MASKED,)}, "dmp-own"),
        ("metadata", entry(confidentiality=(N, MASKED)), ATTENDING, subject(), {"removed": (MASKED,)}, "dmp-allowed"),
        (
            "metadata",
            replace(MINE, confidentiality=(N, MASKED)),
            OPEN_RECORD,
            subject(),
            {"removed": (MASKED,)},
            "dmp-allowed",
        ),
        ("status", MINE, OPEN_RECORD, subject(), {"status": "Archived"}, "dmp-allowed"),
        ("status", entry(), OPEN_RECORD, subject(), {"status": "Archived"}, "dmp-own"),
        ("status", entry(), ATTENDING, subject(), {"status": "Archived"}, "dmp-allowed"),
        ("status", entry(), NO_CONSENT, GLASS, {"status": "Archived"}, "dmp-allowed"),
        ("status", replace(MINE, status="Archived"), OPEN_RECORD, subject(), {"status": "Approved"}, "dmp-allowed"),
        ("status", replace(MINE, status="Archived"), NO_CONSENT, subject(), {"status": "Approved"}, "dmp-authorisation"),
        ("status", replace(MINE, status="Archived"), NO_CONSENT, subject(), {"status": "Deleted"}, "dmp-allowed"),
        ("status", entry(), ATTENDING, subject(), {"status": "Deleted"}, "dmp-own"),
        ("status", OURS, OPEN_RECORD, STRUCTURE, {"status": "Deleted"}, "dmp-allowed"),
        ("status", entry(), OPEN_RECORD, STAFF, {"status": "Deleted"}, "dmp-own"),
        ("status", MINE, BLOCKED, subject(), {"status": "Deleted"}, "dmp-blocked"),
        ("status", replace(MINE, status="Deleted"), OPEN_RECORD, subject(), {"status": "Approved"}, "dmp-change"),
        ("status", replace(MINE, status="Deprecated"), OPEN_RECORD, subject(), {"status": "Approved"}, "dmp-change"),
        ("status", MINE, OPEN_RECORD, subject(), {"status": "Deprecated"}, "dmp-change"),
        ("status", OF_PATIENT, OPEN_RECORD, subject(), {"status": "Deleted"}, "dmp-of-patient"),
        ("status", OF_PATIENT, ATTENDING, subject(), {"status": "Deleted"}, "dmp-allowed"),
        ("status", OF_PATIENT, ATTENDING, subject(), {"status": "Archived"}, "dmp-allowed"),
        (
            "status",
            OF_PATIENT,
            replace(OPEN_RECORD, relation="holder"),
            Subject("p", patient=subject().patient),
            {"status": "Deleted"},
            "dmp-allowed",
        ),
        (
            "status",
            entry(),
            replace(OPEN_RECORD, relation="holder"),
            Subject("p", patient=subject().patient),
            {"status": "Deleted"},
            "dmp-own",
        ),
    ],
)
def test_changes(kind: str, of: EntryFacts, view: RecordView, who: Subject, what: dict[str, Any], expected: str) -> None:
    assert change(kind, of, view, who, **what) == expected


def seen(condition: Condition, of: EntryFacts, class_code: str = "10^^1.2.250.1.213.1.1.4.1") -> bool:
    """Whether the registry would show the entry."""
    match condition:
        case FieldIn("type_code", values):
            return of.type_code in values
        case FieldIn("class_code", values):
            return class_code in values
        case CodesWithin(values):
            return set(of.confidentiality) <= set(values)
        case HasActor("person", values):
            return bool(set(of.persons) & set(values))
        case HasActor("institution", values):
            return bool(set(of.institutions) & set(values))
        case HasStatus(values):
            return of.status in values
        case AllOf(parts):
            return all(seen(part, of, class_code) for part in parts)
        case AnyOf(parts):
            return any(seen(part, of, class_code) for part in parts)
        case Not(part):
            return not seen(part, of, class_code)
    raise AssertionError(condition)


def shows(
    of: EntryFacts, view: RecordView = OPEN_RECORD, who: Subject | None = None, action: Action = Action.RETRIEVE
) -> bool:
    scope = policy(view).scope(request(who), action, ())
    assert scope.patients == (key_text(PATIENT),)
    return seen(scope.visible, of)


REPORT, PREGNANCY = entry(), entry(type_code="89233-1^^2.16.840.1.113883.6.1")
HOLDER, PARENT = replace(OPEN_RECORD, relation="holder"), replace(OPEN_RECORD, relation="representative")
PERSON = Subject("p", patient=subject().patient)


@pytest.mark.parametrize(
    ("of", "view", "who", "shown"),
    [
        (REPORT, OPEN_RECORD, subject(), True),
        (PREGNANCY, OPEN_RECORD, subject(), True),
        (PREGNANCY, OPEN_RECORD, NURSE, False),
        (replace(PREGNANCY, persons=(ME,)), OPEN_RECORD, NURSE, True),
        (REPORT, OPEN_RECORD, OPTICIAN, False),
        (entry(confidentiality=(N, MASKED)), OPEN_RECORD, subject(), False),
        (entry(confidentiality=(N, MASKED)), ATTENDING, subject(), True),
        (entry(confidentiality=(N, MASKED)), ATTENDING, NURSE, False),
        (entry(confidentiality=(N, MASKED), persons=(ME,)), OPEN_RECORD, subject(), True),
        (entry(confidentiality=(N, HIDDEN)), OPEN_RECORD, subject(), True),
        (entry(confidentiality=(N, SECRET)), OPEN_RECORD, subject(), True),
        (entry(confidentiality=(N, "X^^1.2")), ATTENDING, subject(), False),
        (entry(type_code="X-1^^1.2"), ATTENDING, subject(), False),
        (entry(confidentiality=(N, MASKED)), ATTENDING, GLASS, False),
        (entry(confidentiality=(N, MASKED)), replace(NO_CONSENT, masked_in_emergency=True), GLASS, True),
        (entry(confidentiality=(N, MASKED)), replace(OPEN_RECORD, masked_in_emergency=True), subject(), False),
        (entry(status="Deleted"), OPEN_RECORD, subject(), True),
        (MINE, BLOCKED, subject(), False),
        (MINE, NO_CONSENT, subject(), False),
        (MINE, CLOSED, subject(), False),
        (OURS, OPEN_RECORD, STRUCTURE, False),
        (REPORT, OPEN_RECORD, OCCUPATIONAL, False),
        (REPORT, HOLDER, PERSON, True),
        (entry(confidentiality=(N, MASKED)), HOLDER, PERSON, True),
        (entry(confidentiality=(N, HIDDEN)), HOLDER, PERSON, False),
        (entry(confidentiality=(N, SECRET)), HOLDER, PERSON, True),
        (entry(status="Deleted"), HOLDER, PERSON, False),
        (entry(confidentiality=(N, SECRET)), PARENT, PERSON, False),
        (entry(confidentiality=(N, HIDDEN)), PARENT, PERSON, False),
        (entry(confidentiality=(N, MASKED)), PARENT, PERSON, True),
        (REPORT, replace(HOLDER, state="closed"), PERSON, False),
    ],
)
def test_who_reads_what(of: EntryFacts, view: RecordView, who: Subject, shown: bool) -> None:
    assert shows(of, view, who) is shown


def test_a_search_shows_deleted_ones_and_a_look_up_does_not() -> None:
    deleted = entry(status="Deleted")
    assert shows(deleted, action=Action.FIND)
    assert not shows(deleted, action=Action.GET)
    assert not shows(deleted, action=Action.SUBMIT)
    assert shows(entry(status="Archived"), action=Action.GET)


def test_who_may_not_search_names_his_own_documents() -> None:
    for action, named in ((Action.GET, True), (Action.SUBMIT, True), (Action.FIND, False), (Action.RETRIEVE, False)):
        assert shows(OURS, OPEN_RECORD, STRUCTURE, action) is named
        assert shows(MINE, NO_CONSENT, subject(), action) is named
        assert not shows(REPORT, OPEN_RECORD, STRUCTURE, action)
    assert shows(MINE, BLOCKED, subject(), Action.SUBMIT)
    assert not shows(MINE, BLOCKED, subject(), Action.GET)
    assert shows(OURS, OPEN_RECORD, STAFF, Action.SUBMIT)


def test_without_a_patient_nothing_exists() -> None:
    scope = policy().scope(request(subject(patient="")), Action.GET, (PATIENT,))
    assert (scope.patients, seen(scope.visible, REPORT)) == ((), False)


def test_one_request_looks_at_the_record_once() -> None:
    rules = policy()
    ctx = request()
    assert rules.may(ctx, Action.FIND, OWN).allowed
    rules.scope(ctx, Action.FIND, ())
    store = rules._views
    assert isinstance(store, Store)
    assert store.asked == 1
    rules.may(request(), Action.FIND, OWN)
    assert store.asked == 2


def test_the_policy_is_installed(database: Database) -> None:
    assert isinstance(load_policy("dmp", {"role_based_columns": True})(database), DmpPolicy)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"release_day": 3},
            "access.options: 'release_day' is not an option of the policy dmp; did you mean 'release_days'?",
        ),
        ({"zzz": 3}, "access.options: 'zzz' is not an option of the policy dmp$"),
        ({"release_days": 0}, "access.options: release_days: Input should be greater than or equal to 1"),
    ],
)
def test_options_that_are_none_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(UnknownPolicy, match=said.replace("?", "[?]")):
        load_policy("dmp", options)
