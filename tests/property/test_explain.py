"""What is explained is what happens: the policy's decision, and the answer of the registry's select, for whatever caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from access_control.policy import Action, Change, EntryFacts, Target
from access_control.subject import Coded, Subject
from database import Database
from dmp import tables
from dmp.codes import BASE, KNOWN
from dmp.explain import Shown, explain, holds
from dmp.rules import READING, RULES
from dmp.views import RecordView
from ebrim.model import AdhocQuery, Slot
from tests import samples
from tests.registry_side import IDS, Side
from tests.unit.dmp.world import G15, ME, MY_OFFICE, PATIENT, entry, policy, request, subject
from xds_metadata.model import Author, Code
from xds_metadata.patients import key_text
from xds_registry.iti18 import bind_query
from xds_registry.select import Selector
from xua.roles import ROLES

_FIRST = sorted(ROLES.first, key=str)
_TYPES = [f"{row.code}^^{row.scheme}" for row in tables.matrix()[1] if row.code != "*"]


@st.composite
def callers(draw: st.DrawFn) -> Subject:
    first = draw(st.sampled_from(_FIRST))
    second = sorted(ROLES.second.get(first.code, ()), key=str)
    roles = (first, *([draw(st.sampled_from(second))] if second else []))
    return subject(
        *draw(st.sampled_from([roles, (Coded("10", G15),)])),
        mode=draw(st.sampled_from(["normal", "bris_de_glace", "centre_15"])),
        reason=draw(st.sampled_from(["", "unconscious"])),
        authentication=draw(st.sampled_from(["DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE"])),
        digest=draw(st.sampled_from(["", "d", "d"])),
    )


@st.composite
def views(draw: st.DrawFn) -> RecordView:
    flags = {name: draw(st.booleans()) for name in ("attending", "blocked", "opposed_break_glass", "masked_in_emergency")}
    return RecordView(
        state=draw(st.sampled_from(["active", "active", "active", "closed", "missing", "destroyed"])),
        authorisation=draw(st.sampled_from(["valid", "valid", "expired", "removed", "none"])),
        relation=draw(st.sampled_from(["", "", "", "holder", "representative", "delegate"])),
        **flags,
    )


@st.composite
def documents(draw: st.DrawFn) -> EntryFacts:
    return entry(
        type_code=draw(st.sampled_from([*_TYPES, "X-1^^1.2.3"])),
        confidentiality=(draw(st.sampled_from(BASE)), *draw(st.sets(st.sampled_from([*KNOWN, "ODD^^1.2"]), max_size=2))),
        persons=draw(st.sampled_from([(), (ME,), (key_text(PATIENT),)])),
        institutions=draw(st.sampled_from([(), (MY_OFFICE,)])),
        status=draw(st.sampled_from(["Approved", "Deprecated", "Archived", "Deleted"])),
    )


def _changes(facts: EntryFacts) -> list[tuple[str, Change]]:
    masked = KNOWN[len(BASE)]
    return [
        ("mask", Change("metadata", facts, added=(masked,))),
        ("unmask", Change("metadata", facts, removed=(masked,))),
        ("archive", Change("status", facts, status="Archived")),
        ("delete", Change("status", facts, status="Deleted")),
        ("deposit", Change("replace", facts)),
    ]


@settings(max_examples=400, deadline=None)
@given(who=callers(), view=views(), facts=documents(), by_role=st.booleans())
def test_the_explained_decision_is_the_policys(who: Subject, view: RecordView, facts: EntryFacts, by_role: bool) -> None:
    rules = policy(view, role_based_columns=by_role)
    asked: list[tuple[Action, str, Target]] = [
        (Action.FIND, "search", Target((PATIENT,))),
        (Action.RETRIEVE, "read", Target((PATIENT,), (facts.unique_id,))),
        (Action.SUBMIT, "deposit", Target((PATIENT,), entries=(facts,))),
        *((Action.CHANGE, right, Target((PATIENT,), changes=(each,))) for right, each in _changes(facts)),
    ]
    for action, right, target in asked:
        decision = rules.may(request(who), action, target)
        found = explain(rules, request(who), action, target, right)
        assert (found.allowed, found.rule) == (decision.allowed, decision.rule)
        assert {step.rule.id for step in found.steps} == set(RULES) - {"dmp-allowed"}
        refused = [step.rule.id for step in found.steps if step.said == "not met"]
        assert (found.rule in refused) is (not found.allowed)
        assert bool(refused) is (not found.allowed)


@settings(max_examples=400, deadline=None)
@given(who=callers(), view=views(), facts=documents(), by_role=st.booleans())
def test_a_document_is_shown_by_the_rules_that_are_met(
    who: Subject, view: RecordView, facts: EntryFacts, by_role: bool
) -> None:
    rules = policy(view, role_based_columns=by_role)
    for action, right in ((Action.FIND, "search"), (Action.RETRIEVE, "read")):
        target = Target((PATIENT,), (facts.unique_id,) if right == "read" else ())
        found = explain(rules, request(who), action, target, right, Shown(facts))
        said = {step.rule.id: step.said for step in found.steps[-len(READING) :]}
        if found.steps and all(word == "not asked" for word in said.values()):
            assert not found.allowed
            assert found.rule in RULES
            continue
        own, rest = said.pop("dmp-see-author") == "met", dict(said)
        by_others = rest.pop("dmp-see-visibility") == "met" and rest.pop("dmp-see-matrix") in ("met", "not asked")
        assert found.allowed is (said["dmp-see-status"] == "met" and (own or by_others))
        assert found.allowed is (found.rule in ("dmp-allowed", "dmp-see-author"))


@settings(max_examples=400, deadline=None)
@given(who=callers(), view=views(), facts=documents(), by_role=st.booleans())
def test_a_change_needs_a_document_that_the_caller_sees(
    who: Subject, view: RecordView, facts: EntryFacts, by_role: bool
) -> None:
    rules = policy(view, role_based_columns=by_role)
    for right, change in _changes(facts):
        target = Target((PATIENT,), changes=(change,))
        seen = holds(rules.scope(request(who), Action.CHANGE, (PATIENT,)).visible, Shown(facts))
        found = explain(rules, request(who), Action.CHANGE, target, right, Shown(facts))
        decision = rules.may(request(who), Action.CHANGE, target)
        assert found.allowed is (seen and decision.allowed)
        assert [step.rule.id for step in found.steps if step.said == "not met"] or found.allowed
        assert {step.rule.id for step in found.steps} == {*RULES, *READING} - {"dmp-allowed"}
        if found.allowed or seen:
            assert found.rule == decision.rule
        else:
            said = {step.rule.id: step.said for step in found.steps}
            assert said[found.rule] == "not met"


def _stored(side: Side, facts: EntryFacts) -> str:
    """The entry in a registry; its uniqueId."""

    def code(pair: str) -> Code:
        value, _, scheme = pair.partition("^^")
        return Code(value, scheme, value)

    def person(identity: str) -> Author:
        number, _, authority = identity.partition("^")
        return Author(person=f"{number}^Test^Anne^^^^^^&{authority}&ISO")

    def institution(identity: str) -> Author:
        number, _, authority = identity.partition("^")
        return Author(person="9^Test^Other^^^^^^&1.2.9&ISO", institutions=(f"Test^^^^^&{authority}&ISO^^^^{number}",))

    authors = (*map(person, facts.persons), *map(institution, facts.institutions))
    made = samples.entry(
        entry_uuid=samples.new_uuid(),
        patient_id=f"{PATIENT.id}^^^&{PATIENT.authority}&ISO",
        type_code=code(facts.type_code),
        confidentiality_codes=tuple(map(code, dict.fromkeys(facts.confidentiality))),
        authors=authors or (samples.author(),),
    )
    side.accept(samples.submission(made))
    return made.unique_id or ""


def test_the_select_shows_what_is_explained(database: Database) -> None:
    side = Side(database)
    selector = Selector(database)

    @settings(max_examples=60, deadline=None)
    @given(facts=documents(), cases=st.lists(st.tuples(callers(), views()), min_size=8, max_size=8))
    def run(facts: EntryFacts, cases: list[Any]) -> None:
        facts = replace(facts, status="Approved")
        unique_id = _stored(side, facts)
        slots = (Slot("$XDSDocumentEntryUniqueId", (f"('{unique_id}')",)),)
        selection = bind_query(AdhocQuery(IDS["GetDocuments"], "LeafClass", None, slots)).plan.selection
        for who, view in cases:
            rules = policy(view)
            scope = rules.scope(request(who), Action.RETRIEVE, (PATIENT,))
            with database.read_raw() as cursor:
                found = bool(selector.run(cursor, selection, scope, 10))
            assert found is (holds(scope.visible, Shown(facts, "")) and scope.patients == (key_text(PATIENT),))

    run()


def test_who_may_archive_a_document_of_the_patient_may_delete_it() -> None:
    rules = policy(RecordView(state="active", authorisation="valid", attending=True))
    told = {}
    for facts in (entry(), entry(persons=(key_text(PATIENT),))):
        target = Target((PATIENT,), changes=(Change("status", facts, status="Deleted"),))
        found = explain(rules, request(subject()), Action.CHANGE, target, "delete", Shown(facts))
        told[facts.persons] = next(step.fact for step in found.steps if step.rule.id == "dmp-right")
    assert list(told.values()) == ["delete: open, with limit 8", "archive: open"]
