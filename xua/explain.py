"""What is right and wrong with an assertion, check by check, in words.

The same functions as the verifier's are asked, in its order; but after a refusal the others are still asked where they can
be, so that somebody who repairs an assertion sees all that is left. No Subject is returned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from pki.errors import CertificateRefused
from pki.identity import CertificateIdentity, identity_of, load_certificate
from pki.trust import Checked
from xmlsafe import XmlError, parse
from xmlsafe.namespaces import SOAP12, WSSE
from xua.conditions import Authentication, check_authentication, check_conditions
from xua.header import check_unique_id, find_assertion
from xua.kinds.kind import AssertionKind, Evidence
from xua.refusal import REASONS, AssertionRefused
from xua.settings import AssertionSettings
from xua.shape import ASSERTION, SIGNATURE, Shape, check_shape, check_size
from xua.signature import verify_signature
from xua.times import SECOND, to_datetime, write_time
from xua.verify import CertificateChecks, check_certificates, check_lists, select_kind

T = TypeVar("T")
Outcome = Literal["passed", "failed", "skipped"]
_DECLARATION_END: Final = b"?>"


@dataclass(frozen=True, slots=True)
class Step:
    """One check: what it is about, how it ended, the reason (a key of REASONS, or xml), and words."""

    check: str
    outcome: Outcome
    words: str
    reason: str = ""


@dataclass(slots=True)
class Inspector:
    """Asks every check. `peer` is the TLS client certificate to bind to; without it the binding is not judged."""

    trust: CertificateChecks
    settings: AssertionSettings
    kinds: Sequence[AssertionKind]
    at: int
    peer: CertificateIdentity | None = None
    steps: list[Step] = field(default_factory=list)

    def explain(self, data: bytes) -> tuple[Step, ...]:
        """The steps for a SOAP message or a bare assertion, in order."""
        self.steps = []
        try:
            self._explain(data)
        except XmlError as error:
            self.steps.append(Step("document", "failed", f"{error.reason}: {error.detail}", "xml"))
        return tuple(self.steps)

    def _explain(self, data: bytes) -> None:
        message = as_message(data)
        root = parse(message)
        self.steps.append(Step("document", "passed", f"{len(data)} bytes of well-formed XML in UTF-8"))
        security = next(root.iter(f"{{{WSSE}}}Security"), None)
        skew = int(self.settings.skew * SECOND)
        assertion = self._ask("header", lambda: find_assertion(security, message, self.at, skew), _one_assertion)
        if assertion is None:
            assertion = next(root.iter(ASSERTION), None)
        if assertion is None:
            return
        found = assertion
        cut = etree.tostring(found, with_tail=False)
        self._ask("size", lambda: check_size(cut), lambda _: f"{len(cut)} bytes")
        shape = self._shape(found, message)
        kind = self._ask("kind", lambda: select_kind(self.kinds, found), lambda one: one.name)
        if shape is None or kind is None:
            self._skip("certificate", "signature", "issuer", "times", "authentication", "identity", "lists")
            return
        checked = self._certificate(shape, kind)
        signed = self._signature(cut, shape, checked, found)
        self._content(signed, checked, kind)

    def _shape(self, assertion: etree._Element, message: bytes) -> Shape | None:
        def look() -> Shape:
            shape = check_shape(assertion, legacy=self.settings.legacy)
            check_unique_id(assertion, shape.id, message)
            return shape

        shape = self._ask("shape", look, lambda s: f"ID {s.id}, {s.signature_method}, {len(s.certificates)} certificates")
        if shape is None and not self.settings.legacy:
            try:
                return check_shape(assertion, legacy=True)
            except AssertionRefused:
                return None
        return shape

    def _certificate(self, shape: Shape, kind: AssertionKind) -> Checked | None:
        checked = self._ask(
            "certificate",
            lambda: check_certificates(self.trust, shape.certificates, kind.purpose, self.at, legacy=self.settings.legacy),
            lambda one: f"{one.identity.dn}, trusted for {kind.purpose.value} until {one.not_after:%Y-%m-%d}",
        )
        return checked or _unchecked(shape.certificates[0])

    def _signature(self, cut: bytes, shape: Shape, checked: Checked | None, assertion: etree._Element) -> etree._Element:
        """The signed element; where the signature does not hold, what it would have covered."""
        if checked is None:
            self._skip("signature")
        else:
            certificate = checked.certificate
            inside = min(max(to_datetime(self.at), certificate.not_valid_before_utc), certificate.not_valid_after_utc)
            signed = self._ask(
                "signature",
                lambda: verify_signature(cut, shape, certificate, inside),
                lambda one: f"made with the key of {checked.identity.dn}; SHA-256 of what it covers {one.digest}",
            )
            if signed is not None:
                return signed.assertion
        plain = copy.deepcopy(assertion)
        for signature in plain.findall(SIGNATURE):
            plain.remove(signature)
        return plain

    def _content(self, assertion: etree._Element, checked: Checked | None, kind: AssertionKind) -> None:
        settings, at = self.settings, self.at
        if checked is None:
            self._skip("issuer")
        else:
            self._ask("issuer", lambda: kind.check_issuer(assertion, checked), lambda issuer: issuer)
        self._ask(
            "times",
            lambda: check_conditions(assertion, at, settings, strict=kind.strict_conditions),
            lambda window: f"valid from {write_time(window.start)} to {write_time(window.end)}, now {write_time(at)}",
        )
        authentication = self._ask(
            "authentication", lambda: check_authentication(assertion, at, settings.skew), lambda one: one.context
        )
        if checked is None or authentication is None:
            self._skip("identity", "lists")
            return
        self._identity(Evidence(assertion, checked, authentication, self.peer or checked.identity, settings, at), kind)

    def _identity(self, evidence: Evidence, kind: AssertionKind) -> None:
        authentication: Authentication = evidence.authentication
        subject = self._ask(
            "identity",
            lambda: kind.read(evidence),
            lambda one: "; ".join(
                part
                for part in (
                    f"{one.id} {one.name}".strip(),
                    f"proof {one.proof_level}",
                    "roles " + ", ".join(str(role) for role in one.roles) if one.roles else "",
                    f"structure {one.structure}" if one.structure else "",
                    f"purpose {one.purpose}" if one.purpose else "",
                )
                if part
            ),
        )
        if self.peer is None:
            self.steps.append(Step("binding", "skipped", "no TLS client certificate was given"))
        if subject is None:
            self._skip("lists")
            return
        named = subject
        self._ask(
            "lists",
            lambda: check_lists(named, authentication, self.settings),
            lambda _: "roles, purpose and authentication context are accepted",
        )

    def _ask(self, check: str, ask: Callable[[], T], words: Callable[[T], str]) -> T | None:
        try:
            found = ask()
        except AssertionRefused as refused:
            meaning = REASONS[refused.reason].meaning
            self.steps.append(Step(check, "failed", f"{meaning}: {refused.text}", refused.reason))
            return None
        self.steps.append(Step(check, "passed", words(found)))
        return found

    def _skip(self, *checks: str) -> None:
        self.steps += [Step(check, "skipped", "what it needs did not pass") for check in checks]


def as_message(data: bytes) -> bytes:
    """A SOAP message as it is; a bare assertion in the header of an envelope. Raises XmlError."""
    root = parse(data)
    if root.tag != ASSERTION:
        return data
    body = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
    if body.startswith(b"<?xml"):
        body = body.partition(_DECLARATION_END)[2]
    head = f'<soap:Envelope xmlns:soap="{SOAP12}" xmlns:wsse="{WSSE}"><soap:Header><wsse:Security>'
    return head.encode() + body.strip() + b"</wsse:Security></soap:Header><soap:Body/></soap:Envelope>"


def _one_assertion(assertion: etree._Element) -> str:
    return f"one assertion, issued {assertion.get('IssueInstant', '')}"


def _unchecked(der: bytes) -> Checked | None:
    """The certificate as it is, so that what depends on it can be looked at; it stays refused."""
    try:
        certificate = load_certificate(der)
        key = certificate.public_key()
    except (CertificateRefused, ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return None
    return Checked(certificate, identity_of(der), key, certificate.not_valid_after_utc)
