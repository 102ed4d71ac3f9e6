"""The operators' listener over real connections: answers, refusals, and checks that raise or hang."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from liasse import admin
from liasse.admin import AdminServer, Probe


@contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(4)
    yield executor
    executor.shutdown(wait=True)


def asked(probes: list[Probe], *requests: bytes) -> list[bytes]:
    """The whole answer to each request, each on a connection of its own, one after the other."""

    async def exchange(address: tuple[str, int], request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(request)
            if not request.endswith(b"\r\n\r\n"):
                writer.write_eof()
            return await reader.read()
        except ConnectionResetError:
            return b"reset"
        finally:
            writer.close()

    async def run(executor: ThreadPoolExecutor) -> list[bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = AdminServer(probes, lambda: b"metrics 1\n", executor)
        await server.listen(listener)
        try:
            return [await exchange(listener.getsockname(), request) for request in requests]
        finally:
            server.close()

    with pool() as executor:
        return asyncio.run(run(executor))


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def checks(answer: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])["checks"]
    return found


def test_what_is_asked_for_is_answered_and_nothing_is_cached() -> None:
    live, metrics, ready = asked([], get("/health/live"), get("/metrics?x"), get("/health/ready"))
    assert live.endswith(b'\r\n\r\n{"live": true}\n')
    assert metrics.endswith(b"\r\n\r\nmetrics 1\n")
    assert (status(ready), checks(ready)) == (200, {})
    assert b"\r\ncache-control: no-store\r\n" in live


def test_head_has_the_length_and_no_body() -> None:
    (answer,) = asked([], get("/metrics", "HEAD"))
    assert b"\r\ncontent-length: 10\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get("/elsewhere"), 404),
        (get("/metrics", "POST"), 405),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics SMTP\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
    ],
)
def test_anything_else_is_refused(request_: bytes, expected: int) -> None:
    (answer,) = asked([], request_)
    assert status(answer) == expected


def test_a_header_that_is_cut_or_too_long_ends_the_connection_and_the_next_is_answered() -> None:
    cut, long, good = asked([], b"GET /metrics HTTP/1.1\r\n", b"GET /" + b"a" * 100_000 + b"\r\n\r\n", get("/metrics"))
    assert cut in (b"", b"reset")
    assert long in (b"", b"reset")
    assert status(good) == 200


def test_a_header_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_HEADER_SECONDS", 0.1)

    async def run(executor: ThreadPoolExecutor) -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        server = AdminServer([], lambda: b"", executor)
        await server.listen(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            server.close()

    with pool() as executor:
        assert asyncio.run(run(executor)) == b""


def test_a_check_that_raises_is_named_by_the_kind_of_its_exception() -> None:
    def broken() -> str | None:
        raise LookupError("a value that must not be told")

    (answer,) = asked([Probe("database", broken), Probe("feed", lambda: None)], get("/health/ready"))
    assert (status(answer), checks(answer)) == (503, {"database": "LookupError", "feed": "ok"})
    assert b"must not be told" not in answer


def test_a_check_that_hangs_is_answered_for_and_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_PROBE_SECONDS", 0.1)
    go_on = threading.Event()
    started: list[int] = []

    def hangs() -> str | None:
        started.append(1)
        go_on.wait(30)
        return None

    async def run(executor: ThreadPoolExecutor) -> list[Mapping[str, str]]:
        server = AdminServer([Probe("documents", hangs), Probe("other", lambda: None)], lambda: b"", executor)
        late = [await server.ready(), await server.ready()]
        go_on.set()
        while (answer := await server.ready())["documents"] != "ok":
            late.append(answer)
        return [*late, answer]

    with pool() as executor:
        *late, last = asyncio.run(run(executor))
    assert late[:2] == [{"documents": "no answer within 0.1 s", "other": "ok"}] * 2
    assert last == {"documents": "ok", "other": "ok"}
    assert len(started) <= 2  # the one that hung, and at most one more after it ended
