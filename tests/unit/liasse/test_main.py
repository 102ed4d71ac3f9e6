"""`python -m liasse` becomes the command line or the server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "liasse "),
        (["serve", "--help"], 0, "--workers"),
        (["serve", "--workers", "many"], 2, "invalid int"),
        (["serve", "--config", "absent.toml"], 1, "liasse serve:"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_arguments_and_exit_codes_pass_through(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-P", "-m", "liasse", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
