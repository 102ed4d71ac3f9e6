"""A repository on a fresh store and database, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from database import Database
from tests.repository_side import RepositorySide, repository_side


@pytest.fixture
def side(database: Database, tmp_path: Path) -> Iterator[RepositorySide]:
    """The repository; its registry is in the same process."""
    with repository_side(database, tmp_path) as made:
        yield made
