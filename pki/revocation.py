"""Revocation lists: judged when they arrive, kept as sets, asked about on every use of a certificate.

A list counts when its authority signed it, when it is for all certificates of that authority, and when its thisUpdate rises.
After nextUpdate it is used for `grace` seconds more; then every certificate of that authority is refused.
Source: RFC 5280 section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from pki.errors import CertificateRefused, RevocationRefused
from pki.identity import UNREADABLE
from pki.rules import RULES

MAX_LIST: Final = 64_000_000
"""Bytes of one list; larger ones are refused unread."""

_SKEW: Final = timedelta(minutes=5)
_UNDERSTOOD: Final = frozenset({ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})
"""Extensions of a list that may be critical: others (partial lists, lists of other issuers) change what it means."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One judged list. `authority` names who signed it (see `authority_key`); `serials` are revoked; times are UTC."""

    authority: bytes
    this_update: datetime
    next_update: datetime
    number: int
    serials: frozenset[int]


def authority_key(authority: x509.Certificate) -> bytes:
    """What tells one authority from another: its name and its public key, so that a renewed key is another authority."""
    key = authority.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return authority.subject.public_bytes() + key


def load_list(data: bytes) -> x509.CertificateRevocationList:
    """A list in DER or PEM form. Raises RevocationRefused (not-a-list)."""
    if len(data) > MAX_LIST:
        raise RevocationRefused("not-a-list", f"{len(data)} bytes, at most {MAX_LIST} are read")
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except UNREADABLE as error:
        raise RevocationRefused("not-a-list", "neither PEM nor DER of a revocation list") from error


def judge_list(
    data: bytes, authorities: Iterable[x509.Certificate], at: datetime, newest: datetime | None = None
) -> RevocationList:
    """The list in `data`, signed by one of `authorities`; `newest` is the thisUpdate of the list in use.

    Raises RevocationRefused: not-a-list, unknown-authority, signature, extension, future, not-newer.
    """
    found = load_list(data)
    authority = _signer(found, authorities)
    for extension in found.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise RevocationRefused("extension", f"the critical extension {extension.oid.dotted_string} is not known")
    this, following = found.last_update_utc, found.next_update_utc
    if following is None or following <= this:
        raise RevocationRefused("not-a-list", "nextUpdate is missing or not after thisUpdate")
    if this > at + _SKEW:
        raise RevocationRefused("future", f"thisUpdate {this:%Y-%m-%dT%H:%M:%SZ} lies in the future")
    if newest is not None and this <= newest:
        raise RevocationRefused(
            "not-newer", f"thisUpdate {this:%Y-%m-%dT%H:%M:%SZ} is not after {newest:%Y-%m-%dT%H:%M:%SZ}, which is in use"
        )
    return RevocationList(
        authority_key(authority), this, following, _number(found), frozenset(row.serial_number for row in found)
    )


def _signer(found: x509.CertificateRevocationList, authorities: Iterable[x509.Certificate]) -> x509.Certificate:
    named = [authority for authority in authorities if authority.subject == found.issuer]
    if not named:
        raise RevocationRefused("unknown-authority", f"{found.issuer.rfc4514_string()!r} is not one of the authorities")
    used = found.signature_hash_algorithm
    if used is None or used.name not in RULES.keys.hashes:
        raise RevocationRefused("signature", f"signed with {used.name if used else 'none'}")
    for authority in named:
        try:
            if found.is_signature_valid(authority.public_key()):  # type: ignore[arg-type]
                return authority
        except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
            continue
    raise RevocationRefused("signature", f"not signed with the key of {found.issuer.rfc4514_string()!r}")


def _number(found: x509.CertificateRevocationList) -> int:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


class Revocations:
    """What is known of revocations at one time; immutable. The `RevocationView` of `pki.trust.Trust`.

    The certificate of a holder needs a list of its authority; that of an authority is looked up where there is a list.
    """

    def __init__(self, lists: Sequence[RevocationList] = (), grace: timedelta = timedelta(0)) -> None:
        self._lists: Mapping[bytes, RevocationList] = {each.authority: each for each in lists}
        self._grace = grace
        self._keys: dict[x509.Certificate, bytes] = {}

    @property
    def lists(self) -> tuple[RevocationList, ...]:
        """The lists in use, one of each authority."""
        return tuple(self._lists.values())

    def ends(self) -> datetime | None:
        """When the first list stops being used; None without lists."""
        return min((each.next_update + self._grace for each in self.lists), default=None)

    def replaced(self, newer: Iterable[RevocationList]) -> Revocations:
        """The same with newer lists in the place of those of their authorities."""
        merged = {**self._lists, **{each.authority: each for each in newer}}
        return Revocations(tuple(merged.values()), self._grace)

    def of(self, issuer: x509.Certificate) -> RevocationList | None:
        """The list of an authority, if there is one."""
        key = self._keys.get(issuer)
        if key is None:
            key = self._keys[issuer] = authority_key(issuer)
        return self._lists.get(key)

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
        """Raises CertificateRefused: revoked, revocation-unknown."""
        found = self.of(issuer)
        if found is None:
            if not is_authority(certificate):
                text = f"no revocation list of {issuer.subject.rfc4514_string()!r} is there"
                raise CertificateRefused("revocation-unknown", text)
            return
        _check_listed(certificate, found)
        if at > found.next_update + self._grace:
            text = f"the revocation list of {issuer.subject.rfc4514_string()!r} ended {found.next_update:%Y-%m-%dT%H:%M:%SZ}"
            raise CertificateRefused("revocation-unknown", text)


class Listed:
    """A `RevocationView` for certificates that need no list: refused is only what a list names, whatever its age."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:  # noqa: ARG002
        """Raises CertificateRefused: revoked."""
        found = self._revocations.of(issuer)
        if found is not None:
            _check_listed(certificate, found)


def _check_listed(certificate: x509.Certificate, found: RevocationList) -> None:
    if certificate.serial_number in found.serials:
        raise CertificateRefused("revoked", f"{certificate.subject.rfc4514_string()!r} was revoked by its authority")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate is one of an authority: basicConstraints says so."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
