"""The seal of the journal in a running server: the job that seals, and what the other processes know of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from database.errors import DatabaseError
from database.handle import Database
from database.lease import Lease
from journal.keys import SealKeyError
from journal.seal import SealBroken, Sealer
from liasse.admin import Probe
from liasse.settings import Settings
from liasse.status import Status
from liasse.wiring import wall_clock

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at the journal on a server that does not seal it."""

SAY_AGAIN: Final = 60.0
"""Seconds after which a failure that lasts is logged again."""

NOT_READY_AFTER: Final = 120.0
"""Seconds without a complete seal after which a server is not ready, unless the settings refuse disclosure earlier."""


def sealing_is_late(settings: Settings, status: Status) -> Callable[[], bool]:
    """The check before anything is disclosed: shared memory and a clock, no system call that waits."""
    limit = settings.journal.refuse_disclosure_after
    if not limit:
        return lambda: False
    return lambda: status.journal_seal_age() > limit


def seal_probe(settings: Settings, status: Status) -> Probe:
    """Readiness: rows have been sealed lately."""
    limit = min(settings.journal.refuse_disclosure_after or NOT_READY_AFTER, NOT_READY_AFTER)
    limit = max(limit, 3 * settings.journal.seal_every)

    def check() -> str | None:
        age = status.journal_seal_age()
        return f"not sealed for {age:.0f} s: see the log of the background process" if age > limit else None

    return Probe("journal", check)


def seal_gauges(status: Status) -> Mapping[str, tuple[str, float]]:
    """How old the seal is."""
    return {
        "liasse_journal_seal_age_seconds": ("Seconds since all rows of the journal were sealed.", status.journal_seal_age())
    }


def seal_job(settings: Settings, database: Database, lease: Lease, status: Status) -> Callable[[], None]:
    """What is run every `journal.seal_every` seconds on every server."""
    sealer = Sealer(database, settings.seal_key, lease.guard, wall_clock)
    return SealJob(sealer, lambda: lease.held, status.journal_sealed).run


@dataclass(slots=True)
class SealJob:
    """Seals where this server holds the lease, else watches that the other one does.

    `sealed(until)` is told of each complete seal; `clock` is monotonic, in seconds.
    """

    sealer: Sealer
    holds_lease: Callable[[], bool]
    sealed: Callable[[float], None]
    clock: Callable[[], float] = time.monotonic
    _looked_at: float = -LOOK_EVERY
    _waiting: tuple[str, float] | None = None
    _said: tuple[str, float] = field(default=("", 0.0))

    def run(self) -> None:
        """Failures are logged when they begin and from time to time; the age of the seal tells of them too."""
        try:
            if self.holds_lease():
                self._seal()
            elif self.clock() - self._looked_at >= LOOK_EVERY:
                self._look()
        except (SealKeyError, SealBroken, DatabaseError) as error:
            self._say(error)
        else:
            self._said = ("", 0.0)

    def _seal(self) -> None:
        started = self.clock()
        self.sealer.run()
        self.sealed(started)

    def _look(self) -> None:
        """The row that waits longest counts from when we first saw it: clocks of two machines are never compared."""
        started = self._looked_at = self.clock()
        oldest = self.sealer.oldest_unsealed()
        if oldest is None:
            self._waiting = None
            self.sealed(started)
        elif self._waiting is None or self._waiting[0] != oldest:
            self._waiting = (oldest, started)
            self.sealed(started)

    def _say(self, error: Exception) -> None:
        text, now = str(error), self.clock()
        if self._said[0] != text or now - self._said[1] > SAY_AGAIN:
            self._said = (text, now)
            _log.error("the journal is not sealed: %s", text)
