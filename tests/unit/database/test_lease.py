"""One holder at a time, on both engines; a holder that slept, died or was cut off is replaced and cannot write any more."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, update

from database import Database, DatabaseUnavailable, LeaseLost
from database.lease import TTL, Lease, LeaseWatch
from database.process import is_dead, process_identity
from database.tables import lease as lease_table


@dataclass
class Clock:
    """A monotonic clock under the test's control."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_two_nodes_elect_one(database: Database) -> None:
    clock = Clock()
    first, second = (Lease(database, "background", holder=name, clock=clock) for name in ("node-a", "node-b"))
    assert first.acquire()
    assert not second.acquire()
    assert (first.held, first.fencing, second.held, second.fencing) == (True, 1, False, 0)
    for _ in range(5):
        clock.now += TTL / 3
        assert first.renew()
        assert not second.acquire()
    assert first.held


def test_a_released_lease_is_free_at_once(database: Database) -> None:
    clock = Clock()
    first, second = (Lease(database, "background", holder=name, clock=clock) for name in ("node-a", "node-b"))
    assert first.acquire()
    first.release()
    first.release()
    assert not first.held
    assert second.acquire()
    assert second.fencing == 2
    assert not first.acquire()


def test_a_holder_whose_beat_stands_still_is_replaced_and_notices(database: Database) -> None:
    clock = Clock()
    asleep, other = (Lease(database, "background", holder=name, clock=clock) for name in ("node-a", "node-b"))
    assert asleep.acquire()
    assert not other.acquire()
    clock.now += TTL - 0.1
    assert not other.acquire()
    assert not asleep.held
    clock.now += 0.2
    assert other.acquire()
    with pytest.raises(LeaseLost, match="background"):
        database.write(asleep.guard)
    assert not asleep.renew()
    assert not asleep.acquire()
    database.write(other.guard)


def test_the_holder_gives_up_before_others_may_take_over(database: Database) -> None:
    clock = Clock()
    holder = Lease(database, "background", holder="node-a", clock=clock)
    assert holder.acquire()
    clock.now += TTL * 2 / 3
    assert not holder.held
    assert holder.acquire()
    assert (holder.held, holder.fencing) == (True, 1)


def test_leases_of_other_names_do_not_matter(database: Database) -> None:
    first, second = Lease(database, "one", holder="node-a"), Lease(database, "two", holder="node-b")
    assert first.acquire()
    assert second.acquire()


def test_many_at_once_elect_exactly_one(database: Database) -> None:
    claims = [Lease(database, "background", holder=f"node-{n}") for n in range(8)]
    won: list[Lease] = []
    ready = threading.Barrier(len(claims))

    def claim(one: Lease) -> None:
        ready.wait()
        if one.acquire():
            won.append(one)

    threads = [threading.Thread(target=claim, args=(one,)) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_work_under_a_lost_lease_is_undone(database: Database) -> None:
    clock = Clock()
    asleep, other = (Lease(database, "background", holder=name, clock=clock) for name in ("node-a", "node-b"))
    assert asleep.acquire()
    assert not other.acquire()
    clock.now += TTL + 1
    assert other.acquire()

    def work(connection: Connection) -> None:
        connection.execute(update(lease_table).values(renewed_at=-1))
        asleep.guard(connection)

    with pytest.raises(LeaseLost):
        database.write(work)
    with database.read() as connection:
        assert connection.execute(lease_table.select()).one().renewed_at > 0


def test_an_own_attempt_of_unknown_outcome_is_taken_up(database: Database) -> None:
    first = Lease(database, "background", holder="node-a")
    assert first.acquire()
    forgetful = Lease(database, "background", holder="node-a")
    assert forgetful.acquire()
    assert forgetful.fencing == 2
    with pytest.raises(LeaseLost):
        database.write(first.guard)


_HOLDER = """
import sys
from database import open_database
from database.lease import Lease
with open_database(sys.argv[1]) as database:
    print(Lease(database, "background").acquire(), flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_of_this_machine_is_replaced_without_waiting(database: Database, database_url: str) -> None:
    clock = Clock()
    other = Lease(database, "background", clock=clock)
    watch = LeaseWatch(database, "background", clock=clock)
    command = [sys.executable, "-c", _HOLDER, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert watch.is_held()
        assert not other.acquire()
        process.kill()
        process.wait()
    assert not watch.is_held()
    assert other.acquire()
    assert other.fencing == 2


def test_a_watch_sees_signs_of_life(database: Database) -> None:
    clock = Clock()
    watch = LeaseWatch(database, "background", clock=clock)
    assert not watch.is_held()
    holder = Lease(database, "background", holder="node-a", clock=clock)
    assert holder.acquire()
    for _ in range(4):
        assert watch.is_held()
        clock.now += TTL - 1
        assert holder.renew()
    assert watch.is_held()
    clock.now += TTL
    assert not watch.is_held()
    holder.release()
    assert not watch.is_held()


def test_a_watch_takes_a_silent_database_for_a_no(database: Database) -> None:
    holder = Lease(database, "background", holder="node-a")
    assert holder.acquire()
    watch = LeaseWatch(_Gone(database), "background")
    assert not watch.is_held()


class _Gone(Database):
    """A database that was there a moment ago."""

    kind = "sqlite"

    def __init__(self, other: Database) -> None:
        super().__init__(other._engine)

    def read(self) -> object:  # type: ignore[override]
        raise DatabaseUnavailable("gone")

    read_raw = read  # type: ignore[assignment]

    def write(self, fn: object, *, timeout: float = 0) -> object:  # type: ignore[override]
        raise DatabaseUnavailable("gone")

    def close(self) -> None:
        """Nothing to give back."""


def test_identities_tell_the_dead_from_the_living() -> None:
    mine = process_identity()
    boot, namespace, pid, started = mine.split(":")
    assert not is_dead(mine)
    assert not is_dead(mine + ":suffix")
    assert is_dead(f"{boot}:{namespace}:{pid}:{int(started) + 1}")
    assert is_dead(f"{boot}:{namespace}:4194400:1")
    assert not is_dead(f"other-boot:{namespace}:{pid}:1")
    assert not is_dead(f"{boot}:1:{pid}:1")
    assert not is_dead("node-a")
    assert not is_dead(f"{boot}:{namespace}:x:1")
