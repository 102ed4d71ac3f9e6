"""What a subject may see of some patients' objects, as data: a closed vocabulary that the registry compiles into SQL.

A policy builds a Scope; it never writes SQL, and the registry never knows why an object is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldIn:
    """The entry's single-valued `field` (a column name of the registry's entry index) is one of `values`."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasCode:
    """The entry has at least one of `values` (`code^^scheme`) among its codes of `attribute`.

    `attribute` is `confidentiality_code` or `event_code`.
    """

    attribute: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every condition holds; with none, always true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds; with none, never true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = FieldIn | HasCode | AllOf | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Scope:
    """The entries for which `visible` holds may be seen."""

    visible: Condition


EVERYTHING = Scope(AllOf(()))
NOTHING = Scope(AnyOf(()))
