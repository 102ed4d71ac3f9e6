"""What `liasse doctor` says of certificates, keys, authorities and revocation lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liasse.doctor import run_doctor
from liasse.settings import RepositorySettings, Settings, StorageSettings, TlsSettings
from liasse.tls_checks import check_tls
from pki.testca import TestPki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki.create(tmp_path_factory.mktemp("made") / "pki", keys="ec")


def settings(pki: TestPki, folder: Path, **tls: object) -> Settings:
    made = pki.issue("server", folder.name, hosts=["localhost"], folder=folder / "pair", stem="server")
    table = {
        "certificate": made.certificate,
        "key": made.key,
        "client_ca": (pki.authorities,),
        "crl": tuple(str(crl) for crl in pki.crls),
    }
    return Settings(tls=TlsSettings.model_validate(table | tls), storage=StorageSettings(directory=folder / "data"))


def said(settings: Settings, now: datetime | None = None) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for check in check_tls(settings, now):
        found.setdefault(check.name, []).append((check.status, check.detail))
    return found


def test_nothing_is_said_without_tls() -> None:
    assert check_tls(Settings()) == []


def test_what_fits_together_is_ok(pki: TestPki, tmp_path: Path) -> None:
    found = said(settings(pki, tmp_path))
    assert set(found) == {"tls", "tls.certificate", "tls.key", "tls.client_ca", "tls.crl"}
    assert {status for each in found.values() for status, _ in each} == {"ok"}
    assert len(found["tls.crl"]) == 3


def test_a_key_of_another_certificate_is_a_reason_not_to_start(pki: TestPki, tmp_path: Path) -> None:
    other = pki.issue("server", f"{tmp_path.name}-other")
    checks = run_doctor(settings(pki, tmp_path, key=other.key))
    assert [(each.name, "mismatch" in each.detail) for each in checks if each.status == "fail"] == [("tls", True)]


@pytest.mark.parametrize(
    ("days", "status", "words"), [(1000, "ok", "valid until"), (1070, "warn", "valid until"), (1100, "warn", "it is over")]
)
def test_the_end_of_a_certificate(pki: TestPki, tmp_path: Path, days: int, status: str, words: str) -> None:
    found = said(settings(pki, tmp_path), datetime.now(UTC) + timedelta(days=days))
    ((state, detail),) = found["tls.certificate"]
    assert (state, words in detail) == (status, True)


def test_a_clock_that_is_behind(pki: TestPki, tmp_path: Path) -> None:
    ((state, detail),) = said(settings(pki, tmp_path), datetime.now(UTC) - timedelta(days=30))["tls.certificate"]
    assert (state, "is the clock right?" in detail) == ("warn", True)


@pytest.mark.parametrize(("mode", "status"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warn"), (0o660, "warn")])
def test_who_may_read_the_key(pki: TestPki, tmp_path: Path, mode: int, status: str) -> None:
    given = settings(pki, tmp_path)
    assert given.tls.key is not None
    given.tls.key.chmod(mode)
    ((state, detail),) = said(given)["tls.key"]
    assert (state, f"{mode:04o}" in detail) == (status, True)


def test_revocation_lists_that_do_not_serve(pki: TestPki, tmp_path: Path) -> None:
    strange = TestPki.create(tmp_path / "strange", name="Strange", keys="ec")
    nothing = tmp_path / "nothing.crl"
    nothing.write_bytes(b"nothing")
    places = (
        str(strange.crls[0]),
        str(nothing),
        str(tmp_path / "absent.crl"),
        "https://crl.example/list.crl",
        str(pki.crls[0]),
    )
    found = said(settings(pki, tmp_path, crl=places), datetime.now(UTC) + timedelta(days=8))["tls.crl"]
    assert [state for state, _ in found] == ["warn"] * 4
    for (_, detail), words in zip(
        found, ("not one of the authorities", "neither PEM", "No such file", "renewed"), strict=True
    ):
        assert words in detail


def test_a_remote_registry(pki: TestPki, tmp_path: Path) -> None:
    pair = pki.issue("client", tmp_path.name)
    repository = RepositorySettings(
        registry="https://registry.example/registry",
        registry_certificate=pair.certificate,
        registry_key=pair.key,
        registry_ca=(pki.authorities,),
    )
    found = said(Settings(repository=repository))
    assert {name: each[0][0] for name, each in found.items()} == {
        "tls to the registry": "ok",
        "repository.registry_certificate": "ok",
        "repository.registry_key": "ok",
    }
    wrong = repository.model_copy(update={"registry_ca": (tmp_path / "absent.pem",)})
    ((state, detail),) = said(Settings(repository=wrong))["tls to the registry"]
    assert (state, "repository.registry_ca" in detail) == ("fail", True)
