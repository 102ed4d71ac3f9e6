"""Objects to wire: writes ebRIM 3.0 as UTF-8 bytes, elements without prefix (the caller declares the rim namespace).

The written form of an object splits where a registry splices in what may change later: `Leaf.write(status, …)`.
Source: ebXML RegRep 3.0, ebRIM; child order of its schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ebrim.model import (
    Association,
    Classification,
    ExternalIdentifier,
    ExtrinsicObject,
    LocalizedString,
    RegistryObject,
    RegistryObjectList,
    RegistryPackage,
    Slot,
)

_OBJECT_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
_SPECIAL_TEXT = re.compile(r"[&<>\r]")
_SPECIAL_ATTRIBUTE = re.compile(r'[&<>"\n\r\t]')
"""Most values hold none of these: looking is much cheaper than translating."""


def text(value: str) -> str:
    """`value` as element content."""
    return value if _SPECIAL_TEXT.search(value) is None else value.translate(_TEXT)


def attribute(value: str) -> str:
    """`value` between the double quotes of an attribute; line ends and tabs survive reading."""
    return value if _SPECIAL_ATTRIBUTE.search(value) is None else value.translate(_ATTRIBUTE)


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f' {name}="{attribute(value)}"'


def write_slot(slot: Slot) -> str:
    """A Slot element."""
    values = "".join(f"<Value>{text(value)}</Value>" for value in slot.values)
    return f'<Slot name="{attribute(slot.name)}"><ValueList>{values}</ValueList></Slot>'


def _write_localized(tag: str, strings: Iterable[LocalizedString]) -> str:
    inner = "".join(f'<LocalizedString xml:lang="{attribute(s.lang)}" value="{attribute(s.value)}"/>' for s in strings)
    return f"<{tag}>{inner}</{tag}>" if inner else ""


def write_classification(item: Classification) -> str:
    """A Classification element, always with its objectType."""
    return (
        f'<Classification id="{attribute(item.id)}" objectType="{_OBJECT_TYPE}Classification"'
        + _optional("classificationScheme", item.scheme)
        + _optional("classificationNode", item.node)
        + _optional("classifiedObject", item.classified_object)
        + _optional("nodeRepresentation", item.node_representation)
        + ">"
        + "".join(write_slot(slot) for slot in item.slots)
        + _write_localized("Name", item.name)
        + _write_localized("Description", item.description)
        + "</Classification>"
    )


def write_external_identifier(item: ExternalIdentifier) -> str:
    """An ExternalIdentifier element, always with its objectType."""
    return (
        f'<ExternalIdentifier id="{attribute(item.id)}" objectType="{_OBJECT_TYPE}ExternalIdentifier"'
        + f' identificationScheme="{attribute(item.scheme)}"'
        + _optional("registryObject", item.registry_object)
        + f' value="{attribute(item.value)}">'
        + _write_localized("Name", item.name)
        + "</ExternalIdentifier>"
    )


_TAGS: dict[type[RegistryObject], str] = {
    ExtrinsicObject: "ExtrinsicObject",
    RegistryPackage: "RegistryPackage",
    Association: "Association",
}


def _own_attributes(item: RegistryObject) -> str:
    if isinstance(item, ExtrinsicObject):
        opaque = ' isOpaque="true"' if item.is_opaque else ""
        return f' mimeType="{attribute(item.mime_type)}"{opaque}' + _optional("objectType", item.object_type)
    if isinstance(item, Association):
        return (
            f' objectType="{_OBJECT_TYPE}Association" associationType="{attribute(item.association_type)}"'
            f' sourceObject="{attribute(item.source)}" targetObject="{attribute(item.target)}"'
        )
    return f' objectType="{_OBJECT_TYPE}RegistryPackage"'


def _attributes(item: RegistryObject) -> str:
    return f' id="{attribute(item.id)}"' + _optional("lid", item.lid) + _optional("home", item.home) + _own_attributes(item)


def _children(item: RegistryObject) -> str:
    version = f'<VersionInfo versionName="{attribute(item.version)}"/>' if item.version is not None else ""
    return (
        "".join(write_slot(slot) for slot in item.slots)
        + _write_localized("Name", item.name)
        + _write_localized("Description", item.description)
        + version
        + "".join(write_classification(c) for c in item.classifications)
        + "".join(write_external_identifier(e) for e in item.external_identifiers)
    )


def write_object(item: RegistryObject) -> bytes:
    """The whole element, with `status` where the object has one."""
    tag = _TAGS[type(item)]
    return f"<{tag}{_optional('status', item.status)}{_attributes(item)}>{_children(item)}</{tag}>".encode()


@dataclass(frozen=True, slots=True)
class Leaf:
    """The serialised form of one object version as a registry stores it.

    `data` is everything after the status attribute. A slot whose value may change later is left out; `splice` is the
    offset in `data` where it goes (0: nothing to splice).
    """

    data: bytes
    splice: int = 0


def write_leaf(item: RegistryObject, spliced_slot: bool = False) -> Leaf:
    """Serialise `item` without its status; with `spliced_slot`, remember where a first Slot may be inserted."""
    head = f"{_attributes(item)}>".encode()
    data = head + f"{_children(item)}</{_TAGS[type(item)]}>".encode()
    return Leaf(data, len(head) if spliced_slot else 0)


def leaf_prefix(kind: type[RegistryObject], status: str) -> bytes:
    """What stands before `Leaf.data` when an object with that status is answered."""
    return f'<{_TAGS[kind]} status="{attribute(status)}"'.encode()


def write_object_ref(object_id: str, home: str | None = None) -> bytes:
    """An ObjectRef element."""
    return f'<ObjectRef id="{attribute(object_id)}"{_optional("home", home)}/>'.encode()


def write_object_list(objects: RegistryObjectList) -> bytes:
    """The content of a RegistryObjectList: every object in the order documents, packages, associations."""
    items: list[RegistryObject] = [*objects.extrinsic_objects, *objects.packages, *objects.associations]
    loose = "".join(write_classification(c) for c in objects.classifications).encode()
    return b"".join(write_object(item) for item in items) + loose
