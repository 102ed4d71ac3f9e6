"""A decision with what each rule said, for people: the policy decides, this module tells.

Rules are those of `dmp.rules`, in the order of decision. What is shown of a document is asked of the scope that the registry
compiles, evaluated on the facts of that document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action, EntryFacts, Target
from access_control.scope import AllOf, AnyOf, CodesWithin, Condition, FieldIn, HasActor, HasCode, HasStatus, Not
from dmp.policy import WITHOUT_AUTHORISATION, DmpPolicy, Situation, own_only, right_over, scope_gate
from dmp.reading import codes_shown, own, types_read_by
from dmp.rights import functional_right
from dmp.rules import READING, RULES, Rule

Said = Literal["met", "not met", "not asked"]
_DEPOSITS: Final = ("dmp-transaction", "dmp-secret", "dmp-cumulation")
_CALLER: Final = ("dmp-caller", "dmp-patient")
_AUTHOR: Final = "dmp-see-author"
_CHANGES: Final = ("dmp-replace", "dmp-change", "dmp-irreversible", "dmp-own", "dmp-of-patient")
_FEEDING: Final = frozenset({"deposit", "deposit-secretary"})


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule said, and the fact behind it in words."""

    rule: Rule
    said: Said
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A document entry as the scope sees it; `class_code` is `code^^scheme`."""

    facts: EntryFacts
    class_code: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps in order. `rule` decided; `allowed` says whether the act may happen, or the document is shown."""

    steps: tuple[Step, ...]
    allowed: bool
    rule: str


def explain(
    policy: DmpPolicy, ctx: RequestContext, action: Action, target: Target, right: str, document: Shown | None = None
) -> Explanation:
    """The decision about an action that needs a functional right, and about a document where one is meant.

    A search and a retrieval are decided first, then what they show; a change needs a document that the caller sees.
    """
    situation = policy.situation(ctx)
    broken = list(policy.broken(ctx, situation, action, target))
    decided = policy.may(ctx, action, target)
    if document is None:
        return Explanation(_steps(broken, situation, action, target, right), decided.allowed, decided.rule)
    visible = holds(policy.scope(ctx, action, [document.facts.patient]).visible, document)
    if action is Action.CHANGE:
        return _of_change(policy, situation, target, right, document, broken, decided, visible=visible)
    reading = tuple(_reading(policy, situation, action, document, asked=decided.allowed))
    shown, rule = decided.allowed and visible, decided.rule
    if decided.allowed:
        own_one = next(step for step in reading if step.rule.id == _AUTHOR).said == "met"
        failed = _failed(reading)
        rule = failed[0] if not shown else _AUTHOR if own_one and failed else "dmp-allowed"
    return Explanation((*_steps(broken, situation, action, target, right), *reading), shown, rule)


def _of_change(
    policy: DmpPolicy,
    situation: Situation,
    target: Target,
    right: str,
    document: Shown,
    broken: list[str],
    decided: Decision,
    *,
    visible: bool,
) -> Explanation:
    """To a caller who does not see the document it is unknown, whatever the rules of changes say."""
    right = right_over(right, document.facts)
    closed = list(scope_gate(situation, Action.CHANGE))
    reading = tuple(_reading(policy, situation, Action.CHANGE, document, asked=not closed))
    steps = _steps([*closed, *broken], situation, Action.CHANGE, target, right)
    before = tuple(step for step in steps if step.rule.id not in _CHANGES)
    after = tuple(step for step in steps if step.rule.id in _CHANGES)
    rule = decided.rule
    if not visible:
        rule = next((each for each in broken if each in _CALLER), "") or (closed or _failed(reading) or [_AUTHOR])[0]
        after = tuple(replace(step, said="not asked") for step in after)
    return Explanation((*before, *reading, *after), visible and decided.allowed, rule)


def _failed(reading: Sequence[Step]) -> list[str]:
    """The rules of reading that speak against it; being no author speaks for nothing else."""
    return [step.rule.id for step in reading if step.said == "not met" and step.rule.id != _AUTHOR]


def _steps(broken: Sequence[str], situation: Situation, action: Action, target: Target, right: str) -> tuple[Step, ...]:
    return tuple(
        _step(rule, broken, situation, action, target, right) for rule in RULES.values() if rule.id != "dmp-allowed"
    )


def holds(condition: Condition, document: Shown) -> bool:
    """Whether the registry would show the entry under a condition of a scope."""
    facts = document.facts
    match condition:
        case FieldIn(field, values):
            return _FIELDS[field](document) in values
        case HasCode(_, values):
            return not set(facts.confidentiality).isdisjoint(values)
        case CodesWithin(values):
            return set(facts.confidentiality) <= set(values)
        case HasActor(kind, values):
            return not set(facts.persons if kind == "person" else facts.institutions).isdisjoint(values)
        case HasStatus(values):
            return facts.status in values
        case AllOf(parts):
            return all(holds(part, document) for part in parts)
        case AnyOf(parts):
            return any(holds(part, document) for part in parts)
        case Not(part):
            return not holds(part, document)
        case _:
            assert_never(condition)


_FIELDS: Final[Mapping[str, Callable[[Shown], str]]] = {
    "type_code": lambda document: document.facts.type_code,
    "class_code": lambda document: document.class_code,
}


def _step(rule: Rule, broken: Sequence[str], situation: Situation, action: Action, target: Target, right: str) -> Step:
    fact = _FACTS[rule.id](situation, target, right) if rule.id in _FACTS else ""
    if rule.id in broken:
        return Step(rule, "not met", fact)
    return Step(rule, "met" if _applies(rule.id, situation, action, right) else "not asked", fact)


def _applies(rule: str, situation: Situation, action: Action, right: str) -> bool:
    """Whether the rule has a say about this action of this caller at all."""
    view, mode = situation.view, situation.caller.mode
    related, free = bool(view.relation), bool(view.relation) or right in _FEEDING
    match rule:
        case "dmp-right":
            return not related
        case "dmp-blocked":
            return not free
        case "dmp-authorisation" | "dmp-authorisation-expired":
            return not free and mode == "normal" and right not in WITHOUT_AUTHORISATION
        case "dmp-emergency-opposed":
            return not free and mode != "normal"
        case "dmp-emergency-reason":
            return not free and mode == "bris_de_glace"
        case _ if rule in _DEPOSITS:
            return action is Action.SUBMIT
        case _ if rule in _CHANGES:
            return action is Action.CHANGE
        case _:
            return True


def _told_caller(situation: Situation, target: Target, right: str) -> str:  # noqa: ARG001
    caller = situation.caller
    rights = caller.rights_column(attending=situation.view.attending) or "none"
    return f"{caller.kind}; column of the rights: {rights}; column of the matrix: {caller.column or 'none'}"


def _told_right(situation: Situation, target: Target, right: str) -> str:  # noqa: ARG001
    found = functional_right(right, situation.caller, attending=situation.view.attending)
    limit = f", with limit {found.limit}" if found.limit else ""
    return f"{right}: {'open' + limit if found.allowed else 'closed'}"


def _told_emergencies(situation: Situation, target: Target, right: str) -> str:  # noqa: ARG001
    view = situation.view
    told = {"break-glass": view.opposed_break_glass, "regulation": view.opposed_regulation}
    opposed = [name for name, value in told.items() if value]
    masked = "open" if view.masked_in_emergency else "closed"
    return f"opposed: {', '.join(opposed) or 'nothing'}; masked documents in emergencies: {masked}"


def _told_authorisation(situation: Situation, target: Target, right: str) -> str:  # noqa: ARG001
    return f"authorisation: {situation.view.authorisation}" + ("; attending doctor" if situation.view.attending else "")


_FACTS: Final[Mapping[str, Callable[[Situation, Target, str], str]]] = {
    "dmp-caller": _told_caller,
    "dmp-patient": lambda s, t, r: "the assertion names the patient" if s.patient else "the assertion names no patient",  # noqa: ARG005
    "dmp-right": _told_right,
    "dmp-record-missing": lambda s, t, r: f"record: {s.view.state}",  # noqa: ARG005
    "dmp-record-closed": lambda s, t, r: f"record: {s.view.state}",  # noqa: ARG005
    "dmp-blocked": lambda s, t, r: "blocked" if s.view.blocked else "not blocked",  # noqa: ARG005
    "dmp-authorisation": _told_authorisation,
    "dmp-authorisation-expired": _told_authorisation,
    "dmp-emergency-opposed": _told_emergencies,
    "dmp-emergency-reason": lambda s, t, r: "a reason is given" if s.reason.strip() else "no reason is given",  # noqa: ARG005
}


def _reading(policy: DmpPolicy, situation: Situation, action: Action, document: Shown, *, asked: bool) -> Iterator[Step]:
    """What each rule of reading says of the document; `asked`: none of the rules before it refused."""
    facts, view, caller = document.facts, situation.view, situation.caller
    allowed = codes_shown(caller, view)
    closed = [code.partition("^")[0] for code in facts.confidentiality if code not in allowed]
    type_code = facts.type_code.partition("^")[0] or "none"
    column = caller.column or "none"
    met = {
        "dmp-see-status": holds(HasStatus(policy.statuses(situation, action)), document),
        "dmp-see-author": not view.relation and holds(own(caller), document),
        "dmp-see-visibility": not closed,
        "dmp-see-matrix": bool(view.relation) or holds(types_read_by(caller.column), document),
    }
    told = {
        "dmp-see-status": f"status: {facts.status}",
        "dmp-see-author": "author" if met["dmp-see-author"] else "not an author",
        "dmp-see-visibility": f"closed to this reader: {', '.join(closed) or 'nothing'}",
        "dmp-see-matrix": "not for the patient and who represents him" if view.relation else f"type {type_code} × {column}",
    }
    unasked = {"dmp-see-matrix"} if view.relation else set()
    if own_only(situation, action):
        unasked |= {"dmp-see-visibility", "dmp-see-matrix"}
    for name, rule in READING.items():
        said: Said = "met" if met[name] else "not met"
        if not asked or name in unasked:
            said = "not asked"
        yield Step(rule, said, told[name])
