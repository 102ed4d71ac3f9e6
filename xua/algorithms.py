"""The algorithms of a signature that are accepted, as data. Everything that is not in a table is refused.

Source: XML Signature 1.1; RFC 9231; the DMP's interface of 2019 for SHA-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXCLUSIVE_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"

SIGNATURES: Final[Mapping[str, str]] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": "RSA_SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": "RSA_SHA384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": "ECDSA_SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": "ECDSA_SHA384",
}
"""URI of SignatureMethod, and the verifier's name for it."""

DIGESTS: Final[Mapping[str, tuple[str, int]]] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": ("SHA256", 32),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": ("SHA384", 48),
}
"""URI of DigestMethod, the verifier's name for it, and its length in bytes."""

LEGACY_SIGNATURES: Final[Mapping[str, str]] = {"http://www.w3.org/2000/09/xmldsig#rsa-sha1": "RSA_SHA1"}
LEGACY_DIGESTS: Final[Mapping[str, tuple[str, int]]] = {"http://www.w3.org/2000/09/xmldsig#sha1": ("SHA1", 20)}
"""Accepted beside the others under the setting `legacy` only."""


def signatures(*, legacy: bool) -> Mapping[str, str]:
    """The accepted signature algorithms."""
    return {**SIGNATURES, **LEGACY_SIGNATURES} if legacy else SIGNATURES


def digests(*, legacy: bool) -> Mapping[str, tuple[str, int]]:
    """The accepted digest algorithms."""
    return {**DIGESTS, **LEGACY_DIGESTS} if legacy else DIGESTS
