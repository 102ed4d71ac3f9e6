"""The files for operators are consistent with the program."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from liasse.settings_file import load_settings

ROOT = Path(__file__).resolve().parents[3]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_systemd_unit_is_told_of_readiness_and_may_drain() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "liasse.service", encoding="utf-8")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > load_settings(None).server.drain_timeout + 15
    assert int(service["LimitNOFILE"]) == 65536
    assert service["NoNewPrivileges"] == "true"


def test_the_container_keeps_documents_on_its_volume() -> None:
    settings = load_settings(ROOT / "deploy" / "container.toml")
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    assert f"VOLUME {settings.storage.directory}" in text
    assert f"EXPOSE {settings.server.port} {settings.feed.port}" in text
    assert re.search(r"^USER liasse$", text, re.MULTILINE)


def test_every_locked_package_has_hashes_and_no_host_is_named() -> None:
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==[^ ]+(?: ; \(.*\))? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", LOCK, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[A-Za-z]", LOCK, re.MULTILINE)) > 50
    assert "://" not in LOCK
    assert not re.search(r"^ *--(index|extra|find|trusted)", LOCK, re.MULTILINE)


@pytest.mark.parametrize("name", ["spyne", "lxml", "pysqlite3", "psycopg", "pytest", "hatchling", "legacy-cgi"])
def test_run_time_development_and_build_are_locked(name: str) -> None:
    assert re.search(rf"^{name}==", LOCK, re.MULTILINE)


def test_every_target_of_the_manual_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "serve", "test", "test-postgres", "proof", "lint", "bench", "docs", "lock"):
        assert re.search(rf"^{target}: ", makefile, re.MULTILINE)
