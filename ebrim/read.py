"""Wire to objects: reads ebRIM 3.0 elements that passed the schema.

Attributes that are present but empty (`home=""`) read as absent. Nothing is checked here beyond what the schema says.
Source: ebXML RegRep 3.0, ebRIM; ebRS (lcm, query).
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from ebrim.model import (
    AdhocQuery,
    Association,
    Classification,
    ExternalIdentifier,
    ExtrinsicObject,
    LocalizedString,
    RegistryError,
    RegistryObjectList,
    RegistryPackage,
    Slot,
)
from xmlsafe.namespaces import LCM, QUERY, RIM, RS

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_RIM = f"{{{RIM}}}"
_SLOT = _RIM + "Slot"
_VALUE = _RIM + "Value"
_VALUE_LIST = _RIM + "ValueList"
_NAME = _RIM + "Name"
_DESCRIPTION = _RIM + "Description"
_VERSION_INFO = _RIM + "VersionInfo"
_CLASSIFICATION = _RIM + "Classification"
_EXTERNAL_IDENTIFIER = _RIM + "ExternalIdentifier"
_LOCALIZED = _RIM + "LocalizedString"
REGISTRY_OBJECT_LIST = _RIM + "RegistryObjectList"
SUBMIT_OBJECTS_REQUEST = f"{{{LCM}}}SubmitObjectsRequest"
ADHOC_QUERY_REQUEST = f"{{{QUERY}}}AdhocQueryRequest"
_RESPONSE_STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"


def read_slot(element: etree._Element) -> Slot:
    """A rim:Slot. A missing ValueList reads as no values."""
    values: list[str] = []
    for part in element:
        if part.tag == _VALUE_LIST:
            for value in part:  # a generator would cost three times as much: most slots have one value
                if value.tag == _VALUE:
                    values.append(value.text or "")
    return Slot(element.get("name", ""), tuple(values))


def read_localized(element: etree._Element) -> tuple[LocalizedString, ...]:
    """The texts of a rim:Name or rim:Description."""
    return tuple(
        [LocalizedString(part.get("value", ""), part.get(_LANG, "en-US")) for part in element if part.tag == _LOCALIZED]
    )


def read_classification(element: etree._Element) -> Classification:
    """A rim:Classification."""
    slots: list[Slot] = []
    name: tuple[LocalizedString, ...] = ()
    description: tuple[LocalizedString, ...] = ()
    for child in element:
        tag = child.tag
        if tag == _SLOT:
            slots.append(read_slot(child))
        elif tag == _NAME:
            name = read_localized(child)
        elif tag == _DESCRIPTION:
            description = read_localized(child)
    get = element.get
    return Classification(
        id=get("id", ""),
        classified_object=get("classifiedObject"),
        scheme=get("classificationScheme"),
        node=get("classificationNode"),
        node_representation=get("nodeRepresentation"),
        slots=tuple(slots),
        name=name,
        description=description,
    )


def read_external_identifier(element: etree._Element) -> ExternalIdentifier:
    """A rim:ExternalIdentifier."""
    name: tuple[LocalizedString, ...] = ()
    for child in element:
        if child.tag == _NAME:
            name = read_localized(child)
    get = element.get
    return ExternalIdentifier(
        id=get("id", ""),
        registry_object=get("registryObject"),
        scheme=get("identificationScheme", ""),
        value=get("value", ""),
        name=name,
    )


def _common(element: etree._Element) -> dict[str, Any]:
    """The fields that every registry object has, gathered in one pass over the children."""
    slots: list[Slot] = []
    classifications: list[Classification] = []
    identifiers: list[ExternalIdentifier] = []
    get = element.get
    fields: dict[str, Any] = {
        "id": get("id", ""),
        "lid": get("lid") or None,
        "home": get("home") or None,
        "object_type": get("objectType") or None,
        "status": get("status") or None,
    }
    for child in element:
        tag = child.tag
        if tag == _SLOT:
            slots.append(read_slot(child))
        elif tag == _CLASSIFICATION:
            classifications.append(read_classification(child))
        elif tag == _EXTERNAL_IDENTIFIER:
            identifiers.append(read_external_identifier(child))
        elif tag == _NAME:
            fields["name"] = read_localized(child)
        elif tag == _DESCRIPTION:
            fields["description"] = read_localized(child)
        elif tag == _VERSION_INFO:
            fields["version"] = child.get("versionName")
    fields["slots"] = tuple(slots)
    fields["classifications"] = tuple(classifications)
    fields["external_identifiers"] = tuple(identifiers)
    return fields


def read_extrinsic_object(element: etree._Element) -> ExtrinsicObject:
    """A rim:ExtrinsicObject."""
    mime_type = element.get("mimeType", "application/octet-stream")
    opaque = element.get("isOpaque", "false") in ("true", "1")
    return ExtrinsicObject(mime_type=mime_type, is_opaque=opaque, **_common(element))


def read_package(element: etree._Element) -> RegistryPackage:
    """A rim:RegistryPackage (objects nested in a RegistryObjectList inside it are not read)."""
    return RegistryPackage(**_common(element))


def read_association(element: etree._Element) -> Association:
    """A rim:Association."""
    get = element.get
    return Association(
        association_type=get("associationType", ""),
        source=get("sourceObject", ""),
        target=get("targetObject", ""),
        **_common(element),
    )


def read_object_list(element: etree._Element) -> RegistryObjectList:
    """A rim:RegistryObjectList."""
    extrinsic: list[ExtrinsicObject] = []
    packages: list[RegistryPackage] = []
    associations: list[Association] = []
    classifications: list[Classification] = []
    refs: list[str] = []
    others: list[str] = []
    for child in element:
        tag = child.tag
        if tag == _RIM + "ExtrinsicObject":
            extrinsic.append(read_extrinsic_object(child))
        elif tag == _RIM + "RegistryPackage":
            packages.append(read_package(child))
            others.extend(["RegistryObjectList"] * len(child.findall(REGISTRY_OBJECT_LIST)))
        elif tag == _RIM + "Association":
            associations.append(read_association(child))
        elif tag == _CLASSIFICATION:
            classifications.append(read_classification(child))
        elif tag == _RIM + "ObjectRef":
            refs.append(child.get("id", ""))
        elif isinstance(tag, str):
            others.append(etree.QName(tag).localname)
    return RegistryObjectList(
        tuple(extrinsic), tuple(packages), tuple(associations), tuple(classifications), tuple(refs), tuple(others)
    )


def read_submit_objects_request(element: etree._Element) -> RegistryObjectList:
    """The objects of an lcm:SubmitObjectsRequest (ITI-42 and others); request slots are ignored."""
    for child in element:
        if child.tag == REGISTRY_OBJECT_LIST:
            return read_object_list(child)
    return RegistryObjectList()


def read_adhoc_query_request(element: etree._Element) -> AdhocQuery:
    """A query:AdhocQueryRequest (ITI-18); paging and federation attributes are ignored."""
    return_type = "RegistryObject"
    query_id, home, slots = "", None, []
    for child in element:
        if child.tag == f"{{{QUERY}}}ResponseOption":
            return_type = child.get("returnType", "RegistryObject")
        elif child.tag == _RIM + "AdhocQuery":
            query_id = child.get("id", "")
            home = child.get("home") or None
            slots = [read_slot(part) for part in child if part.tag == _SLOT]
    return AdhocQuery(query_id, return_type, home, tuple(slots))


def read_registry_errors(element: etree._Element) -> tuple[RegistryError, ...]:
    """The errors of any ebRS answer: its rs:RegistryErrorList, wherever it stands below `element`."""
    return tuple(
        RegistryError(
            code=error.get("errorCode", ""),
            context=error.get("codeContext", ""),
            location=error.get("location", ""),
            severity=(error.get("severity") or ":Error").rpartition(":")[2],
        )
        for error in element.iter(f"{{{RS}}}RegistryError")
    )


def read_status(element: etree._Element) -> str:
    """The last word of an answer's status URI: Success, Failure or PartialSuccess."""
    return (element.get("status") or "").rpartition(":")[2]
