"""Delivery: takes the oldest events from the outbox, sends them, and only then forgets them. In order, at least once.

It runs in the process that holds the lease; deletes are guarded by it. Failures are waited out, ever longer up to a limit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from atna.events import AuditEvent, UnknownFormat, read_event
from atna.outbox import first_rows, forget, waiting
from atna.syslog import Collector, CollectorError
from database.errors import DatabaseError
from database.handle import Database

_log = logging.getLogger("liasse.audit")

EVERY: Final = 1.0
"""Seconds between two runs."""

LONGEST_RUN: Final = 3.0
"""Seconds after which a run leaves the rest to the next one."""

LARGEST_BATCH: Final = 500
BATCH_BYTES: Final = 4_000_000
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


@dataclass
class Delivery:
    """The delivery of one process. `guard` is run in the transaction of each delete and raises when the lease is lost.

    `clock` gives monotonic seconds. After a failure the next batch is a quarter as large, so that a slow collector takes
    something; after a success twice as large.
    """

    database: Database
    collector: Collector
    guard: Callable[[Connection], None]
    clock: Callable[[], float] = time.monotonic
    batch: int = LARGEST_BATCH
    sent: int = field(default=0, init=False)
    failure: str | None = field(default=None, init=False)
    _pause: float = field(default=0.0, init=False)
    _again_at: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Deliver what waits, for a few seconds at most. Raises DatabaseError and LeaseLost; never for the collector."""
        started = self.clock()
        if started < self._again_at:
            return
        while self.clock() - started < LONGEST_RUN:
            rows = first_rows(self.database, self.batch, BATCH_BYTES)
            if not rows:
                return
            try:
                self.collector.send(_events(rows))
            except (CollectorError, UnknownFormat) as error:
                self._failed(str(error))
                return
            ids = [row_id for row_id, _ in rows]
            self.database.write(lambda connection, ids=ids: self._forget(connection, ids))  # type: ignore[misc]
            self._succeeded(len(ids))

    def _forget(self, connection: Connection, ids: Sequence[int]) -> None:
        self.guard(connection)
        forget(connection, ids)

    def _failed(self, reason: str) -> None:
        self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
        self._again_at = self.clock() + self._pause
        self.batch = max(1, self.batch // 4)
        if reason != self.failure:
            _log.warning("audit messages cannot be delivered, they wait: %s", reason)
        self.failure = reason

    def _succeeded(self, count: int) -> None:
        if self.failure is not None:
            _log.info("audit messages are delivered again")
        self.failure = None
        self._pause = 0.0
        self.batch = min(self.batch * 2, LARGEST_BATCH)
        self.sent += count


def _events(rows: Sequence[tuple[int, bytes]]) -> list[AuditEvent]:
    return [read_event(event) for _, event in rows]


def late(delivery: Delivery, now: int, most: float) -> str | None:
    """Why readiness should say no: the oldest event is older than `most` seconds at `now` (µs); None when it is not."""
    try:
        state = waiting(delivery.database)
    except DatabaseError:
        return "the outbox cannot be read"
    if state.oldest is None or now - state.oldest <= most * 1_000_000:
        return None
    age = (now - state.oldest) // 1_000_000
    return f"{state.rows} events wait, the oldest for {age} s: {delivery.failure or 'delivery is under way'}"
