"""The certificates and cards of the demonstration: made once, whole or not at all, found again, kept in force."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from liasse import demo_callers
from liasse.caller import Caller, Shown
from liasse.demo_callers import CallersMissing, callers_of
from liasse.settings import Settings, TlsSettings
from liasse.settings_file import load_settings
from liasse.tls import server_context
from pki.testca import TestPki

ROOT = Path(__file__).resolve().parents[3]


def settings_in(folder: Path) -> Settings:
    """The settings file that `make serve` uses, elsewhere."""
    (folder / "config").mkdir(exist_ok=True)
    config = folder / "config" / "demo.toml"
    shutil.copy(ROOT / "config" / "demo.toml", config)
    return load_settings(config)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_make_serve_needs_is_made_once_and_found_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = callers_of(settings)
    made = files(tmp_path)
    assert callers_of(settings) == first
    assert files(tmp_path) == made
    server_context(settings.tls, [Path(place).read_bytes() for place in settings.tls.crl])
    assert first.authorities == settings.assertions.anchors[0]
    folder = settings.tls.client_ca[0].parent
    assert [path.name for path in folder.parent.iterdir()] == ["pki"]
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o700)


def test_everybody_can_connect_and_sign(tmp_path: Path) -> None:
    callers = callers_of(settings_in(tmp_path))
    others = (callers.cardiologist, callers.nurse, callers.optician, callers.emergency)
    for card in (callers.doctor, callers.colleague, callers.hospital, callers.stranger, *others):
        caller = Caller(card, callers.told(card), callers.authorities, Shown.of(card))
        caller.tls()
        sign = caller.sign(lambda: 1_700_000_000_000_000)
        assert sign is not None
        assert b"Assertion" in sign("")
    assert callers.stranger.identifier == callers.doctor.identifier != callers.colleague.identifier


def test_revocation_lists_are_renewed_before_they_end(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    pki = TestPki.open(callers_of(settings).authorities.parent)
    pki.crl(days=20)
    callers_of(settings)
    ends = [x509.load_der_x509_crl(path.read_bytes()).next_update_utc for path in pki.crls]
    assert all(end is not None and end > datetime.now(UTC) + timedelta(days=300) for end in ends)


def test_what_is_interrupted_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)

    def interrupted(*_arguments: object, **_fields: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TestPki, "issue_structure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            callers_of(settings)
    assert files(tmp_path / "data") == {}
    callers_of(settings)


def test_a_damaged_folder_is_named_and_not_written_over(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    folder = callers_of(settings).authorities.parent
    (folder / "cards" / "doctor" / "card.toml").unlink()
    left = files(tmp_path)
    with pytest.raises(
        CallersMissing, match=rf"card\.toml: no card can be read: .*\nremove {folder} to have it made again$"
    ):
        callers_of(settings)
    assert files(tmp_path) == left


def test_settings_that_name_other_files_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(CallersMissing, match=r"^tls\.client_ca: the settings name no authorities"):
        callers_of(Settings())
    authorities = tmp_path / "pki" / "authorities.pem"
    other = TlsSettings(certificate=tmp_path / "a.pem", key=tmp_path / "a.key", client_ca=(authorities,))
    with pytest.raises(CallersMissing) as raised:
        callers_of(Settings(tls=other))
    assert str(raised.value).splitlines() == [
        f"{name}: {path} is not among what is made in {authorities.parent}"
        for name, path in (("tls.certificate", other.certificate), ("tls.key", other.key))
    ]


def test_names_of_files_are_those_of_the_settings(tmp_path: Path) -> None:
    """The table that the demonstration writes names what is made."""
    table = demo_callers.tls_table("pki")
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    config = tmp_path / "demo.toml"
    config.write_text("[tls]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    settings = load_settings(config)
    callers_of(settings)
    server_context(settings.tls)
