"""The tester's own ebRIM: a small writer of registry objects as elements, and a reader that keeps what it finds.

Source: ITI TF-3 4.2.3 (encoding of the metadata), ebRIM 3.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from lxml import etree

from conformance import vocabulary as v
from conformance.target import Code

KINDS: Final = ("document", "folder", "set", "association", "reference")


def rim(name: str) -> str:
    """The qualified name of an ebRIM element."""
    return f"{{{v.RIM}}}{name}"


def slot(parent: etree._Element, name: str, values: Iterable[str]) -> None:
    """Append a Slot."""
    element = etree.SubElement(parent, rim("Slot"), name=name)
    holder = etree.SubElement(element, rim("ValueList"))
    for value in values:
        etree.SubElement(holder, rim("Value")).text = value


def localized(parent: etree._Element, name: str, value: str) -> None:
    """Append a Name or Description of one language."""
    etree.SubElement(etree.SubElement(parent, rim(name)), rim("LocalizedString"), value=value)


class ObjectWriter:
    """Appends registry objects to a RegistryObjectList; ids of inner objects are symbolic and numbered."""

    def __init__(self) -> None:
        self.list = etree.Element(rim("RegistryObjectList"), nsmap={"rim": v.RIM})
        self._count = 0

    def _next(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def extrinsic(self, object_id: str, mime_type: str) -> etree._Element:
        """A stable document entry."""
        return etree.SubElement(self.list, rim("ExtrinsicObject"), id=object_id, mimeType=mime_type, objectType=v.STABLE)

    def package(self, object_id: str) -> etree._Element:
        """A submission set or folder, before its marker."""
        return etree.SubElement(self.list, rim("RegistryPackage"), id=object_id, objectType=v.PACKAGE_TYPE)

    def marker(self, parent: etree._Element, node: str) -> None:
        """The Classification that says which kind of package this is."""
        self._classification(parent, {"classificationNode": node})

    def author(self, parent: etree._Element, scheme: str, person: str) -> None:
        """An author who is a person."""
        element = self._classification(parent, {"classificationScheme": scheme, "nodeRepresentation": ""})
        slot(element, "authorPerson", [person])

    def code(self, parent: etree._Element, scheme: str, code: Code) -> None:
        """A coded attribute."""
        element = self._classification(parent, {"classificationScheme": scheme, "nodeRepresentation": code.code})
        slot(element, "codingScheme", [code.scheme])
        localized(element, "Name", code.display)

    def identifier(self, parent: etree._Element, scheme: str, name: str, value: str) -> None:
        """An ExternalIdentifier."""
        owner = str(parent.get("id"))
        element = etree.SubElement(
            parent,
            rim("ExternalIdentifier"),
            id=self._next(),
            registryObject=owner,
            identificationScheme=scheme,
            objectType=v.IDENTIFIER_TYPE,
            value=value,
        )
        localized(element, "Name", name)

    def association(self, kind: str, source: str, target: str, status: str = "") -> str:
        """An Association; `status` is the SubmissionSetStatus. Returns its id."""
        object_id = "as" + self._next()
        element = etree.SubElement(
            self.list,
            rim("Association"),
            id=object_id,
            objectType=v.ASSOCIATION_TYPE,
            associationType=kind,
            sourceObject=source,
            targetObject=target,
        )
        if status:
            slot(element, "SubmissionSetStatus", [status])
        return object_id

    def _classification(self, parent: etree._Element, attributes: Mapping[str, str]) -> etree._Element:
        owner = str(parent.get("id"))
        fixed = {"id": self._next(), "classifiedObject": owner, "objectType": v.CLASSIFICATION_TYPE}
        return etree.SubElement(parent, rim("Classification"), {**fixed, **attributes})


@dataclass(frozen=True, slots=True)
class RegistryObject:
    """A registry object of an answer. `attributes` holds every metadata attribute by its IHE name, each a tuple of values.

    XML attributes are kept under their own names (id, lid, status, objectType, mimeType, home, associationType,
    sourceObject, targetObject); a code is `code^^scheme`.
    """

    kind: str
    id: str
    attributes: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def values(self, name: str) -> tuple[str, ...]:
        """The values of an attribute, empty when it is absent."""
        return self.attributes.get(name, ())

    def value(self, name: str) -> str:
        """The first value of an attribute, empty when it is absent."""
        return next(iter(self.values(name)), "")


def read_objects(parent: etree._Element) -> tuple[RegistryObject, ...]:
    """The objects of a RegistryObjectList, in order; markers that stand beside their package are applied to it."""
    nodes = {
        str(child.get("classifiedObject")): str(child.get("classificationNode"))
        for child in parent
        if child.tag == rim("Classification")
    }
    known = ("ExtrinsicObject", "RegistryPackage", "Association", "ObjectRef")
    return tuple(_object(child, nodes) for child in parent if child.tag in {rim(name) for name in known})


def _object(element: etree._Element, nodes: Mapping[str, str]) -> RegistryObject:
    attributes: dict[str, tuple[str, ...]] = {str(name): (str(value),) for name, value in element.attrib.items()}
    problems: list[str] = []
    object_id = str(element.get("id") or "")
    _read_children(element, attributes, problems)
    marker = next(iter(attributes.get("classificationNode", ())), nodes.get(object_id, ""))
    kind = _kind(element, marker)
    if not kind:
        problems.append("a RegistryPackage that is marked neither as submission set nor as folder")
    attributes["availabilityStatus"] = attributes.get("status", ())
    return RegistryObject(kind or "package", object_id, attributes, tuple(problems))


def _kind(element: etree._Element, marker: str) -> str:
    plain = {rim("ExtrinsicObject"): "document", rim("Association"): "association", rim("ObjectRef"): "reference"}
    return plain.get(str(element.tag)) or {v.SET_NODE: "set", v.FOLDER_NODE: "folder"}.get(marker, "")


def _read_children(element: etree._Element, attributes: dict[str, tuple[str, ...]], problems: list[str]) -> None:
    names = {uuid: name for name, uuid in v.CODE_SCHEMES.items()}
    identifiers = {uuid: name for name, uuids in v.IDENTIFIERS.items() for uuid in uuids}

    def add(name: str, *values: str) -> None:
        attributes[name] = (*attributes.get(name, ()), *values)

    for child in element:
        if child.tag == rim("Slot"):
            name = str(child.get("name"))
            if name in attributes:
                problems.append(f"the Slot {name} occurs twice")
            add(_SLOT_NAMES.get(name, name), *_slot_values(child))
        elif child.tag == rim("Name"):
            add("title", *(str(item.get("value")) for item in child))
        elif child.tag == rim("Description"):
            add("comments", *(str(item.get("value")) for item in child))
        elif child.tag == rim("VersionInfo"):
            add("version", str(child.get("versionName")))
        elif child.tag == rim("ExternalIdentifier"):
            add(identifiers.get(str(child.get("identificationScheme")), "identifier"), str(child.get("value")))
        elif child.tag == rim("Classification"):
            _read_classification(child, names, add)


class _Add(Protocol):
    def __call__(self, name: str, *values: str) -> None: ...


_SLOT_NAMES: Final = {v.REFERENCE_IDS: "referenceIdList"}


def _read_classification(child: etree._Element, names: Mapping[str, str], add: _Add) -> None:
    scheme, node = child.get("classificationScheme"), child.get("classificationNode")
    if node:
        add("classificationNode", node)
    elif scheme in (v.ENTRY_AUTHOR, v.SET_AUTHOR):
        for item in child.iterfind(rim("Slot")):
            add(str(item.get("name")), *_slot_values(item))
    elif scheme:
        coding = next((_slot_values(item) for item in child.iterfind(rim("Slot")) if item.get("name") == "codingScheme"), ())
        add(names.get(scheme, scheme), f"{child.get('nodeRepresentation')}^^{next(iter(coding), '')}")


def _slot_values(element: etree._Element) -> tuple[str, ...]:
    return tuple(value.text or "" for value in element.iterfind(f"{rim('ValueList')}/{rim('Value')}"))
