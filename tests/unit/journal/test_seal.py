"""The sealer: every row once, without a gap, whatever happens to clocks, processes and other sealers."""

from __future__ import annotations

import logging
import threading
from functools import partial

import pytest
from sqlalchemy import Connection, func, select, text

from database import DatabaseError, LeaseLost, OutcomeUnknown, open_database
from database.lease import Lease
from journal.head import heads_after, insert_key, registered_keys
from journal.keys import SealKeyError, SealKeyMissing, endorse, load_key, make_key, replace_key, save_key
from journal.rows import journal
from journal.scan import WINDOW
from journal.seal import SealBroken, Sealer
from journal.tables import journal_number, journal_row
from tests.journal_side import AT, SECOND, Journal, made_rows, no_guard, tamper, write_rows, write_rows_at_once


def test_rows_are_numbered_without_a_gap_in_the_order_of_writing(journal_of: Journal) -> None:
    write_rows(journal_of.database, 3)
    sealer = journal_of.sealer()
    assert sealer.run() == 3
    write_rows(journal_of.database, 2, AT + SECOND)
    assert sealer.run() == 2
    assert sealer.run() == 0
    with journal_of.database.read() as connection:
        numbers = connection.execute(select(journal_number.c.number).order_by(journal_number.c.number)).scalars().all()
        ids = connection.execute(select(journal_row.c.id).order_by(journal_row.c.id)).scalars().all()
        heads = heads_after(connection, -1, 10)
    assert numbers == [1, 2, 3, 4, 5]
    assert journal_of.ids() == ids
    assert [(head.number, head.count, head.previous) for head in heads] == [(0, 0, -1), (3, 3, 0), (5, 2, 3)]
    assert journal_of.problems() == []


def test_a_batch_has_a_bound(journal_of: Journal) -> None:
    journal_of.sealed(25, batch=10)
    with journal_of.database.read() as connection:
        assert [head.count for head in heads_after(connection, 0, 10)] == [10, 10, 5]
    assert journal_of.problems() == []


def test_a_new_process_goes_on_where_the_last_one_ended(journal_of: Journal) -> None:
    journal_of.sealed(4)
    write_rows(journal_of.database, 3, journal_of.now)
    assert journal_of.sealer().run() == 3
    assert journal_of.problems() == []


def test_a_clock_set_back_an_hour_changes_no_number(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 3, journal_of.now)
    assert sealer.run() == 3
    journal_of.now -= 3600 * SECOND
    write_rows(journal_of.database, 3, journal_of.now)
    assert sealer.run() == 3
    journal_of.now += 7200 * SECOND
    write_rows(journal_of.database, 3, journal_of.now)
    assert sealer.run() == 3
    assert len(journal_of.ids()) == 9
    assert journal_of.rules() == []


def test_a_row_that_is_committed_late_is_found_by_the_patrol(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 2, journal_of.now)
    assert sealer.run() == 2
    assert sealer.run() == 0  # the window has moved on
    write_rows(journal_of.database, 1, journal_of.now - 10 * WINDOW)
    assert sum(sealer.run() for _ in range(3)) == 1
    assert journal_of.rules() == []


def test_a_transaction_that_ends_after_a_later_one_is_sealed(journal_of: Journal) -> None:
    """PostgreSQL: ids are not in the order of commits."""
    if journal_of.database.kind != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    sealer = journal_of.sealer()
    started, finish = threading.Event(), threading.Event()
    ((ctx, row),) = made_rows(1, journal_of.now - SECOND, 1)

    def slow(connection: Connection) -> None:
        journal(ctx, [row])(connection)
        started.set()
        finish.wait(2)

    thread = threading.Thread(target=lambda: journal_of.database.write(slow))
    thread.start()
    started.wait(5)
    write_rows(journal_of.database, 1, journal_of.now)
    assert sealer.run() == 1
    finish.set()
    thread.join()
    assert sealer.run() == 1
    assert journal_of.problems() == []


def test_two_sealers_never_give_a_row_two_numbers(journal_of: Journal, database_url: str) -> None:
    """Without any lease: the unique numbers are the last defence."""
    write_rows_at_once(journal_of.database, 300, journal_of.now)
    journal_of.sealer(batch=1).run()
    failures: list[Exception] = []

    def seal() -> None:
        with open_database(database_url) as database:
            sealer = Sealer(database, journal_of.key_file, no_guard, lambda: journal_of.now, 7)
            for _ in range(20):
                try:
                    sealer.run()
                except Exception as error:
                    failures.append(error)

    write_rows_at_once(journal_of.database, 300, journal_of.now + 1000)
    threads = [threading.Thread(target=seal) for _ in range(3)]
    for thread in threads:
        thread.start()
    write_rows(journal_of.database, 60, journal_of.now + 2000)
    for thread in threads:
        thread.join()
    journal_of.sealer().run()
    assert {type(error).__name__ for error in failures} <= {"ConstraintViolated", "DatabaseBusy"}
    assert len(journal_of.ids()) == len(set(journal_of.ids())) == 660
    assert journal_of.problems() == []


def test_a_sealer_whose_lease_went_elsewhere_writes_nothing(journal_of: Journal, database_url: str) -> None:
    lease = Lease(journal_of.database, "background")
    assert lease.acquire()
    sealer = Sealer(journal_of.database, journal_of.key_file, lease.guard, lambda: journal_of.now)
    write_rows(journal_of.database, 1, journal_of.now)
    assert sealer.run() == 1
    tamper(journal_of.database, "UPDATE lease SET holder = 'another', fencing = fencing + 1")
    write_rows(journal_of.database, 1, journal_of.now)
    with pytest.raises(LeaseLost):
        sealer.run()
    assert len(journal_of.ids()) == 1
    assert journal_of.sealer().run() == 1  # the one that holds it now
    write_rows(journal_of.database, 1, journal_of.now)
    with pytest.raises(LeaseLost):
        sealer.run()
    assert journal_of.sealer().run() == 1
    assert journal_of.problems() == []


def test_a_seal_whose_outcome_is_unknown_is_neither_lost_nor_given_twice(
    journal_of: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 2, journal_of.now)
    sealer.run()
    write_rows(journal_of.database, 2, journal_of.now)
    write = journal_of.database.write

    def committed_and_lost(fn: object, **_more: object) -> None:
        write(fn)  # type: ignore[arg-type]
        raise OutcomeUnknown("lost at commit")

    def lost(_fn: object, **_more: object) -> None:
        raise OutcomeUnknown("lost before commit")

    for failing in (lost, committed_and_lost):
        monkeypatch.setattr(journal_of.database, "write", failing)
        with pytest.raises(OutcomeUnknown):
            sealer.run()
        monkeypatch.undo()
    assert sealer.run() == 0
    assert len(journal_of.ids()) == 4
    assert journal_of.problems() == []


def test_the_first_key_is_made_and_a_lost_one_is_not_replaced(journal_of: Journal) -> None:
    journal_of.sealed(1)
    assert journal_of.key_file.stat().st_mode & 0o777 == 0o600
    journal_of.key_file.unlink()
    write_rows(journal_of.database, 1, journal_of.now)
    with pytest.raises(SealKeyMissing, match="liasse journal key init"):
        journal_of.sealer().run()
    save_key(journal_of.key_file, make_key("p256"))
    assert journal_of.sealer().run() == 1
    assert journal_of.problems() == []


def test_a_running_sealer_takes_a_rotated_key(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 1, journal_of.now)
    sealer.run()
    old, new = load_key(journal_of.key_file), make_key("p256")
    entry = endorse(new.public, old, journal_of.now)
    journal_of.database.write(lambda connection: insert_key(connection, entry))
    replace_key(journal_of.key_file, new)
    write_rows(journal_of.database, 1, journal_of.now)
    assert sealer.run() == 1
    with journal_of.database.read() as connection:
        assert [head.key_id for head in heads_after(connection, 0, 9)] == [old.id, new.id]
        assert {key.public.id for key in registered_keys(connection)} == {old.id, new.id}
    (journal_of.key_file.parent / f"{new.id}.pub.pem").unlink()
    assert journal_of.problems() == []  # endorsed by the first key, whose file is there
    (journal_of.key_file.parent / f"{old.id}.pub.pem").unlink()
    assert set(journal_of.rules()) == {"key-unknown"}


def test_a_key_that_everybody_may_read_is_refused(journal_of: Journal) -> None:
    journal_of.sealed(1)
    journal_of.key_file.chmod(0o644)
    with pytest.raises(SealKeyError, match="chmod 600"):
        journal_of.sealer().run()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM journal_head WHERE number > 0",
        "UPDATE journal_head SET count = 7 WHERE number > 0",
        "DELETE FROM journal_number WHERE number = 3",
    ],
)
def test_nothing_is_added_to_a_seal_that_was_tampered_with(journal_of: Journal, statement: str) -> None:
    journal_of.sealed(3)
    assert tamper(journal_of.database, statement) > 0
    write_rows(journal_of.database, 1, journal_of.now)
    with pytest.raises(SealBroken, match=r"not genuine|the newest head says"):
        journal_of.sealer().run()
    with journal_of.database.read() as connection:
        assert connection.execute(select(func.max(journal_number.c.number))).scalar() in (2, 3)


def test_a_running_sealer_notices_that_all_heads_are_gone(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 3, journal_of.now)
    sealer.run()
    tamper(journal_of.database, "DELETE FROM journal_head")
    with pytest.raises(SealBroken, match="all heads"):
        sealer.run()


def test_a_roll_back_under_a_running_sealer_is_noticed(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    for _ in range(2):
        write_rows(journal_of.database, 2, journal_of.now)
        sealer.run()
    tamper(journal_of.database, "DELETE FROM journal_number WHERE number > 2")
    tamper(journal_of.database, "DELETE FROM journal_head WHERE number > 2")
    with pytest.raises(SealBroken, match="head 4, sealed here, is gone"):
        sealer.run()


def test_rows_sealed_late_are_logged(journal_of: Journal, caplog: pytest.LogCaptureFixture) -> None:
    write_rows(journal_of.database, 2)
    with caplog.at_level(logging.WARNING):
        journal_of.sealer().run()
    assert "2 journal rows were sealed more than 60 s after their time" in caplog.text


def change(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def test_the_database_refuses_changes_of_everything_that_is_sealed(journal_of: Journal) -> None:
    journal_of.sealed(2)
    ((ctx, row),) = made_rows(1, AT, 1)
    for statement in (
        "UPDATE journal_row SET subject = 'x'",
        "DELETE FROM journal_row",
        "UPDATE journal_number SET number = number + 10",
        "DELETE FROM journal_number",
        "UPDATE journal_head SET count = 1",
        "DELETE FROM journal_head",
        "UPDATE journal_key SET at = 1",
        "DELETE FROM journal_key",
    ):
        with pytest.raises(DatabaseError):
            journal_of.database.write(partial(change, statement=statement))
    journal_of.database.write(journal(ctx, [row]))
    assert journal_of.sealer().run() == 1
    assert journal_of.problems() == []


def test_vacuum_hides_no_row(journal_of: Journal, database_url: str) -> None:
    if journal_of.database.kind != "sqlite":
        pytest.skip("rowids are of SQLite")
    sealer = journal_of.sealer()
    write_rows(journal_of.database, 5, journal_of.now)
    sealer.run()
    tamper(journal_of.database, "DELETE FROM journal_row WHERE rowid = 5")
    write_rows(journal_of.database, 1, journal_of.now)  # takes the place of the deleted one
    assert sum(sealer.run() for _ in range(3)) == 1
    assert journal_of.first() == ("row-missing", "row 5")


def test_the_oldest_row_without_number(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    assert sealer.oldest_unsealed() is None
    write_rows(journal_of.database, 2, journal_of.now)
    with journal_of.database.read() as connection:
        first = connection.execute(select(func.min(journal_row.c.id))).scalar()
    assert sealer.oldest_unsealed() == first == sealer.oldest_unsealed()
    assert sealer.run() == 2
    assert sealer.oldest_unsealed() is None
