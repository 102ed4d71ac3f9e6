"""The verifier of assertions: from a wsse:Security header to the subject that it proves.

Identity is read from the element that signature verification returned and from nothing else; there is no way to a Subject
but through `Verifier.verify`. Every check that fails raises AssertionRefused, and so does whatever nobody foresaw.

Source: SAML 2.0 core; OASIS SAML Token Profile 1.1.1; IHE ITI TF-2 3.40; the order of checks of the DMP's interface.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import DuplicateExtension
from lxml import etree

from access_control.subject import Coded, Subject
from database.errors import DatabaseError
from database.tables import now_micros
from pki.errors import CertificateRefused
from pki.identity import CertificateIdentity
from pki.rules import Purpose
from pki.trust import Checked
from xua.cache import MOST_ENTRIES, Accepted, VerifiedCache
from xua.conditions import Authentication, check_authentication, check_conditions
from xua.header import check_unique_id, find_assertion
from xua.kinds.kind import AssertionKind, Evidence
from xua.refusal import AssertionRefused, Family, certificate_reason, quote
from xua.replay import Replay, Use, use_key
from xua.settings import AssertionSettings, AssertionSettingsError
from xua.shape import check_shape, check_size
from xua.signature import verify_signature
from xua.times import SECOND, to_datetime


class CertificateChecks(Protocol):
    """The trust: `pki.trust.Trust`, or a holder of one that is replaced as revocation lists arrive."""

    def check(
        self, leaf: bytes, others: Sequence[bytes], purpose: Purpose, at: datetime, legacy: bool = False
    ) -> Checked: ...


@dataclass(frozen=True, slots=True)
class Verified:
    """An accepted assertion: who, its ID and Issuer, its end (microseconds), SHA-256 of what was signed (hex).

    `data` is the assertion as it was verified now: serialised by itself, with its signature and the namespace declarations
    that it took from around it. The signature verifies again from these bytes alone.
    """

    subject: Subject
    assertion_id: str
    issuer: str
    not_after: int
    digest: str
    data: bytes


class Verifier:
    """Verifies assertions. One for a process, shared by its threads.

    `kinds` are tried in their order; `replay` remembers first uses. Raises AssertionSettingsError for settings under which
    no assertion could be accepted: XUA assertions need an audience.
    """

    def __init__(
        self,
        trust: CertificateChecks,
        settings: AssertionSettings,
        kinds: Sequence[AssertionKind],
        replay: Replay,
        clock: Callable[[], int] = now_micros,
        cached: int = MOST_ENTRIES,
    ) -> None:
        if not kinds:
            raise AssertionSettingsError("no kind of assertion is accepted: name one in assertions.kinds")
        if any(kind.strict_conditions for kind in kinds) and not settings.audience:
            raise AssertionSettingsError(
                "XUA assertions are accepted but assertions.audience does not say for whom they must be"
            )
        self._trust = trust
        self._settings = settings
        self._kinds = tuple(kinds)
        self._replay = replay
        self._clock = clock
        self.cache = VerifiedCache(cached)
        self._skew = int(settings.skew * SECOND)

    def verify(self, security: etree._Element | None, message: bytes | None, peer: CertificateIdentity | None) -> Verified:
        """Who the assertion in `security` says is asking.

        `security` is the wsse:Security header of the parsed envelope, None where there is none; `message` the bytes of that
        envelope, None where comments were kept in parsing; `peer` the checked TLS client certificate, None without.
        Raises AssertionRefused, and DatabaseError when first uses cannot be remembered now.
        """
        family: list[Family] = [self._kinds[0].family if len({kind.family for kind in self._kinds}) == 1 else "wsse"]
        try:
            return self._verify(security, message, peer, family)
        except AssertionRefused as refused:
            refused.family = family[0] if refused.family == "wsse" else refused.family
            raise
        except DatabaseError:
            raise
        except Exception as error:
            raise AssertionRefused("defect", f"a check ended with {type(error).__name__}", family[0]) from error

    def _verify(
        self,
        security: etree._Element | None,
        message: bytes | None,
        peer: CertificateIdentity | None,
        family: list[Family],
    ) -> Verified:
        """1 header, 2 cache, 3 shape, 4 kind, 5 signer, 6 signature, 7 issuer, 8 times, 9 identity, 10 lists, 11 replay."""
        at = self._clock()
        # 1 exactly one assertion
        assertion = find_assertion(security, message, at, self._skew)
        cut = etree.tostring(assertion, with_tail=False)
        check_size(cut)
        # 2 the same bytes, verified before
        key = hashlib.sha256(cut).digest()
        known = self.cache.get(key)
        if known is not None:
            family[0] = known.kind.family
            check_unique_id(assertion, known.assertion_id, message)
            return self._again(key, cut, known, peer, at)
        # 3 nothing but what is expected, before any cryptography
        shape = check_shape(assertion, legacy=self._settings.legacy)
        check_unique_id(assertion, shape.id, message)
        # 4 which table
        kind = select_kind(self._kinds, assertion)
        family[0] = kind.family
        # 5 the signer is trusted for this purpose
        checked = check_certificates(self._trust, shape.certificates, kind.purpose, at, legacy=self._settings.legacy)
        # 6 the signature; from here on only what it covers
        signed = verify_signature(cut, shape, checked.certificate, to_datetime(at))
        # 7 the issuer is the signer
        if not kind.recognises(signed.assertion):
            raise AssertionRefused("signed-element", "the signed assertion is of another kind")
        issuer = kind.check_issuer(signed.assertion, checked)
        # 8 now, and for us
        window = check_conditions(signed.assertion, at, self._settings, strict=kind.strict_conditions)
        authentication = check_authentication(signed.assertion, at, self._settings.skew)
        if authentication.session_end:
            window = replace(window, end=min(window.end, authentication.session_end))
        # 9 who, in which role, for what
        read = kind.read(Evidence(signed.assertion, checked, authentication, peer, self._settings, at))
        fingerprint = "" if peer is None else peer.fingerprint
        subject = replace(read, digest=signed.digest, certificate=fingerprint)
        # 10 what this server accepts
        check_lists(subject, authentication, self._settings)
        # 11 first use
        use = Use(use_key(issuer, shape.id), fingerprint, signed.digest, window.end + self._skew)
        once = window.one_time or self._settings.one_time
        self._replay.record(use, once=once)
        accepted = Accepted(kind, subject, shape.id, issuer, window, shape.certificates, use, once)
        self.cache.put(key, accepted)
        return _verified(accepted, cut)

    def _again(self, key: bytes, cut: bytes, known: Accepted, peer: CertificateIdentity | None, at: int) -> Verified:
        """What may have changed since: the time, the certificates, the client, the number of uses."""
        try:
            known.window.check(at, self._skew)
            check_certificates(self._trust, known.certificates, known.kind.purpose, at, legacy=self._settings.legacy)
        except AssertionRefused:
            self.cache.drop(key)
            raise
        if known.use.peer != ("" if peer is None else peer.fingerprint):
            raise AssertionRefused("replayed", "the assertion was first used by another TLS client")
        if known.once:
            self._replay.record(known.use, once=True)
        return _verified(known, cut)


def _verified(accepted: Accepted, cut: bytes) -> Verified:
    return Verified(accepted.subject, accepted.assertion_id, accepted.issuer, accepted.window.end, accepted.use.digest, cut)


def select_kind(kinds: Sequence[AssertionKind], assertion: etree._Element) -> AssertionKind:
    """The first kind that recognises `assertion`. Raises AssertionRefused."""
    for kind in kinds:
        if kind.recognises(assertion):
            return kind
    raise AssertionRefused("unknown-kind", f"the assertion is of none of the kinds {', '.join(kind.name for kind in kinds)}")


def check_certificates(
    trust: CertificateChecks, certificates: Sequence[bytes], purpose: Purpose, at: int, *, legacy: bool
) -> Checked:
    """The leaf (the first of `certificates`) checked for `purpose`. Raises AssertionRefused."""
    try:
        return trust.check(certificates[0], certificates[1:], purpose, to_datetime(at), legacy)
    except CertificateRefused as refused:
        raise AssertionRefused(certificate_reason(refused.reason), refused.text) from None
    except (ValueError, TypeError, DuplicateExtension, UnsupportedAlgorithm) as error:
        raise AssertionRefused("certificate", f"reading it ended with {type(error).__name__}") from error


def check_lists(subject: Subject, authentication: Authentication, settings: AssertionSettings) -> None:
    """Compare with what the settings name: every role, the purpose, the authentication context. Raises AssertionRefused."""
    if settings.roles and (not subject.roles or not all(_named(role, settings.roles) for role in subject.roles)):
        shown = ", ".join(quote(str(role)) for role in subject.roles) or "none"
        raise AssertionRefused("role-not-allowed", f"the roles are {shown}, expected: {', '.join(settings.roles)}")
    code, _, system = subject.purpose.partition("^")
    if settings.purposes and not _named(Coded(code, system), settings.purposes):
        raise AssertionRefused(
            "purpose-not-allowed", f"the purpose is {quote(subject.purpose)}, expected: {', '.join(settings.purposes)}"
        )
    if settings.authn_contexts and authentication.context not in settings.authn_contexts:
        raise AssertionRefused(
            "authn-context",
            f"the context is {quote(authentication.context)}, expected: {', '.join(settings.authn_contexts)}",
        )


def _named(value: Coded, listed: Sequence[str]) -> bool:
    return bool(value.code) and (value.code in listed or str(value) in listed)
