"""The roles that a VIHF may name: `codes/roles.csv`, and which second role goes with which profession."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from access_control.subject import Coded
from xua.refusal import AssertionRefused, quote

DOCTOR: Final = "10"
PHARMACIST: Final = "21"
BY_ROLE: Final = "99"

_TRAINEES: Final = "1.2.250.1.71.1.2.8"
_NEEDS_SECOND: Final = frozenset({DOCTOR, PHARMACIST, BY_ROLE})


@dataclass(frozen=True, slots=True)
class RoleTable:
    """`first`: the professions; `second`: the second roles, by the code of the profession they belong to."""

    first: frozenset[Coded]
    second: Mapping[str, frozenset[Coded]]


def _load(path: Path) -> RoleTable:
    first: set[Coded] = set()
    second: dict[str, set[Coded]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            role = Coded(row["code"], row["system"])
            if row["place"] == "1":
                first.add(role)
            else:
                second.setdefault(row["profession"], set()).add(role)
    return RoleTable(frozenset(first), {profession: frozenset(roles) for profession, roles in second.items()})


ROLES: Final = _load(Path(__file__).with_name("codes") / "roles.csv")
FIRST_SYSTEMS: Final = frozenset(role.system for role in ROLES.first)
SECOND_SYSTEMS: Final = frozenset(role.system for roles in ROLES.second.values() for role in roles)


def check_roles(roles: tuple[Coded, ...]) -> None:
    """The first role is a profession, the second one that it may or must have. Raises AssertionRefused.

    A doctor or pharmacist (in training: may) and an actor known by role need a second one; where the table has none for the
    profession, there must be none.
    """
    profession, *others = roles
    if profession not in ROLES.first:
        raise AssertionRefused("role", f"the first role is {quote(str(profession))}, a profession of JDV_J65 is expected")
    allowed = ROLES.second.get(profession.code, frozenset())
    if not others:
        if profession.code in _NEEDS_SECOND and profession.system != _TRAINEES:
            raise AssertionRefused("speciality-missing", f"the role {quote(str(profession))} needs a second one")
        return
    if others[0] not in allowed:
        reason = "role" if allowed else "second-role"
        raise AssertionRefused(
            reason, f"the second role {quote(str(others[0]))} does not belong to {quote(str(profession))}"
        )
