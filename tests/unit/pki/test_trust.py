"""Each reason for which a certificate is refused, one thing wrong at a time (B18, B19, B21, B22 of the attack catalogue)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import CertificateRefused, TrustError
from pki.revocation import Revocations, judge_list
from pki.trust import Purpose, Trust, read_anchors
from tests.unit.pki.world import AT, CARD_CONNECTS, CLIENT, CONNECTS, ISSUING, ROOT, SERVER, Holder, card, rsa_key

TRUST = Trust({purpose: [ROOT.certificate] for purpose in Purpose})


def check(leaf: Holder, *others: Holder, purpose: Purpose = Purpose.ASSERTION, trust: Trust = TRUST) -> str:
    """ "accepted", or the reason."""
    try:
        trust.check(leaf.der, [other.der for other in others or (ISSUING,)], purpose, AT)
    except CertificateRefused as refused:
        return refused.reason
    return "accepted"


def test_a_card_signs() -> None:
    found = TRUST.check(card().der, [ISSUING.der], Purpose.ASSERTION, AT)
    assert (found.identity.kind, found.identity.holder) == ("person", "899700000001")
    assert found.not_after == AT + timedelta(days=300)


def leaf_of_leaf() -> Holder:
    between = Holder("Between", ISSUING, authority=False)
    return card(above=between)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: card(days=(-10, -1)), "expired"),
        (lambda: card(days=(1, 10)), "not-yet-valid"),
        (lambda: card(above=Holder("Stranger")), "unknown-authority"),
        (lambda: card(authority=True), "authority-as-leaf"),
        (lambda: card(usages=CONNECTS), "key-usage"),
        (lambda: card(usages=None), "key-usage"),
        (lambda: card(extended=(SERVER,)), "extended-key-usage"),
        (lambda: card(policy="2.999.1"), "policy"),
        (lambda: card(policy=""), "policy"),
        (lambda: card(person=False), "policy"),
        (lambda: card(critical=True), "critical-extension"),
        (lambda: card(key=rsa_key(1024)), "key-size"),
        (lambda: card(key=rsa_key(2048, 3)), "key-type"),
        (lambda: card(key=ec.generate_private_key(ec.SECP521R1())), "key-type"),
        (lambda: card(key=ed25519.Ed25519PrivateKey.generate()), "key-type"),
        (lambda: card(hash=hashes.SHA224()), "signature-hash"),
    ],
)
def test_one_thing_wrong_with_the_leaf(make: Callable[[], Holder], reason: str) -> None:
    assert check(make()) == reason


@pytest.mark.parametrize(
    ("above", "reason"),
    [
        (lambda: Holder("Not an authority", ROOT, authority=False), "path-length"),
        (lambda: Holder("May not sign", ROOT, usages=frozenset({"crl_sign"})), "key-usage"),
        (lambda: Holder("Over", ROOT, days=(-10, -1)), "expired"),
        (lambda: Holder("Critical", ROOT, critical=True), "critical-extension"),
        (lambda: Holder("Small", ROOT, key=rsa_key(1024)), "key-size"),
        (lambda: Holder("Too deep", ISSUING), "path-length"),
    ],
)
def test_one_thing_wrong_above_the_leaf(above: Callable[[], Holder], reason: str) -> None:
    issuer = above()
    assert check(card(above=issuer), issuer, ISSUING) == reason


def test_too_many_certificates_are_not_looked_at() -> None:
    assert check(card(), *[ISSUING] * 4) == "path-length"


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(CertificateRefused) as refused:
        TRUST.check(b"\x30\x03\x02\x01\x01", [], Purpose.ASSERTION, AT)
    assert refused.value.reason == "not-a-certificate"


def test_a_missing_issuing_authority_is_an_unknown_one() -> None:
    with pytest.raises(CertificateRefused) as refused:
        TRUST.check(card().der, [], Purpose.ASSERTION, AT)
    assert refused.value.reason == "unknown-authority"


def test_a_certificate_for_connections_does_not_sign_and_the_other_way_round() -> None:
    connects = card(usages=CONNECTS, extended=(CLIENT,), policy=CARD_CONNECTS)
    assert check(connects, purpose=Purpose.TLS_CLIENT) == "accepted"
    assert check(connects) == "key-usage"
    assert check(card(), purpose=Purpose.TLS_CLIENT) == "key-usage"


def test_time_is_judged_on_every_call() -> None:
    leaf = card()
    trust = Trust({Purpose.ASSERTION: [ROOT.certificate]})
    trust.check(leaf.der, [ISSUING.der], Purpose.ASSERTION, AT)
    for at, reason in ((AT + timedelta(days=301), "expired"), (AT - timedelta(days=11), "not-yet-valid")):
        with pytest.raises(CertificateRefused) as refused:
            trust.check(leaf.der, [ISSUING.der], Purpose.ASSERTION, at)
        assert refused.value.reason == reason


def test_revocation_is_judged_on_every_call_of_the_issuing_authority_too() -> None:
    leaf = card()
    trust = Trust({Purpose.ASSERTION: [ROOT.certificate, ISSUING.certificate]})
    assert check(leaf, trust=trust) == "accepted"
    authorities = [ROOT.certificate, ISSUING.certificate]

    def known(*lists: bytes) -> Trust:
        return trust.with_revocations(Revocations([judge_list(each, authorities, AT) for each in lists]))

    assert check(leaf, trust=known()) == "revocation-unknown"
    assert check(leaf, trust=known(ISSUING.crl())) == "accepted"
    assert check(leaf, trust=known(ISSUING.crl(leaf))) == "revoked"
    assert check(leaf, trust=known(ISSUING.crl(), ROOT.crl(ISSUING))) == "revoked"


def test_two_authorities_may_be_trusted_at_once() -> None:
    second = Holder("Second root")
    issuing = Holder("Second issuing", second)
    trust = Trust({Purpose.ASSERTION: [ROOT.certificate, second.certificate]})
    assert check(card(), trust=trust) == "accepted"
    assert check(card(above=issuing), issuing, trust=trust) == "accepted"


def test_a_pinned_certificate_needs_no_authority() -> None:
    lone = Holder("STS", usages=None, authority=False)
    trust = Trust({Purpose.STS: [lone.certificate]})
    assert check(lone, purpose=Purpose.STS, trust=trust) == "accepted"
    assert check(lone, purpose=Purpose.ASSERTION, trust=trust) == "policy"
    wrong = Holder("STS", authority=False, usages=frozenset({"key_agreement"}))
    assert check(wrong, purpose=Purpose.STS, trust=Trust({Purpose.STS: [wrong.certificate]})) == "key-usage"


def test_anchors_are_read_from_pem_once_each() -> None:
    pem = ROOT.certificate.public_bytes(Encoding.PEM)
    assert read_anchors([("a", pem), ("b", pem)]) == (ROOT.certificate,)
    with pytest.raises(TrustError, match="b: no certificate"):
        read_anchors([("b", b"nothing")])
