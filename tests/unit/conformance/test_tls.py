"""The tester speaks TLS as the target file says: whom it trusts, and the certificate it shows."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance.engine import CaseResult, Run, Verdict, run_case
from conformance.plan import load_plan, select
from conformance.tables import PlanError
from conformance.target import load_target
from tests.unit.conformance.canned import peer, target_text
from tests.unit.conformance.test_messages import empty

(CASE,) = select(load_plan(), ["18-no-reply-to"])


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return pem, private


def run(folder: Path, server: ssl.SSLContext, **files: Path) -> CaseResult:
    lines = "\n".join(f'{name} = "{path}"' for name, path in files.items())
    with peer(empty, server) as base:
        text = target_text(base).replace("[domain]", f"[connection.tls]\n{lines}\n\n[domain]", 1)
        (folder / "target.toml").write_text(text, encoding="utf-8")
        return run_case(Run(load_target(folder / "target.toml"), "seed"), CASE)


def context_of(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def test_a_trusted_server_is_tested(tmp_path: Path) -> None:
    files = self_signed(tmp_path, "server")
    assert run(tmp_path, context_of(files), ca=files[0]).verdict is Verdict.PASS


def test_an_unknown_server_is_not(tmp_path: Path) -> None:
    result = run(tmp_path, context_of(self_signed(tmp_path, "server")), ca=self_signed(tmp_path, "other")[0])
    assert result.verdict is Verdict.NOT_RUN
    assert "CERTIFICATE_VERIFY_FAILED" in result.reason


def test_the_client_certificate_is_shown(tmp_path: Path) -> None:
    files, client = self_signed(tmp_path, "server"), self_signed(tmp_path, "client")
    context = context_of(files)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client[0])
    assert run(tmp_path, context, ca=files[0], certificate=client[0], key=client[1]).verdict is Verdict.PASS
    assert run(tmp_path, context, ca=files[0]).verdict is Verdict.NOT_RUN


def test_a_missing_file_is_a_mistake_in_the_target(tmp_path: Path) -> None:
    context = context_of(self_signed(tmp_path, "server"))
    with pytest.raises(PlanError, match=r"connection\.tls"):
        run(tmp_path, context, ca=tmp_path / "none.pem")
