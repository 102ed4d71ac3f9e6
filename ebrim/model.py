"""ebRIM 3.0 registry objects as frozen values: the wire nouns of the registry, without any XML library type.

Source: ebXML RegRep 3.0 (ebRIM), sections 2 to 6; only the parts that XDS.b uses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """A named list of strings. `values` may be empty; a value may be the empty string."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalizedString:
    """One text of a Name or Description with its language (RFC 5646)."""

    value: str
    lang: str = "en-US"


@dataclass(frozen=True, slots=True)
class Classification:
    """A code of a scheme (`scheme` and `node_representation`) or a marker (`node`) on an object."""

    id: str
    classified_object: str | None
    scheme: str | None = None
    node: str | None = None
    node_representation: str | None = None
    slots: tuple[Slot, ...] = ()
    name: tuple[LocalizedString, ...] = ()
    description: tuple[LocalizedString, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalIdentifier:
    """An identifier of an object in a named scheme."""

    id: str
    registry_object: str | None
    scheme: str
    value: str
    name: tuple[LocalizedString, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryObject:
    """What ExtrinsicObject, RegistryPackage and Association have in common.

    `id` is an entryUUID or a symbolic id; empty attributes of the wire (`home=""`) are None here.
    """

    id: str
    lid: str | None = None
    home: str | None = None
    object_type: str | None = None
    status: str | None = None
    slots: tuple[Slot, ...] = ()
    name: tuple[LocalizedString, ...] = ()
    description: tuple[LocalizedString, ...] = ()
    version: str | None = None
    classifications: tuple[Classification, ...] = ()
    external_identifiers: tuple[ExternalIdentifier, ...] = ()


@dataclass(frozen=True, slots=True)
class ExtrinsicObject(RegistryObject):
    """A document's metadata record."""

    mime_type: str = "application/octet-stream"
    is_opaque: bool = False


@dataclass(frozen=True, slots=True)
class RegistryPackage(RegistryObject):
    """A submission set or a folder, told apart by its marker Classification."""


@dataclass(frozen=True, slots=True)
class Association(RegistryObject):
    """A typed link from `source` to `target` (ids, symbolic or entryUUID)."""

    association_type: str = ""
    source: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class RegistryObjectList:
    """The objects of one message in wire order.

    `classifications` are those placed beside the objects instead of inside (`xdsb` markers); `object_refs` the ids of
    ObjectRef elements; `others` the names of elements that are not read: other objects, and lists nested in a package.
    """

    extrinsic_objects: tuple[ExtrinsicObject, ...] = ()
    packages: tuple[RegistryPackage, ...] = ()
    associations: tuple[Association, ...] = ()
    classifications: tuple[Classification, ...] = ()
    object_refs: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryError:
    """One rs:RegistryError. `severity` is "Error" or "Warning"; the URI is made by the writer."""

    code: str
    context: str
    location: str = ""
    severity: str = "Error"


@dataclass(frozen=True, slots=True)
class AdhocQuery:
    """The decoded body of a stored query request (ITI-18).

    `slots` keep repetition and order: a repeated slot has a meaning of its own.
    """

    id: str
    return_type: str
    home: str | None
    slots: tuple[Slot, ...]
