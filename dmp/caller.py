"""Who calls, as the rules of the shared record see it: the column of the rights, the column of the matrix, identities.

Source: PDT-INF-526 (cards, roles, modes), PDT-INF-606 (reinforced indirect mode); header of the CNAM matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from access_control.subject import Coded, Subject
from dmp import tables
from dmp.codes import PERSON, STRUCTURE

Mode = Literal["normal", "bris_de_glace", "centre_15"]
Kind = Literal["professional", "doctor", "occupational_doctor", "staff_card", "structure", "staff_member", "unknown"]
_DOCTOR, _OCCUPATIONAL = "10", "SM25"
_NOT_A_PERSON_IN_CARE: Final = "1.2.250.1.213.1.1.4.6"
_HEALTH_PROFESSIONS: Final = frozenset({"", "1.2.250.1.71.1.2.7"})
_SUFFIX: Final = {"normal": "", "bris_de_glace": "_break_glass", "centre_15": "_regulation"}


@dataclass(frozen=True, slots=True)
class Caller:
    """`kind` decides the rights; `column` of the matrix is empty where there is none; `reinforced`: the mode AIR.

    `person` and `structure` are identities (`identifier^authority`), empty where none is told.
    """

    kind: Kind
    column: str
    mode: Mode
    reinforced: bool
    person: str
    structure: str

    def rights_column(self, *, attending: bool) -> str:
        """The column of the functional rights; "" where there is none, which is denied."""
        if self.kind == "unknown":
            return ""
        if self.kind == "structure":
            return {"normal": "structure", "centre_15": "structure_regulation"}.get(self.mode, "")
        if self.kind in ("staff_card", "staff_member", "occupational_doctor"):
            return self.kind if self.mode == "normal" or self.kind == "occupational_doctor" else ""
        who = "attending" if attending and self.kind == "doctor" and self.mode != "centre_15" else self.kind
        return who + _SUFFIX[self.mode]


def caller_of(subject: Subject, *, role_based: bool) -> Caller:
    """The caller of a proved subject; `role_based`: columns that a role gives are open."""
    mode = subject.mode or "normal"
    first = subject.roles[0] if subject.roles else Coded("")
    others = frozenset(role.code for role in subject.roles[1:])
    kind = _kind(subject, first, others) if mode in _SUFFIX else "unknown"
    return Caller(
        kind=kind,
        column="" if kind in ("structure", "staff_card", "staff_member") else _column(first, others, role_based=role_based),
        mode=mode if mode in _SUFFIX else "normal",  # type: ignore[arg-type]
        reinforced=subject.authentication == "INDIRECTE_RENFORCEE",
        person=f"{subject.id}^{PERSON}" if subject.id and kind != "structure" else "",
        structure=f"{subject.structure}^{STRUCTURE}" if subject.structure else "",
    )


def _kind(subject: Subject, first: Coded, others: frozenset[str]) -> Kind:
    if not subject.digest or not first.code:
        return "unknown"
    if subject.authentication == "INDIRECTE":
        return "structure"
    in_care = first.system != _NOT_A_PERSON_IN_CARE
    if subject.authentication == "INDIRECTE_RENFORCEE" and not in_care:
        return "staff_member"
    if not in_care:
        return "staff_card"
    if first.code == _DOCTOR and first.system in _HEALTH_PROFESSIONS:
        return "occupational_doctor" if _OCCUPATIONAL in others else "doctor"
    return "professional"


def _column(first: Coded, others: frozenset[str], *, role_based: bool) -> str:
    for row in tables.columns():
        same_system = first.system == row.system if row.system else first.system not in _OTHER_SYSTEMS
        if row.code == first.code and same_system and (not row.beside or row.beside in others):
            return row.column if role_based or not row.by_role else ""
    return ""


_OTHER_SYSTEMS: Final = frozenset({_NOT_A_PERSON_IN_CARE, "1.2.250.1.213.1.6.1.4", "1.2.250.1.213.1.6.1.109"})
"""Systems of first roles that are no health profession: their codes mean something else."""
