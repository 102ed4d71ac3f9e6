"""What the processes of one server know of each other: a small table in memory shared by fork.

The supervisor makes it before it forks. Every cell is one number with one writer: 0 or 1, or a time of the monotonic clock
in seconds, which is the same for all processes of a machine. Reading costs no system call.
"""

from __future__ import annotations

import mmap
import time
from dataclasses import dataclass

_COMPLETE, _STOPPING, _LEASE_UNTIL, _FEED, _SEALED, _FIRST_WORKER = range(6)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server does its work, and if not why: short reasons without data."""

    ok: bool
    reasons: tuple[str, ...] = ()


class Status:
    """The shared table of a server of `workers` worker processes."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._first_beat = _FIRST_WORKER + workers
        self._memory = mmap.mmap(-1, 8 * (self._first_beat + workers + 1))
        self._cells = memoryview(self._memory).cast("d")
        self._cells[_SEALED] = time.monotonic()

    def worker_serving(self, slot: int) -> None:
        """Worker `slot` (from 0) accepts requests. Called by the worker itself."""
        self._cells[_FIRST_WORKER + slot] = 1.0

    def worker_gone(self, slot: int) -> None:
        """Worker `slot` ended. Called by the supervisor."""
        self._cells[_FIRST_WORKER + slot] = 0.0

    def worker_is_serving(self, slot: int) -> bool:
        """Whether worker `slot` said that it accepts requests."""
        return self._cells[_FIRST_WORKER + slot] == 1.0

    def beat(self, slot: int, ahead: float = 0.0) -> None:
        """The event loop of process `slot` turns, and may be silent for `ahead` seconds more than usual. Called in it.

        The slot of the background process is the one after the workers'.
        """
        self._cells[self._first_beat + slot] = time.monotonic() + ahead

    def last_beat(self, slot: int) -> float:
        """When process `slot` last beat, 0 before its first time."""
        return self._cells[self._first_beat + slot]

    def process_starts(self, slot: int) -> None:
        """Process `slot` is about to be forked: beats of its predecessor do not count. Called by the supervisor."""
        self._cells[self._first_beat + slot] = 0.0

    def lease_held(self, seconds: float) -> None:
        """The lease is held for the coming `seconds`; 0 or less: it is not. Called by the background process."""
        self._cells[_LEASE_UNTIL] = time.monotonic() + seconds if seconds > 0 else 0.0

    def lease_is_held(self) -> bool:
        """Whether the background process holds the lease now."""
        return time.monotonic() < self._cells[_LEASE_UNTIL]

    def feed_bound(self) -> None:
        """The patient feed accepts connections. Called by the background process."""
        self._cells[_FEED] = 1.0

    def feed_is_bound(self) -> bool:
        """Whether the patient feed accepts connections."""
        return self._cells[_FEED] == 1.0

    def journal_sealed(self, until: float) -> None:
        """Every journal row committed before `until`, a time of the monotonic clock, is sealed. Called by the background."""
        self._cells[_SEALED] = until

    def journal_seal_age(self) -> float:
        """Seconds since the journal was wholly sealed, or since the server started."""
        return time.monotonic() - self._cells[_SEALED]

    def background_gone(self) -> None:
        """The background process ended: nobody holds the lease or accepts the feed. Called by the supervisor."""
        self._cells[_LEASE_UNTIL] = 0.0
        self._cells[_FEED] = 0.0

    def start_is_complete(self) -> bool:
        """Whether everything has served at once since the start; looks, and remembers. Called by the supervisor."""
        everybody = all(self.worker_is_serving(slot) for slot in range(self.workers))
        if everybody and self.lease_is_held() and self.feed_is_bound():
            self._cells[_COMPLETE] = 1.0
        return self._cells[_COMPLETE] == 1.0

    def stopping(self) -> None:
        """The server drains. Called by the supervisor."""
        self._cells[_STOPPING] = 1.0

    def is_stopping(self) -> bool:
        """Whether the server drains."""
        return self._cells[_STOPPING] == 1.0

    def health(self) -> Health:
        """Started once as a whole, and still: a worker serves, the lease is held, the feed is bound, no drain."""
        serving = any(self.worker_is_serving(slot) for slot in range(self.workers))
        reasons = [
            reason
            for reason, wrong in (
                ("starting", self._cells[_COMPLETE] != 1.0),
                ("stopping", self.is_stopping()),
                ("no worker serves", not serving),
                ("the lease is not held", not self.lease_is_held()),
                ("the feed port is not bound", not self.feed_is_bound()),
            )
            if wrong
        ]
        return Health(not reasons, tuple(reasons))
