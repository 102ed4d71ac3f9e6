"""The outbox: queued with the write that it reports, or not at all; taken out row by row."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from atna.events import read_event
from atna.outbox import enqueue, first_rows, forget, waiting
from database.handle import Database
from tests.audit_side import AT, query_event


def test_events_wait_in_order(database: Database) -> None:
    assert waiting(database).rows == 0
    events = [query_event(number) for number in range(5)]
    database.write(enqueue(events[:2]))
    database.write_short(enqueue(events[2:]))
    rows = first_rows(database, 10, 1_000_000)
    assert [read_event(event) for _, event in rows] == events
    state = waiting(database)
    assert (state.rows, state.oldest) == (5, AT)


def test_no_event_is_no_statement(database: Database) -> None:
    database.write(enqueue([]))
    assert waiting(database).rows == 0


def test_a_write_that_fails_leaves_no_event(database: Database) -> None:
    def fails(connection: Connection) -> None:
        enqueue([query_event()])(connection)
        raise KeyError("the access was refused after all")

    with pytest.raises(KeyError):
        database.write(fails)
    assert first_rows(database, 10, 1_000_000) == []


def test_a_batch_is_bounded_by_rows_and_bytes_and_never_empty(database: Database) -> None:
    database.write(enqueue([query_event(number) for number in range(6)]))
    assert len(first_rows(database, 4, 1_000_000)) == 4
    size = len(first_rows(database, 1, 1)[0][1])
    assert len(first_rows(database, 6, 3 * size)) == 3
    assert len(first_rows(database, 6, 1)) == 1


def test_exactly_the_rows_named_are_forgotten(database: Database) -> None:
    database.write(enqueue([query_event(number) for number in range(4)]))
    ids = [row_id for row_id, _ in first_rows(database, 4, 1_000_000)]
    database.write(lambda connection: forget(connection, [ids[0], ids[2]]))
    assert [row_id for row_id, _ in first_rows(database, 4, 1_000_000)] == [ids[1], ids[3]]
    assert waiting(database).oldest == AT + 1
