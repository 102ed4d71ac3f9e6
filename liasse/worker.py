"""The life of a worker process: actors opened after the fork, one event loop, one pool of threads for messages."""

from __future__ import annotations

from liasse.app import RequestRecord
from liasse.metrics import Metrics
from liasse.settings import ServerSettings
from liasse.supervisor import Child, Main
from liasse.wiring import Ready, build_app, open_actors
from soap.http import CutReason, HttpLimits, Server

_NUMBERS = {
    "urn:ihe:iti:2007:RegisterDocumentSet-bResponse": "ITI-42",
    "urn:ihe:iti:2007:RegistryStoredQueryResponse": "ITI-18",
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse": "ITI-41",
    "urn:ihe:iti:2007:RetrieveDocumentSetResponse": "ITI-43",
}
"""Transactions by the action of their answer, for the counters."""


def http_limits(server: ServerSettings) -> HttpLimits:
    """What a peer may do before anything it sends is understood."""
    return HttpLimits(
        connections=server.connections,
        connections_per_address=server.connections_per_address,
        header_timeout=server.header_timeout,
        header_bytes=server.header_bytes,
        body_idle_timeout=server.body_idle_timeout,
        minimum_rate=server.minimum_rate,
        minimum_rate_grace=server.minimum_rate_grace,
        keep_alive=server.keep_alive,
    )


def worker_main(ready: Ready) -> Main:
    """The body of a worker for `supervisor.Supervisor`."""

    def run(child: Child) -> None:
        actors = open_actors(ready)
        try:
            app = build_app(actors, ready, child.status, observe=lambda record: _count(child.metrics, record))
            server = Server(
                app,
                http_limits(ready.settings.server),
                drain_timeout=ready.settings.server.drain_timeout,
                on_cut=lambda reason: _count_cut(child.metrics, reason),
                on_started=lambda: child.status.worker_serving(child.slot),
            )
            server.run(sockets=[child.listeners.clinical])
        finally:
            actors.close()

    return run


def _count(metrics: Metrics, record: RequestRecord) -> None:
    number = _NUMBERS.get(record.action or "", "none")
    outcome = "fault" if record.fault else "http" if record.status != 200 else "success"
    metrics.count("liasse_requests", number, outcome)
    metrics.observe("liasse_request_seconds", number, seconds=record.seconds)
    metrics.count("liasse_received_bytes", number, by=record.bytes_in)
    metrics.count("liasse_sent_bytes", number, by=record.bytes_out)


def _count_cut(metrics: Metrics, reason: CutReason) -> None:
    metrics.count("liasse_cut_connections", reason)
