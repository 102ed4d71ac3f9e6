"""The published VIHF samples: each refused for its exact first reason; twins signed by our authorities verify with SHA-1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import CertificateRefused
from pki.rules import Purpose
from pki.trust import Trust
from tests.assertion_world import World
from tests.assertions import SECOND, SIGNATURE_MARK, Form, message
from tests.shared_data import shared
from xmlsafe import XmlError, parse
from xmlsafe.namespaces import DS
from xua.explain import as_message
from xua.refusal import AssertionRefused
from xua.shape import check_shape
from xua.signature import verify_signature

SHA1 = Form(signature=f"{DS}rsa-sha1", digest=f"{DS}sha1")
WITH_SIGNATURE = ("VIHF_INDIRECTE_signe.xml", "VIHF_INDIRECTE_RENFORCEE_signe.xml")
NOT_UTF8 = ("VIHF_DIRECTE_signe.xml", "VIHF_DIRECTE_non_signe.xml")


def sample(name: str) -> bytes:
    return shared("corpus", "dmp-messages", name).read_bytes()


def leaf_of(data: bytes) -> x509.Certificate:
    text = parse(data).findtext(f".//{{{DS}}}X509Certificate") or ""
    return x509.load_pem_x509_certificate(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----".encode())


@pytest.mark.corpus
@pytest.mark.parametrize("name", NOT_UTF8)
def test_a_sample_in_another_encoding(name: str) -> None:
    with pytest.raises(XmlError) as refused:
        parse(sample(name))
    assert refused.value.reason == "encoding"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "legacy", "reason"),
    [
        (WITH_SIGNATURE[0], False, "signature-algorithm"),
        (WITH_SIGNATURE[1], False, "signature-algorithm"),
        (WITH_SIGNATURE[0], True, "certificate-expired"),
        (WITH_SIGNATURE[1], True, "certificate-key-usage"),
    ],
)
def test_a_sample_is_refused_with_its_first_reason(world: World, name: str, legacy: bool, reason: str) -> None:
    assert world.verdict(as_message(sample(name)), "structure", legacy=legacy) == reason


@pytest.mark.corpus
@pytest.mark.parametrize("name", WITH_SIGNATURE)
def test_the_digest_of_no_sample_holds(name: str) -> None:
    data = sample(name)
    leaf = leaf_of(data)
    with pytest.raises(AssertionRefused) as refused:
        verify_signature(data, check_shape(parse(data), legacy=True), leaf, leaf.not_valid_before_utc)
    assert refused.value.reason == "digest-mismatch"


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "reason"), [(WITH_SIGNATURE[0], "unknown-authority"), (WITH_SIGNATURE[1], "key-usage")])
def test_the_certificate_of_a_sample_in_its_own_time(world: World, name: str, reason: str) -> None:
    """One is a certificate for connections; the other one is right, but its authority is not among ours."""
    leaf = leaf_of(sample(name))
    trust = Trust({Purpose.ASSERTION: (world.root.certificate,)})
    with pytest.raises(CertificateRefused) as refused:
        trust.check(leaf.public_bytes(Encoding.DER), (), Purpose.ASSERTION, datetime(2019, 8, 1, tzinfo=UTC))
    assert refused.value.reason == reason


@dataclass(frozen=True)
class Twin:
    """The content of a sample under a certificate of our authority with the same subject."""

    data: bytes
    at: int


def twin(world: World, name: str, form: Form) -> Twin:
    """The sample's own text; its signature is made anew, and what names the signer follows from our certificate."""
    text = sample(name).decode()
    original = leaf_of(text.encode())
    signer = world.structure_like(original.subject)
    unsigned = re.sub("<Signature .*</Signature>", lambda _match: SIGNATURE_MARK, text)
    assert unsigned.count(SIGNATURE_MARK) == 1
    issued = datetime.fromisoformat(parse(text.encode()).get("IssueInstant", "").replace("Z", "+00:00"))
    return Twin(message(unsigned, signer, form), int(issued.timestamp() * SECOND) + 60 * SECOND)


@pytest.mark.corpus
@pytest.mark.parametrize("name", WITH_SIGNATURE)
@pytest.mark.parametrize(
    ("form", "legacy", "verdict"),
    [(SHA1, True, "accepted"), (SHA1, False, "signature-algorithm"), (Form(), False, "accepted")],
)
def test_a_twin_signed_by_our_authority(world: World, name: str, form: Form, legacy: bool, verdict: str) -> None:
    made = twin(world, name, form)
    peer = world.identity_like(leaf_of(sample(name)).subject)
    verifier = world.verifier(at=made.at, legacy=legacy)
    security = next(
        parse(made.data).iter("{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}Security")
    )
    if verdict == "accepted":
        subject = verifier.verify(security, made.data, peer).subject
        assert subject.id == "899900063480"
        assert subject.patient == "207058575627097^^^&1.2.250.1.213.1.4.10&ISO^NH"
        return
    with pytest.raises(AssertionRefused) as refused:
        verifier.verify(security, made.data, peer)
    assert refused.value.reason == verdict


@pytest.mark.corpus
def test_a_twin_of_the_direct_sample(world: World) -> None:
    """The sample's NameID is not the number of its card: in UTF-8 and signed anew it is still refused."""
    text = sample(NOT_UTF8[0]).decode("latin-1")
    unsigned = re.sub("<Signature .*</Signature>", lambda _match: SIGNATURE_MARK, text)
    issuer = re.sub("<saml2:Issuer([^>]*)>[^<]*", lambda match: f"<saml2:Issuer{match[1]}>{world.card.name}", unsigned)
    at = int(datetime(2019, 6, 26, 8, 9, tzinfo=UTC).timestamp()) * SECOND
    old = world.old_card()
    for person, expected in (("899900063480", "identity"), ("899700000001", "accepted")):
        data = message(issuer.replace("899900063480<", f"{person}<", 1).replace(world.card.name, old.name), old, SHA1)
        assert world.verdict_of(world.verifier(at=at, legacy=True), data, "card") == expected
        assert world.verdict_of(world.verifier(at=at), data, "card") == "signature-algorithm"
