"""Security alerts of TLS clients that were refused: written beside the event loop, bounded, as anybody may cause them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import structlog

from atna.events import AuditEvent
from atna.outbox import enqueue
from database.errors import DatabaseError
from database.handle import Database
from liasse.audit_trail import Trail

log = structlog.get_logger()

AGAIN_AFTER: Final = 60_000_000
"""Microseconds in which refusals of one address for one reason make one alert; the next one tells how many there were."""

_ADDRESSES: Final = 1000


@dataclass
class RefusedPeers:
    """The alerts of one worker. `clock` gives microseconds since 1970 UTC. `note` is called by one thread."""

    database: Database
    trail: Trail
    clock: Callable[[], int]
    _last: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict, init=False)
    _writer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="alerts"), init=False
    )

    def note(self, address: str, reason: str) -> None:
        """A client at `address` got no session because of `reason`, a word of the TLS library. Does not block."""
        now = self.clock()
        since, unsaid = self._last.pop((address, reason), (0, 0))
        if 0 <= now - since < AGAIN_AFTER:
            self._last[address, reason] = (since, unsaid + 1)
            return
        self._last[address, reason] = (now, 0)
        if len(self._last) > _ADDRESSES:
            del self._last[next(iter(self._last))]
        more = f"; {unsaid} more since the last alert" if unsaid else ""
        self._writer.submit(self._write, self.trail.refused_peer(now, address, f"handshake: {reason}{more}"))

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.shutdown()

    def _write(self, event: AuditEvent) -> None:
        try:
            self.database.write(enqueue([event]))
        except DatabaseError as error:
            log.warning("an audit event was not stored", rule="tls-handshake", code=error.code)
