"""The life of a worker process: actors opened after the fork, one event loop, one pool of threads for messages."""

from __future__ import annotations

import math
import socket
from dataclasses import replace

import structlog

from liasse.app import RequestRecord
from liasse.audit_trail import audit_trail
from liasse.audited_handshakes import RefusedPeers
from liasse.logs import SECURITY_LOG
from liasse.metrics import OUTCOMES, TRANSACTIONS, Metrics
from liasse.sealing import sealing_is_late
from liasse.settings import Settings
from liasse.supervisor import Child, Main
from liasse.tls import LiveContext
from liasse.trust import Watch
from liasse.wiring import Ready, build_app, open_actors, wall_clock
from soap.http import CutReason, HttpLimits, Server

log = structlog.get_logger()


def http_limits(settings: Settings) -> HttpLimits:
    """What a peer may do before anything it sends is understood."""
    server = settings.server
    return HttpLimits(
        connections=server.connections,
        connections_per_address=server.connections_per_address,
        header_timeout=server.header_timeout,
        header_bytes=server.header_bytes,
        body_idle_timeout=server.body_idle_timeout,
        minimum_rate=server.minimum_rate,
        minimum_rate_grace=server.minimum_rate_grace,
        keep_alive=server.keep_alive,
        connection_age=settings.tls.connection_age if settings.tls.certificate else math.inf,
        handshakes_per_address=settings.tls.handshakes_per_address,
    )


class _BeatingServer(Server):
    """A server whose event loop tells the supervisor that it turns."""

    child: Child

    async def on_tick(self, counter: int) -> bool:
        """Beat ten times a second; a worker that was told to end may be silent for as long as it may drain."""
        over = await super().on_tick(counter)
        self.child.status.beat(self.child.slot, ahead=self.child.settings.server.drain_timeout if over else 0.0)
        return over


def worker_main(ready: Ready) -> Main:
    """The body of a worker for `supervisor.Supervisor`."""

    def run(child: Child) -> None:
        settings = ready.settings
        actors = open_actors(ready, sealing_is_late=sealing_is_late(settings, child.status))
        tls = LiveContext(settings.tls) if settings.tls.certificate and settings.server.unix_socket is None else None
        watch = Watch(actors.trust, tls)
        trail = audit_trail(settings)
        alerts = RefusedPeers(actors.database, trail, wall_clock) if trail is not None and tls is not None else None

        def refused(address: str, reason: str) -> None:
            _note_refused(child.metrics, address, reason)
            if alerts is not None:
                alerts.note(address, reason)

        try:
            watch.start()
            app = build_app(
                actors,
                _at(ready, child.listeners.clinical),
                child.status,
                observe=lambda record: count_request(child.metrics, record),
            )
            server = _BeatingServer(
                app,
                http_limits(settings),
                tls=tls,
                drain_timeout=ready.settings.server.drain_timeout,
                on_cut=lambda reason: _count_cut(child.metrics, reason),
                on_refused=refused,
                on_started=lambda: child.status.worker_serving(child.slot),
            )
            server.child = child
            server.run(sockets=[child.listeners.clinical])
        finally:
            watch.stop()
            if alerts is not None:
                alerts.close()
            actors.close()

    return run


def _at(ready: Ready, listener: socket.socket) -> Ready:
    """With the port that was taken where the settings leave it open: pages and WSDLs name it."""
    name = listener.getsockname()
    if not isinstance(name, tuple):
        return ready
    server = ready.settings.server.model_copy(update={"port": name[1]})
    return replace(ready, settings=ready.settings.model_copy(update={"server": server}))


def count_request(metrics: Metrics, record: RequestRecord) -> None:
    """Add one request that is over to the counters."""
    number = record.transaction if record.transaction in TRANSACTIONS else "none"
    metrics.count("liasse_requests", number, _outcome(record))
    metrics.observe("liasse_request_seconds", number, seconds=record.seconds)
    metrics.count("liasse_received_bytes", number, by=record.bytes_in)
    metrics.count("liasse_sent_bytes", number, by=record.bytes_out)


def _outcome(record: RequestRecord) -> str:
    """A page that is there is a success; what ended without a SOAP answer or a page counts as an HTTP matter."""
    if record.outcome == "page" and record.status == 200:
        return "success"
    return record.outcome if record.outcome in OUTCOMES else "http"


def _count_cut(metrics: Metrics, reason: CutReason) -> None:
    metrics.count("liasse_cut_connections", reason)


def _note_refused(metrics: Metrics, address: str, reason: str) -> None:
    """A client with which no TLS session was agreed. What it showed cannot be told: the TLS library keeps it to itself."""
    _count_cut(metrics, "handshake")
    log.warning("a TLS client was refused", logger=SECURITY_LOG, rule="tls-handshake", peer=address, detail=reason)
