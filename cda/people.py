"""People of a CDA header as metadata texts: authors, legal authenticator, patient.

Identifiers of people are told apart by their form: national number (IDNPS), internal to a structure (EI), system (RI),
patient (NH). Source: logical models of the Agence du Numérique en Santé (CI-SIS, DMP).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from cda.errors import CdaError
from cda.header import Address, CodedValue, InstanceId, Organization, Party, Patient, PersonName
from cda.notes import Notes
from xds_metadata.codes import CodeSets
from xds_metadata.datatypes import (
    CodedString,
    Cx,
    PatientField,
    Xcn,
    Xon,
    check_coded_string,
    check_cx,
    check_oid,
    check_patient_field,
    check_xcn,
    check_xon,
    escape,
    patient_key,
    write_coded_string,
    write_cx,
    write_patient_field,
    write_xcn,
    write_xon,
)
from xds_metadata.model import Author

INS_AUTHORITIES: Final = (
    "1.2.250.1.213.1.4.8",
    "1.2.250.1.213.1.4.9",
    "1.2.250.1.213.1.4.10",
    "1.2.250.1.213.1.4.11",
)
"""The authorities of the national health identity: NIR, NIA, test, demonstration."""

_INS_C: Final = "1.2.250.1.213.1.4.2"
_GENDERS: Final = {"M": "M", "F": "F", "UN": "U"}
_STREET_PARTS: Final = ("houseNumber", "houseNumberNumeric", "streetNameType", "streetName", "streetAddressLine", "postBox")
_UNIT_PARTS: Final = ("additionalLocator", "unitID", "precinct")


def author(party: Party, notes: Notes) -> Author | None:
    """The author, None without person and institution. Patients as authors have no institution."""
    who = person("authorPerson", party, notes)
    by_patient = party.id is not None and party.id.root in INS_AUTHORITIES
    institution = None if by_patient or party.organization is None else _institution(party.organization, notes)
    if who is None and institution is None:
        return None
    role = party.function.display if party.function else ""
    specialty = _specialty(party.code, notes) if party.code else None
    return Author(
        person=who,
        institutions=(institution,) if institution else (),
        roles=(role,) if role and notes.right("authorRole", role, check_coded_string) else (),
        specialties=(specialty,) if specialty else (),
    )


def person(attribute: str, party: Party, notes: Notes) -> str | None:
    """The XCN of a person or device; without its name where the whole does not fit."""
    device = party.name is None and bool(party.software or party.model)
    family, given = (party.software, party.model) if device else _family_and_given(party.name)
    extension, authority = split_identifier(party.id)
    if extension is None and family is None:
        return None
    value = Xcn(id=extension, family=family, given=given, authority=authority)
    if notes.tolerances.xcn_type_components:
        value = replace(value, name_type="U" if device else "D", id_type=_id_type(party.id, device) if party.id else None)
    text = write_xcn(value)
    if not notes.accepts(text, check_xcn):
        text = write_xcn(replace(value, family=None if extension else family, given=None))
    return notes.right(attribute, text, check_xcn)


def split_identifier(identifier: InstanceId | None) -> tuple[str | None, str | None]:
    """Identifier and OID of its authority: a root without extension is itself the identifier, a UUID no authority."""
    if identifier is None:
        return None, None
    if identifier.extension is None:
        return identifier.root, None
    return identifier.extension, identifier.root if check_oid(identifier.root) is None else None


def _id_type(identifier: InstanceId, device: bool) -> str:
    if device:
        return "RI"
    if identifier.root in INS_AUTHORITIES:
        return "NH"
    return "EI" if "/" in (identifier.extension or "") else "IDNPS"


def _family_and_given(name: PersonName | None) -> tuple[str | None, str | None]:
    if name is None:
        return None, None
    return name.first("family", "CL") or name.first("family"), name.first("given", "CL") or name.first("given")


def _institution(organization: Organization, notes: Notes) -> str | None:
    extension, authority = split_identifier(organization.id)
    name = organization.name or extension
    if name is None:
        return None
    if organization.name is None:
        notes.warn("authorInstitution", "the organisation has no name, its identifier is taken")
    typed = notes.tolerances.xon_type_component and extension is not None and authority is not None
    return notes.right(
        "authorInstitution", write_xon(Xon(name, extension, authority, "IDNST" if typed else None)), check_xon
    )


def _specialty(code: CodedValue, notes: Notes) -> str | None:
    label = code.display if notes.tolerances.coded_triplet else ""
    return notes.right(
        "authorSpecialty", write_coded_string(CodedString(code.code, code.system, label or None)), check_coded_string
    )


class PatientIds:
    """The usable identifiers of a record target, and which of them goes where."""

    def __init__(self, patient: Patient | None, codes: CodeSets, notes: Notes) -> None:
        self._notes = notes
        self._authorities = codes.authorities
        given = patient.ids if patient else ()
        self.all = tuple(part for part in given if part.extension and notes.accepts(self.text(part), check_cx))

    def text(self, identifier: InstanceId) -> str:
        """The CX, typed NH or PI where the receiver takes types."""
        kind = "NH" if identifier.root in INS_AUTHORITIES else "PI"
        typed = self._notes.tolerances.cx_extra_components
        return write_cx(Cx(identifier.extension or "", identifier.root, kind if typed else None))

    def patient_id(self, override: str | None) -> str:
        """The patient's CX: the caller's, else the national identity, else an id of an authority of the domain."""
        found = self._first(INS_AUTHORITIES) or self._first(self._authorities)
        if override is None:
            if found is None:
                expected = "an identifier of the national health identity or of an authority of the affinity domain"
                raise CdaError(
                    f"recordTarget/patientRole/id: expected {expected}, or a patient given by the caller, found none"
                )
            return self.text(found)
        if (wrong := check_cx(override, replace(self._notes.tolerances, cx_extra_components=True))) is not None:
            raise CdaError(f"patient given by the caller: {wrong}")
        if found is None or patient_key(self.text(found)) != patient_key(override):
            self._notes.warn("patientId", "taken from the caller, it is not the patient that the header names")
        return override

    def source_patient_id(self) -> str | None:
        """The identifier of the place of care, else the national one."""
        local = next((part for part in self.all if part.root not in INS_AUTHORITIES and part.root != _INS_C), None)
        chosen = local or self._first(INS_AUTHORITIES)
        if chosen is None:
            self._notes.warn("sourcePatientId", "the header has no patient identifier with an OID as root")
            return None
        return self.text(chosen)

    def _first(self, authorities: Iterable[str]) -> InstanceId | None:
        return next((part for part in self.all if part.root in authorities), None)


def source_patient_info(patient: Patient, ids: PatientIds, notes: Notes) -> tuple[str, ...]:
    """PID-3 identifiers, PID-5 names, PID-7 birth date, PID-8 sex, PID-11 address."""
    fields = [PatientField(3, ids.text(part)) for part in ids.all]
    fields += [PatientField(5, name) for name in _patient_names(patient.name)]
    if patient.birth_time:
        fields.append(PatientField(7, patient.birth_time[:8]))
    if patient.gender in _GENDERS:
        fields.append(PatientField(8, _GENDERS[patient.gender]))
    fields += [PatientField(11, text) for address in patient.addresses[:1] if (text := _address(address))]
    texts = (notes.right("sourcePatientInfo", write_patient_field(part), check_patient_field) for part in fields)
    return tuple(text for text in texts if text is not None)


def _patient_names(name: PersonName | None) -> Iterable[str]:
    """PID-5 values: birth name (L), used name (D), or the name as it is (U)."""
    if name is None:
        return
    known = [(qualifier, kind) for qualifier, kind in (("BR", "L"), ("CL", "D")) if name.first("family", qualifier)]
    kinds: list[tuple[str | None, str]] = [*known] or [(None, "U")]
    for qualifier, kind in kinds:
        family = name.first("family", qualifier) or ""
        given = name.first("given", qualifier) or name.first("given") or ""
        yield f"{escape(family)}^{escape(given)}^^^^^{kind}"


def _address(address: Address) -> str:
    """PID-11: street ^ complement ^ city ^ state ^ postal code ^ country ^ type."""
    street = " ".join(text for wanted in _STREET_PARTS for kind, text in address.parts if kind == wanted)
    unit = " ".join(text for wanted in _UNIT_PARTS for kind, text in address.parts if kind == wanted)
    single = dict(reversed(address.parts))
    parts = [street, unit, *(single.get(kind, "") for kind in ("city", "state", "postalCode", "country"))]
    if not any(parts):
        return ""
    return "^".join([*(escape(part) for part in parts), "H" if address.use in ("H", "HP") else ""]).rstrip("^")
