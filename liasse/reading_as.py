"""As whom an operator looks at a record: a card, a professional by his identifiers, the patient, or who represents him.

What comes out is a Subject as the assertion of that caller would prove it; nothing is signed and nothing is sent.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from access_control.subject import Coded, Subject
from database.handle import Database
from dmp.record_rows import find_everything
from pki.errors import FilesError
from pki.testca import Card
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text
from xua.roles import ROLES

PATIENT, REPRESENTATIVE, PROFESSIONAL = "patient", "representative", "professional"
FORMS: Final = (
    "a folder of a card or a structure's kit, professional:ID:PROFESSION[:SPECIALITY], patient, or representative[:IDENTITY]"
)
_UNSIGNED: Final = "operator"
"""Stands where the digest of an assertion would: the caller is taken for proved, there is no assertion."""


def subject_as(text: str, patient: PatientKey, database: Database, mode: str = "normal", reason: str = "") -> Subject:
    """The caller that `text` names (see FORMS) before the record of `patient`. Raises ValueError and DatabaseError."""
    kind, _, rest = text.partition(":")
    cx = f"{patient.id}^^^&{patient.authority}&ISO^NH"
    if text == PATIENT:
        return Subject(key_text(patient), patient=cx, proof_level="local")
    if kind == REPRESENTATIVE and not Path(text).exists():
        return Subject(_representative(rest, patient, database), patient=cx, proof_level="local")
    before = Subject(
        "", mode=mode, reason=reason, patient=cx, digest=_UNSIGNED, proof_level="card", authentication="DIRECTE"
    )
    if kind == PROFESSIONAL and not Path(text).exists():
        identifier, *codes = rest.split(":")
        if not identifier or not 1 <= len(codes) <= 2:
            raise ValueError(f"found {text!r}, expected {PROFESSIONAL}:ID:PROFESSION[:SPECIALITY]")
        return replace(before, id=identifier, roles=_roles(*codes))
    try:
        card = Card.load(Path(text))
    except (FilesError, OSError) as error:
        raise ValueError(f"{error}; expected {FORMS}") from error
    roles = tuple(Coded(code, system) for code, system in card.roles)
    if card.kind == "person":
        return replace(before, id=card.identifier, name=card.name, roles=roles, structure=card.structure)
    return replace(
        before,
        name=card.name,
        roles=roles or _roles("10", "SM26"),
        structure=card.identifier,
        authentication="INDIRECTE",
        proof_level="structure",
    )


def _roles(profession: str, speciality: str = "") -> tuple[Coded, ...]:
    """The roles by their codes, of the systems that an assertion may name. Raises ValueError."""
    first = sorted((role for role in ROLES.first if role.code == profession), key=lambda role: role.system)
    if not first:
        raise ValueError(f"the profession {profession!r} is none that an assertion may name")
    chosen = next((role for role in first if role.system == "1.2.250.1.71.1.2.7"), first[0])
    if not speciality:
        return (chosen,)
    second = next((role for role in ROLES.second.get(profession, ()) if role.code == speciality), None)
    if second is None:
        raise ValueError(f"the speciality or role {speciality!r} does not belong to the profession {profession!r}")
    return (chosen, second)


def _representative(identity: str, patient: PatientKey, database: Database) -> str:
    """The identity as the record knows it; the only one where none is given. Raises ValueError."""
    with database.read() as connection:
        whole = find_everything(connection, patient)
    known: list[str] = []
    if whole is not None:
        known = [*(each.identity for each in whole.representatives), *(each.identity for each in whole.delegates)]
    fitting = [each for each in known if not identity or each == identity or each.partition("^")[0] == identity]
    if len(fitting) != 1:
        raise ValueError("the record knows " + ("several who fit: give the identity" if fitting else "nobody who fits"))
    return fitting[0]
