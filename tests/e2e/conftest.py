"""Running servers for tests over the wire."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import RunningServer, running

ServerFactory = Callable[..., RunningServer]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the default settings (profile ihe, any code, any patient), shared: use patients of your own."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[ServerFactory]:
    """`make_server(overrides, name="server")`: a fresh server with these settings, stopped when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(overrides: Mapping[str, Any] | None = None, *, name: str = "server") -> RunningServer:
            return stack.enter_context(running(tmp_path / name, overrides))

        yield make


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A shared server that refuses documents which contradict their metadata, and logs at debug level."""
    settings = {"repository": {"content_check": "refuse"}, "log": {"level": "debug"}}
    with running(tmp_path_factory.mktemp("strict"), settings) as started:
        yield started
