"""Who signed the assertion behind a journal row: the signature verified again, years later, from the bytes that were kept.

Whether the signer's certificate was trusted is what the server judged on that day; the row says so. Source: security
reference I10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pki.errors import CertificateRefused
from pki.identity import CertificateIdentity, identity_of, load_certificate
from xmlsafe import XmlError, parse
from xua.refusal import AssertionRefused
from xua.shape import check_shape, check_size
from xua.signature import verify_signature


class EvidenceBroken(Exception):
    """The bytes do not prove what the row says; the text says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The certificate that the signature was made with, and its time of validity."""

    identity: CertificateIdentity
    not_before: datetime
    not_after: datetime


def prove_assertion(digest: str, data: bytes, at: int) -> Signer:
    """Verify the signature of a kept assertion and that it is the one of `digest`.

    `at`: when it was used, microseconds since 1970 UTC. Raises EvidenceBroken.
    """
    try:
        check_size(data)
        shape = check_shape(parse(data), legacy=True)
        leaf = shape.certificates[0]
        certificate = load_certificate(leaf)
        signed = verify_signature(data, shape, certificate, datetime.fromtimestamp(at / 1_000_000, UTC))
        identity = identity_of(leaf)
    except (AssertionRefused, CertificateRefused, XmlError) as error:
        raise EvidenceBroken(f"the kept assertion does not verify: {error}") from None
    if signed.digest != digest:
        raise EvidenceBroken(f"the kept assertion is another one: its digest is {signed.digest}, the row says {digest}")
    return Signer(identity, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
