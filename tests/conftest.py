"""Databases for tests, fresh and migrated for each, on SQLite and if wanted on PostgreSQL; logging kept apart."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from database import Database, open_database
from database.migrate import init_database, migrate
from liasse.packages import PACKAGES
from tests import postgres
from tests.postgres import PostgresServer

_KINDS = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if postgres.wanted() else [])]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging as it was, whatever a test configured. Handlers of the root are pytest's own affair, apart from ours."""
    root = logging.getLogger()
    loggers = [each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [(each, each.level, each.propagate, list(each.handlers)) for each in loggers]
    level, hook, thread_hook = root.level, sys.excepthook, threading.excepthook
    yield
    logging.captureWarnings(capture=False)
    for handler in [each for each in root.handlers if type(each).__module__ == "liasse.logs"]:
        root.removeHandler(handler)
    root.setLevel(level)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.NOTSET)
    for each, own_level, propagate, handlers in before:
        each.setLevel(own_level)
        each.propagate = propagate
        each.handlers[:] = handlers
    sys.excepthook, threading.excepthook = hook, thread_hook
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private server; the test is skipped where PostgreSQL is not wanted. Never stop it: others use it."""
    if not postgres.wanted():
        pytest.skip(f"PostgreSQL is not wanted: set {postgres.SWITCH}=1")
    running = os.environ.get(postgres.SERVER)
    server = PostgresServer(Path(running) if running else None)
    if not running:
        server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("database") / "template.sqlite"
    init_database(path).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a migrated, empty PostgreSQL database to copy."""
    name = postgres_server.create()
    with open_database(postgres_server.url(name)) as database:
        migrate(database)
    yield name
    postgres_server.drop(name)


@pytest.fixture(params=_KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`: a test that uses a database runs once on each."""
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a fresh, migrated, empty database is: for `open_database`."""
    if database_kind == "sqlite":
        path = tmp_path / "liasse.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield str(path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(request.getfixturevalue("postgres_template"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def empty_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database without any table is, or may be made."""
    if database_kind == "sqlite":
        yield str(tmp_path / "new" / "liasse.sqlite")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated, empty database, open."""
    with open_database(database_url) as opened:
        yield opened
