"""The shape of an assertion and of its signature, checked before any cryptography.

What passes has one reference to the assertion itself, exclusive canonicalisation and nothing else, a key given as one to
four certificates, and no element without a purpose: canonicalising and verifying it is cheap, and can only mean one thing.

Source: SAML 2.0 core, section 5 (signature profile); XML Signature 1.1; the DMP's VIHF as sent.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from xmlsafe.namespaces import DS, SAML2, customary_name
from xua.algorithms import ENVELOPED, EXCLUSIVE_C14N, digests, signatures
from xua.grammar import check_content, check_empty, check_names, check_unmixed
from xua.refusal import AssertionRefused, quote

MOST_BYTES: Final = 64_000
MOST_NAMESPACES: Final = 256
MOST_CERTIFICATES: Final = 4
LONGEST_CERTIFICATE: Final = 8192
LONGEST_SIGNATURE: Final = 1024
MOST_STATEMENTS: Final = 8
LONGEST_PREFIX_LIST: Final = 1000

ASSERTION: Final = f"{{{SAML2}}}Assertion"
SIGNATURE: Final = f"{{{DS}}}Signature"
_D: Final = f"{{{DS}}}"
_S: Final = f"{{{SAML2}}}"
_INCLUSIVE: Final = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"
_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,127}", re.ASCII)
_PREFIXES: Final = re.compile(r"(?:(?:#default|[A-Za-z_][\w.-]*)(?: (?!$)|$))*")
_LETTERS: Final = {
    f"{_S}Issuer": "I",
    SIGNATURE: "G",
    f"{_S}Subject": "S",
    f"{_S}Conditions": "C",
    f"{_S}AuthnStatement": "A",
    f"{_S}AttributeStatement": "T",
}
_ORDER: Final = re.compile(r"IGSC?[AT]*")
_NO_WHITE: Final = str.maketrans("", "", " \t\r\n")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the shape says: the ID, the certificates as sent (leaf first, DER), the algorithms by the verifier's names."""

    id: str
    certificates: tuple[bytes, ...]
    signature_method: str
    digest_method: str


def check_size(cut: bytes) -> None:
    """Bounds that need the serialised assertion only."""
    if len(cut) > MOST_BYTES:
        raise AssertionRefused("size", f"the assertion has {len(cut)} bytes, at most {MOST_BYTES} are accepted")
    declared = cut.count(b"xmlns")
    if declared > MOST_NAMESPACES:
        raise AssertionRefused("size", f"{declared} namespace declarations, at most {MOST_NAMESPACES} are accepted")


def check_shape(assertion: etree._Element, *, legacy: bool) -> Shape:
    """The shape of `assertion`; raises AssertionRefused for whatever deviates from it. Nothing is changed.

    `check_size` has been called. Not checked: values, times, certificates, and whether the signature is right.
    """
    identifier = _check_head(assertion)
    _check_children(assertion)
    signature = assertion[1]
    shape = _check_signature(signature, identifier, legacy=legacy)
    for child in assertion:
        if child is not signature:
            check_content(child)
    return shape


def _check_head(assertion: etree._Element) -> str:
    if assertion.tag != ASSERTION:
        raise AssertionRefused("no-assertion", f"{quote(customary_name(str(assertion.tag)))} is no SAML 2.0 assertion")
    identifier = assertion.get("ID")
    if identifier is None or not _ID.fullmatch(identifier):
        found = "no attribute ID" if identifier is None else f"ID {quote(identifier)}"
        raise AssertionRefused("assertion-id", f"the assertion has {found}, a name of at most 128 letters is expected")
    version = assertion.get("Version")
    if version != "2.0":
        raise AssertionRefused("saml-version", f"Version is {quote(version or '')}, 2.0 is expected")
    check_names(assertion, "ID", "IssueInstant", "Version")
    return identifier


def _check_children(assertion: etree._Element) -> None:
    check_unmixed(assertion)
    letters = "".join(_LETTERS.get(child.tag, "?") for child in assertion)
    if "G" not in letters:
        raise AssertionRefused("unsigned", "the assertion has no ds:Signature child")
    if not _ORDER.fullmatch(letters):
        tags = ", ".join(customary_name(str(child.tag)) for child in list(assertion)[:12])
        raise AssertionRefused(
            "assertion-children",
            f"the children are {quote(tags, 300)}; expected: Issuer, Signature, Subject, Conditions if any, statements",
        )
    if len(letters) > MOST_STATEMENTS + 4:
        raise AssertionRefused("size", f"{len(letters) - 4} statements, at most {MOST_STATEMENTS} are accepted")


def _check_signature(signature: etree._Element, identifier: str, *, legacy: bool) -> Shape:
    info, value, key_info = _children(signature, "signature-children", "SignedInfo", "SignatureValue", "KeyInfo")
    method, digest = _check_signed_info(info, identifier, legacy=legacy)
    check_names(value)
    if not 0 < len(_decoded(value)) <= LONGEST_SIGNATURE:
        raise AssertionRefused("encoding", "the SignatureValue is empty or too long")
    return Shape(identifier, _certificates(key_info), method, digest)


def _check_signed_info(info: etree._Element, identifier: str, *, legacy: bool) -> tuple[str, str]:
    if len(info.findall(f"{_D}Reference")) != 1:
        raise AssertionRefused("references", f"{len(info.findall(f'{_D}Reference'))} references, exactly one is expected")
    c14n, method, reference = _children(info, "signature-children", "CanonicalizationMethod", "SignatureMethod", "Reference")
    _check_exclusive(c14n, "canonicalization")
    algorithm = signatures(legacy=legacy).get(method.get("Algorithm", ""))
    if algorithm is None or len(method):
        raise AssertionRefused(
            "signature-algorithm", f"SignatureMethod {quote(method.get('Algorithm', ''))} is not accepted"
        )
    check_names(method, "Algorithm")
    return algorithm, _check_reference(reference, identifier, legacy=legacy)


def _check_reference(reference: etree._Element, identifier: str, *, legacy: bool) -> str:
    if reference.get("URI") != f"#{identifier}":
        raise AssertionRefused("reference", f"the reference is {quote(reference.get('URI', ''))}, # and the ID is expected")
    check_names(reference, "URI")
    if not len(reference) or reference[0].tag != f"{_D}Transforms":
        raise AssertionRefused("transforms", "the reference has no transforms")
    transforms, method, value = _children(reference, "signature-children", "Transforms", "DigestMethod", "DigestValue")
    _check_transforms(transforms)
    known = digests(legacy=legacy).get(method.get("Algorithm", ""))
    check_empty(method)
    if known is None or len(method):
        raise AssertionRefused("digest-algorithm", f"DigestMethod {quote(method.get('Algorithm', ''))} is not accepted")
    check_names(method, "Algorithm")
    check_names(value)
    name, length = known
    found = len(_decoded(value))
    if found != length:
        raise AssertionRefused("encoding", f"the DigestValue has {found} bytes, {length} are expected for {name}")
    return name


def _check_transforms(transforms: etree._Element) -> None:
    check_names(transforms)
    named = [one.get("Algorithm", "") if one.tag == f"{_D}Transform" else "" for one in transforms]
    if named != [ENVELOPED, EXCLUSIVE_C14N]:
        shown = ", ".join(named[:4])
        raise AssertionRefused(
            "transforms", f"{len(named)} transforms {quote(shown, 200)}; enveloped-signature and exclusive C14N are expected"
        )
    enveloped, exclusive = transforms
    if len(enveloped):
        raise AssertionRefused("transforms", "the transform enveloped-signature has content")
    check_empty(enveloped)
    check_names(enveloped, "Algorithm")
    _check_exclusive(exclusive, "transforms")


def _check_exclusive(element: etree._Element, reason: str) -> None:
    """Exclusive canonicalisation without comments, with at most one bounded list of prefixes."""
    if element.get("Algorithm") != EXCLUSIVE_C14N:
        raise AssertionRefused(reason, f"the algorithm is {quote(element.get('Algorithm', ''))}, exclusive C14N is expected")
    check_names(element, "Algorithm")
    if not len(element):
        check_empty(element)
        return
    prefixes = element[0]
    if len(element) > 1 or prefixes.tag != _INCLUSIVE or len(prefixes) or set(prefixes.attrib) != {"PrefixList"}:
        raise AssertionRefused(reason, "exclusive C14N has content other than one InclusiveNamespaces with a PrefixList")
    listed = prefixes.get("PrefixList", "")
    if len(listed) > LONGEST_PREFIX_LIST or not _PREFIXES.fullmatch(listed) or (prefixes.text or "").strip():
        raise AssertionRefused(reason, "the PrefixList is not a short list of prefixes with one blank between them")


def _certificates(key_info: etree._Element) -> tuple[bytes, ...]:
    (data,) = _children(key_info, "key-info", "X509Data")
    check_names(data)
    if not 1 <= len(data) <= MOST_CERTIFICATES or any(one.tag != f"{_D}X509Certificate" for one in data):
        raise AssertionRefused("key-info", f"X509Data has {len(data)} children, one to four X509Certificate are expected")
    found = []
    for one in data:
        check_names(one)
        if len(one.text or "") > 2 * LONGEST_CERTIFICATE:
            raise AssertionRefused("size", f"a certificate has more than {LONGEST_CERTIFICATE} bytes")
        found.append(_decoded(one))
        if not 0 < len(found[-1]) <= LONGEST_CERTIFICATE:
            raise AssertionRefused(
                "size", f"a certificate has {len(found[-1])} bytes, 1 to {LONGEST_CERTIFICATE} are accepted"
            )
    return tuple(found)


def _children(parent: etree._Element, reason: str, *names: str) -> list[etree._Element]:
    """The children of a signature's element: exactly those named, in their order, with nothing around them."""
    if [child.tag for child in parent] != [_D + name for name in names]:
        tags = ", ".join(customary_name(str(child.tag)) for child in list(parent)[:8]) or "none"
        raise AssertionRefused(
            reason, f"{customary_name(str(parent.tag))} has the children {quote(tags, 200)}, expected: {', '.join(names)}"
        )
    if parent.tag != f"{_D}Reference":
        check_names(parent)
    return list(parent)


def _decoded(element: etree._Element) -> bytes:
    """The bytes of a base64 text in which white space of XML may stand."""
    if len(element):
        raise AssertionRefused("encoding", f"{customary_name(str(element.tag))} holds elements, base64 is expected")
    try:
        return base64.b64decode((element.text or "").translate(_NO_WHITE).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise AssertionRefused("encoding", f"{customary_name(str(element.tag))} is not base64") from None
