"""Certificates with one thing wrong each, made with the cryptography library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

AT = datetime.now(UTC).replace(microsecond=0)
SIGNS = frozenset({"digital_signature", "content_commitment"})
CONNECTS = frozenset({"digital_signature"})
CARD_SIGNS = "2.999.250.213.7.1.2"
CARD_CONNECTS = "2.999.250.213.7.1.1"
CLIENT, SERVER, MAIL = (
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
)
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass
class Holder:
    """A name, a key, and the authority above."""

    name: str
    above: Holder | None = None
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    authority: bool = True
    path_length: int | None = None
    usages: frozenset[str] | None = frozenset({"key_cert_sign", "crl_sign"})
    extended: tuple[ObjectIdentifier, ...] = ()
    policy: str = ""
    person: bool = False
    days: tuple[float, float] = (-10, 300)
    hash: Any = field(default_factory=hashes.SHA256)
    critical: bool = False
    _made: x509.Certificate | None = None

    @property
    def certificate(self) -> x509.Certificate:
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def _subject(self) -> x509.Name:
        names = [x509.NameAttribute(NameOID.COMMON_NAME, self.name)]
        if self.person:
            names.append(x509.NameAttribute(NameOID.SURNAME, "TEST"))
        return x509.Name(names)

    def _make(self) -> x509.Certificate:
        above = self.above or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._subject())
            .issuer_name(above._subject())
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(AT + timedelta(days=self.days[0]))
            .not_valid_after(AT + timedelta(days=self.days[1]))
            .add_extension(x509.BasicConstraints(self.authority, self.path_length), critical=True)
        )
        if self.usages is not None:
            usage = x509.KeyUsage(**{name: name in self.usages for name in _USAGES})
            builder = builder.add_extension(usage, critical=True)
        if self.extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.extended), critical=False)
        if self.policy:
            policy = x509.PolicyInformation(ObjectIdentifier(self.policy), None)
            builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=False)
        if self.critical:
            unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
            builder = builder.add_extension(unknown, critical=True)
        hashing = None if isinstance(above.key, ed25519.Ed25519PrivateKey) else self.hash
        return builder.sign(above.key, hashing)

    def crl(self, *revoked: Holder, this: datetime = AT, days: float = 2, number: int = 1, critical: bool = False) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._subject())
            .last_update(this)
            .next_update(this + timedelta(days=days))
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        if critical:
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        for one in revoked:
            row = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(this)
            builder = builder.add_revoked_certificate(row.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


ROOT = Holder("Root")
ISSUING = Holder("Issuing", ROOT, path_length=0)


def card(**changes: Any) -> Holder:
    """A signature certificate as it should be, with changes."""
    values = {
        "name": "899700000001", "above": ISSUING, "authority": False, "usages": SIGNS, "extended": (MAIL,),
        "policy": CARD_SIGNS, "person": True, **changes,
    }  # fmt: skip
    return Holder(**values)


def rsa_key(size: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, size)
