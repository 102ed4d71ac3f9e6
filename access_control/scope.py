"""What a subject may see of some patients' objects, as data: a closed vocabulary that the registry compiles into SQL.

A policy builds a Scope; it never writes SQL, and the registry never knows why an object is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class FieldIn:
    """The entry's single-valued `field` (a column name of the registry's entry index) is one of `values`."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasCode:
    """The entry has at least one of `values` (`code^^scheme`) among its codes of `attribute`.

    `attribute` is `confidentiality_code` or `event_code`. The confidentiality codes meant are those in force: of the latest
    version of each entry that the patient has of the document.
    """

    attribute: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodesWithin:
    """No confidentiality code in force on the entry is another than `values` (`code^^scheme`)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasActor:
    """One of the entry's author persons or institutions is one of `values` (`identifier^authority`)."""

    kind: Literal["person", "institution"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasStatus:
    """The entry's availabilityStatus is one of `values`: Approved, Deprecated, Archived, Deleted."""

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


Condition = FieldIn | HasCode | CodesWithin | HasActor | HasStatus | AllOf | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Scope:
    """The entries for which `visible` holds may be seen, with what follows for the objects around them.

    `patients`: keys (`CX.1^CX.4.2`) of those whose objects of any kind exist at all for the caller; None: of everybody.
    """

    visible: Condition
    patients: tuple[str, ...] | None = None


EVERYTHING = Scope(AllOf(()))
NOTHING = Scope(AnyOf(()))
