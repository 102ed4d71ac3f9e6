"""Where the optional published documents and captured messages are: the folder `shared` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("LIASSE_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(*parts: str) -> Path:
    """The path below the shared folder; skips the calling test where the folder is absent."""
    path = _ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip("the shared folder of test data is absent")
    return path
