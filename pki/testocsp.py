"""The OCSP responder of a test PKI: what it says of a certificate is what the register of the PKI says. Not for patients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from pki.testca import AUTHORITIES, Credentials, Issued, PrivateKey, TestPki

_REFUSED: Final = ocsp.OCSPResponseBuilder.build_unsuccessful


def answer(
    pki: TestPki,
    request: bytes,
    *,
    responder: Credentials | None = None,
    at: datetime | None = None,
    lasts: timedelta | None = timedelta(minutes=10),
    with_nonce: bool = True,
) -> bytes:
    """The DER response to a DER request: good, revoked, or unknown where the PKI did not issue the certificate.

    Signed by the authority itself, or by `responder`, which it issued. `at` is thisUpdate, now without it; nextUpdate
    comes after `lasts`, which may be None. What cannot be answered gets an unsigned refusal, as RFC 6960 has it.
    """
    try:
        asked = ocsp.load_der_ocsp_request(request)
        number, named, kind = asked.serial_number, asked.issuer_key_hash, asked.hash_algorithm
    except (ValueError, NotImplementedError):
        return _bytes(_REFUSED(ocsp.OCSPResponseStatus.MALFORMED_REQUEST))
    for name in AUTHORITIES:
        authority, key = pki.authority(name)
        if _key_hash(authority, kind) == named:
            break
    else:
        return _bytes(_REFUSED(ocsp.OCSPResponseStatus.UNAUTHORIZED))
    row = next((row for row in pki.issued if (row.authority, row.serial) == (name, number)), None)
    now = (at or datetime.now(UTC)).replace(microsecond=0)
    builder = _about(asked, row, now, None if lasts is None else now + lasts)
    if with_nonce:
        for extension in asked.extensions:
            if isinstance(extension.value, x509.OCSPNonce):
                builder = builder.add_extension(extension.value, critical=False)
    return _bytes(_signed(builder, authority, key, responder))


def _about(
    asked: ocsp.OCSPRequest, row: Issued | None, now: datetime, following: datetime | None
) -> ocsp.OCSPResponseBuilder:
    revoked = row.revoked if row is not None else None
    status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
    if row is None:
        status = ocsp.OCSPCertStatus.UNKNOWN
    reason = x509.ReasonFlags(row.reason) if row is not None and revoked and row.reason != "unspecified" else None
    return ocsp.OCSPResponseBuilder().add_response_by_hash(
        asked.issuer_name_hash,
        asked.issuer_key_hash,
        asked.serial_number,
        asked.hash_algorithm,
        status,
        now,
        following,
        revoked,
        reason,
    )


def _signed(
    builder: ocsp.OCSPResponseBuilder, authority: x509.Certificate, key: PrivateKey, responder: Credentials | None
) -> ocsp.OCSPResponse:
    if responder is None:
        return builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority).sign(key, hashes.SHA256())
    certificate, key, _ = responder.load()
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, certificate).certificates([certificate])
    return builder.sign(key, hashes.SHA256())


def _key_hash(authority: x509.Certificate, kind: hashes.HashAlgorithm) -> bytes:
    """As a question for a certificate of this authority would name it."""
    built = ocsp.OCSPRequestBuilder().add_certificate(authority, authority, kind).build()
    return built.issuer_key_hash


def _bytes(response: ocsp.OCSPResponse) -> bytes:
    return response.public_bytes(serialization.Encoding.DER)
