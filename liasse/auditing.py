"""Audit messages in a running server: how the settings become a collector, a job, a probe and gauges."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import Connection

from atna.delivery import EVERY, Delivery, late
from atna.events import AuditEvent
from atna.message import Origin
from atna.outbox import enqueue, waiting
from atna.syslog import Collector, TlsCollector, UdpCollector
from database.errors import DatabaseError
from database.handle import Database
from liasse.admin import Probe
from liasse.audit_settings import AuditTable
from liasse.background import Job
from liasse.settings import Settings

log = structlog.get_logger()

MICROSECONDS = 1_000_000


def collector_of(audit: AuditTable) -> Collector:
    """The sender for the collector of the settings, which must be set."""
    name = socket.gethostname()
    origin = Origin(audit.source_id or name, audit.site_id, name)
    scheme, host, port = audit.place
    if scheme == "udp":
        return UdpCollector(host, port, origin, audit.datagram)
    if audit.ca is None:
        raise ValueError("ca: the authorities of the collector's certificate are needed")
    return TlsCollector(host, port, origin, audit.ca, audit.certificate, audit.key, audit.timeout)


@dataclass(frozen=True)
class Auditing:
    """What the background process does about audit messages. `clock` gives microseconds since 1970 UTC."""

    settings: AuditTable
    database: Database
    delivery: Delivery
    clock: Callable[[], int]

    @classmethod
    def of(
        cls, settings: Settings, database: Database, guard: Callable[[Connection], None], clock: Callable[[], int]
    ) -> Auditing | None:
        """None where no collector is set."""
        audit = settings.audit
        if not audit.collector:
            return None
        return cls(audit, database, Delivery(database, collector_of(audit), guard), clock)

    def job(self) -> Job:
        """The delivery."""
        return Job("deliver audit messages", EVERY, self.delivery.run)

    def probe(self) -> Probe:
        """Readiness: nothing waits for too long."""
        return Probe("audit", lambda: late(self.delivery, self.clock(), self.settings.late_after))

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """How many messages wait, and for how long; nothing when the database does not answer."""
        try:
            state = waiting(self.database)
        except DatabaseError:
            return {}
        age = 0.0 if state.oldest is None else max(0.0, (self.clock() - state.oldest) / MICROSECONDS)
        return {
            "liasse_audit_outbox_rows": ("Audit messages that wait for the collector.", float(state.rows)),
            "liasse_audit_outbox_age_seconds": ("Seconds that the oldest of them has waited.", age),
        }

    def note(self, what: Literal["start", "stop"]) -> None:
        """Queue the event of this application's start or stop. A stop is delivered by whoever runs next."""
        try:
            self.database.write(enqueue([AuditEvent(what, self.clock())]))
        except DatabaseError as error:
            log.warning("an audit event was not stored", transaction=what, code=error.code)
