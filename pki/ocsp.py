"""Answers of OCSP responders: asked for, and judged when they arrive.

An answer counts when the authority of the certificate signed it, or a responder that the authority itself named for this,
with a key and a hash of our rules; when it is about this one certificate; and when its time has begun and not ended. One
that does not repeat the nonce of the question could be an old one sent again: it has to be young.
Source: RFC 6960 sections 3.2 and 4.2; RFC 9654 (nonce).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import OCSPExtensionOID, SignatureAlgorithmOID

from pki.errors import CertificateRefused, RevocationRefused
from pki.identity import UNREADABLE
from pki.rules import RULES, Purpose, Rules
from pki.trust import PublicKey, RevocationView, Trust, check_key

Status = Literal["good", "revoked", "unknown"]

MAX_RESPONSE: Final = 65_536
"""Bytes of one response; larger ones are refused unread."""

MAX_AGE: Final = timedelta(minutes=15)
"""How old an answer may be that does not repeat our nonce."""

_SKEW: Final = timedelta(minutes=5)
_NONCE: Final = 32
_UNDERSTOOD: Final = frozenset({OCSPExtensionOID.NONCE})
"""Extensions of a response that may be critical."""

_STATUSES: Final[dict[ocsp.OCSPCertStatus, Status]] = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}
_ID_HASHES: Final = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}
"""Hashes by which a response may name the issuer. SHA-1 proves nothing here: the issuer is known beforehand."""

_RSA: Final = frozenset({
    SignatureAlgorithmOID.RSA_WITH_SHA256,
    SignatureAlgorithmOID.RSA_WITH_SHA384,
    SignatureAlgorithmOID.RSA_WITH_SHA512,
})  # fmt: skip
_ECDSA: Final = frozenset({
    SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a responder said of one certificate; times are UTC. `next_update` None: newer knowledge may be there any time."""

    status: Status
    this_update: datetime
    produced_at: datetime
    next_update: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def order(self) -> tuple[datetime, datetime]:
        """The greater one is the newer one."""
        return self.this_update, self.produced_at


@dataclass(frozen=True, slots=True)
class Question:
    """A request in DER form, and the nonce in it."""

    data: bytes
    nonce: bytes


def ask_about(certificate: x509.Certificate, issuer: x509.Certificate) -> Question:
    """The question for the status of `certificate`. It names the issuer by SHA-1, which every responder understands."""
    nonce = secrets.token_bytes(_NONCE)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303 (a name)
    builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return Question(builder.build().public_bytes(serialization.Encoding.DER), nonce)


def judge_response(
    data: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    *,
    nonce: bytes | None = None,
    newest: Answer | None = None,
    max_age: timedelta = MAX_AGE,
    revocations: RevocationView | None = None,
    rules: Rules = RULES,
) -> Answer:
    """What the DER response `data` says of `certificate`, which `issuer` signed: an authority that is trusted already.

    It may have been asked for, with a `nonce`, or have come by itself, as stapled to a handshake. `newest` is the answer in
    use; `revocations` may know of a responder whose certificate was revoked. The status is not judged: see `check_answer`.
    Raises RevocationRefused: not-a-response, status, answers, other-certificate, extension, responder, responder-… (a reason
    of CertificateRefused), signature, future, ended, stale, nonce, not-newer.
    """
    if len(data) > MAX_RESPONSE:
        raise RevocationRefused("not-a-response", f"{len(data)} bytes, at most {MAX_RESPONSE} are read")
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise RevocationRefused("status", f"the responder says {response.response_status.name.lower()}")
        single = _single(response)
        _check_certificate(single, certificate, issuer)
        _check_extensions(response)
        _check_signature(response, _responder(response, issuer, at, revocations, rules), rules)
        answer = _answer(response, single)
        found = _nonce(response)
    except UNREADABLE as error:
        raise RevocationRefused("not-a-response", f"{type(error).__name__}: not a DER response") from error
    _check_times(answer, at)
    if nonce is not None and found is not None and found != nonce:
        raise RevocationRefused("nonce", "it answers another question than ours")
    if (nonce is None or found is None) and at - answer.this_update > max_age:
        text = f"without our nonce, and thisUpdate {_text(answer.this_update)} is older than {max_age}"
        raise RevocationRefused("stale", text)
    if newest is not None and answer.order < newest.order:
        text = f"thisUpdate {_text(answer.this_update)} is before {_text(newest.this_update)}, which is in use"
        raise RevocationRefused("not-newer", text)
    return answer


def check_answer(answer: Answer, certificate: x509.Certificate) -> None:
    """Only a certificate whose status is good may be used. Raises CertificateRefused: revoked, revocation-unknown."""
    name = certificate.subject.rfc4514_string()
    if answer.status == "revoked":
        when = f" on {_text(answer.revoked_at)}" if answer.revoked_at else ""
        raise CertificateRefused("revoked", f"{name!r} was revoked{when}, says the responder of its authority")
    if answer.status != "good":
        raise CertificateRefused("revocation-unknown", f"{name!r} is not known to the responder of its authority")


def _single(response: ocsp.OCSPResponse) -> ocsp.OCSPSingleResponse:
    """The one answer: extensions of several could not be read."""
    found = list(response.responses)
    if len(found) != 1:
        raise RevocationRefused("answers", f"{len(found)} answers, one is expected")
    return found[0]


def _check_certificate(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    kind = _ID_HASHES.get(single.hash_algorithm.name)
    if kind is None:
        raise RevocationRefused("other-certificate", f"it names the issuer by {single.hash_algorithm.name}")
    expected = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, kind()).build()
    if (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) != (
        expected.serial_number,
        expected.issuer_name_hash,
        expected.issuer_key_hash,
    ):
        raise RevocationRefused("other-certificate", f"it is about number {single.serial_number:x} of its issuer")


def _check_extensions(response: ocsp.OCSPResponse) -> None:
    for extension in (*response.extensions, *response.single_extensions):
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise RevocationRefused("extension", f"the critical extension {extension.oid.dotted_string} is not known")


def _responder(
    response: ocsp.OCSPResponse,
    issuer: x509.Certificate,
    at: datetime,
    revocations: RevocationView | None,
    rules: Rules,
) -> PublicKey:
    """The key of who speaks: the issuer, or one whose certificate is in the response, directly below the issuer."""
    offered = response.certificates[: rules.keys.max_certificates]
    for candidate in (issuer, *offered):
        if not _is_named(response, candidate):
            continue
        try:
            if candidate == issuer:
                return check_key(candidate, rules.keys)
            trust = Trust({Purpose.RESPONDER: (issuer,)}, revocations, rules)
            return trust.check(candidate.public_bytes(serialization.Encoding.DER), (), Purpose.RESPONDER, at).public_key
        except CertificateRefused as refused:
            text = f"the responder {candidate.subject.rfc4514_string()!r}: {refused.text}"
            raise RevocationRefused(f"responder-{refused.reason}", text) from None
    raise RevocationRefused("responder", "neither the issuer nor a certificate in the response is who it says to be from")


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    return response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _check_signature(response: ocsp.OCSPResponse, key: PublicKey, rules: Rules) -> None:
    used, algorithm = response.signature_hash_algorithm, response.signature_algorithm_oid
    known = _RSA if isinstance(key, rsa.RSAPublicKey) else _ECDSA
    if used is None or used.name not in rules.keys.hashes or algorithm not in known:
        text = (
            f"signed by {algorithm.dotted_string}, expected a method of the responder's key with {sorted(rules.keys.hashes)}"
        )
        raise RevocationRefused("signature", text)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), used)
        else:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(used))
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise RevocationRefused("signature", "not signed with the key of the responder that it names") from error


def _answer(response: ocsp.OCSPResponse, single: ocsp.OCSPSingleResponse) -> Answer:
    return Answer(
        _STATUSES[single.certificate_status],
        single.this_update_utc,
        response.produced_at_utc,
        single.next_update_utc,
        single.revocation_time_utc,
    )


def _check_times(answer: Answer, at: datetime) -> None:
    for name, time in (("thisUpdate", answer.this_update), ("producedAt", answer.produced_at)):
        if time > at + _SKEW:
            raise RevocationRefused("future", f"{name} {_text(time)} lies in the future")
    following = answer.next_update
    if following is not None and (following < answer.this_update or following + _SKEW < at):
        raise RevocationRefused("ended", f"nextUpdate {_text(following)} is over")


def _nonce(response: ocsp.OCSPResponse) -> bytes | None:
    try:
        return response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
