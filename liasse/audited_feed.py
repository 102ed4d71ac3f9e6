"""The patient feed (ITI-8) with its audit events: one for each message that is understood, accepted or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Connection

from atna.events import AuditEvent, Outcome, fed_patient
from atna.outbox import enqueue
from database.errors import DatabaseError
from database.handle import Database
from xds_registry.iti8 import FeedDomain, FeedMessage, answer
from xds_registry.patients import registrar

log = structlog.get_logger()

_UPDATE: Final = "A08"
_CANNOT_STORE: Final = 207


@dataclass
class _Watch:
    """Queues the event of one message: with the identifiers that it makes known, or alone."""

    database: Database
    peer: str
    at: int
    message: FeedMessage | None = field(default=None, init=False)
    stored: bool = field(default=False, init=False)

    def understood(self, message: FeedMessage) -> None:
        """Remember what the message says."""
        self.message = message

    def with_registration(self, connection: Connection) -> None:
        """The statements that belong to the registration of the identifiers."""
        enqueue([self._event(0)])(connection)
        self.stored = True

    def ended(self, code: int) -> None:
        """What has no registration has a write of its own; the message is answered even when it fails."""
        if self.stored and not code:
            return
        try:
            self.database.write(enqueue([self._event(code)]))
        except DatabaseError as error:
            log.warning("an audit event was not stored", transaction="ITI-8", code=error.code)

    def _event(self, code: int) -> AuditEvent:
        message = self.message
        if message is None:
            raise ValueError("no message was understood")
        failed = Outcome.MAJOR if code == _CANNOT_STORE else Outcome.SERIOUS
        return AuditEvent(
            name="ITI-8 update" if message.event == _UPDATE else "ITI-8",
            at=self.at,
            outcome=failed if code else Outcome.SUCCESS,
            endpoint=message.receiver,
            caller=message.sender,
            peer=self.peer,
            objects=tuple(fed_patient(cx, message.control_id) for cx in message.patients),
            description=f"HL70357-{code}" if code else "",
        )


def feed(
    database: Database, domain: FeedDomain, clock: Callable[[], int], *, audited: bool
) -> Callable[[bytes, str], bytes]:
    """What the background process calls with a message of the feed and the address it came from."""
    register = registrar(database, clock)

    def plain(message: bytes, _peer: str) -> bytes:
        return answer(message, domain, register)

    def watched(message: bytes, peer: str) -> bytes:
        watch = _Watch(database, peer, clock())
        return answer(message, domain, registrar(database, clock, watch.with_registration), watch)

    return watched if audited else plain
