"""A lease: of all processes on all machines that share a database, one at a time does a certain work.

No wall clock is compared. The holder counts a beat up while it renews; others watch the beat on their own monotonic clocks
and take over once it has stood still for `ttl` seconds, or at once when the holder was a process of this machine that has
ended. The holder stops by itself when it could not renew for two thirds of that time, counted from before its last
successful renewal. Each change of holder raises the fencing number, which the holder's writes check in their transaction: a
holder that was asleep for too long cannot write any more. Clock rates may differ by a third.
Source: C. Gray, D. Cheriton, "Leases", SOSP 1989 (the idea; the observed beat replaces its clocks).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from database.errors import DatabaseError, LeaseLost
from database.handle import Database
from database.process import is_dead, process_identity
from database.tables import lease, now_micros

TTL = 6.0
"""Seconds without a beat after which others take over. Renew at least every third of it."""

_READ = select(lease.c.holder, lease.c.fencing, lease.c.beat).where(lease.c.name == bindparam("lease_name"))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A row of the table as last seen, and since when (monotonic seconds) it has not changed."""

    holder: str
    fencing: int
    beat: int
    since: float


class Lease:
    """One process's claim to the lease `name`. Used by one thread, except `held`, `fencing` and `guard`."""

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        ttl: float = TTL,
        holder: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.holder = holder or f"{process_identity()}:{secrets.token_hex(4)}"
        self._database = database
        self._ttl = ttl
        self._clock = clock
        self._seen: _Seen | None = None
        self._fencing = 0
        self._renewed_at: float | None = None

    @property
    def held(self) -> bool:
        """Whether the lease is surely still ours."""
        renewed_at = self._renewed_at
        return renewed_at is not None and self._clock() - renewed_at < self._ttl * 2 / 3

    @property
    def fencing(self) -> int:
        """The fencing number under which we hold the lease; 0 before we ever did."""
        return self._fencing

    def acquire(self) -> bool:
        """Try once to get the lease, or renew it; whether it is ours now. Call it again and again, it watches the holder.

        Raises a DatabaseError.
        """
        if self._renewed_at is not None:
            return self.renew()
        started = self._clock()
        seen = self._watch()
        if not self._is_free(seen):
            return False
        fencing = self._database.write(lambda connection: self._take(connection, seen))
        if fencing is None:
            return False
        self._fencing, self._renewed_at = fencing, started
        return True

    def renew(self) -> bool:
        """Show that we live; False, once and for all, when the lease is lost: then `acquire` anew.

        Raises a DatabaseError when the database does not answer: the lease is still ours while `held` says so.
        """
        if self._renewed_at is None:
            return False
        started = self._clock()
        if not self._database.write(self._beat):
            self._renewed_at = None
            return False
        self._renewed_at = started
        return True

    def release(self) -> None:
        """Give the lease up, so that another process need not wait. Raises a DatabaseError; the lease is given up anyway."""
        if self._renewed_at is not None:
            self._renewed_at = None
            self._database.write(self._clear)

    def guard(self, connection: Connection) -> None:
        """In a function given to `write`, before its statements: raise LeaseLost unless the lease is still ours.

        The row stays locked to the end of the transaction: nobody takes over before it ends.
        """
        mine = update(lease).where(*self._is_ours()).values(holder=self.holder)
        if connection.execute(mine).rowcount != 1:
            raise LeaseLost(f"the lease {self.name!r} went to another process")

    def _watch(self) -> _Seen | None:
        with self._database.read() as connection:
            row = connection.execute(_READ, {"lease_name": self.name}).first()
        if row is None:
            self._seen = None
            return None
        before, now = self._seen, self._clock()
        changed = before is None or (before.holder, before.fencing, before.beat) != tuple(row)
        self._seen = _Seen(row.holder, row.fencing, row.beat, now if before is None or changed else before.since)
        return self._seen

    def _is_free(self, seen: _Seen | None) -> bool:
        if seen is None or seen.holder in ("", self.holder) or is_dead(seen.holder):
            return True  # our own name: an attempt of ours whose outcome we did not learn
        return self._clock() - seen.since >= self._ttl

    def _take(self, connection: Connection, seen: _Seen | None) -> int | None:
        if seen is None:
            return self._insert(connection)
        taken = connection.execute(
            update(lease)
            .where(lease.c.name == self.name, lease.c.fencing == seen.fencing, lease.c.beat == seen.beat)
            .where(lease.c.holder == seen.holder)
            .values(holder=self.holder, fencing=seen.fencing + 1, beat=seen.beat + 1, renewed_at=now_micros())
        )
        return seen.fencing + 1 if taken.rowcount == 1 else None

    def _insert(self, connection: Connection) -> int | None:
        try:
            with connection.begin_nested():
                row = {"name": self.name, "holder": self.holder, "fencing": 1, "beat": 1, "renewed_at": now_micros()}
                connection.execute(insert(lease), row)
        except IntegrityError:
            return None
        return 1

    def _beat(self, connection: Connection) -> bool:
        ours = update(lease).where(*self._is_ours())
        return connection.execute(ours.values(beat=lease.c.beat + 1, renewed_at=now_micros())).rowcount == 1

    def _clear(self, connection: Connection) -> None:
        connection.execute(update(lease).where(*self._is_ours()).values(holder="", beat=lease.c.beat + 1))

    def _is_ours(self) -> tuple[ColumnElement[bool], ...]:
        return (lease.c.name == self.name, lease.c.holder == self.holder, lease.c.fencing == self._fencing)


class LeaseWatch:
    """How others see the lease `name`: whether somebody holds it and shows a sign of life."""

    def __init__(
        self, database: Database, name: str, *, ttl: float = TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease = Lease(database, name, ttl=ttl, holder="watch", clock=clock)

    def is_held(self) -> bool:
        """Whether a process holds the lease. One that was just looked at for the first time gets the benefit of the doubt.

        Never raises: a database that does not answer means no.
        """
        try:
            return not self._lease._is_free(self._lease._watch())
        except DatabaseError:
            return False
