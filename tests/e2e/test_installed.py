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

from tests.e2e.dmp_domain import dmp_domain, entry, patient
from tests.e2e.server import ROOT, command, write_config
from xds_metadata.model import Code

VERY_RESTRICTED = Code("V", "2.16.840.1.113883.5.25", "very restricted")


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


@pytest.fixture(scope="module")
def with_policy(installed: Path) -> Path:
    """The same environment with the access policy of a third party in it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installed / "bin" / "python")]
    source = installed.parent / "policy"
    shutil.copytree(ROOT / "examples" / "access-policy", source)
    subprocess.run(
        [*pip, "install", "--no-cache-dir", "--no-deps", "--no-build-isolation", str(source)],
        capture_output=True,
        check=True,
    )
    shutil.rmtree(source)
    return installed


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


def test_a_policy_of_a_third_party_decides(with_policy: Path, tmp_path: Path) -> None:
    options = {"sensitive": ["V^^2.16.840.1.113883.5.25"]}
    settings = {"access": {"policy": "sensitivity", "options": options}}
    with dmp_domain(tmp_path, settings=settings, program=[str(with_policy / "bin" / "liasse")]) as domain:
        key, author, other = patient(701), domain.professional("author"), domain.professional("other")
        plain, secret = entry(key), entry(key, author, confidentiality_codes=(VERY_RESTRICTED,))
        domain.deposit(domain.structure(), key, plain, secret)
        assert domain.find(author, key) == {plain.unique_id, secret.unique_id}
        assert domain.find(other, key) == {plain.unique_id}
        hidden = domain.get(other.about(key), secret.unique_id or "")
        assert hidden.verdict == "Failure XDSDocumentUniqueIdError"
        assert domain.ask_documents(author.in_emergency(), key).verdict.startswith("fault Sender")
        rules = {row[3] for row in domain.journal()}
    assert rules == {"sensitivity-open", "sensitivity-emergency"}


def test_options_that_a_policy_does_not_take_are_a_problem_of_the_settings(with_policy: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[access]\npolicy = "sensitivity"\noptions = { sensitive = "V" }\n', encoding="utf-8")
    done = run(with_policy, tmp_path, "config", "check", str(file))
    assert done.returncode == 1
    assert "sensitive: expected a list of codes" in done.stdout + done.stderr


def test_a_policy_that_is_not_installed_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    file = write_config(tmp_path, {"access": {"policy": "sensitivity"}})
    done = subprocess.run([*command("config"), "check", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "access policy 'sensitivity' is not installed; installed: dmp, open" in done.stdout + done.stderr
