"""Faulty variants of valid messages: one to three small changes each, reproducible by seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from xmlsafe.namespaces import LCM, QUERY, RIM, RS, XDS, XML, XSI

_LENGTHS = (0, 1, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 255, 256, 257, 1024, 1025)
_VALUES = (
    "",
    " ",
    "x",
    "true",
    "1",
    "yes",
    "-1",
    "0x",
    "urn:a:b",
    "not a uri",
    "a%zz",
    "http://[",
    "é",
    "2026-11-25",
    "!!",
    "QUJD",
    "QQ",
)


def _words(text: str) -> list[str]:
    return text.split()


_ATTRIBUTES = [
    *_words(
        "id home lid status objectType mimeType isOpaque name value slotType charset versionName classifiedObject "
        "classificationScheme nodeRepresentation registryObject identificationScheme sourceObject targetObject "
        "associationType returnType startIndex maxResults totalResultCount requestId severity errorCode codeContext "
        "invented"
    ),
    f"{{{XML}}}lang",
    f"{{{XML}}}space",
    f"{{{XSI}}}nil",
    "{urn:other}extra",
]
_RIM_NAMES = _words(
    "Slot ValueList Value Name Description LocalizedString VersionInfo ContentVersionInfo Classification "
    "ExternalIdentifier ExternalLink ExtrinsicObject RegistryPackage Association ObjectRef RegistryObject "
    "Identifiable RegistryObjectList ObjectRefList AdhocQuery SlotList QueryExpression Organization Person "
    "PersonName User Service ServiceBinding Registry Federation Subscription Notification ClassificationNode "
    "ClassificationScheme AuditableEvent EmailAddress Action NotifyAction SpecificationLink Invented"
)
_ELEMENTS = [
    *(f"{{{RIM}}}{name}" for name in _RIM_NAMES),
    *(f"{{{RS}}}{name}" for name in ("RegistryResponse", "RegistryErrorList", "RegistryError", "RequestSlotList")),
    *(f"{{{XDS}}}{name}" for name in ("Document", "DocumentRequest", "HomeCommunityId", "DocumentUniqueId", "mimeType")),
    f"{{{LCM}}}SubmitObjectsRequest",
    f"{{{QUERY}}}ResponseOption",
    "{urn:other}extra",
    "Slot",
]
_RIM_TYPES = _words(
    "ExtrinsicObjectType RegistryPackageType AssociationType1 ClassificationType IdentifiableType "
    "RegistryObjectType ObjectRefType SlotType1 LongName ShortName referenceURI NotifyActionType UserType "
    "PersonType NotificationType NoSuchType"
)
_TYPES = [
    *(f"rim:{name}" for name in _RIM_TYPES),
    *("rs:RegistryResponseType", "rs:RegistryRequestType", "xs:string", "xs:anyURI", "xs:base64Binary", "none:Type"),
]

Change = Callable[[random.Random, etree._Element, list[etree._Element]], None]


def mutants(samples: Sequence[etree._Element], count: int, seed: int) -> Iterator[etree._Element]:
    """`count` changed copies of `samples`, each a document of its own that has been serialised and parsed."""
    chance = random.Random(seed)
    for _ in range(count):
        root = copy.deepcopy(chance.choice(samples))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            elements = list(root.iter(etree.Element))
            chance.choice(_CHANGES)(chance, root, elements)
        yield etree.fromstring(etree.tostring(root))


def _inner(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> etree._Element | None:
    return chance.choice(elements[1:]) if len(elements) > 1 else None


def drop(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An element less."""
    victim = _inner(chance, root, elements)
    parent = victim.getparent() if victim is not None else None
    if victim is not None and parent is not None:
        parent.remove(victim)


def duplicate(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An element twice, side by side or somewhere else."""
    original = _inner(chance, root, elements)
    if original is not None:
        again = copy.deepcopy(original)
        if chance.random() < 0.5:
            original.addnext(again)
        else:
            place = chance.choice(elements)
            place.insert(chance.randint(0, len(place)), again)


def reorder(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """Two children of one element change places, or all do."""
    parents = [element for element in elements if len(element) > 1]
    if parents:
        parent = chance.choice(parents)
        children = list(parent)
        chance.shuffle(children)
        parent[:] = children


def drop_attribute(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An attribute less."""
    element = chance.choice(elements)
    if element.attrib:
        del element.attrib[chance.choice(sorted(map(str, element.attrib)))]


def add_attribute(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An attribute more, known or not at this place."""
    chance.choice(elements).set(chance.choice(_ATTRIBUTES), chance.choice(_VALUES))


def retype_attribute(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """Another kind of value."""
    element = chance.choice(elements)
    if element.attrib:
        element.set(chance.choice(sorted(map(str, element.attrib))), chance.choice(_VALUES))


def relength_attribute(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """A value at or beyond a length that some type allows."""
    element = chance.choice(elements)
    if element.attrib:
        element.set(chance.choice(sorted(map(str, element.attrib))), chance.choice("aé") * chance.choice(_LENGTHS))


def retext(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """Other text, also where none belongs."""
    element = chance.choice(elements)
    element.text = chance.choice(_VALUES) if chance.random() < 0.5 else "a" * chance.choice(_LENGTHS)


def tail(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """Text between elements."""
    element = _inner(chance, root, elements)
    if element is not None:
        element.tail = chance.choice(("\n", " ", "x", "\u00a0"))


def rename(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """Another name."""
    chance.choice(elements).tag = chance.choice(_ELEMENTS)


def insert(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An empty element somewhere, with or without the attribute that most need."""
    place = chance.choice(elements)
    new = etree.Element(chance.choice(_ELEMENTS))
    if chance.random() < 0.5:
        new.set("id", "urn:a:b")
    place.insert(chance.randint(0, len(place)), new)


def type_attribute(chance: random.Random, root: etree._Element, elements: list[etree._Element]) -> None:
    """An xsi:type, fitting or not."""
    names = {"rim": RIM, "rs": RS, "xs": "http://www.w3.org/2001/XMLSchema"}
    element = chance.choice(elements)
    parent = element.getparent()
    typed = etree.Element(element.tag, nsmap=names)
    for name, value in element.attrib.items():
        typed.set(name, value)
    typed.text, typed.tail = element.text, element.tail
    typed.set(f"{{{XSI}}}type", chance.choice(_TYPES))
    if parent is not None:
        typed[:] = list(element)
        parent.replace(element, typed)


_CHANGES: tuple[Change, ...] = (
    drop, drop, duplicate, duplicate, reorder, drop_attribute, add_attribute, retype_attribute, relength_attribute, retext,
    tail, rename, insert, type_attribute,
)  # fmt: skip


def every_small_change(root: etree._Element) -> Iterator[etree._Element]:
    """`root` itself with each single change in turn, undone before the next: every element dropped, doubled or moved behind
    its neighbour, every attribute dropped or given every length and value, every leaf likewise."""
    values = [*_VALUES, *("a" * length for length in _LENGTHS)]
    for element in list(root.iter(etree.Element)):
        for name, value in list(element.attrib.items()):
            del element.attrib[name]
            yield root
            for other in values:
                element.set(name, other)
                yield root
            element.set(name, value)
        if len(element) == 0:
            text = element.text
            for element.text in values:
                yield root
            element.text = text
        parent = element.getparent()
        if parent is not None:
            yield from _moves(root, parent, element)


def _moves(root: etree._Element, parent: etree._Element, element: etree._Element) -> Iterator[etree._Element]:
    children = list(parent)
    place = children.index(element)
    for changed in (
        children[:place] + children[place + 1 :],
        [*children[: place + 1], copy.deepcopy(element), *children[place + 1 :]],
        [*children[:place], *children[place + 1 : place + 2], element, *children[place + 2 :]],
    ):
        parent[:] = changed
        yield root
        parent[:] = children
