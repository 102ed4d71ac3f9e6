"""A small PKI for assertions, made with nothing but the cryptography library, and a verifier that trusts it.

The certificates of cards and structures carry the policies and usages of `pki/rules.toml`; `World.odd` gives leaves with one
thing wrong each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from lxml import etree

from database.engine import open_database
from database.tables import now_micros
from pki.errors import CertificateRefused
from pki.identity import CertificateIdentity, identity_of
from pki.rules import Purpose
from pki.trust import Trust
from tests.assertions import AUDIENCE, SUBJECT_ID, Draft, Signer, vihf_attributes, xua_draft
from xmlsafe import XmlError, parse
from xmlsafe.namespaces import WSSE
from xua.kinds.kind import AssertionKind
from xua.kinds.vihf import VIHF
from xua.kinds.xua import XUA
from xua.refusal import AssertionRefused
from xua.replay import ReplayStore, forget_expired
from xua.settings import AssertionSettings
from xua.tables import assertion_use
from xua.verify import CertificateChecks, Verified, Verifier

PERSON, OTHER_PERSON = "899700000001", "899700000002"
STRUCTURE = "10B0127189"
PERSON_SIGNS, STRUCTURE_SIGNS = "2.999.250.213.7.1.2", "2.999.250.213.7.2.2"
PERSON_CONNECTS, STRUCTURE_CONNECTS = "2.999.250.213.7.1.1", "2.999.250.213.7.2.1"
STS_SIGNS = "2.999.250.213.7.3.1"
STS_NAMES = ((NameOID.ORGANIZATION_NAME, "LAB"), (NameOID.COMMON_NAME, "sts.example.org"))
MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
PROFESSION = "1.2.250.1.71.1.2.7"

OLD = (-3650, 365)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int, size: int = 2048) -> rsa.RSAPrivateKey:
    """One of some keys, made once a run: they cost 50 ms each."""
    return rsa.generate_private_key(65537, size)


@dataclass(frozen=True)
class Leaf:
    """What a leaf certificate is to hold."""

    names: tuple[tuple[ObjectIdentifier, str], ...]
    policy: str
    usages: frozenset[str] = frozenset({"digital_signature", "content_commitment"})
    purposes: tuple[ObjectIdentifier, ...] = (MAIL,)
    days: tuple[int, int] = (-30, 365)
    extra: tuple[tuple[str, bytes, bool], ...] = ()
    authority: bool = False


def person(number: str, policy: str = PERSON_SIGNS, **changes: Any) -> Leaf:
    """A card's certificate: the national id is the common name; profession 10."""
    names = (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.ORGANIZATION_NAME, "TEST"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Médecin"),
        (NameOID.COMMON_NAME, number),
        (NameOID.SURNAME, "ESSAI"),
    )
    return Leaf(names, policy, extra=((PROFESSION, b"\x02\x01\x0a", False),), **changes)


def structure(policy: str = STRUCTURE_SIGNS, **changes: Any) -> Leaf:
    names = (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.ORGANIZATION_NAME, "HOPITAL D'ESSAI"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, STRUCTURE),
        (NameOID.COMMON_NAME, "dpi.example.org"),
    )
    return Leaf(names, policy, **changes)


def tls(leaf: Leaf) -> Leaf:
    return Leaf(
        leaf.names, leaf.policy, frozenset({"digital_signature"}), (ExtendedKeyUsageOID.CLIENT_AUTH,), leaf.days, leaf.extra
    )


def _names(subject: x509.Name) -> tuple[tuple[ObjectIdentifier, str], ...]:
    return tuple((pair.oid, str(pair.value)) for pair in subject)


class Authority:
    """A certificate authority: a root, or one below a root."""

    def __init__(self, name: str, above: Authority | None = None, key: PrivateKey | None = None) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.above = above
        self.serial = 100
        issuer = above or self
        self.certificate = (
            issuer._builder(self.name, self.key, (-4000, 3650), serial=issuer._next())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None if above is None else 0), critical=True)
            .add_extension(_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    def _next(self) -> int:
        self.serial += 1
        return self.serial

    def _builder(self, subject: x509.Name, key: PrivateKey, days: tuple[int, int], serial: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC).replace(microsecond=0)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )

    def issue(self, leaf: Leaf, key: PrivateKey) -> x509.Certificate:
        """Any leaf, right or wrong."""
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in leaf.names])
        builder = (
            self._builder(subject, key, leaf.days, self._next())
            .add_extension(x509.BasicConstraints(ca=leaf.authority, path_length=None), critical=True)
            .add_extension(_usage(leaf.usages), critical=True)
            .add_extension(
                x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(leaf.policy), None)]), critical=False
            )
        )
        if leaf.purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(leaf.purposes), critical=False)
        for oid, value, critical in leaf.extra:
            builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=critical)
        return builder.sign(self.key, hashes.SHA256())


def signed_with_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The certificate (RSA, SHA-256) signed again with SHA-1, which the library no longer does by itself."""
    new, old = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    tbs = certificate.tbs_certificate_bytes.replace(new, old)
    signature = key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    der = certificate.public_bytes(Encoding.DER).replace(new, old).replace(certificate.signature, signature)
    return x509.load_der_x509_certificate(der)


def _usage(usages: frozenset[str]) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in usages for name in names})


class World:
    """Cards, a structure, an identity provider, their authorities, and verifiers that trust these."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.database = open_database(directory / "uses.sqlite", create=True)
        self.database.write(lambda connection: assertion_use.create(connection))
        self.at = now_micros()
        self.root = Authority("Racine de test")
        self.issuing = Authority("Autorite de test", self.root)
        self.rsa_issuing = Authority("Autorite RSA de test", self.root, rsa_key(7))
        self.sts_root = Authority("Racine STS de test")
        self.strangers = Authority("Racine inconnue")
        self.card = self._signer(person(PERSON), rsa_key(1))
        self.card_tls_signer = self._signer(tls(person(PERSON, PERSON_CONNECTS)), rsa_key(1))
        self.other_card = self._signer(person(OTHER_PERSON), rsa_key(2))
        self.structure = self._signer(structure(), rsa_key(3))
        self.revoked = self._signer(person(PERSON), rsa_key(1))
        self.without_chain = Signer(rsa_key(1), (self.issuing.issue(person(PERSON), rsa_key(1)),))
        self.look_alike = Signer(rsa_key(4), (self.strangers.issue(person(PERSON), rsa_key(4)),))
        self.sts = Signer(rsa_key(5), (self.sts_root.issue(Leaf(STS_NAMES, STS_SIGNS), rsa_key(5)),))
        self.trust = make_trust(self)
        self._clients = {
            "card": self.issuing.issue(tls(person(PERSON, PERSON_CONNECTS)), rsa_key(1)),
            "other_card": self.issuing.issue(tls(person(OTHER_PERSON, PERSON_CONNECTS)), rsa_key(2)),
            "structure": self.issuing.issue(tls(structure(STRUCTURE_CONNECTS)), rsa_key(3)),
        }

    def _signer(self, leaf: Leaf, key: PrivateKey) -> Signer:
        return Signer(key, (self.issuing.issue(leaf, key), self.issuing.certificate))

    def now(self) -> datetime:
        """The world's time."""
        return datetime.fromtimestamp(self.at / 1_000_000, UTC)

    def tls_certificate(self, name: str) -> x509.Certificate:
        """The TLS client certificate of a name."""
        return self._clients[name]

    def elliptic_sts(self, curve: str) -> Signer:
        """An identity provider with another kind of key."""
        key = ec.generate_private_key(ec.SECP256R1() if curve == "p256" else ec.SECP384R1())
        return Signer(key, (self.sts_root.issue(Leaf(STS_NAMES, STS_SIGNS), key),))

    def structure_like(self, subject: x509.Name) -> Signer:
        """A structure's certificate for signatures with another subject, valid for ten years back."""
        return self._signer(replace(structure(), names=_names(subject), days=OLD), rsa_key(3))

    def identity_like(self, subject: x509.Name) -> CertificateIdentity:
        """The TLS client of such a structure."""
        leaf = replace(tls(structure(STRUCTURE_CONNECTS)), names=_names(subject), days=OLD)
        return identity_of(self.issuing.issue(leaf, rsa_key(3)).public_bytes(Encoding.DER))

    def old_card(self) -> Signer:
        """The card, valid for ten years back."""
        return self._signer(person(PERSON, days=OLD), rsa_key(1))

    def twice_extended(self) -> Signer:
        """The card, whose key usage (2.5.29.15) calls itself basic constraints (2.5.29.19), which are there already."""
        der = self.card.leaf.public_bytes(Encoding.DER)
        twice = der.replace(bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13"))
        return Signer(self.card.key, (x509.load_der_x509_certificate(twice), self.issuing.certificate))

    def odd(self, what: str) -> Signer:
        """A card with one thing wrong."""
        key: PrivateKey = rsa_key(1)
        if what == "critical":
            leaf = person(PERSON)
            return self._signer(replace(leaf, extra=(*leaf.extra, ("2.999.1.2.3", b"\x05\x00", True))), key)
        if what == "sha1":
            leaf_key, issuer = rsa_key(1), self.rsa_issuing
            signed = signed_with_sha1(issuer.issue(person(PERSON), leaf_key), rsa_key(7))
            return Signer(leaf_key, (signed, issuer.certificate))
        if what == "rsa-1024":
            key = rsa_key(6, 1024)
        elif what == "secp521r1":
            key = ec.generate_private_key(ec.SECP521R1())
        return self._signer(ODD[what], key)

    def peer(self, name: str) -> CertificateIdentity | None:
        """The TLS client certificate of a name: card, other_card, structure; "" for none."""
        return identity_of(self._clients[name].public_bytes(Encoding.DER)) if name else None

    # --- drafts -----------------------------------------------------------------------------------------------------------

    def vihf(self, **texts: str) -> Draft:
        """A valid VIHF in direct mode of the card."""
        return Draft(at=self.at, issuer=self.card.name, subject=PERSON, attributes=vihf_attributes(**texts))

    def vihf_of_other(self) -> Draft:
        """The same of the other card."""
        return Draft(at=self.at, issuer=self.other_card.name, subject=OTHER_PERSON, attributes=vihf_attributes())

    def indirect(self, **texts: str) -> Draft:
        """A valid VIHF in indirect mode of the structure."""
        told = {
            "Authentification_mode": "INDIRECTE",
            "Identifiant_Structure": STRUCTURE,
            SUBJECT_ID: "ESSAI Camille",
        } | texts
        return Draft(
            at=self.at,
            issuer=self.structure.name,
            subject=PERSON,
            attributes=vihf_attributes(**told),
            context="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        )

    def xua(self, **attributes: str) -> Draft:
        """A valid XUA assertion of the identity provider."""
        return xua_draft(self.at, **attributes)

    # --- verdicts ---------------------------------------------------------------------------------------------------------

    def verifier(
        self,
        store: ReplayStore | None = None,
        kinds: Sequence[AssertionKind] = (),
        cached: int = 100,
        at: int | None = None,
        trust: CertificateChecks | None = None,
        **settings: Any,
    ) -> Verifier:
        """A verifier at the world's time or another; its store of first uses is new unless one is given."""
        moment = self.at if at is None else at
        told = AssertionSettings(**({"audience": (AUDIENCE,)} | settings))
        known = kinds or (XUA(), VIHF())
        return Verifier(trust or self.trust, told, known, store or self.new_store(), lambda: moment, cached)

    def new_store(self) -> ReplayStore:
        """A store of first uses that has seen nothing; it is the world's only one."""
        forget_expired(self.database, 2**62)
        return ReplayStore(self.database)

    def verify(self, data: bytes, peer: str, **settings: Any) -> Verified:
        """What a new verifier says. Raises AssertionRefused and XmlError."""
        return self.verifier(**settings).verify(_security(data), data, self.peer(peer))

    def try_verify(self, data: bytes, peer: str, **settings: Any) -> Verified | str:
        """As verify; the reason of a refusal. Raises XmlError."""
        try:
            return self.verify(data, peer, **settings)
        except AssertionRefused as refused:
            return refused.reason

    def verdict(self, data: bytes, peer: str, **settings: Any) -> str:
        """The reason of a refusal, "accepted", or the reason why it is not XML."""
        return self.verdict_of(self.verifier(**settings), data, peer)

    def verdict_of(self, verifier: Verifier, data: bytes, peer: str) -> str:
        """As verdict, of one verifier."""
        try:
            verifier.verify(_security(data), data, self.peer(peer))
        except (AssertionRefused, XmlError) as refused:
            return refused.reason
        return "accepted"

    def refusal(self, data: bytes, peer: str, **settings: Any) -> str:
        """What the sender of a refused message is told."""
        try:
            self.verify(data, peer, **settings)
        except AssertionRefused as refused:
            return f"{refused.public.local}: {refused.public.text}"
        except XmlError as refused:
            return refused.reason
        raise ValueError("the message was accepted")


def _security(data: bytes) -> etree._Element | None:
    return next(parse(data).iter(f"{{{WSSE}}}Security"), None)


ODD: Final = {
    "rsa-1024": person(PERSON),
    "secp521r1": person(PERSON),
    "expired": person(PERSON, days=(-30, -1)),
    "future": person(PERSON, days=(1, 30)),
    "authority": person(
        PERSON, authority=True, usages=frozenset({"digital_signature", "content_commitment", "key_cert_sign"})
    ),
    "server-auth": person(PERSON, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    "key-encipherment": person(PERSON, usages=frozenset({"key_encipherment"})),
    "policy": person(PERSON, "1.2.3.4"),
}
"""Leaves with one thing wrong."""


class RevokedSerials:
    """What is known of revocations: the serials of one authority, or nothing (`stale`)."""

    def __init__(self, *serials: int, stale: bool = False) -> None:
        self._serials = frozenset(serials)
        self._stale = stale

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
        """As in RevocationView."""
        if self._stale:
            raise CertificateRefused("revocation-unknown", "the list is too old")
        if certificate.serial_number in self._serials:
            raise CertificateRefused("revoked", f"serial {certificate.serial_number}")


def make_trust(world: World, *, stale: bool = False, revoked: Sequence[x509.Certificate] = ()) -> Trust:
    """The world's authorities, each for its purpose; more may be revoked."""
    anchors = {
        Purpose.ASSERTION: (world.root.certificate,),
        Purpose.TLS_CLIENT: (world.root.certificate,),
        Purpose.STS: (world.sts_root.certificate,),
    }
    serials = (one.serial_number for one in (world.revoked.leaf, *revoked))
    return Trust(anchors, RevokedSerials(*serials, stale=stale))


def make_world(directory: Path) -> World:
    """A new world; its files are in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    return World(directory)
