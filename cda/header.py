"""The header of a CDA R2 document as frozen values, without any XML library type.

Elements with a nullFlavor are absent here. Nothing is validated beyond what a header cannot do without: the document element
and an id. Source: HL7 CDA R2 (2005) section 4.2; CI-SIS "structuration minimale" for what French headers carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from cda.errors import CdaError
from xmlsafe.errors import XmlError
from xmlsafe.namespaces import HL7
from xmlsafe.parse import DOCUMENT, parse

_XSL: Final = "http://www.w3.org/1999/XSL/Transform"
_DICOM: Final = "urn:dicom-org:ps3-20"
_STRING = etree.XPath("string()")
_Element = etree._Element


@dataclass(frozen=True, slots=True)
class InstanceId:
    """An identifier (II): an OID or UUID, and the value that it assigns, if any."""

    root: str
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class CodedValue:
    """A code (CE) with its translations."""

    code: str
    system: str
    display: str = ""
    translations: tuple[CodedValue, ...] = ()


@dataclass(frozen=True, slots=True)
class NamePart:
    """One part of a name: `kind` is family, given, prefix or suffix; `qualifier` as written (BR birth, CL used)."""

    kind: str
    text: str
    qualifier: str | None = None


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name as its parts, in order."""

    parts: tuple[NamePart, ...]

    def first(self, kind: str, qualifier: str | None = None) -> str | None:
        """The text of the first part of that kind (and qualifier, if one is asked for)."""
        return next((part.text for part in self.parts if part.kind == kind and qualifier in (None, part.qualifier)), None)


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation with its first id, its name and its practice setting (standardIndustryClassCode)."""

    id: InstanceId | None
    name: str | None
    practice_setting: CodedValue | None


@dataclass(frozen=True, slots=True)
class Party:
    """An author or authenticator: a person with `name`, or a device with `software` and `model`."""

    id: InstanceId | None
    code: CodedValue | None
    name: PersonName | None
    software: str | None
    model: str | None
    organization: Organization | None
    function: CodedValue | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address: `use` as written, and its parts by element name, in order."""

    use: str | None
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """The record target."""

    ids: tuple[InstanceId, ...]
    name: PersonName | None
    birth_time: str | None
    gender: str | None
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """A documented act. Times as written (HL7 TS)."""

    code: CodedValue | None
    start: str | None
    stop: str | None
    practice_setting: CodedValue | None


@dataclass(frozen=True, slots=True)
class Related:
    """A parent document and how this document relates to it (RPLC, APND, XFRM)."""

    type: str
    id: InstanceId


@dataclass(frozen=True, slots=True)
class CdaHeader:
    """The header. Times as written (HL7 TS). `body_media_type` is None for a structured body.

    `self_presentable`: the ClinicalDocument was found inside an XSLT style sheet.
    """

    id: InstanceId
    template_ids: tuple[str, ...]
    code: CodedValue | None
    title: str | None
    effective_time: str | None
    confidentiality: CodedValue | None
    language: str | None
    set_id: InstanceId | None
    version: str | None
    patient: Patient | None
    authors: tuple[Party, ...]
    legal_authenticator: Party | None
    service_events: tuple[ServiceEvent, ...]
    orders: tuple[InstanceId, ...]
    accession_numbers: tuple[InstanceId, ...]
    encounter_id: InstanceId | None
    facility: CodedValue | None
    related: tuple[Related, ...]
    structured: bool
    body_media_type: str | None
    self_presentable: bool


def read_header(data: bytes) -> CdaHeader:
    """The header of the CDA document `data`. Raises CdaError for anything that is not one."""
    try:
        root = parse(data, DOCUMENT)
    except XmlError as error:
        raise CdaError(f"expected a CDA document, found no acceptable XML: {error.detail}") from None
    document, self_presentable = _clinical_document(root)
    identifier = _identifier(_one(document, "id"))
    if identifier is None:
        raise CdaError("ClinicalDocument/id: expected an id with a root, found none", _line(document))
    body = _one(document, "component/nonXMLBody/text")
    encounter = _one(document, "componentOf/encompassingEncounter")
    return CdaHeader(
        id=identifier,
        template_ids=tuple(template for part in _all(document, "templateId") if (template := part.get("root"))),
        code=_coded(_one(document, "code")),
        title=_text(_one(document, "title")),
        effective_time=_time(document, "effectiveTime"),
        confidentiality=_coded(_one(document, "confidentialityCode")),
        language=_attribute(_one(document, "languageCode"), "code"),
        set_id=_identifier(_one(document, "setId")),
        version=_attribute(_one(document, "versionNumber"), "value"),
        patient=_patient(_one(document, "recordTarget/patientRole")),
        authors=tuple(_author(author) for author in _all(document, "author")),
        legal_authenticator=_party(_one(document, "legalAuthenticator/assignedEntity")),
        service_events=tuple(_service_event(event) for event in _all(document, "documentationOf/serviceEvent")),
        orders=_identifiers(_all(document, "inFulfillmentOf/order/id")),
        accession_numbers=_identifiers(_accession_numbers(document)),
        encounter_id=_identifier(_one(encounter, "id")),
        facility=_coded(_one(encounter, "location/healthCareFacility/code")),
        related=tuple(related for part in _all(document, "relatedDocument") if (related := _related(part))),
        structured=_one(document, "component/structuredBody") is not None,
        body_media_type=None if body is None else body.get("mediaType", "text/plain"),
        self_presentable=self_presentable,
    )


def _clinical_document(root: _Element) -> tuple[_Element, bool]:
    if root.tag == f"{{{HL7}}}ClinicalDocument":
        return root, False
    if root.tag in (f"{{{_XSL}}}stylesheet", f"{{{_XSL}}}transform"):
        embedded = root.findall(f".//{{{HL7}}}ClinicalDocument")
        if len(embedded) == 1:
            return embedded[0], True
        raise CdaError(f"style sheet: expected one embedded ClinicalDocument, found {len(embedded)}", _line(root))
    name = etree.QName(root)
    found = f"{name.localname[:80]!r} of {(name.namespace or '')[:120]!r}"
    raise CdaError(f"document element: expected ClinicalDocument of {HL7}, found {found}", _line(root))


def _patient(role: _Element | None) -> Patient | None:
    if role is None:
        return None
    return Patient(
        ids=_identifiers(_all(role, "id")),
        name=_name(_one(role, "patient/name")),
        birth_time=_attribute(_one(role, "patient/birthTime"), "value"),
        gender=_attribute(_one(role, "patient/administrativeGenderCode"), "code"),
        addresses=tuple(_address(part) for part in _all(role, "addr")),
    )


def _author(author: _Element) -> Party:
    party = _party(_one(author, "assignedAuthor"), _coded(_one(author, "functionCode")))
    return party or Party(None, None, None, None, None, None)


def _party(entity: _Element | None, function: CodedValue | None = None) -> Party | None:
    if entity is None:
        return None
    return Party(
        id=next(iter(_identifiers(_all(entity, "id"))), None),
        code=_coded(_one(entity, "code")),
        name=_name(_one(entity, "assignedPerson/name")),
        software=_text(_one(entity, "assignedAuthoringDevice/softwareName")),
        model=_text(_one(entity, "assignedAuthoringDevice/manufacturerModelName")),
        organization=_organization(_one(entity, "representedOrganization")),
        function=function,
    )


def _organization(organization: _Element | None) -> Organization | None:
    if organization is None:
        return None
    return Organization(
        id=next(iter(_identifiers(_all(organization, "id"))), None),
        name=_text(_one(organization, "name")),
        practice_setting=_coded(_one(organization, "standardIndustryClassCode")),
    )


def _service_event(event: _Element) -> ServiceEvent:
    organization = _organization(_one(event, "performer/assignedEntity/representedOrganization"))
    return ServiceEvent(
        code=_coded(_one(event, "code")),
        start=_time(event, "effectiveTime/low") or _time(event, "effectiveTime"),
        stop=_time(event, "effectiveTime/high"),
        practice_setting=organization.practice_setting if organization else None,
    )


def _related(part: _Element) -> Related | None:
    identifier = _identifier(_one(part, "parentDocument/id"))
    return Related(part.get("typeCode", ""), identifier) if identifier else None


def _accession_numbers(document: _Element) -> list[_Element]:
    return [
        number
        for order in _all(document, "inFulfillmentOf/order")
        for number in order.findall(f"{{{_DICOM}}}accessionNumber")
    ]


def _name(name: _Element | None) -> PersonName | None:
    if name is None:
        return None
    parts = tuple(
        NamePart(kind, text, part.get("qualifier"))
        for part in name.iterchildren("{*}*")
        if (kind := etree.QName(part).localname) in ("family", "given", "prefix", "suffix") and (text := _text(part))
    )
    if not parts and (whole := _text(name)):
        parts = (NamePart("family", whole),)
    return PersonName(parts) if parts else None


def _address(address: _Element) -> Address:
    parts = tuple((etree.QName(part).localname, text) for part in address.iterchildren("{*}*") if (text := _text(part)))
    return Address(address.get("use"), parts)


def _coded(element: _Element | None) -> CodedValue | None:
    if element is None or not (code := element.get("code")):
        return None
    translations = tuple(value for part in _all(element, "translation") if (value := _coded(part)))
    return CodedValue(code, element.get("codeSystem", ""), element.get("displayName", ""), translations)


def _identifier(element: _Element | None) -> InstanceId | None:
    if element is None or not (root := element.get("root")):
        return None
    return InstanceId(root, element.get("extension") or None)


def _identifiers(elements: list[_Element]) -> tuple[InstanceId, ...]:
    return tuple(identifier for element in elements if (identifier := _identifier(element)))


def _time(parent: _Element, path: str) -> str | None:
    return _attribute(_one(parent, path), "value")


def _attribute(element: _Element | None, name: str) -> str | None:
    return None if element is None else element.get(name) or None


def _text(element: _Element | None) -> str | None:
    """The text with runs of white space as one blank."""
    return None if element is None else " ".join(str(_STRING(element)).split()) or None


def _one(parent: _Element | None, path: str) -> _Element | None:
    return next(iter(_all(parent, path)), None)


def _all(parent: _Element | None, path: str) -> list[_Element]:
    if parent is None:
        return []
    found = parent.findall("/".join(f"{{{HL7}}}{step}" for step in path.split("/")))
    return [element for element in found if element.get("nullFlavor") is None]


def _line(element: _Element) -> int | None:
    line: int | None = getattr(element, "sourceline", None)
    return line
