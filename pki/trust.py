"""Whether a certificate may be used for a purpose: chain, time, key, usages, policy, revocation.

Path building is our own and small: at most four certificates are looked at, issuers are matched by name and signature, and
the platform's list of authorities is never asked. A result is kept by fingerprint; time and revocation are judged on every
call. Source: RFC 5280 section 6; IGC-Sante certificate profiles (as data in `rules.toml`).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from pki.errors import CertificateRefused, TrustError
from pki.identity import UNREADABLE, CertificateIdentity, identity, load_certificate
from pki.rules import RULES, KeyRules, Purpose, Rules, UseRules

__all__ = ["Checked", "Purpose", "RevocationView", "Trust", "check_key", "read_anchors"]

_KEPT: Final = 4096
_UNDERSTOOD: Final = frozenset({
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
})  # fmt: skip
"""Critical extensions that are judged here."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class RevocationView(Protocol):
    """What is known of revoked certificates. Raises CertificateRefused: revoked, revocation-unknown."""

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None: ...


class _NothingRevoked:
    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
        """No revocation list is configured."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that may be used: itself, who it names, its key, and the end of its chain's validity."""

    certificate: x509.Certificate
    identity: CertificateIdentity
    public_key: PublicKey
    not_after: datetime


@dataclass(frozen=True, slots=True)
class _Path:
    """A judged chain from leaf to anchor; what is left to do on each call is time and revocation."""

    checked: Checked
    not_before: datetime
    certificates: tuple[x509.Certificate, ...]


class Trust:
    """The authorities of each purpose, and what was revoked. Immutable but for its cache; safe for concurrent calls."""

    def __init__(
        self,
        anchors: Mapping[Purpose, Sequence[x509.Certificate]],
        revocations: RevocationView | None = None,
        rules: Rules = RULES,
    ) -> None:
        self._anchors = {purpose: tuple(given) for purpose, given in anchors.items()}
        self._revocations = revocations or _NothingRevoked()
        self._rules = rules
        self._kept: OrderedDict[tuple[bytes, Purpose, bool], _Path] = OrderedDict()
        self._lock = threading.Lock()

    def anchors(self, purpose: Purpose) -> tuple[x509.Certificate, ...]:
        """The authorities of a purpose."""
        return self._anchors.get(purpose, ())

    def with_revocations(self, revocations: RevocationView) -> Trust:
        """The same authorities with newer knowledge of revocations; chains already judged are kept."""
        other = Trust(self._anchors, revocations, self._rules)
        with self._lock:
            other._kept = OrderedDict(self._kept)
        return other

    def check(self, leaf: bytes, others: Sequence[bytes], purpose: Purpose, at: datetime, legacy: bool = False) -> Checked:
        """The certificate `leaf` (DER), with `others` offered to complete its chain, for `purpose` at the time `at` (UTC).

        `legacy` also takes certificates signed with SHA-1. Raises CertificateRefused.
        """
        key = (hashlib.sha256(leaf).digest(), purpose, legacy)
        with self._lock:
            path = self._kept.get(key)
            if path is not None:
                self._kept.move_to_end(key)
        if path is None:
            path = self._judge(leaf, key[0].hex(), others, purpose, at, legacy)
            with self._lock:
                self._kept[key] = path
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        self._check_now(path, at)
        return path.checked

    def _check_now(self, path: _Path, at: datetime) -> None:
        if not path.not_before <= at <= path.checked.not_after:
            for certificate in path.certificates:
                _check_time(certificate, at)
        for certificate, issuer in zip(path.certificates, path.certificates[1:], strict=False):
            self._revocations.check(certificate, issuer, at)

    def _judge(
        self, leaf: bytes, fingerprint: str, others: Sequence[bytes], purpose: Purpose, at: datetime, legacy: bool
    ) -> _Path:
        if len(others) >= self._rules.keys.max_certificates:
            text = f"{len(others) + 1} certificates are given, at most {self._rules.keys.max_certificates} are looked at"
            raise CertificateRefused("path-length", text)
        certificate = load_certificate(leaf)
        who = identity(certificate, fingerprint, self._rules.kinds)
        public_key = check_key(certificate, self._rules.keys)
        anchors = self.anchors(purpose)
        pinned = any(certificate == anchor for anchor in anchors)
        if not pinned:
            self._check_use(certificate, who, purpose)
        elif _extension(certificate, x509.KeyUsage) is not None:
            _check_key_usage(certificate, frozenset({"digital_signature"}), frozenset())
        _check_time(certificate, at)
        found = [load_certificate(other) for other in others]
        chain = (certificate,) if pinned else self._chain(certificate, found, anchors, legacy, at)
        return _Path(
            Checked(certificate, who, public_key, min(one.not_valid_after_utc for one in chain)),
            max(one.not_valid_before_utc for one in chain),
            chain,
        )

    def _chain(
        self,
        leaf: x509.Certificate,
        offered: Sequence[x509.Certificate],
        anchors: Sequence[x509.Certificate],
        legacy: bool,
        at: datetime,
    ) -> tuple[x509.Certificate, ...]:
        """The chain from `leaf` to an anchor. The first complaint about a link that fits is the one that is told."""
        complaint: CertificateRefused | None = None

        def climb(chain: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
            nonlocal complaint
            below = chain[-1]
            for issuer in (*anchors, *offered):
                if issuer.subject != below.issuer or issuer in chain or not _signed_by(below, issuer):
                    continue
                try:
                    self._check_link(below, issuer, len(chain) - 1, legacy, at)
                except CertificateRefused as refused:
                    complaint = complaint or refused
                    continue
                longer = (*chain, issuer)
                further = None
                if len(chain) < self._rules.keys.max_authorities and issuer.subject != issuer.issuer:
                    further = climb(longer)  # an issuing authority that is trusted may still have been revoked by its own
                if further or issuer in anchors:
                    return further or longer
            return None

        found = climb((leaf,))
        if found is None:
            raise complaint or CertificateRefused(
                "unknown-authority", f"no trusted authority stands behind {leaf.subject.rfc4514_string()!r}"
            )
        return found

    def _check_link(
        self, below: x509.Certificate, issuer: x509.Certificate, authorities_below: int, legacy: bool, at: datetime
    ) -> None:
        """Whether `issuer` may have signed `below`."""
        allowed = self._rules.keys.hashes | (self._rules.keys.legacy_hashes if legacy else frozenset())
        used = below.signature_hash_algorithm
        if used is None or used.name not in allowed:
            raise CertificateRefused(
                "signature-hash", f"signed with {used.name if used else 'none'}, expected one of {sorted(allowed)}"
            )
        constraints = _extension(issuer, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise CertificateRefused(
                "path-length", f"{issuer.subject.rfc4514_string()!r} is not an authority and signed one"
            )
        if constraints.path_length is not None and authorities_below > constraints.path_length:
            name = issuer.subject.rfc4514_string()
            text = f"{authorities_below} authorities stand below {name!r}, allowed are {constraints.path_length}"
            raise CertificateRefused("path-length", text)
        usage = _extension(issuer, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise CertificateRefused("key-usage", f"{issuer.subject.rfc4514_string()!r} may not sign certificates")
        _check_critical(issuer)
        check_key(issuer, self._rules.keys)
        _check_time(issuer, at)

    def _check_use(self, certificate: x509.Certificate, who: CertificateIdentity, purpose: Purpose) -> None:
        constraints = _extension(certificate, x509.BasicConstraints)
        if constraints is not None and constraints.ca:
            raise CertificateRefused("authority-as-leaf", f"{who.dn!r} is an authority, a holder's certificate is expected")
        _check_critical(certificate)
        rules = self._rules.uses.get((purpose, who.kind))
        if rules is None:
            raise CertificateRefused("policy", f"a certificate of the kind {who.kind!r} is not taken for {purpose.value}")
        if not (rules.key_usage_optional and _extension(certificate, x509.KeyUsage) is None):
            _check_key_usage(certificate, rules.key_usage, rules.key_usage_forbidden)
        _check_extended_key_usage(certificate, rules)
        _check_policy(certificate, rules)


def check_key(certificate: x509.Certificate, rules: KeyRules) -> PublicKey:
    """The key of a certificate, which has a kind and a size that are accepted. Raises CertificateRefused."""
    try:
        key = certificate.public_key()
    except UNREADABLE as error:
        raise CertificateRefused("key-type", "the key cannot be read, RSA or an elliptic curve is expected") from error
    if isinstance(key, rsa.RSAPublicKey):
        if not rules.rsa_min <= key.key_size <= rules.rsa_max:
            text = f"RSA of {key.key_size} bits, expected {rules.rsa_min} to {rules.rsa_max}"
            raise CertificateRefused("key-size", text)
        if key.public_numbers().e < rules.rsa_exponent_min:
            raise CertificateRefused("key-type", f"RSA exponent {key.public_numbers().e}, expected 65537 or more")
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in rules.curves:
            raise CertificateRefused("key-type", f"curve {key.curve.name}, expected one of {sorted(rules.curves)}")
        return key
    raise CertificateRefused("key-type", f"{type(key).__name__}, RSA or an elliptic curve is expected")


def _check_time(certificate: x509.Certificate, at: datetime) -> None:
    name = certificate.subject.rfc4514_string()
    if at < certificate.not_valid_before_utc:
        raise CertificateRefused(
            "not-yet-valid", f"{name!r} is valid from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        )
    if at > certificate.not_valid_after_utc:
        raise CertificateRefused("expired", f"{name!r} was valid until {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise CertificateRefused(
                "critical-extension", f"the critical extension {extension.oid.dotted_string} is not known"
            )


def _check_key_usage(certificate: x509.Certificate, required: frozenset[str], forbidden: frozenset[str]) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None:
        raise CertificateRefused("key-usage", f"no key usage is named, expected {sorted(required)}")
    missing = sorted(name for name in required if not getattr(usage, name))
    present = sorted(name for name in forbidden if getattr(usage, name))
    if missing or present:
        raise CertificateRefused("key-usage", f"key usage: missing {missing}, not allowed {present}")


def _check_extended_key_usage(certificate: x509.Certificate, rules: UseRules) -> None:
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if extended is None:
        if not rules.extended_key_usage_optional:
            raise CertificateRefused("extended-key-usage", f"none is named, expected {sorted(rules.extended_key_usage)}")
        return
    named = {usage.dotted_string for usage in extended}
    if not named & rules.extended_key_usage or named & rules.extended_key_usage_forbidden:
        raise CertificateRefused(
            "extended-key-usage", f"{sorted(named)} are named, expected one of {sorted(rules.extended_key_usage)}"
        )


def _check_policy(certificate: x509.Certificate, rules: UseRules) -> None:
    if not rules.policies:
        return
    policies = _extension(certificate, x509.CertificatePolicies)
    named = {policy.policy_identifier.dotted_string for policy in policies} if policies is not None else set()
    if not named & rules.policies:
        raise CertificateRefused("policy", f"issued under {sorted(named)}, expected one of {sorted(rules.policies)}")


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def read_anchors(texts: Iterable[tuple[str, bytes]]) -> tuple[x509.Certificate, ...]:
    """The certificates in PEM files, given as (name, content). Raises TrustError naming the file."""
    found: list[x509.Certificate] = []
    for name, content in texts:
        try:
            found += x509.load_pem_x509_certificates(content)
        except UNREADABLE as error:
            raise TrustError(f"{name}: no certificate in PEM form can be read") from error
    return tuple(dict.fromkeys(found))
