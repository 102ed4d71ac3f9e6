"""The server process itself: it starts, says that it is well, and drains."""

from __future__ import annotations

import urllib.request

from tests.e2e.conftest import ServerFactory
from tests.e2e.server import init, start


def test_a_server_answers_and_stops_with_zero(make_server: ServerFactory) -> None:
    server = make_server({"server": {"workers": 1}})
    with urllib.request.urlopen(f"{server.base_url}/health") as answer:
        assert answer.status == 200
    assert server.stop() == 0
    assert "the server stopped" in server.log_text()


def test_a_server_starts_again_on_what_it_left(make_server: ServerFactory) -> None:
    server = make_server({"server": {"workers": 1}})
    server.kill()
    init(server.config)
    again = start(server.config)
    assert again.stop() == 0
