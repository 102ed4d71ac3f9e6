"""XUA (ITI-40) as certification labs try it: one STS certificate, one role, one purpose, one authentication context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from access_control.subject import Coded
from database.tables import now_micros
from liasse.caller import security_header
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer, running
from xua.issue import SigningKey, XuaRequest, issue_xua

AUDIENCE = "http://ihe.connectathon.XUA/X-ServiceProvider-IHE-Connectathon"
ROLE = Coded("112247003", "2.16.840.1.113883.6.96")
PURPOSE = Coded("TREAT", "2.16.840.1.113883.3.18.7.1")
X509 = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
HOUR = 3_600_000_000


@dataclass
class Lab:
    server: RunningServer
    key: SigningKey

    def token(self, *, at: int = 0, audience: str = AUDIENCE, context: str = X509, **values: Any) -> bytes:
        said: Mapping[str, Any] = {"roles": (ROLE,), "purpose": (PURPOSE,), **values}
        request = XuaRequest("doctor", "http://sts.example.org", audience, said, context)
        return issue_xua(request, self.key, at or now_micros())

    def send(self, message: wire.Message, token: bytes | None) -> wire.Seen:
        if token is None:
            return wire.send(self.server, message)
        header = security_header(token)
        return wire.send(self.server, message.replaced(b"</s:Header>", header + b"</s:Header>", 1))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("xua")
    key = sts_key()
    anchor = folder / "sts.pem"
    anchor.write_bytes(key.certificate.public_bytes(serialization.Encoding.PEM))
    settings = {
        "assertions": {
            "required": True,
            "kinds": ["xua"],
            "anchors": [anchor],
            "audience": [AUDIENCE],
            "roles": [ROLE.code],
            "purposes": ["TREAT"],
            "authn_contexts": [X509],
        }
    }
    with running(folder / "server", settings) as server:
        yield Lab(server, key)


def sts_key() -> SigningKey:
    """A self-signed certificate without extensions, as a laboratory has it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "STS")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return SigningKey(key, certificate)


def find() -> wire.Message:
    return wire.find_documents(samples.PATIENT)


def register() -> wire.Message:
    return wire.register(samples.submission(samples.entry()))


def provide() -> wire.Message:
    return wire.deposit(b"%PDF-1.4 test").message()


MESSAGES = {"ITI-18": find, "ITI-42": register, "ITI-41": provide}


@pytest.mark.parametrize("number", MESSAGES)
def test_an_assertion_that_points_at_a_consent_is_accepted(lab: Lab, number: str) -> None:
    seen = lab.send(MESSAGES[number](), lab.token(consent=("urn:oid:1.2.3.4",), policy=("urn:oid:1.2.3.5",)))
    assert seen.status == 200, seen
    assert seen.verdict == "Success", seen


@pytest.mark.parametrize("number", MESSAGES)
@pytest.mark.parametrize(
    ("wrong", "subcode"),
    [
        ("expired", "MessageExpired"),
        ("not yet valid", "MessageExpired"),
        ("another audience", "InvalidSecurityToken"),
        ("second role", "FailedAuthentication"),
        ("second purpose", "InvalidSecurityToken"),
        ("another context", "FailedAuthentication"),
        ("role", "FailedAuthentication"),
        ("none", "SecurityTokenUnavailable"),
    ],
)
def test_an_assertion_that_does_not_fit_is_a_fault(lab: Lab, number: str, wrong: str, subcode: str) -> None:
    before = wire.stored(lab.server)
    tokens: dict[str, Callable[[], bytes | None]] = {
        "expired": lambda: lab.token(at=now_micros() - 2 * HOUR),
        "not yet valid": lambda: lab.token(at=now_micros() + HOUR),
        "another audience": lambda: lab.token(audience="http://another.example.org"),
        "second role": lambda: lab.token(roles=(ROLE, Coded("1", "1.2.3"))),
        "second purpose": lambda: lab.token(purpose=(PURPOSE, Coded("OTHER", PURPOSE.system))),
        "another context": lambda: lab.token(context=PASSWORD),
        "role": lambda: lab.token(roles=(Coded("1", ROLE.system),)),
        "none": lambda: None,
    }
    seen = lab.send(MESSAGES[number](), tokens[wrong]())
    assert (seen.status, seen.verdict) == (500, f"fault Sender/{subcode}")
    assert wire.stored(lab.server) == before


@pytest.mark.parametrize("number", MESSAGES)
def test_an_unsigned_assertion_is_a_fault(lab: Lab, number: str) -> None:
    token = lab.token()
    begin, end = token.index(b"<ds:Signature"), token.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    seen = lab.send(MESSAGES[number](), token[:begin] + token[end:])
    assert seen.status == 500


def test_an_assertion_of_another_issuer_is_a_fault(lab: Lab) -> None:
    stranger = Lab(lab.server, sts_key())
    assert lab.send(find(), stranger.token()).status == 500


def test_sts_certificates_can_be_changed_with_two_of_them_valid_at_once(tmp_path: Path) -> None:
    old, new = sts_key(), sts_key()
    paths = []
    for name, key in (("old", old), ("new", new)):
        paths.append(tmp_path / f"{name}.pem")
        paths[-1].write_bytes(key.certificate.public_bytes(serialization.Encoding.PEM))
    settings = {"assertions": {"required": True, "kinds": ["xua"], "anchors": paths, "audience": [AUDIENCE]}}
    with running(tmp_path / "server", settings) as server:
        assert [Lab(server, key).send(find(), Lab(server, key).token()).status for key in (old, new)] == [200, 200]
