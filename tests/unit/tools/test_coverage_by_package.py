"""The judgement over coverage data that were made for the purpose."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
PACKAGES: list[str] = SETTINGS["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`judge(executed)`: run the tool on data in which `executed(path, lines)` gives the executed lines of each module."""

    def run(executed: Callable[[Path, int], list[int]], packages: list[str]) -> subprocess.CompletedProcess[str]:
        data = coverage.CoverageData(str(tmp_path / "data"))
        for path in (path for name in packages for path in (ROOT / name).rglob("*.py")):
            data.add_lines({str(path): executed(path, len(path.read_text(encoding="utf-8").splitlines()))})
            data.touch_file(str(path))
        data.write()
        env = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_PROCESS")}
        return subprocess.run(
            [sys.executable, "tools/coverage_by_package.py"],
            cwd=ROOT,
            env={**env, "COVERAGE_FILE": data.data_filename()},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def everything(_path: Path, lines: int) -> list[int]:
    return list(range(1, lines + 1))


def test_all_packages_executed_pass(judge: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = judge(everything, PACKAGES)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(line.split()[-1] for line in done.stdout.splitlines()) == sorted(PACKAGES)


def test_a_package_below_the_least_share_fails_and_its_worst_module_is_named(
    judge: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = judge(lambda path, lines: [] if path.name == "parse.py" else everything(path, lines), PACKAGES)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()[:2]
    assert first.endswith("xmlsafe  TOO LOW")
    assert second.endswith("xmlsafe/parse.py")
    assert done.stdout.count("TOO LOW") == 1


def test_a_package_without_data_fails(judge: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = judge(everything, [name for name in PACKAGES if name != "journal"])
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].endswith("journal  TOO LOW")


def test_every_package_is_measured() -> None:
    assert SETTINGS["coverage"]["run"]["source_pkgs"] == sorted(PACKAGES)
