"""The scope of a caller as SQL: which entries are visible, and what follows for what stands around them.

An association is visible when no hidden entry stands at its ends, nor at the ends of an association there. A submission set
is visible when something that it holds or changed is, or when it holds and changed nothing. A folder is always visible; its
hidden members are not, and it was last updated when the last visible one was filed. Objects that an operator withdrew are
never visible; nor is anything of a patient whom the scope leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, assert_never

from sqlalchemy import ColumnElement, FromClause, Table, and_, bindparam, case, false, func, not_, or_, select, true

from access_control.scope import AllOf, AnyOf, CodesWithin, FieldIn, HasActor, HasCode, HasStatus, Not, Scope
from access_control.scope import Condition as ScopeCondition
from xds_metadata.associations import HAS_MEMBER
from xds_registry import tables as t
from xds_registry.conditions import Clause
from xds_registry.lookups import POSTGRESQL, looked_up, some_row
from xds_registry.vocabulary import ASSOCIATION_TYPE, ActorKind, CodeKind, Kind, Status

_ACTORS = {"person": ActorKind.PERSON, "institution": ActorKind.INSTITUTION}
_EVERY = AllOf(())


class ScopeNames:
    """Gives the bind parameters of a scope, s0, s1, …, anew for each clause; with `scope`, its values are bound at once.

    `dialect` is that of the statement.
    """

    def __init__(self, dialect: str, scope: Scope | None = None) -> None:
        self.dialect = dialect
        self._values = None if scope is None else tuple(scope_values(scope))

    def patients(self, scope: Scope) -> list[ColumnElement[Any]]:
        """The parameters of the patients, which come first."""
        return [self._name(number) for number in range(len(scope.patients or ()))]

    def conditions(self, scope: Scope) -> Iterator[ColumnElement[Any]]:
        """The parameters of the conditions, in the order of a walk."""
        number = len(scope.patients or ())
        while True:
            yield self._name(number)
            number += 1

    def _name(self, number: int) -> ColumnElement[Any]:
        if self._values is None:
            return bindparam(f"s{number}")
        return bindparam(None, self._values[number], unique=True)


def scope_shape(scope: Scope) -> tuple[Any, ...]:
    """What of a scope decides the text of its clauses."""
    return (None if scope.patients is None else len(scope.patients), _known_shape(scope.visible))


def scope_values(scope: Scope) -> list[Any]:
    """The values of a scope in the order of its parameters."""
    values: list[Any] = list(scope.patients or ())
    _add_values(scope.visible, values)
    return values


def scope_parameters(scope: Scope) -> dict[str, Any]:
    """The values of a scope by the names of its parameters."""
    patients = scope.patients or ()
    parameters = dict(_known_parameters(scope.visible, len(patients)))
    parameters.update(zip(_names(len(patients)), patients, strict=True))
    return parameters


# A caller asks more than once, and what a profession may read is long.
_REMEMBERED = 256


@lru_cache(maxsize=_REMEMBERED)
def _known_shape(visible: ScopeCondition) -> tuple[Any, ...]:
    return _shape(visible)


@lru_cache(maxsize=_REMEMBERED)
def _known_parameters(visible: ScopeCondition, first: int) -> Mapping[str, Any]:
    """The values of a condition by the names of its parameters, the `first` of which belong to the patients."""
    values: list[Any] = []
    _add_values(visible, values)
    return dict(zip(_names(first + len(values))[first:], values, strict=True))


@cache
def _names(count: int) -> tuple[str, ...]:
    return tuple(f"s{number}" for number in range(count))


def _shape(condition: ScopeCondition) -> tuple[Any, ...]:
    match condition:
        case FieldIn(field, values):
            return ("field", field, len(values))
        case HasCode(attribute, values):
            return ("code", attribute, len(values))
        case CodesWithin(values):
            return ("within", len(values))
        case HasActor(kind, values):
            return ("actor", kind, len(values))
        case HasStatus(values):
            return ("status", len(values))
        case AllOf(parts):
            return ("all", *map(_shape, parts))
        case AnyOf(parts):
            return ("any", *map(_shape, parts))
        case Not(part):
            return ("not", _shape(part))
        case _:
            assert_never(condition)


def _add_values(condition: ScopeCondition, values: list[Any]) -> None:
    match condition:
        case FieldIn(_, wanted) | HasCode(_, wanted) | CodesWithin(wanted) | HasActor(_, wanted):
            values += wanted
        case HasStatus(wanted):
            values += [int(Status[value.upper()]) for value in wanted]
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                _add_values(part, values)
        case Not(part):
            _add_values(part, values)
        case _:
            assert_never(condition)


def entry_clause(scope: Scope, table: FromClause, names: ScopeNames) -> Clause:
    """The clause under which a row of `table` (the entry table or an alias) is visible."""
    return and_(_of_patients(scope, table, names), _clause(scope.visible, table, names.dialect, names.conditions(scope)))


def _of_patients(scope: Scope, table: FromClause, names: ScopeNames) -> Clause:
    return true() if scope.patients is None else table.c.patient.in_(names.patients(scope))


def _clause(condition: ScopeCondition, table: FromClause, dialect: str, given: Iterator[ColumnElement[Any]]) -> Clause:
    match condition:
        case FieldIn(field, values):
            if not values:
                return false()
            return and_(table.c[field].is_not(None), table.c[field].in_(_some(given, values)))  # false, never unknown
        case HasCode("confidentiality_code", values):
            return (
                some_row(dialect, *_in_force(table), t.document_mask.c.code.in_(_some(given, values))) if values else false()
            )
        case HasCode(_, values):
            if not values:
                return false()
            code = t.entry_code.alias()
            kind = code.c.kind == int(CodeKind.EVENT)
            return some_row(dialect, *_details(code, table), kind, code.c.code.in_(_some(given, values)))
        case CodesWithin(values):
            other = [t.document_mask.c.code.not_in(_some(given, values))] if values else []
            return not_(some_row(dialect, *_in_force(table), *other))
        case HasActor(kind, values):
            if not values:
                return false()
            actor = t.entry_actor.alias()
            of_kind = actor.c.kind == int(_ACTORS[kind])
            return some_row(dialect, *_details(actor, table), of_kind, actor.c.identity.in_(_some(given, values)))
        case HasStatus(values):
            return table.c.status.in_(_some(given, values)) if values else false()
        case AllOf(parts):
            return and_(true(), *[_clause(part, table, dialect, given) for part in parts])
        case AnyOf(parts):
            return or_(false(), *[_clause(part, table, dialect, given) for part in parts])
        case Not(part):
            return not_(_clause(part, table, dialect, given))
        case _:
            assert_never(condition)


def _some(given: Iterator[ColumnElement[Any]], values: tuple[str, ...]) -> list[ColumnElement[Any]]:
    return [next(given) for _ in values]


def _details(detail: FromClause, table: FromClause) -> tuple[Clause, Clause]:
    return detail.c.patient == table.c.patient, detail.c.entry == table.c.id


def _in_force(table: FromClause) -> tuple[Clause, Clause]:
    return t.document_mask.c.patient == table.c.patient, t.document_mask.c.unique_id == table.c.unique_id


def visible(kind: Kind, table: Table, scope: Scope, names: ScopeNames) -> Clause:
    """The clause that every select of a kind of object carries."""
    kept = and_(table.c.withdrawn == 0, _of_patients(scope, table, names))
    if scope.visible == _EVERY or kind is Kind.FOLDER:
        return kept
    if kind is Kind.ENTRY:
        return and_(kept, _clause(scope.visible, table, names.dialect, names.conditions(scope)))
    if kind is Kind.ASSOCIATION:
        return and_(kept, not_(_has_hidden_end(scope, table, names)), not_(_leads_to_hidden(scope, table, names)))
    link, other = t.association.alias(), t.entry.alias()
    key, at_target = looked_up(names.dialect, t.object_key, "id", link.c.target)
    content = (link.c.source == table.c.id, at_target)
    entry = some_row(names.dialect, *_same(other, key), entry_clause(scope, other, names))
    shown = case(
        (key.c.kind == int(Kind.ENTRY), entry),
        (key.c.kind == int(Kind.ASSOCIATION), not_(_leads_to_hidden(scope, link, names))),
        else_=true(),
    )
    return and_(
        kept,
        or_(some_row(names.dialect, *content, shown), not_(some_row(names.dialect, *content))),
    )


def _same(table: FromClause, key: FromClause) -> tuple[Clause, Clause]:
    return table.c.patient == key.c.patient, table.c.id == key.c.id


def _has_hidden_end(scope: Scope, link: FromClause, names: ScopeNames) -> Clause:
    """Whether an entry at one of its ends is hidden."""
    key, other = t.object_key.alias(), t.entry.alias()
    at_end = key.c.id.in_((link.c.source, link.c.target))
    return some_row(names.dialect, at_end, *_same(other, key), not_(entry_clause(scope, other, names)))


def _leads_to_hidden(scope: Scope, link: FromClause, names: ScopeNames) -> Clause:
    """Whether its target is an association that has a hidden end."""
    key, inner = t.object_key.alias(), t.association.alias()
    named = (key.c.id == link.c.target, key.c.kind == int(Kind.ASSOCIATION))
    return some_row(names.dialect, *named, *_same(inner, key), _has_hidden_end(scope, inner, names))


def last_update(scope: Scope, names: ScopeNames) -> ColumnElement[str]:
    """When a folder of the statement around was last updated, as far as the scope shows: DTM of 14 digits, UTC."""
    if scope.visible == _EVERY:
        return t.folder.c.last_update
    link, making = t.association.alias(), t.submission_set.alias()
    key, at_target = looked_up(names.dialect, t.object_key, "id", link.c.target)
    other, same_entry = looked_up(names.dialect, t.entry, "id", key.c.id)
    filing, of_submission = looked_up(names.dialect, t.submission_set, "id", link.c.submission)
    filed = (
        select(func.max(filing.c.registered_at))
        .select_from(link, key, other, filing)
        .where(
            link.c.source == t.folder.c.id,
            link.c.type == ASSOCIATION_TYPE[HAS_MEMBER],
            at_target,
            same_entry,
            other.c.patient == key.c.patient,
            entry_clause(scope, other, names),
            of_submission,
            filing.c.patient == link.c.patient,
        )
        .correlate(t.folder)
        .scalar_subquery()
    )
    made = (
        select(making.c.registered_at)
        .where(making.c.patient == t.folder.c.patient, making.c.id == t.folder.c.submission)
        .correlate(t.folder)
        .scalar_subquery()
    )
    moment = func.coalesce(filed, made)
    if names.dialect == POSTGRESQL:
        return func.to_char(func.timezone("UTC", func.to_timestamp(moment / 1_000_000)), "YYYYMMDDHH24MISS")
    return func.strftime("%Y%m%d%H%M%S", moment / 1_000_000, "unixepoch")
