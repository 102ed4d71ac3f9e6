"""What a stored query selects, as data: picks of objects with conditions from a closed vocabulary. No SQL here.

A pick may refer to earlier picks by name. `select` compiles all picks of a selection into one statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from xds_registry.vocabulary import CodeKind, Kind


@dataclass(frozen=True, slots=True)
class ColumnIn:
    """The column is one of the values (at least one)."""

    column: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """start <= column < stop, 14-digit times, either may be None; an object without the time passes."""

    column: str
    start: str | None
    stop: str | None


@dataclass(frozen=True, slots=True)
class CodesIn:
    """For each group (AND), the entry has at least one of its codes (OR)."""

    kind: CodeKind
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class FolderCodesIn:
    """As CodesIn, for the codeList of a folder."""

    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ReferencesIn:
    """As CodesIn, for the referenceIdList of an entry; values are compared whole."""

    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class AuthorLike:
    """Any author's person matches any pattern (`%` any run, `_` one character). For entries and submission sets."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndIn:
    """An association's `source`, `target` or `either` end is one of the ids."""

    end: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndInPick:
    """An association's end is an object of one of the named picks."""

    end: str
    picks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AtEndOf:
    """The object stands at the given end of an association of the named pick."""

    pick: str
    end: str


@dataclass(frozen=True, slots=True)
class InPick:
    """The object is in the named pick (of the same kind)."""

    pick: str


Condition = ColumnIn | TimeRange | CodesIn | FolderCodesIn | ReferencesIn | AuthorLike | EndIn | EndInPick | AtEndOf | InPick


@dataclass(frozen=True, slots=True)
class Pick:
    """Objects of one kind that meet every condition; `returned` is False for a mere intermediate step."""

    name: str
    kind: Kind
    conditions: tuple[Condition, ...]
    returned: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """The picks of a query, each referring to earlier ones only."""

    picks: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """By what a query without a patient parameter is anchored: ids or uniqueIds, to find the patients concerned."""

    ids: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()
