"""The program as it is installed, away from its sources: the steps of deploy/Containerfile without a container.

Dependencies are those of the environment that runs the tests; the program is built from what .dockerignore lets through.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.e2e.server import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the program in it, and nothing of the sources in reach."""
    folder = tmp_path_factory.mktemp("installed")
    source, target = folder / "source", folder / "opt"
    source.mkdir()
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        name = line.removeprefix("!")
        if name == line:
            continue
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (source / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    venv.create(target, with_pip=False, symlinks=True)
    site = next((target / "lib").glob("python3*")) / "site-packages"
    # A path that is named in a .pth file has no .pth files of its own: the editable program stays out of reach.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(target / "bin" / "python")]
    done = subprocess.run(
        [*pip, "install", "--no-cache-dir", "--no-deps", "--no-build-isolation", "--ignore-installed", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(source)
    return target


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(installed / "bin" / "liasse"), *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_nothing_of_the_sources_is_used(installed: Path) -> None:
    code = "import liasse, schemas, sys; print(liasse.__file__, schemas.__file__, *sys.path)"
    done = subprocess.run(
        [str(installed / "bin" / "python"), "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.startswith(str(installed))
    assert str(ROOT) not in done.stdout.split()


def test_the_demonstration_succeeds(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "demo")
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_of_the_container_are_valid(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "config", "check", str(ROOT / "deploy" / "container.toml"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("group", ["journal", "assertion", "patient", "conformance", "config"])
def test_every_command_can_be_loaded(installed: Path, tmp_path: Path, group: str) -> None:
    done = run(installed, tmp_path, group, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
