"""A registry on a fresh database, on each engine."""

from __future__ import annotations

import pytest

from database import Database
from tests.registry_side import Side


@pytest.fixture
def side(database: Database) -> Side:
    """The registry, its clock and its policy."""
    return Side(database)
