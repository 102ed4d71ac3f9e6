"""One world of certificates for all tests of the package: making it costs half a second."""

from __future__ import annotations

import pytest

from tests.assertion_world import World, make_world


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))
