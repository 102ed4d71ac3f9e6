"""Who a certificate names: a person's card, a structure, or something else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import NameOID

from pki.errors import CertificateRefused
from pki.names import rdns_of, read_name
from pki.rules import KINDS, KindRules

Kind = Literal["person", "structure", "other"]

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    CryptographyDeprecationWarning,
)
"""What the library raises on certificates that it cannot read."""

MAX_CERTIFICATE = 16_384
"""Bytes; larger ones are refused unread."""


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """What a certificate says of its holder. It proves nothing by itself: see `Trust.check`.

    Names are RFC 4514 text; `serial` is the certificate's number at its issuer; `fingerprint` is the SHA-256 of the DER in
    lower-case hex. `holder` is the national id of a person (common name of a card), the id of a structure
    (organizational unit of its certificate), else "".
    """

    dn: str
    common_name: str
    organizational_units: tuple[str, ...]
    serial: int
    fingerprint: str
    issuer_dn: str
    kind: Kind
    holder: str


def load_certificate(der: bytes) -> x509.Certificate:
    """Read one DER certificate of version 3, whole. Raises CertificateRefused (not-a-certificate)."""
    if len(der) > MAX_CERTIFICATE:
        raise CertificateRefused("not-a-certificate", f"{len(der)} bytes, at most {MAX_CERTIFICATE} are read")
    try:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.version is not x509.Version.v3:
            raise CertificateRefused("not-a-certificate", "the X.509 version is not 3")
        if certificate.serial_number <= 0:
            raise CertificateRefused("not-a-certificate", "the serial number is not positive")
        len(certificate.extensions)  # parsed only when asked for: raises here rather than later
        len(certificate.subject.rdns), len(certificate.issuer.rdns)
    except UNREADABLE as error:
        raise CertificateRefused("not-a-certificate", f"{type(error).__name__}: not a DER certificate") from error
    return certificate


def identity_of(der: bytes, rules: KindRules = KINDS) -> CertificateIdentity:
    """The identity in a DER certificate, which is not verified. Raises CertificateRefused (not-a-certificate)."""
    return identity(load_certificate(der), hashlib.sha256(der).hexdigest(), rules)


def identity(certificate: x509.Certificate, fingerprint: str, rules: KindRules = KINDS) -> CertificateIdentity:
    """As `identity_of`, of a certificate already read and hashed."""
    subject = certificate.subject
    common = _values(subject, NameOID.COMMON_NAME)
    units = tuple(_values(subject, NameOID.ORGANIZATIONAL_UNIT_NAME))
    kind = _kind(certificate, units, rules)
    structure = next((unit for unit in units if re.fullmatch(rules.structure_id, unit)), "")
    common_name = common[0] if len(common) == 1 else ""
    return CertificateIdentity(
        dn=subject.rfc4514_string(),
        common_name=common_name,
        organizational_units=units,
        serial=certificate.serial_number,
        fingerprint=fingerprint,
        issuer_dn=certificate.issuer.rfc4514_string(),
        kind=kind,
        holder={"person": common_name, "structure": structure, "other": ""}[kind],
    )


def same_name(text: str, certificate: x509.Certificate) -> bool:
    """Whether `text` (an assertion's Issuer, `CN=…,OU=…,O=…`) is the certificate's subject.

    Both orders of the relative names count, and all spellings that `read_name` reads; values must be equal to the letter.
    """
    written = read_name(text)
    held = rdns_of(certificate.subject)
    return bool(held) and (written == held or written == held[::-1])


def _kind(certificate: x509.Certificate, units: Sequence[str], rules: KindRules) -> Kind:
    names = {pair.oid.dotted_string for pair in certificate.subject}
    extensions = {extension.oid.dotted_string for extension in certificate.extensions}
    if names & rules.person_attributes or extensions & rules.person_extensions:
        return "person"
    if names >= rules.structure_attributes and any(re.fullmatch(rules.structure_id, unit) for unit in units):
        return "structure"
    return "other"


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [pair.value for pair in name.get_attributes_for_oid(oid) if isinstance(pair.value, str)]
