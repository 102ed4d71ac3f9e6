"""A journal on each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from database import Database
from tests.journal_side import Journal


@pytest.fixture
def journal_of(database: Database, tmp_path: Path) -> Journal:
    """An empty journal, never sealed."""
    return Journal(database, tmp_path / "keys" / "seal.pem")
