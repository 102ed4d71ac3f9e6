"""The files for operators are consistent with the program."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from liasse.packages import PACKAGES
from liasse.service_manager import Watchdog
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


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit_and_finds_it_confined(tmp_path: Path) -> None:
    """As it is verified where the program is installed, which is not /opt/liasse here."""
    text = (ROOT / "deploy" / "liasse.service").read_text(encoding="utf-8")
    program = Path(sys.executable).with_name("liasse")
    unit = tmp_path / "liasse.service"
    unit.write_text(text.replace("/opt/liasse/bin/liasse", str(program)), encoding="utf-8")
    for arguments in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            ["systemd-analyze", "--no-pager", *arguments, str(unit)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""


def test_the_watchdog_is_slower_than_the_supervisor_can_be() -> None:
    """Its longest pause between two notices is a second, or a third of the period: see `Watchdog`."""
    unit = (ROOT / "deploy" / "liasse.service").read_text(encoding="utf-8")
    found = re.search(r"^WatchdogSec=(\d+)$", unit, re.MULTILINE)
    assert found
    assert Watchdog({"WATCHDOG_USEC": f"{found[1]}000000"}).every == int(found[1]) / 3 > 1


def test_no_file_of_the_unit_or_the_container_is_missing() -> None:
    """What the Containerfile copies exists and goes into the build; every package of the wheel does."""
    text = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    copied = [each for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for each in line.split()]
    assert copied == [".", "deploy/container.toml"]
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for name in sent if not (ROOT / name).exists()} == set()
    assert sent >= {*PACKAGES, *copied[1:], "requirements.lock", "pyproject.toml", "README.md", "LICENSE"}


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
