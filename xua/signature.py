"""The signature of an assertion, verified with the key of one pinned certificate; what comes back is what was signed.

signxml does the work. It is given the serialised assertion alone and the leaf certificate, after the shape has been checked;
identity is read from the element that it returns and from nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.x509 import Certificate
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.verifier import SignatureConfiguration, XMLVerifier

from xua.refusal import AssertionRefused
from xua.shape import ASSERTION, SIGNATURE, Shape


class _Verifier(XMLVerifier):
    """signxml serialises the signature with the text after it; a `&#13;` there makes XML that cannot be parsed (5.2.0)."""

    def _tostring(self, xml_node: etree._Element, **options: Any) -> bytes:
        return bytes(etree.tostring(xml_node, with_tail=False, **options))


@dataclass(frozen=True, slots=True)
class Signed:
    """What a right signature covers: the assertion without its signature, and the SHA-256 of its canonical bytes (hex)."""

    assertion: etree._Element
    digest: str


def verify_signature(cut: bytes, shape: Shape, certificate: Certificate, at: datetime) -> Signed:
    """Verify the signature in the serialised assertion `cut`, whose shape is `shape`, with the key of `certificate`.

    Raises AssertionRefused. Not checked: whether the certificate is trusted.
    """
    try:
        result = _Verifier().verify(
            cut,
            x509_cert=certificate,
            validate_schema=False,
            id_attribute="ID",
            expect_config=SignatureConfiguration(
                require_x509=True,
                location="./",
                expect_references=1,
                signature_methods=frozenset({SignatureMethod[shape.signature_method]}),
                digest_algorithms=frozenset({DigestAlgorithm[shape.digest_method]}),
                verification_time=at,
            ),
        )
    except InvalidDigest:
        raise AssertionRefused("digest-mismatch", "the digest of the assertion is not the DigestValue") from None
    except InvalidSignature as error:
        raise AssertionRefused("signature-mismatch", f"the SignatureValue does not fit ({type(error).__name__})") from None
    except Exception as error:
        # C14NError, DocumentInvalid, ValueError and others are possible: whatever was not verified is refused
        raise AssertionRefused("signature", f"verification ended with {type(error).__name__}") from None
    if isinstance(result, list) or result.signed_xml is None:
        raise AssertionRefused("signed-element", "the signature does not cover one element")
    return Signed(_expected(result.signed_xml, shape), hashlib.sha256(result.signed_data).hexdigest())


def _expected(element: etree._Element, shape: Shape) -> etree._Element:
    if element.tag != ASSERTION or element.get("ID") != shape.id or element.find(f".//{SIGNATURE}") is not None:
        raise AssertionRefused("signed-element", "the signature covers something else than this assertion")
    return element
