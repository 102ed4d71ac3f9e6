"""Schema violations in words: where, what was found, what is expected.

Two validators speak different languages; both are translated into the same SchemaFinding. Values found are quoted up to 40
characters: findings go to the sender of the message, never into a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import xmlschema
from lxml import etree
from xmlschema.validators import XMLSchemaChildrenValidationError, XsdAttributeGroup, XsdElement, XsdGroup, XsdSimpleType

from xmlsafe.namespaces import customary_name

_QUOTED: Final = 40
_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class SchemaFinding:
    """One violation.

    `path` locates the element from the validated root, with customary prefixes and one-based positions, for example
    `/lcm:SubmitObjectsRequest/rim:RegistryObjectList/rim:ExtrinsicObject[2]`. `reason` says what was found, `expected` what
    the schema asks for. `line` is that of the element in the message, 0 when unknown.
    """

    path: str
    reason: str
    expected: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}, expected: {self.expected}"

    def repeats(self, other: SchemaFinding) -> bool:
        """Whether `other` says the same in other words: about the same attribute, or about content at the same place."""
        if self.reason.startswith("attribute "):
            return self.path == other.path and self.reason.split()[:2] == other.reason.split()[:2]
        return other.path in (self.path, self.path.rpartition("/")[0]) and not other.reason.startswith("attribute ")


class Locator:
    """Paths of elements below one root; a position is counted from the nearest sibling whose position is known."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._positions: dict[etree._Element, int] = {}

    def path(self, node: etree._Element) -> str:
        """The path of `node`, which is the root or lies below it."""
        steps: list[str] = []
        while node is not self._root:
            parent = node.getparent()
            if parent is None:
                break
            steps.append(self._step(node))
            node = parent
        steps.append(customary_name(str(node.tag)))
        return "/" + "/".join(reversed(steps))

    def _step(self, node: etree._Element) -> str:
        name, tag = customary_name(str(node.tag)), str(node.tag)
        position = 1
        for earlier in node.itersiblings(tag, preceding=True):
            known = self._positions.get(earlier)
            if known is not None:
                position += known
                break
            position += 1
        self._positions[node] = position
        alone = position == 1 and next(node.itersiblings(tag), None) is None
        return name if alone else f"{name}[{position}]"


def node_at(root: etree._Element, path: str) -> etree._Element:
    """The element that libxml2 names by `path` from `root`; the nearest ancestor where a step leads nowhere."""
    node = root
    for step in path.split("/")[2:]:
        name, _, position = step.rstrip("]").partition("[")
        children = [c for c in node.iterchildren(etree.Element) if name == "*" or _qualified(c) == name]
        index = int(position) - 1 if position.isdigit() else 0
        if index >= len(children):
            break
        node = children[index]
    return node


def last_named(nodes: Sequence[etree._Element], entry: etree._LogEntry) -> etree._Element:
    """The last of `nodes` (in document order) that bears the name in the text of `entry`; the last of all if none does."""
    head = _SUBJECT.match(entry.message)
    name = head[1] if head else None
    return next((node for node in reversed(nodes) if node.tag == name), nodes[-1])


def _qualified(element: etree._Element) -> str:
    local = etree.QName(element).localname
    return f"{element.prefix}:{local}" if element.prefix else local


# --- from xmlschema -------------------------------------------------------------------------------------------------------

_ATTRIBUTE = re.compile(r"attribute (\S+?)=")
_MISSING = re.compile(r"missing required attribute '([^']+)'")
_NOT_ALLOWED = re.compile(r"'([^']+)' attribute not allowed")


def from_xmlschema(error: xmlschema.XMLSchemaValidationError, part: etree._Element, where: Locator) -> SchemaFinding:
    """The finding for an error that xmlschema raised on `part` or below it."""
    node = error.elem if isinstance(error.elem, etree._Element) else part
    reason, expected = _words(error, node)
    return SchemaFinding(where.path(node), reason, expected, _line(node))


def _words(error: xmlschema.XMLSchemaValidationError, node: etree._Element) -> tuple[str, str]:
    if isinstance(error, XMLSchemaChildrenValidationError):
        return _children_words(error, node)
    validator, text = error.validator, error.reason or ""
    if isinstance(validator, XsdAttributeGroup):
        return _attribute_words(text, validator)
    if isinstance(validator, xmlschema.XMLSchema10):
        return f"{customary_name(str(node.tag))} is not declared", "an element of the schema"
    if isinstance(validator, XsdElement) and len(node):
        return f"{customary_name(str(node.tag))} holds elements", "text only"
    if isinstance(validator, XsdGroup):
        return f"text stands between the elements of {customary_name(str(node.tag))}", "elements only"
    named = _ATTRIBUTE.match(text)
    subject = f"attribute {_clark(named[1])}" if named else f"the text of {customary_name(str(node.tag))}"
    value = error.obj if isinstance(error.obj, str) else ""
    return _value_words(subject, value, validator)


def _children_words(error: XMLSchemaChildrenValidationError, node: etree._Element) -> tuple[str, str]:
    parent = customary_name(str(node.tag))
    if error.invalid_tag is None:
        reason = f"{parent} ends too early"
    else:
        position = (error.index or 0) + 1
        reason = f"{customary_name(error.invalid_tag)} is not allowed as child {position} of {parent}"
    particles = error.expected or ()
    names = [customary_name(one.name) for one in particles if isinstance(one, XsdElement) and one.name]
    if names:
        return reason, _one_of(names)
    model = error.validator
    if isinstance(model, XsdGroup):
        inside = [customary_name(one.name) for one in model.iter_elements() if isinstance(one, XsdElement) and one.name]
        if inside:
            return reason, "in this order " + ", ".join(inside)
    return reason, "no element"


def _attribute_words(text: str, group: XsdAttributeGroup) -> tuple[str, str]:
    missing = _MISSING.match(text)
    if missing:
        return f"attribute {_clark(missing[1])} is missing", "this attribute is required"
    refused = _NOT_ALLOWED.match(text)
    names = [customary_name(name) for name in group if name]
    expected = _one_of(names) if names else "no attribute"
    return (f"attribute {_clark(refused[1])} is not allowed" if refused else "the attributes do not fit"), expected


def _value_words(subject: str, value: str, validator: object) -> tuple[str, str]:
    facet = getattr(validator, "value", None)
    kind = type(validator).__name__
    if kind == "XsdMaxLengthFacet":
        return f"{subject} has {len(value)} characters", f"at most {facet} characters"
    if kind in ("XsdMinLengthFacet", "XsdLengthFacet"):
        return f"{subject} has {len(value)} characters", f"{facet} characters"
    if kind == "XsdEnumerationFacets":
        return f"{subject} is {_quote(value)}", _one_of([str(one) for one in getattr(validator, "enumeration", ())])
    name = validator.name if isinstance(validator, XsdSimpleType) else None
    return f"{subject} is {_quote(value)}", f"a value of type {customary_name(name)}" if name else "another value"


# --- from libxml2 ---------------------------------------------------------------------------------------------------------

_SUBJECT = re.compile(r"Element '([^']+)'(?:, attribute '([^']+)')?: ")
_EXPECTED = re.compile(r"Expected is (?:one of )?\( (.*?) \)", re.DOTALL)
_RULES: Final[Sequence[tuple[re.Pattern[str], str, str]]] = (
    (re.compile(r"The attribute '(\S+)' is required but missing"), "attribute {0} is missing", "this attribute is required"),
    (re.compile(r"The attribute '(\S+)' is not allowed"), "attribute {0} is not allowed", "no such attribute"),
    (
        re.compile(r".*length of '(\d+)'; this exceeds the allowed maximum length of '(\d+)'", re.DOTALL),
        "{subject} has {0} characters",
        "at most {1} characters",
    ),
    (
        re.compile(r".*is not a valid value of the (?:local )?(?:atomic|list|union) type(?: '(\S+)')?", re.DOTALL),
        "{subject} has a value that does not fit",
        "a value of type {0}",
    ),
    (re.compile(r".*is not an element of the set \{(.*)\}", re.DOTALL), "{subject} has a value not listed", "one of {0}"),
    (re.compile(r"Character content"), "text stands between the elements of {element}", "elements only"),
    (re.compile(r"Missing child"), "{element} ends too early", "{children}"),
    (re.compile(r"This element is not expected"), "{element} is not allowed at this place", "{children}"),
    (re.compile(r"No matching global"), "{element} is not declared", "an element of the schema"),
    (re.compile(r"Element content is not allowed"), "{element} holds elements", "text only"),
)


def from_libxml2(entry: etree._LogEntry, node: etree._Element, where: Locator) -> SchemaFinding:
    """The finding for an entry of libxml2's error log about `node`."""
    message = entry.message
    head = _SUBJECT.match(message)
    element = customary_name(str(node.tag))
    attribute = head[2] if head else None
    subject = f"attribute {_clark(attribute)}" if attribute else f"the text of {element}"
    rest = message[head.end() :] if head else message
    listed = _EXPECTED.search(rest)
    children = _one_of([customary_name(tag.strip()) for tag in listed[1].split(", ")]) if listed else "no further element"
    reason, expected = _unworded(subject, entry.type_name)
    for pattern, found, wanted in _RULES:
        match = pattern.match(rest)
        if match:
            groups = [_clark(group or "the schema") for group in match.groups()]
            reason, expected = (
                template.format(*groups, subject=subject, element=element, children=children) for template in (found, wanted)
            )
            break
    return SchemaFinding(where.path(node), reason, expected, _line(node))


def _unworded(subject: str, rule: str) -> tuple[str, str]:
    """Words for a message that libxml2 cut short or that has no rule here."""
    if "DATATYPE" in rule:
        return f"{subject} has a value that does not fit", "a value of the declared type"
    return f"{subject} breaks rule {rule.removeprefix('SCHEMAV_')}", "content that the schema allows"


def _line(node: etree._Element) -> int:
    return int(getattr(node, "sourceline", None) or 0)


def _clark(name: str) -> str:
    return customary_name(name)


def _quote(value: str) -> str:
    return f'"{value}"' if len(value) <= _QUOTED else f'"{value[:_QUOTED]}…" ({len(value)} characters)'


def _one_of(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    shown = ", ".join(unique[:_LISTED])
    if len(unique) == 1:
        return shown
    return f"one of {shown}" + (f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else "")
