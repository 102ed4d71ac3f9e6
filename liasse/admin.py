"""The listener for this machine's operators: liveness, readiness with its reasons, metrics. No data of any patient.

`GET /health/live`: the background process runs. `GET /health/ready`: every check, 503 when one fails. `GET /metrics`: for
Prometheus.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

_HEADER_BYTES = 8192
_HEADER_SECONDS = 5.0
_PROBE_SECONDS = 3.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Probe:
    """A check of readiness. `check` may block; it returns None when all is well, else a short reason without data."""

    name: str
    check: Callable[[], str | None]


Answer = tuple[int, str, bytes]


class AdminServer:
    """Answers operators. `metrics` gives the exposition text; probes run in `pool`, each at most once at a time."""

    def __init__(self, probes: Sequence[Probe], metrics: Callable[[], bytes], pool: Executor) -> None:
        self._probes, self._metrics, self._pool = tuple(probes), metrics, pool
        self._running: dict[str, Future[str | None]] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections on a bound, listening socket."""
        self._server = await asyncio.start_server(self._connection, sock=listener, limit=_HEADER_BYTES)

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    async def ready(self) -> Mapping[str, str]:
        """Every probe by name: `ok` or what is wrong."""
        reasons = await asyncio.gather(*(self._run(probe) for probe in self._probes))
        return {probe.name: reason or "ok" for probe, reason in zip(self._probes, reasons, strict=True)}

    async def _run(self, probe: Probe) -> str | None:
        """A probe that has not answered yet is not started a second time: a hanging disk must not use up the threads."""
        running = self._running.get(probe.name)
        if running is None or running.done():
            running = self._running[probe.name] = self._pool.submit(probe.check)
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                return await asyncio.shield(asyncio.wrap_future(running))
        except TimeoutError:
            return f"no answer within {_PROBE_SECONDS:g} s"
        except Exception as error:
            log.error("a readiness check failed", job=probe.name, exc_info=error)
            return type(error).__name__

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEADER_SECONDS):
                header = await reader.readuntil(b"\r\n\r\n")
            status, kind, body = await self._answer(header)
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{head}cache-control: no-store\r\nconnection: close\r\n\r\n".encode("ascii"))
            if not header.startswith(b"HEAD "):
                writer.write(body)
            async with asyncio.timeout(_HEADER_SECONDS):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(self, header: bytes) -> Answer:
        parts = header.split(b"\r\n", 1)[0].split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return _text(400, "expected an HTTP/1.1 request")
        if parts[0] not in (b"GET", b"HEAD"):
            return _text(405, "expected GET or HEAD")
        path = parts[1].split(b"?")[0]
        if path == b"/health/live":
            return _json(200, {"live": True})
        if path == b"/health/ready":
            checks = await self.ready()
            ready = all(each == "ok" for each in checks.values())
            return _json(200 if ready else 503, {"ready": ready, "checks": checks})
        if path == b"/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", await asyncio.to_thread(self._metrics)
        return _text(404, "expected /health/live, /health/ready or /metrics")


def _text(status: int, text: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()


def _json(status: int, value: Mapping[str, object]) -> Answer:
    return status, "application/json", json.dumps(value).encode() + b"\n"
