"""What is issued verifies, says what was asked for, and is what another engine accepts."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from access_control.subject import Coded
from pki.rules import Purpose
from pki.testca import Card, TestPki
from pki.trust import Trust, read_anchors
from tests.assertion_world import World
from tests.assertions import AUDIENCE, ENVELOPE, security_of
from xmlsafe.namespaces import SAML2
from xua.attributes import Value
from xua.cards import CardError, Told, signing_key, vihf_of
from xua.issue import SigningKey, XuaRequest, issue_xua
from xua.verify import Verified

PATIENT = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
ROLES = (Coded("10", "1.2.250.1.71.1.2.7"), Coded("SM26", "1.2.250.1.71.4.2.5"))
DECLARED = Told(user="899700000009", name="ESSAI Dominique", roles=ROLES)


@pytest.fixture(scope="module", params=["rsa", "ec"])
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    made = TestPki.create(tmp_path_factory.mktemp("pki") / "pki", keys=request.param)
    made.issue_card("martin", "899700000001")
    made.issue_structure("hopital", "10B0127189")
    made.issue("sts", "sts")
    return made


def card(pki: TestPki) -> Card:
    return Card.load(pki.directory / "cards" / "martin")


def kit(pki: TestPki) -> Card:
    return Card.load(pki.directory / "structures" / "hopital")


def verify(world: World, pki: TestPki, assertion: bytes, client: Card | None) -> Verified:
    anchors = read_anchors([("root", pki.anchors.read_bytes())])
    trust = Trust(dict.fromkeys(Purpose, anchors))
    peer = None
    if client is not None:
        der = client.authentication.load()[0].public_bytes(Encoding.DER)
        intermediate = client.authentication.load()[2][0].public_bytes(Encoding.DER)
        peer = trust.check(der, (intermediate,), Purpose.TLS_CLIENT, world.now()).identity
    data = ENVELOPE.replace("{assertion}", assertion.decode()).encode()
    return world.verifier(trust=trust).verify(security_of(data), data, peer)


@pytest.mark.parametrize("edition", ["2.0", "3.0", "4.0"])
def test_a_card_issues_its_own(world: World, pki: TestPki, edition: str) -> None:
    told = Told(patient=PATIENT, edition=edition, secret=True)
    subject = verify(world, pki, vihf_of(card(pki), told, world.at), card(pki)).subject
    assert (subject.id, subject.roles, subject.patient) == ("899700000001", ROLES, PATIENT)
    assert (subject.authentication, subject.proof_level, subject.mode) == ("DIRECTE", "card", "normal")
    assert subject.confidentiality.startswith("INVISIBLE_REPRESENTANTS_LEGAUX")


@pytest.mark.parametrize(("mode", "proof"), [("", "structure"), ("INDIRECTE_RENFORCEE", "structure-strong")])
def test_a_structure_declares_its_user(world: World, pki: TestPki, mode: str, proof: str) -> None:
    subject = verify(world, pki, vihf_of(kit(pki), replace(DECLARED, mode=mode), world.at), kit(pki)).subject
    assert (subject.id, subject.name, subject.proof_level) == ("899700000009", "ESSAI Dominique", proof)
    assert subject.structure == "10B0127189"


def test_break_glass_with_its_reason(world: World, pki: TestPki) -> None:
    told = Told(access="bris_de_glace", reason="Coma <aux urgences> & seul")
    subject = verify(world, pki, vihf_of(card(pki), told, world.at), card(pki)).subject
    assert (subject.mode, subject.reason) == ("bris_de_glace", "Coma <aux urgences> & seul")


@pytest.mark.parametrize(
    "told",
    [Told(mode="INDIRECTE"), Told(user="899700000002"), Told(mode="INDIRECTE_RENFORCEE", user="1", name="x", roles=ROLES)],
)
def test_what_a_card_cannot_say(pki: TestPki, told: Told) -> None:
    with pytest.raises(CardError):
        vihf_of(card(pki), told, 0)


@pytest.mark.parametrize("told", [Told(), Told(mode="DIRECTE"), replace(DECLARED, name=""), replace(DECLARED, roles=())])
def test_what_a_structure_cannot_say(pki: TestPki, told: Told) -> None:
    with pytest.raises(CardError):
        vihf_of(kit(pki), told, 0)


def test_an_identity_provider_issues_xua(world: World, pki: TestPki) -> None:
    values: dict[str, tuple[Value, ...]] = {
        "roles": (Coded("112247003", "2.16.840.1.113883.6.96"),),
        "purpose": (Coded("TREAT", "2.16.840.1.113883.1.11.20448"),),
        "name": ("A User",),
        "provider": ("7^^^&1.2.5&ISO",),
        "consent": ("urn:oid:1.2.3",),
        "policy": ("urn:oid:1.2.4",),
    }
    folder = pki.directory / "others" / "sts"
    credentials = replace(
        card(pki).signature, certificate=folder / "sts.pem", key=folder / "sts.key", chain=folder / "chain.pem"
    )
    assertion = issue_xua(XuaRequest("user", "urn:sts", AUDIENCE, values), signing_key(credentials), world.at)
    subject = verify(world, pki, assertion, None).subject
    assert (subject.id, subject.name, subject.consents) == ("user", "A User", ("urn:oid:1.2.3", "urn:oid:1.2.4"))
    assert (subject.roles, subject.purpose) == (values["roles"], "TREAT^2.16.840.1.113883.1.11.20448")
    assert verify(world, pki, assertion, None).issuer == "urn:sts"


def test_each_has_an_id_of_its_own(pki: TestPki) -> None:
    ids = {vihf_of(card(pki), Told(), 0).partition(b' ID="')[2][:33] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed")
def test_another_engine_accepts_it(pki: TestPki, tmp_path: Path) -> None:
    key: SigningKey = signing_key(card(pki).signature)
    certificate, file = tmp_path / "leaf.pem", tmp_path / "assertion.xml"
    certificate.write_bytes(key.certificate.public_bytes(Encoding.PEM))
    file.write_bytes(vihf_of(card(pki), Told(patient=PATIENT), 0))
    command = ["xmlsec1", "--verify", "--enabled-key-data", "x509", "--id-attr:ID", f"{SAML2}:Assertion"]
    trusted = ["--trusted-pem", str(pki.anchors)]
    done = subprocess.run([*command, *trusted, str(file)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
