"""The scope of a caller as SQL: which entries are visible, and what follows for what stands around them.

An association is visible when no hidden entry stands at its ends; a submission set when it holds no entry, or a visible
one. Objects that an operator withdrew are never visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from sqlalchemy import FromClause, Table, and_, false, not_, or_, true

from access_control.scope import EVERYTHING, AllOf, AnyOf, FieldIn, HasCode, Not, Scope
from access_control.scope import Condition as ScopeCondition
from xds_metadata.associations import HAS_MEMBER
from xds_registry import tables as t
from xds_registry.conditions import Clause, Names
from xds_registry.lookups import some_row
from xds_registry.vocabulary import ASSOCIATION_TYPE, CodeKind, Kind

_KINDS = {"event_code": CodeKind.EVENT, "confidentiality_code": CodeKind.CONFIDENTIALITY}


def scope_shape(condition: ScopeCondition) -> tuple[Any, ...]:
    """What of a scope decides the text of its clause."""
    match condition:
        case FieldIn(field, values):
            return ("field", field, len(values))
        case HasCode(attribute, values):
            return ("code", attribute, len(values))
        case AllOf(parts):
            return ("all", *map(scope_shape, parts))
        case AnyOf(parts):
            return ("any", *map(scope_shape, parts))
        case Not(part):
            return ("not", scope_shape(part))
        case _:
            assert_never(condition)


def scope_values(condition: ScopeCondition) -> Iterator[Any]:
    """The values of a scope in the order in which its clause names them."""
    match condition:
        case FieldIn(_, values) | HasCode(_, values):
            yield from values
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from scope_values(part)
        case Not(part):
            yield from scope_values(part)
        case _:
            assert_never(condition)


def entry_clause(condition: ScopeCondition, table: FromClause, names: Names) -> Clause:
    """The clause under which a row of `table` (the entry table or an alias) is visible."""
    match condition:
        case FieldIn(field, values):
            if not values:
                return false()
            return and_(table.c[field].is_not(None), table.c[field].in_(names.some(len(values))))  # false, never unknown
        case HasCode(attribute, values):
            if not values:
                return false()
            code = t.entry_code.alias()
            return some_row(
                names.dialect,
                code.c.patient == table.c.patient,
                code.c.entry == table.c.id,
                code.c.kind == int(_KINDS[attribute]),
                code.c.code.in_(names.some(len(values))),
            )
        case AllOf(parts):
            return and_(true(), *(entry_clause(part, table, names) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(entry_clause(part, table, names) for part in parts))
        case Not(part):
            return not_(entry_clause(part, table, names))
        case _:
            assert_never(condition)


def visible(kind: Kind, table: Table, scope: Scope, names: Names) -> Clause:
    """The clause that every select of a kind of object carries."""
    kept: Clause = table.c.withdrawn == 0
    if scope == EVERYTHING or kind is Kind.FOLDER:
        return kept
    if kind is Kind.ENTRY:
        return and_(kept, entry_clause(scope.visible, table, names))
    key, other = t.object_key.alias(), t.entry.alias()
    entry = and_(other.c.patient == key.c.patient, other.c.id == key.c.id)
    if kind is Kind.ASSOCIATION:
        at_end = key.c.id.in_((table.c.source, table.c.target))
        hidden = not_(entry_clause(scope.visible, other, names))
        return and_(kept, not_(some_row(names.dialect, at_end, entry, hidden)))
    link = t.association.alias()
    has_member = link.c.type == ASSOCIATION_TYPE[HAS_MEMBER]
    member = and_(link.c.source == table.c.id, has_member, link.c.target == key.c.id, entry)
    return and_(
        kept,
        or_(
            some_row(names.dialect, member, entry_clause(scope.visible, other, names)),
            not_(some_row(names.dialect, member)),
        ),
    )
