"""Which documents a caller may see: visibility codes, then the matrix, as conditions of the registry's selects.

Source: PDT-INF-526 (visibility, notes 6 to 8); CNAM matrix of 25/09/2024.
"""

from __future__ import annotations

from functools import cache

from access_control.scope import AllOf, AnyOf, CodesWithin, Condition, FieldIn, HasActor, Not
from dmp import tables
from dmp.caller import Caller
from dmp.codes import BASE, CLASS_SCHEME, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES, KNOWN, MASKED
from dmp.views import RecordView

NOTHING = AnyOf(())


@cache
def types_read_by(column: str) -> Condition:
    """The entries whose type the matrix opens to a column; none for a caller without column, none of an unknown type."""
    _, rows = tables.matrix()
    readable = tuple(row.pair for row in rows if row.code != "*" and column in row.readers)
    closed = tuple(row.pair for row in rows if row.code != "*" and column not in row.readers)
    wide = tuple(f"{row.class_code}^^{CLASS_SCHEME}" for row in rows if row.code == "*" and column in row.readers)
    parts: list[Condition] = [FieldIn("type_code", readable)]
    if wide:
        parts.append(AllOf((FieldIn("class_code", wide), Not(FieldIn("type_code", closed)))))
    return AnyOf(tuple(parts))


def codes_shown(caller: Caller, view: RecordView) -> tuple[str, ...]:
    """The visibility codes that a document may carry and still be shown to this reader, who is not its author."""
    if view.relation == "holder":
        return (*BASE, MASKED, INVISIBLE_REPRESENTATIVES)
    if view.relation:
        return (*BASE, MASKED)
    normal = caller.mode == "normal"
    masked = view.attending and caller.kind == "doctor" if normal else view.masked_in_emergency
    return KNOWN if masked else (*BASE, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES)


def readable(caller: Caller, view: RecordView) -> Condition:
    """What this reader sees: what is open to him, and what he wrote."""
    shown = CodesWithin(codes_shown(caller, view))
    if view.relation:
        return shown
    return AnyOf((AllOf((types_read_by(caller.column), shown)), own(caller)))


def own(caller: Caller) -> Condition:
    """The documents of which he is an author; of a structure and its staff, those of the structure."""
    if caller.kind in ("structure", "staff_card", "staff_member"):
        return HasActor("institution", (caller.structure,)) if caller.structure else NOTHING
    return HasActor("person", (caller.person,)) if caller.person else NOTHING
