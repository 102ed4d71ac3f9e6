"""A laboratory with mutual TLS and no assertions: the commands show a certificate, or know the server's authority only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from liasse.cli import app
from liasse.demo_documents import DEMO_PATIENT, health_summary
from liasse.submission import new_oid
from tests.e2e.server import running
from tests.e2e.tls_domain import TlsDomain, server_files, tls_domain


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDomain]:
    settings = {"profile": "dmp", "access": {"policy": "open"}, "server": {"workers": 1}}
    with tls_domain(tmp_path_factory.mktemp("certificates"), "built-in", settings) as made:
        yield made


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIASSE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def find(base: str, *arguments: str | Path) -> Result:
    return run("find", "--patient", DEMO_PATIENT, "--registry", f"{base}/registry", *arguments)


def test_a_certificate_without_a_card_submits_finds_and_gets(domain: TlsDomain, tmp_path: Path) -> None:
    unique_id = new_oid()
    document = tmp_path / "summary.xml"
    document.write_bytes(health_summary(unique_id, new_oid(), datetime(2025, 3, 1, 9, 0, tzinfo=UTC)))
    base = domain.server.base_url
    urls = ["--registry", f"{base}/registry", "--repository", f"{base}/repository"]
    shows: list[str | Path] = [
        "--client-certificate",
        domain.client.certificate,
        "--client-key",
        domain.client.key,
        "--ca",
        domain.pki.authorities,
    ]
    sent = run("submit", "--profile", "dmp", document, *urls, *shows)
    assert sent.exit_code == 0, sent.output
    listed = find(base, *shows)
    assert listed.exit_code == 0, listed.output
    assert unique_id in listed.stdout
    got = run("get", unique_id, "-o", "copy.xml", *urls, *shows)
    assert got.exit_code == 0, got.output
    assert (tmp_path / "copy.xml").read_bytes() == document.read_bytes()


def test_certificate_and_key_may_be_one_file(domain: TlsDomain, tmp_path: Path) -> None:
    together = tmp_path / "both.pem"
    together.write_bytes(domain.client.certificate.read_bytes() + domain.client.key.read_bytes())
    done = find(domain.server.base_url, "--client-certificate", together, "--ca", domain.pki.authorities)
    assert done.exit_code == 0, done.output


def test_without_a_certificate_the_server_says_that_it_wants_one(domain: TlsDomain) -> None:
    done = find(domain.server.base_url, "--ca", domain.pki.authorities)
    assert done.exit_code == 1
    assert "does not accept our certificate" in done.stderr


def test_an_authority_alone_is_enough_where_no_certificate_is_asked(domain: TlsDomain, tmp_path: Path) -> None:
    certificate, key = server_files(domain.pki, tmp_path, "without")
    settings = {
        "server": {"workers": 1},
        "tls": {"certificate": certificate, "key": key, "client_certificate": "none"},
    }
    with running(tmp_path / "server", settings, tls=domain.context(None)) as server:
        assert find(server.base_url, "--ca", domain.pki.authorities).exit_code == 0
        unknown = find(server.base_url)
        assert unknown.exit_code != 0
    assert "assertions.required = false" in server.log_text()
