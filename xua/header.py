"""The wsse:Security header: one assertion, at most one wsu:Timestamp, and nothing else.

A second signature (over the body or the timestamp) or a BinarySecurityToken is refused and not ignored: what a sender wanted
to protect and we do not verify should not look protected.

Source: OASIS WSS SOAP Message Security 1.1.1, sections 5 and 10; SAML Token Profile 1.1.1; XUA and VIHF use one assertion.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from xmlsafe import Limits, XmlError, parse
from xmlsafe.namespaces import SAML2, WSSE, WSU, customary_name
from xua.refusal import AssertionRefused, quote
from xua.shape import ASSERTION
from xua.times import SECOND, read_time

SECURITY: Final = f"{{{WSSE}}}Security"
_SAML1: Final = "urn:oasis:names:tc:SAML:1.0:assertion"
_TIMESTAMP: Final = f"{{{WSU}}}Timestamp"
_CREATED, _EXPIRES = f"{{{WSU}}}Created", f"{{{WSU}}}Expires"
_WITH_ANNOTATIONS: Final = Limits(max_bytes=16_000_000, annotations=True)
_SAME_ID: Final = etree.XPath("count(//@*[local-name() = 'ID' or local-name() = 'Id' or local-name() = 'id'][. = $id])")
_INSTRUCTION: Final = re.compile(rb"<\?(?!xml[ \t\r\n])")


def find_assertion(security: etree._Element | None, message: bytes | None, at: int, skew: int) -> etree._Element:
    """The one assertion of the header. Raises AssertionRefused.

    `message` are the bytes that the header was parsed from, None where nothing was parsed away; `at` and `skew` in
    microseconds, for the timestamp.
    """
    if security is None:
        raise AssertionRefused("no-assertion", "the message has no wsse:Security header")
    header = security.getparent()
    if header is not None and len(header.findall(SECURITY)) != 1:
        raise AssertionRefused("security-headers", f"{len(header.findall(SECURITY))} wsse:Security headers, one is expected")
    if message is not None:
        _check_annotations(message)
    assertion = _only_assertion(security, at, skew)
    _check_alone(assertion)
    return assertion


def check_unique_id(assertion: etree._Element, identifier: str, message: bytes | None) -> None:
    """Refuse another element of the message with the ID of the assertion.

    In plain bytes the ID stands twice, as ID and in the reference; then no search is needed.
    """
    if message is not None and b"&#" not in message and message.count(identifier.encode()) == 2:
        return
    root = assertion.getroottree().getroot()
    if _SAME_ID(root, id=identifier) != 1.0:
        raise AssertionRefused("duplicate-id", f"the ID {quote(identifier)} occurs more than once in the message")


def _only_assertion(security: etree._Element, at: int, skew: int) -> etree._Element:
    found: list[etree._Element] = []
    timestamps = 0
    for child in security:
        if child.tag == ASSERTION:
            found.append(child)
        elif child.tag == _TIMESTAMP and not timestamps:
            timestamps += 1
            _check_timestamp(child, at, skew)
        else:
            raise _unexpected(child)
    if (security.text or "").strip() or any((child.tail or "").strip() for child in security):
        raise AssertionRefused("security-child", "text stands in wsse:Security")
    if len(found) != 1:
        reason = "assertions" if found else "no-assertion"
        raise AssertionRefused(reason, f"{len(found)} assertions in wsse:Security, one is expected")
    return found[0]


def _unexpected(child: etree._Element) -> AssertionRefused:
    tag = str(child.tag) if isinstance(child.tag, str) else "a comment"
    namespace, _, local = tag.rpartition("}")
    if local == "EncryptedAssertion":
        return AssertionRefused("encrypted", "the assertion is encrypted")
    if namespace[1:] == _SAML1:
        return AssertionRefused("saml-version", "an assertion of SAML 1.x")
    return AssertionRefused("security-child", f"wsse:Security holds {quote(customary_name(tag))}")


def _check_alone(assertion: etree._Element) -> None:
    """No other assertion anywhere in the message: one that is not looked at could be taken for the one that was."""
    root = assertion.getroottree().getroot()
    for other in root.iter(f"{{{SAML2}}}Assertion", f"{{{SAML2}}}EncryptedAssertion", f"{{{_SAML1}}}Assertion"):
        if other is not assertion:
            raise AssertionRefused("assertions", "the message holds a second assertion")


def _check_annotations(message: bytes) -> None:
    """Comments and instructions vanish when a message is parsed; in wsse:Security they are refused."""
    if b"<!--" not in message and not _INSTRUCTION.search(message):
        return
    try:
        root = parse(message, _WITH_ANNOTATIONS)
    except XmlError as error:
        raise AssertionRefused("annotation", f"the message cannot be searched for comments: {error.reason}") from None
    for security in root.iter(SECURITY):
        if next(security.iter(etree.Comment, etree.ProcessingInstruction), None) is not None:
            raise AssertionRefused("annotation", "a comment or processing instruction stands in wsse:Security")


def _check_timestamp(timestamp: etree._Element, at: int, skew: int) -> None:
    times: dict[str, int] = {}
    for child in timestamp:
        if child.tag not in (_CREATED, _EXPIRES) or child.tag in times or len(child):
            raise AssertionRefused("timestamp", f"wsu:Timestamp holds {quote(customary_name(str(child.tag)))} unexpectedly")
        times[child.tag] = read_time((child.text or "").strip(), customary_name(child.tag))
    if times.get(_CREATED, at) > at + skew:
        raise AssertionRefused("timestamp", f"it was created {(times[_CREATED] - at) / SECOND:.1f} s in the future")
    if times.get(_EXPIRES, at + 1) <= at:
        raise AssertionRefused("timestamp", f"it expired {(at - times[_EXPIRES]) / SECOND:.1f} s ago")
    if _CREATED in times and times.get(_EXPIRES, at + skew + 1) <= times[_CREATED]:
        raise AssertionRefused("timestamp", "it expires before it was created")
