"""What a record notes of the professional who declares himself: names and speciality, as lists show them.

Source: DMP example messages, TD1.6 (codeSpeciality and libSpeciality); ANS, JDV_J01.
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Final

from access_control.subject import Subject
from dmp import tables
from dmp.caller import Caller
from dmp.record import LONGEST_NAME, Named, Party
from pki.names import read_name

_SURNAME, _GIVEN_NAME = "2.5.4.4", "2.5.4.42"
_PREFIXES: Final = {"": "G15_", "1.2.250.1.71.1.2.7": "G15_", "1.2.250.1.71.1.2.8": "G16_"}


def party_of(caller: Caller) -> Party | None:
    """Whom an authorisation that this caller declares is for: staff and structures speak for the structure.

    None where the caller names no such identity.
    """
    for_structure = caller.kind in ("staff_card", "staff_member", "structure")
    identity = caller.structure if for_structure else caller.person
    return Party.of(identity) if identity else None


def named(subject: Subject, party: Party) -> Named:
    """Names and speciality of a proved caller; nothing is known of a structure but its identifier."""
    if party.kind == "structure":
        return Named()
    family, given = names_of(subject)
    role = role_code(subject)
    return Named(family[:LONGEST_NAME], given[:LONGEST_NAME], role, specialities().get(role, ""))


def role_code(subject: Subject) -> str:
    """Profession and speciality in one code, such as G15_10/SM26; empty without a role."""
    if not subject.roles:
        return ""
    first, *others = subject.roles
    profession = _PREFIXES.get(first.system, "") + first.code
    return f"{profession}/{others[0].code}" if others else profession


@cache
def specialities() -> dict[str, str]:
    """In words, by code."""
    lines = (tables.DATA / "specialities.csv").read_text(encoding="utf-8").splitlines()
    return {row["code"]: row["display"] for row in csv.DictReader(line for line in lines if not line.startswith("#"))}


def names_of(subject: Subject) -> tuple[str, str]:
    """Family and given name: of the card that signed, else of what its structure says."""
    if subject.proof_level == "card":
        pairs = dict(pair for rdn in read_name(subject.issuer) or () for pair in rdn)
        if pairs.get(_SURNAME):
            return pairs[_SURNAME], pairs.get(_GIVEN_NAME, "")
    return subject.name, ""
