"""Which elements, attributes and texts an assertion may consist of: a table, and the walk that compares with it.

It is narrower than SAML: what nobody sends to a registry (advice, authorisation decisions, encrypted parts, extensions)
has no row, and so no code ever meets it. The table is not recursive, hence the walk is no deeper than the table.

Source: SAML 2.0 core, sections 2.2 to 2.7; HL7 v3 data types CE and II as attribute values (IHE ITI TF-2 3.40.4.1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from xmlsafe.namespaces import DS, HL7, SAML2, XSI, customary_name
from xua.refusal import AssertionRefused, quote

MOST_ATTRIBUTES: Final = 64
MOST_VALUES: Final = 8
LONGEST_TEXT: Final = 4000

_S: Final = f"{{{SAML2}}}"
_HL7: Final = f"{{{HL7}}}"
_TYPE: Final = f"{{{XSI}}}type"
_WHITE: Final = " \t\r\n"
_MIXED: Final = etree.XPath("boolean(descendant-or-self::*[*]/text()[normalize-space()])")
_ENCRYPTED: Final = frozenset({"EncryptedAssertion", "EncryptedID", "EncryptedAttribute"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One element: the attributes it may have and must have, its children with their least and greatest number, or text."""

    attributes: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    children: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    text: bool = False
    value: bool = False


def _rule(attributes: str = "", required: str = "", *, text: bool = False, **children: tuple[int, int]) -> Rule:
    needed = frozenset(required.split())
    return Rule(
        attributes=frozenset(_TYPE if name == "type" else name for name in attributes.split()) | needed,
        required=needed,
        children={f"{_S}{name}": bounds for name, bounds in children.items()},
        text=text,
    )


_NAME_ATTRIBUTES: Final = "Format NameQualifier SPNameQualifier SPProvidedID"

GRAMMAR: Final[Mapping[str, Rule]] = {
    f"{_S}{name}": rule
    for name, rule in {
        "Issuer": _rule(_NAME_ATTRIBUTES, text=True),
        "Subject": _rule(NameID=(0, 1), SubjectConfirmation=(0, 4)),
        "NameID": _rule(_NAME_ATTRIBUTES, text=True),
        "SubjectConfirmation": _rule("", "Method", NameID=(0, 1), SubjectConfirmationData=(0, 1)),
        "SubjectConfirmationData": Rule(
            attributes=frozenset(("NotBefore", "NotOnOrAfter", "Recipient", "InResponseTo", "Address", _TYPE)),
            children={f"{{{DS}}}KeyInfo": (0, 1)},
        ),
        "Conditions": _rule(
            "NotBefore NotOnOrAfter", AudienceRestriction=(0, 4), OneTimeUse=(0, 1), ProxyRestriction=(0, 1)
        ),
        "AudienceRestriction": _rule(Audience=(1, 8)),
        "Audience": _rule(text=True),
        "OneTimeUse": _rule(),
        "ProxyRestriction": _rule("Count", Audience=(0, 8)),
        "AuthnStatement": _rule(
            "SessionIndex SessionNotOnOrAfter", "AuthnInstant", SubjectLocality=(0, 1), AuthnContext=(1, 1)
        ),
        "SubjectLocality": _rule("Address DNSName"),
        "AuthnContext": _rule(
            AuthnContextClassRef=(0, 1), AuthnContextDecl=(0, 1), AuthnContextDeclRef=(0, 1), AuthenticatingAuthority=(0, 4)
        ),
        "AuthnContextClassRef": _rule(text=True),
        "AuthnContextDecl": _rule("type", text=True),
        "AuthnContextDeclRef": _rule(text=True),
        "AuthenticatingAuthority": _rule(text=True),
        "AttributeStatement": _rule(Attribute=(1, MOST_ATTRIBUTES)),
        "Attribute": _rule("NameFormat FriendlyName", "Name", AttributeValue=(0, MOST_VALUES)),
        "AttributeValue": Rule(attributes=frozenset((_TYPE,)), value=True),
    }.items()
} | {
    f"{{{DS}}}KeyInfo": Rule(children={f"{{{DS}}}X509Data": (1, 1)}),
    f"{{{DS}}}X509Data": Rule(children={f"{{{DS}}}X509Certificate": (1, 4)}),
    f"{{{DS}}}X509Certificate": Rule(text=True),
}


def check_content(element: etree._Element) -> None:
    """Refuse an element of an assertion, with all that it holds, that is not as the table says."""
    rule = GRAMMAR[element.tag]
    _check_attributes(element, rule)
    if rule.value and len(element):
        _check_hl7(element)
        return
    if rule.text or rule.value:
        _check_text(element)
        return
    check_empty(element)
    counts: dict[str, int] = {}
    for child in element:
        tag = child.tag
        if tag not in rule.children:
            raise _misplaced(child, element)
        counts[tag] = counts.get(tag, 0) + 1
        check_content(child)
    for tag, (least, most) in rule.children.items():
        found = counts.get(tag, 0)
        if found > most:
            raise AssertionRefused(
                "size", f"{found} {customary_name(tag)} in one {_name(element)}, at most {most} are accepted"
            )
        if found < least:
            raise AssertionRefused("content", f"{_name(element)} has no {customary_name(tag)}")


def check_unmixed(assertion: etree._Element) -> None:
    """Refuse text beside elements, anywhere in `assertion`."""
    if _MIXED(assertion):
        raise AssertionRefused("content", "text stands between the elements of the assertion")


def check_empty(element: etree._Element) -> None:
    """Refuse text in an element that is not to hold any. Text beside children was refused before."""
    text = element.text
    if text and not len(element) and text.strip(_WHITE):
        raise AssertionRefused("content", f"{_name(element)} holds text, none is expected")


def check_names(element: etree._Element, *names: str) -> None:
    """Refuse `element` unless its attributes are exactly `names`."""
    present = element.keys()
    if sorted(present) != sorted(names):
        found = ", ".join(sorted(quote(str(name)) for name in present)) or "none"
        raise AssertionRefused(
            "content", f"{_name(element)} has the attributes {found}, expected: {', '.join(names) or 'none'}"
        )


def _check_attributes(element: etree._Element, rule: Rule) -> None:
    present = element.keys()
    if not rule.attributes.issuperset(present):
        wrong = next(name for name in present if name not in rule.attributes)
        raise AssertionRefused("content", f"attribute {quote(str(wrong))} has no place on {_name(element)}")
    for name in rule.required:
        if name not in present:
            raise AssertionRefused("content", f"{_name(element)} has no attribute {name}")


def _check_text(element: etree._Element) -> None:
    if len(element):
        raise _misplaced(element[0], element)
    text = element.text
    if text is not None and len(text) > LONGEST_TEXT and element.tag != f"{{{DS}}}X509Certificate":
        raise AssertionRefused("size", f"the text of {_name(element)} is longer than {LONGEST_TEXT} characters")


def _check_hl7(element: etree._Element) -> None:
    """An attribute value that is one empty HL7 element, such as Role or PurposeOfUse."""
    inner = element[0]
    if len(element) > 1:
        raise AssertionRefused("content", f"an AttributeValue holds {len(element)} elements, at most one is accepted")
    if not str(inner.tag).startswith(_HL7):
        raise _misplaced(inner, element)
    if len(inner) or (inner.text or "").strip(_WHITE):
        raise AssertionRefused("content", f"{_name(inner)} has content, attributes alone are expected")
    for name in inner.keys():  # noqa: SIM118
        if str(name).startswith("{") and name != _TYPE:
            raise AssertionRefused("content", f"attribute {quote(str(name))} has no place on {_name(inner)}")


def _misplaced(child: etree._Element, parent: etree._Element) -> AssertionRefused:
    if callable(child.tag):
        return AssertionRefused("annotation", f"a comment or processing instruction stands in {_name(parent)}")
    local = child.tag.rpartition("}")[2]
    if local in _ENCRYPTED:
        return AssertionRefused("encrypted", f"{local} in {_name(parent)}")
    return AssertionRefused("content", f"{quote(_name(child))} has no place in {_name(parent)}")


def _name(element: etree._Element) -> str:
    return customary_name(str(element.tag))
