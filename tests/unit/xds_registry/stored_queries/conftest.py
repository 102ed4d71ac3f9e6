"""One registry with varied content for the tests of a module; those that add to it use patients of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from database import open_database
from tests import postgres
from tests.registry_side import Side
from tests.unit.xds_registry.stored_queries.content import Content, fill

_KINDS = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if postgres.wanted() else [])]


@pytest.fixture(scope="module", params=_KINDS)
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Content]:
    """The content, registered, on each engine."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("queries") / "liasse.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        with open_database(path) as database:
            yield fill(Side(database))
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(request.getfixturevalue("postgres_template"))
    with open_database(server.url(name)) as database:
        yield fill(Side(database))
    server.drop(name)
