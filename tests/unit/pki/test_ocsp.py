"""Answers of OCSP responders: which count, with one thing wrong each (B22 of the attack catalogue)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier, SignatureAlgorithmOID

from pki.errors import CertificateRefused, RevocationRefused
from pki.ocsp import MAX_AGE, MAX_RESPONSE, Answer, ask_about, check_answer, judge_response
from pki.revocation import Listed, Revocations, judge_list
from pki.testca import TestPki
from pki.testocsp import answer
from tests.unit.pki import world
from tests.unit.pki.world import CLIENT, CONNECTS, ISSUING, ROOT, SERVER, Holder, card, rsa_key

OCSP = ExtendedKeyUsageOID.OCSP_SIGNING
LEAF = card()
NONCE = b"n" * 32
NAME = ocsp.OCSPResponderEncoding.NAME
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN

# The judge's time. The library writes its own time as that of an answer (producedAt), so this is after all of them.
AT = world.AT + timedelta(hours=1)


def responder(**changes: Any) -> Holder:
    """One that the issuer named to answer for it, with changes."""
    values = {"name": "Responder", "above": ISSUING, "authority": False, "usages": CONNECTS, "extended": (OCSP,), **changes}
    return Holder(**values)


RESPONDER = responder()


@dataclass(frozen=True)
class Draft:
    """A response as it should be; tests change one thing."""

    leaf: Holder = field(default_factory=lambda: LEAF)
    issuer: Holder = field(default_factory=lambda: ISSUING)
    signer: Holder = field(default_factory=lambda: RESPONDER)
    shown: tuple[Holder, ...] | None = None
    status: ocsp.OCSPCertStatus = GOOD
    this: datetime = AT - MINUTE
    following: datetime | None = AT + 10 * MINUTE
    nonce: bytes | None = NONCE
    id_hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA1)
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    encoding: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH
    critical: bool = False

    def der(self) -> bytes:
        when = self.this if self.status is REVOKED else None
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                self.leaf.certificate,
                self.issuer.certificate,
                self.id_hash,
                self.status,
                self.this,
                self.following,
                when,
                None,
            )
            .responder_id(self.encoding, self.signer.certificate)
        )
        shown = self.shown if self.shown is not None else (self.signer,)
        if shown:
            builder = builder.certificates([each.certificate for each in shown])
        if self.nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(self.nonce), critical=False)
        if self.critical:
            builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0"), critical=True)
        return builder.sign(self.signer.key, self.hash).public_bytes(Encoding.DER)


def judged(data: bytes, **how: Any) -> Answer:
    values = {"certificate": LEAF.certificate, "issuer": ISSUING.certificate, "at": AT, "nonce": NONCE, **how}
    return judge_response(data, values.pop("certificate"), values.pop("issuer"), values.pop("at"), **values)


def reason(data: bytes, **how: Any) -> str:
    with pytest.raises(RevocationRefused) as refused:
        judged(data, **how)
    assert refused.value.text
    return refused.value.reason


@pytest.mark.parametrize("encoding", list(ocsp.OCSPResponderEncoding))
@pytest.mark.parametrize("id_hash", [hashes.SHA1(), hashes.SHA256()])
@pytest.mark.parametrize("signer", [RESPONDER, ISSUING, responder(name="RSA", key=rsa_key(2048)), responder(usages=None)])
def test_an_answer_of_the_issuer_or_of_its_responder_counts(
    encoding: ocsp.OCSPResponderEncoding, id_hash: hashes.HashAlgorithm, signer: Holder
) -> None:
    shown = () if signer is ISSUING else None
    found = judged(Draft(signer=signer, shown=shown, encoding=encoding, id_hash=id_hash).der())
    assert found.status == "good"
    assert (found.this_update, found.next_update) == (AT - MINUTE, AT + 10 * MINUTE)
    check_answer(found, LEAF.certificate)


@pytest.mark.parametrize(("status", "refusal"), [(REVOKED, "revoked"), (UNKNOWN, "revocation-unknown")])
def test_only_a_good_certificate_may_be_used(status: ocsp.OCSPCertStatus, refusal: str) -> None:
    with pytest.raises(CertificateRefused) as refused:
        check_answer(judged(Draft(status=status).der()), LEAF.certificate)
    assert refused.value.reason == refusal
    assert LEAF.name in refused.value.text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not-a-response"),
        (b"<html>sign in</html>", "not-a-response"),
        (Draft().der()[:-1], "not-a-response"),
        (Draft().der() + b"\0", "not-a-response"),
        (b"\0" * (MAX_RESPONSE + 1), "not-a-response"),
        *(
            (ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER), "status")
            for status in ocsp.OCSPResponseStatus
            if status is not ocsp.OCSPResponseStatus.SUCCESSFUL
        ),
    ],
)
def test_what_is_no_answer_at_all(data: bytes, expected: str) -> None:
    assert reason(data) == expected


SHORT_KEY = rsa_key(1024)


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        # about something else
        (Draft(leaf=card()), "other-certificate"),
        (Draft(issuer=ROOT), "other-certificate"),
        (Draft(issuer=Holder("Issuing", ROOT)), "other-certificate"),
        (Draft(id_hash=hashes.SHA384()), "other-certificate"),
        (Draft(critical=True), "extension"),
        # from somebody else
        (Draft(shown=()), "responder"),
        (Draft(shown=(responder(name="Another"),)), "responder"),
        (Draft(shown=(responder(),)), "responder"),
        (Draft(shown=(*(responder() for _ in range(4)), RESPONDER)), "responder"),
        (Draft(signer=LEAF), "responder-policy"),
        (Draft(signer=responder(extended=())), "responder-extended-key-usage"),
        (Draft(signer=responder(extended=(CLIENT,))), "responder-extended-key-usage"),
        (Draft(signer=responder(extended=(OCSP, SERVER))), "responder-extended-key-usage"),
        (Draft(signer=responder(usages=frozenset({"key_agreement"}))), "responder-key-usage"),
        (Draft(signer=responder(authority=True)), "responder-authority-as-leaf"),
        (Draft(signer=responder(above=ROOT)), "responder-unknown-authority"),
        (Draft(signer=responder(above=Holder("Issuing"))), "responder-unknown-authority"),
        (Draft(signer=responder(days=(-10, -1))), "responder-expired"),
        (Draft(signer=responder(days=(1, 10))), "responder-not-yet-valid"),
        (Draft(signer=responder(key=SHORT_KEY)), "responder-key-size"),
        (Draft(signer=responder(key=ec.generate_private_key(ec.SECP521R1()))), "responder-key-type"),
        (Draft(signer=responder(key=ec.generate_private_key(ec.SECP256K1()))), "responder-key-type"),
        (Draft(signer=responder(hash=hashes.SHA224())), "responder-signature-hash"),
        (Draft(signer=responder(critical=True)), "responder-critical-extension"),
        # signed otherwise
        (Draft(signer=responder(), shown=(RESPONDER,), encoding=NAME), "signature"),
        (Draft(signer=Holder("Issuing"), encoding=NAME), "signature"),
        (Draft(signer=responder(key=rsa_key(2048)), shown=(RESPONDER,), encoding=NAME), "signature"),
        (Draft(hash=hashes.SHA224()), "signature"),
        # at another time
        (Draft(this=AT + 6 * MINUTE, following=AT + DAY), "future"),
        (Draft(following=AT - 6 * MINUTE, this=AT - DAY), "ended"),
        (Draft(nonce=b"m" * 32), "nonce"),
        (Draft(nonce=None, this=AT - MAX_AGE - MINUTE), "stale"),
    ],
)
def test_an_answer_that_cannot_count_is_refused(draft: Draft, expected: str) -> None:
    assert reason(draft.der()) == expected


def test_two_answers_in_one_are_refused() -> None:
    """The library writes one only: the list of answers is doubled by hand."""
    response = ocsp.load_der_ocsp_response(Draft(signer=ISSUING, shown=(), nonce=None).der())
    single = _list_of_answers(response.tbs_response_bytes)
    doubled = response.tbs_response_bytes.replace(single, _der(0x30, single[_head(single) :] * 2))
    tbs = _der(0x30, doubled[_head(doubled) :])
    signature = ISSUING.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    assert reason(_response(tbs, SignatureAlgorithmOID.ECDSA_WITH_SHA256, signature)) == "answers"


def test_an_answer_signed_with_sha1_is_refused() -> None:
    """The library does not sign so any more: it is put together by hand, as its counterpart is that counts."""
    issuer = Holder("Issuing", ROOT, key=rsa_key(2048))
    leaf = card(above=issuer)
    how = {"certificate": leaf.certificate, "issuer": issuer.certificate}
    tbs = ocsp.load_der_ocsp_response(Draft(leaf, issuer, issuer, shown=()).der()).tbs_response_bytes
    today = issuer.key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    assert judged(_response(tbs, SignatureAlgorithmOID.RSA_WITH_SHA256, today), **how).status == "good"
    old = issuer.key.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    assert reason(_response(tbs, SignatureAlgorithmOID.RSA_WITH_SHA1, old), **how) == "signature"


def _response(tbs: bytes, algorithm: ObjectIdentifier, signature: bytes) -> bytes:
    """A whole response around response data."""
    method = _ALGORITHMS[algorithm]
    basic = _der(0x30, tbs + _der(0x30, bytes.fromhex(method)) + _der(0x03, b"\0" + signature))
    inside = _der(0x30, bytes.fromhex("06092b0601050507300101") + _der(0x04, basic))
    return _der(0x30, b"\x0a\x01\x00" + _der(0xA0, inside))


_ALGORITHMS = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "06082a8648ce3d040302",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "06092a864886f70d01010b0500",
    SignatureAlgorithmOID.RSA_WITH_SHA1: "06092a864886f70d0101050500",
}


def _list_of_answers(tbs: bytes) -> bytes:
    """The SEQUENCE of answers, behind the responder and the time; it ends the response data where there is no nonce."""
    at = _head(tbs)
    for _ in range(2):
        at += _head(tbs[at:]) + _length(tbs[at:])
    return tbs[at:]


def _head(data: bytes) -> int:
    return 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)


def _length(data: bytes) -> int:
    return int.from_bytes(data[2 : _head(data)], "big") if data[1] & 0x80 else data[1]


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 0x80 else bytes([0x80 | len(octets)]) + octets) + content


def test_every_changed_bit_is_noticed() -> None:
    """A changed answer is refused, or says the same of the certificate: what it is signed with may be written otherwise."""
    data = Draft(signer=ISSUING, shown=(), status=REVOKED).der()
    right = judged(data)
    accepted = []
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                accepted.append(judged(bytes(changed)))
            except RevocationRefused:
                continue
    assert all(found == right for found in accepted)
    assert len(accepted) < 100


def test_the_clocks_may_differ_by_minutes() -> None:
    assert judged(Draft(this=AT + 4 * MINUTE).der()).status == "good"
    assert judged(Draft(this=AT - DAY, following=AT - 4 * MINUTE).der()).status == "good"


def test_an_issuer_with_a_key_that_is_too_short_does_not_count() -> None:
    issuer = Holder("Weak", key=SHORT_KEY)
    leaf = card(above=issuer)
    data = Draft(leaf=leaf, issuer=issuer, signer=issuer, shown=()).der()
    assert reason(data, certificate=leaf.certificate, issuer=issuer.certificate) == "responder-key-size"


def test_with_our_nonce_an_answer_may_rest_on_old_knowledge() -> None:
    """A responder that draws on revocation lists names the thisUpdate of the list."""
    old = Draft(this=AT - DAY)
    assert judged(old.der()).status == "good"
    assert reason(replace(old, nonce=None).der()) == "stale"
    assert judged(replace(old, nonce=None).der(), max_age=2 * DAY).status == "good"


def test_an_answer_in_hand_that_nobody_asked_for_has_to_be_young() -> None:
    """As it is stapled to a handshake: it cannot repeat a nonce of ours."""
    assert judged(Draft(nonce=None).der(), nonce=None).status == "good"
    assert judged(Draft().der(), nonce=None).status == "good"
    assert reason(Draft(nonce=None, this=AT - DAY).der(), nonce=None) == "stale"


def test_an_older_answer_never_replaces_a_newer_one() -> None:
    newest = judged(Draft(status=REVOKED, this=AT - MINUTE).der())
    assert reason(Draft(this=AT - 2 * MINUTE).der(), newest=newest) == "not-newer"
    assert judged(Draft(status=REVOKED, this=AT - MINUTE).der(), newest=newest).status == "revoked"
    assert judged(Draft(this=AT).der(), newest=newest).status == "good", "a suspension may be lifted"


def test_a_responder_that_was_revoked_does_not_count() -> None:
    lists = Revocations([judge_list(ISSUING.crl(RESPONDER), [ISSUING.certificate], world.AT)])
    assert reason(Draft().der(), revocations=Listed(lists)) == "responder-revoked"
    other = Revocations([judge_list(ISSUING.crl(LEAF), [ISSUING.certificate], world.AT)])
    assert judged(Draft().der(), revocations=Listed(other)).status == "good"


def test_a_question_names_the_certificate_and_has_a_nonce_of_its_own() -> None:
    first, second = (ask_about(LEAF.certificate, ISSUING.certificate) for _ in range(2))
    asked = ocsp.load_der_ocsp_request(first.data)
    assert asked.serial_number == LEAF.certificate.serial_number
    assert asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == first.nonce
    assert len({first.nonce, second.nonce, b""}) == 3


def test_the_responder_of_the_test_pki(tmp_path: Path) -> None:
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    helper = pki.issue("ocsp-structures", "responder")
    leaf, _, (issuer, root) = pki.issue("client", "client").load()
    persons = pki.authority("persons")[0]

    def status(**how: Any) -> str:
        question = ask_about(leaf, issuer)
        return judge_response(
            answer(pki, question.data, **how), leaf, issuer, datetime.now(UTC), nonce=question.nonce
        ).status

    assert status() == "good"
    assert status(responder=helper) == "good"
    assert status(lasts=None, with_nonce=False) == "good"
    pki.revoke("client", "keyCompromise")
    assert status(responder=helper) == "revoked"
    row = next(row for row in pki.issued if row.name == "client")
    pki.issued.remove(row)
    assert status() == "unknown"
    for data, said in ((ask_about(card().certificate, ROOT.certificate).data, "unauthorized"), (b"x", "malformed_request")):
        with pytest.raises(RevocationRefused, match=said):
            judge_response(answer(pki, data), leaf, issuer, datetime.now(UTC))
    with pytest.raises(RevocationRefused) as refused:
        judge_response(answer(pki, ask_about(leaf, persons).data), leaf, issuer, datetime.now(UTC))
    assert refused.value.reason == "other-certificate"
    question = ask_about(issuer, root)
    assert (
        judge_response(answer(pki, question.data), issuer, root, datetime.now(UTC), nonce=question.nonce).status == "unknown"
    )
