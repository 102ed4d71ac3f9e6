"""Delivery: in order, at least once, whatever the collector does and whenever the process ends. Attack row I9."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from atna.delivery import FIRST_PAUSE, LARGEST_BATCH, LONGEST_PAUSE, Delivery, late
from atna.events import AuditEvent
from atna.outbox import enqueue, waiting
from atna.syslog import CollectorError, syslog_message
from atna.tables import audit_outbox
from conformance.simulators.audit_receiver import AuditReceiver, Behaviour
from database import Database, LeaseLost
from database.lease import Lease
from tests.audit_side import AT, ORIGIN, Certificates, query_event, retrieve_event

ROOT = Path(__file__).resolve().parents[3]
SECOND = 1_000_000


def unguarded(_connection: Connection) -> None:
    """A lease that is never lost."""


@dataclass
class Memory:
    """A collector that remembers; `wrong` is why it takes nothing."""

    events: list[AuditEvent] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    wrong: str | None = None

    def send(self, events: Sequence[AuditEvent]) -> None:
        self.batches.append(len(events))
        if self.wrong:
            raise CollectorError(self.wrong)
        self.events += events


@dataclass
class Clock:
    """Monotonic seconds that stand still."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def fill(database: Database, count: int, start: int = 0) -> list[AuditEvent]:
    events = [query_event(number) if number % 3 else retrieve_event(number) for number in range(start, start + count)]
    for event in events:
        database.write_short(enqueue([event]))
    return events


def run_until_empty(delivery: Delivery, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while waiting(delivery.database).rows:
        assert time.monotonic() < end, delivery.failure
        delivery.run()
        delivery._again_at = 0.0  # the pauses have their own test


def test_a_collector_that_was_down_gets_everything_once_in_order(database: Database, certificates: Certificates) -> None:
    receiver = certificates.receiver().open()
    receiver.close()  # its port is known, and nobody listens there
    delivery = Delivery(database, certificates.collector(receiver), unguarded)
    events = fill(database, 500)
    delivery.run()
    assert "refused" in (delivery.failure or "")
    events += fill(database, 500, 500)
    assert waiting(database).rows == 1000
    with receiver:
        run_until_empty(delivery)
        assert [one.message for one in receiver.received] == [syslog_message(event, ORIGIN) for event in events]
        assert not any(one.repeated or one.findings for one in receiver.received)
    assert delivery.failure is None
    assert delivery.sent == 1000


def test_what_arrives_twice_is_the_same_to_the_byte(database: Database, certificates: Certificates) -> None:
    receiver = certificates.receiver(Behaviour(read=2000, reset_after=30_000))
    delivery = Delivery(database, certificates.collector(receiver), unguarded)
    events = fill(database, 100)
    with receiver:
        delivery.collector = certificates.collector(receiver)
        delivery.run()
        assert waiting(database).rows == 100
        taken = len(receiver.received)
        assert 0 < taken < 100
        receiver.behaviour = Behaviour()
        run_until_empty(delivery)
        assert [one.message for one in receiver.different()] == [syslog_message(event, ORIGIN) for event in events]
        assert sum(one.repeated for one in receiver.received) == taken


def test_a_slow_collector_gets_smaller_batches_and_all_in_the_end(database: Database, certificates: Certificates) -> None:
    receiver = certificates.receiver(Behaviour(pause=0.02, read=1000))
    with receiver:
        delivery = Delivery(database, certificates.collector(receiver, patience=1.0), unguarded)
        events = fill(database, 60)
        delivery.run()
        assert "did not take the batch" in (delivery.failure or "")
        assert delivery.batch == LARGEST_BATCH // 4
        run_until_empty(delivery)
        assert receiver.wait_for(len(events), 10)
        assert [one.message for one in receiver.different()] == [syslog_message(event, ORIGIN) for event in events]


def test_the_collector_s_certificate_is_expired(database: Database, certificates: Certificates) -> None:
    receiver = AuditReceiver(0, context=certificates.context(certificates.expired))
    events = fill(database, 3)
    with receiver:
        delivery = Delivery(database, certificates.collector(receiver), unguarded)
        delivery.run()
        assert waiting(database).rows == 3
        assert late(delivery, AT + 3600 * SECOND, 3600) is None
        assert late(delivery, AT + 3601 * SECOND, 3600) == (
            f"3 events wait, the oldest for 3601 s: 127.0.0.1:{receiver.tcp}: "
            "its certificate is not accepted: certificate has expired"
        )
        receiver.context = certificates.context()
        run_until_empty(delivery)
        assert [one.message for one in receiver.received] == [syslog_message(event, ORIGIN) for event in events]
    assert late(delivery, AT + 10_000 * SECOND, 3600) is None


def test_failures_are_waited_out_ever_longer_up_to_a_limit(database: Database) -> None:
    collector, clock = Memory(wrong="away"), Clock()
    delivery = Delivery(database, collector, unguarded, clock)
    fill(database, 1)
    pauses = []
    for _ in range(10):
        before = len(collector.batches)
        delivery.run()
        assert len(collector.batches) == before + 1
        started = clock.now
        while len(collector.batches) == before + 1:
            clock.now += 0.5
            delivery.run()
        pauses.append(clock.now - started)
        collector.batches.pop()
        delivery._again_at = 0.0
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == LONGEST_PAUSE
    assert pauses == sorted(pauses)
    collector.wrong = None
    delivery.run()
    assert (delivery.failure, waiting(database).rows) == (None, 0)


def test_a_batch_shrinks_and_grows_again(database: Database) -> None:
    collector = Memory(wrong="too much")
    delivery = Delivery(database, collector, unguarded)
    fill(database, 40)
    for _ in range(4):
        delivery._again_at = 0.0
        delivery.run()
    assert collector.batches == [40, 40, 31, 7]
    collector.wrong = None
    delivery._again_at = 0.0
    delivery.run()
    assert collector.batches[4:] == [1, 2, 4, 8, 16, 9]
    assert len(collector.events) == 40


def test_who_lost_the_lease_forgets_nothing(database: Database) -> None:
    now = Clock()
    first, second = (Lease(database, "background", clock=now, holder=name) for name in ("one", "two"))
    assert first.acquire()
    collector = Memory()
    delivery = Delivery(database, collector, first.guard)
    fill(database, 5)
    second.acquire()
    now.now += 60
    assert second.acquire()
    with pytest.raises(LeaseLost):
        delivery.run()
    assert waiting(database).rows == 5
    heir = Delivery(database, collector, second.guard)
    heir.run()
    assert waiting(database).rows == 0
    assert len(collector.events) == 10


def test_what_another_release_wrote_stops_the_queue_and_loses_nothing(database: Database) -> None:
    fill(database, 2)
    database.write(lambda connection: connection.execute(insert(audit_outbox).values(at=AT, event=b"[9]\n")) and None)
    fill(database, 2, 2)
    delivery = Delivery(database, Memory(), unguarded, batch=1)
    run = delivery.run
    for _ in range(3):
        delivery._again_at = 0.0
        run()
    assert waiting(database).rows >= 3
    assert "format 9" in (delivery.failure or "")


def test_a_run_ends_so_that_the_process_can_stop(database: Database) -> None:
    clock = Clock()

    class Slow(Memory):
        def send(self, events: Sequence[AuditEvent]) -> None:
            super().send(events)
            clock.now += 2

    delivery = Delivery(database, Slow(), unguarded, clock, batch=1)
    fill(database, 50)
    delivery.run()
    assert waiting(database).rows > 0


CHILD = """
import sys
from pathlib import Path
from atna.delivery import Delivery
from atna.syslog import TlsCollector
from database import open_database
from tests.audit_side import ORIGIN
place, port, ca, certificate, key = sys.argv[1:]
with open_database(place) as database:
    collector = TlsCollector("127.0.0.1", int(port), ORIGIN, Path(ca), Path(certificate), Path(key))
    delivery = Delivery(database, collector, lambda connection: None, batch=7)
    print("ready", flush=True)
    while True:
        delivery.batch = 7
        delivery.run()
"""


def test_a_killed_process_is_taken_over_and_duplicates_are_the_same_message(
    database: Database, database_url: str, certificates: Certificates
) -> None:
    receiver = certificates.receiver(Behaviour(pause=0.005)).open()
    try:
        events = fill(database, 300)
        arguments = [database_url, str(receiver.tcp), str(certificates.ca), *(str(path) for path in certificates.client)]
        for kill in range(1, 6):
            with subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
                receiver.wait_for(kill * 40, 20)
                child.send_signal(signal.SIGKILL)
        run_until_empty(Delivery(database, certificates.collector(receiver), unguarded))
        assert [one.message for one in receiver.different()] == [syslog_message(event, ORIGIN) for event in events]
    finally:
        receiver.close()


def test_events_queued_while_others_are_sent_follow(database: Database, certificates: Certificates) -> None:
    with certificates.receiver() as receiver:
        delivery = Delivery(database, certificates.collector(receiver), unguarded)
        events: list[list[AuditEvent]] = [[], []]
        threads = [threading.Thread(target=lambda n=n: events[n].extend(fill(database, 100, n * 1000))) for n in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            delivery.run()
        run_until_empty(delivery)
        sent = {one.message for one in receiver.different()}
        assert len(receiver.received) == len(sent)
        assert sent == {syslog_message(event, ORIGIN) for half in events for event in half}
