"""The attribute table of a kind of assertion, and how it reads and writes.

A row says under which names an attribute travels, in which form, in which editions, how many values it may have and which.
Reading, issuing and the page `docs/assertions.md` are made from the rows; a new attribute is one row.

Source: SAML 2.0 core, 2.7.3; HL7 v3 data types CE and II; IHE ITI TF-2 3.40.4.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from lxml import etree

from access_control.subject import Coded
from xds_metadata.datatypes import DatatypeError, patient_key
from xmlsafe.namespaces import HL7, SAML2, XSD, XSI
from xua.refusal import AssertionRefused, quote

LONGEST_VALUE: Final = 256
_S: Final = f"{{{SAML2}}}"
_TYPE: Final = f"{{{XSI}}}type"
_HL7_PREFIX: Final = f"{{{HL7}}}"
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*)){1,40}", re.ASCII)
_CODED: Final = re.compile(r"([^\s^]{1,128})\^([0-9.]{3,128})", re.ASCII)
_CE_ATTRIBUTES: Final = frozenset({"code", "codeSystem", "codeSystemName", "codeSystemVersion", "displayName", _TYPE})
_II_ATTRIBUTES: Final = frozenset({"root", "extension", "assigningAuthorityName", "displayable", _TYPE})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Form(Enum):
    """How a value is written."""

    TEXT = "free text"
    WORD = "text without blanks"
    CODED = "code^OID"
    CE = "HL7 CE"
    II = "HL7 II"
    CX = "CX"


Value = str | Coded
"""A text, or a code with its system."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row.

    `key`: our name. `names`: the names on the wire; the first is written. `needed`: the editions of the kind in which it
    must be there ("*": all); `editions`: those that know it. `element`: the names of the HL7 element, the first is written.
    `most` values at most. `values`: the codes or texts allowed, all where empty; `systems`: code systems; `pattern` for a
    word. `condition`, `check` and `source` are for people.
    """

    key: str
    names: tuple[str, ...]
    form: Form
    meaning: str
    needed: frozenset[str] = frozenset()
    editions: frozenset[str] = frozenset("*")
    element: tuple[str, ...] = ()
    most: int = 1
    values: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    pattern: str = ""
    longest: int = LONGEST_VALUE
    condition: str = ""
    check: str = ""
    source: str = ""

    def known_in(self, edition: str) -> bool:
        """Whether the edition has this attribute."""
        return "*" in self.editions or edition in self.editions

    def needed_in(self, edition: str) -> bool:
        """Whether the edition requires it."""
        return "*" in self.needed or edition in self.needed


@dataclass(frozen=True, slots=True)
class Values:
    """The values read, by key of the row."""

    by_key: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """The one value as text, "" where there is none."""
        found = self.by_key.get(key, ())
        return str(found[0]) if found else ""

    def texts(self, *keys: str) -> tuple[str, ...]:
        """All values of some rows as text."""
        return tuple(str(value) for key in keys for value in self.by_key.get(key, ()))

    def codes(self, key: str) -> tuple[Coded, ...]:
        """All values of a row of codes."""
        return tuple(value for value in self.by_key.get(key, ()) if isinstance(value, Coded))


def attributes_of(assertion: etree._Element) -> dict[str, etree._Element]:
    """The Attribute elements of all statements by name. Raises AssertionRefused where a name occurs twice."""
    found: dict[str, etree._Element] = {}
    for statement in assertion.iterchildren(f"{_S}AttributeStatement"):
        for attribute in statement:
            name = attribute.get("Name", "")
            if name in found:
                raise AssertionRefused("attribute-repeated", f"the attribute {quote(name)} is given twice")
            found[name] = attribute
    return found


def read_values(assertion: etree._Element, rows: Iterable[Attribute], edition: str = "*") -> Values:
    """Read the attributes of `rows`; others are ignored. Raises AssertionRefused."""
    present = attributes_of(assertion)
    found: dict[str, tuple[Value, ...]] = {}
    for row in rows:
        if not row.known_in(edition):
            continue
        named = [present[name] for name in row.names if name in present]
        if len(named) > 1:
            raise AssertionRefused("attribute-repeated", f"both {row.names[0]} and {row.names[1]} are given")
        if named:
            found[row.key] = _read_row(row, named[0])
        elif row.needed_in(edition):
            raise AssertionRefused("attribute-missing", f"the attribute {row.names[0]} is missing")
    return Values(found)


def _read_row(row: Attribute, attribute: etree._Element) -> tuple[Value, ...]:
    number = len(attribute)
    if number == 1:
        return (_READ[row.form](row, attribute[0]),)
    if not number:
        raise AssertionRefused("attribute-value", f"{row.names[0]} has no value")
    if len(attribute) > row.most:
        raise AssertionRefused(
            "attribute-repeated", f"{row.names[0]} has {len(attribute)} values, at most {row.most} expected"
        )
    values: tuple[Value, ...] = tuple(_READ[row.form](row, element) for element in attribute)
    if len(set(values)) != len(values):
        raise AssertionRefused("attribute-repeated", f"{row.names[0]} has the same value twice")
    return values


def _text(row: Attribute, element: etree._Element, *types: str) -> str:
    """The text of a value without elements, of a plausible xsi:type."""
    if len(element):
        raise AssertionRefused("attribute-value", f"{row.names[0]} holds an element, text is expected")
    _check_type(row, element, *types)
    text = element.text or ""
    if not text.strip():
        raise AssertionRefused("attribute-value", f"{row.names[0]} is empty")
    if len(text) > row.longest:
        raise AssertionRefused(
            "attribute-value", f"{row.names[0]} has {len(text)} characters, at most {row.longest} expected"
        )
    return text


def _check_type(row: Attribute, element: etree._Element, *types: str) -> None:
    """The declared type, if any. Its prefix is not signed (exclusive C14N) and says nothing."""
    declared = element.get(_TYPE)
    if declared is not None and declared.rpartition(":")[2] not in types:
        raise AssertionRefused(
            "attribute-value", f"{row.names[0]} has the xsi:type {quote(declared)}, {types[0]} is expected"
        )


def _read_text(row: Attribute, element: etree._Element) -> str:
    text = _text(row, element, "string", "anyType").strip()
    if row.values and text not in row.values:
        raise _not_listed(row, text)
    return text


def _read_word(row: Attribute, element: etree._Element) -> str:
    text = _text(row, element, "string", "anyURI", "anyType")
    if _CONTROL.search(text) or text != text.strip() or " " in text:
        raise AssertionRefused("attribute-value", f"{row.names[0]} is {quote(text)}, a word without blanks is expected")
    if row.values and text not in row.values:
        raise _not_listed(row, text)
    if row.pattern and not re.fullmatch(row.pattern, text):
        raise AssertionRefused("attribute-value", f"{row.names[0]} is {quote(text)}, {row.check} is expected")
    return text


def _read_coded(row: Attribute, element: etree._Element) -> Coded:
    text = _text(row, element, "string", "anyType")
    match = _CODED.fullmatch(text)
    if match is None:
        raise AssertionRefused("code-system", f"{row.names[0]} is {quote(text)}, code^OID is expected")
    return _listed(row, Coded(match[1], match[2]))


def _read_ce(row: Attribute, element: etree._Element) -> Coded:
    inner = _inner(row, element)
    _check_names(row, inner, _CE_ATTRIBUTES)
    _check_type(row, inner, "CE", "CD", "CV")
    code, system = inner.get("code", ""), inner.get("codeSystem", "")
    if not code or code != code.strip() or len(code) > 128 or _CONTROL.search(code):
        raise AssertionRefused("attribute-value", f"{row.names[0]} has the code {quote(code)}")
    if not _OID.fullmatch(system):
        raise AssertionRefused("code-system", f"{row.names[0]} has the code system {quote(system)}, an OID is expected")
    return _listed(row, Coded(code, system))


def _read_ii(row: Attribute, element: etree._Element) -> str:
    inner = _inner(row, element)
    _check_names(row, inner, _II_ATTRIBUTES)
    _check_type(row, inner, "II")
    root, extension = inner.get("root", ""), inner.get("extension", "")
    if not _OID.fullmatch(root) or _CONTROL.search(extension) or len(extension) > row.longest:
        raise AssertionRefused("attribute-value", f"{row.names[0]} is no identifier: an OID as root is expected")
    return f"{extension}^^^&{root}&ISO" if extension else root


def _read_cx(row: Attribute, element: etree._Element) -> str:
    text = _text(row, element, "string", "anyType")
    try:
        key = patient_key(text)
    except DatatypeError:
        raise AssertionRefused(
            "resource-id", f"form of resource-id: {len(text)} characters that are not id^^^&OID&ISO"
        ) from None
    if row.systems and key.authority not in row.systems:
        raise AssertionRefused("resource-id", f"form of resource-id: the authority {quote(key.authority)} is not known")
    return text


def _check_names(row: Attribute, inner: etree._Element, known: frozenset[str]) -> None:
    if not known.issuperset(inner.keys()):
        wrong = next(name for name in inner.keys() if name not in known)  # noqa: SIM118
        raise AssertionRefused("attribute-value", f"{row.names[0]} has an attribute {quote(str(wrong))}")


def _inner(row: Attribute, element: etree._Element) -> etree._Element:
    if len(element) != 1:
        raise AssertionRefused("code-system", f"{row.names[0]} holds text, an HL7 element with a code system is expected")
    inner = element[0]
    tag = str(inner.tag)
    if not tag.startswith(_HL7_PREFIX) or tag[len(_HL7_PREFIX) :] not in row.element:
        raise AssertionRefused("attribute-value", f"{row.names[0]} holds {quote(tag)}, {row.element[0]} is expected")
    return inner


def _listed(row: Attribute, value: Coded) -> Coded:
    if row.systems and value.system not in row.systems:
        raise AssertionRefused(
            "code-system", f"{row.names[0]} has the code system {quote(value.system)}, {_some(row.systems)} expected"
        )
    if row.values and value.code not in row.values:
        raise _not_listed(row, value.code)
    return value


def _not_listed(row: Attribute, found: str) -> AssertionRefused:
    return AssertionRefused("attribute-value", f"{row.names[0]} is {quote(found)}, {_some(row.values)} expected")


def _some(values: Iterable[str]) -> str:
    ordered = sorted(values)
    return "one of " + ", ".join(ordered[:4]) + (" …" if len(ordered) > 4 else "") if len(ordered) > 1 else ordered[0]


_READ: Final[Mapping[Form, Callable[[Attribute, etree._Element], Value]]] = {
    Form.TEXT: _read_text,
    Form.WORD: _read_word,
    Form.CODED: _read_coded,
    Form.CE: _read_ce,
    Form.II: _read_ii,
    Form.CX: _read_cx,
}


def write_attribute(parent: etree._Element, row: Attribute, values: Sequence[Value]) -> None:
    """Append the Attribute of `row` with `values` to an AttributeStatement. A value is not checked."""
    attribute = etree.SubElement(parent, f"{_S}Attribute", Name=row.names[0])
    for value in values:
        element = etree.SubElement(attribute, f"{_S}AttributeValue")
        if row.form is Form.CE and isinstance(value, Coded):
            inner = etree.SubElement(element, f"{{{HL7}}}{row.element[0]}", nsmap=_HL7_NSMAP)
            inner.set("code", value.code)
            inner.set("codeSystem", value.system)
            inner.set(_TYPE, "CE")
        elif row.form is Form.II:
            extension, _, authority = str(value).partition("^^^&")
            inner = etree.SubElement(element, f"{{{HL7}}}{row.element[0]}", nsmap=_HL7_NSMAP)
            inner.set("root", authority.partition("&")[0] or extension)
            if authority:
                inner.set("extension", extension)
            inner.set(_TYPE, "II")
        else:
            element.set(_TYPE, "xs:string")
            element.text = str(value)


_HL7_NSMAP: Final[Any] = {None: HL7, "xsi": XSI}
NSMAP: Final = {"saml2": SAML2, "xs": XSD, "xsi": XSI}
"""Prefixes of an assertion that is written."""
