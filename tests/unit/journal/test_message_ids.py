"""A sender's MessageID is good for one message while messages of that age are accepted."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from sqlalchemy import Connection, select

from database import Database
from journal.message_ids import RepeatedMessage, insert_or_repeat, purge_message_ids
from journal.tables import journal_message
from tests.journal_side import AT, SECOND

HOUR = 3600 * SECOND


def use(database: Database, sender: str, message_id: str, at: int) -> None:
    database.write(partial(insert_or_repeat, sender=sender, message_id=message_id, at=at, max_age=HOUR, request_digest="d"))


def uses(database: Database) -> set[tuple[str, str, int]]:
    m = journal_message.c
    with database.read() as connection:
        return {(row.sender, row.message_id, row.at) for row in connection.execute(select(m.sender, m.message_id, m.at))}


def test_a_message_id_is_used_once_by_a_sender(database: Database) -> None:
    use(database, "a", "m", AT)
    with pytest.raises(RepeatedMessage):
        use(database, "a", "m", AT + HOUR - 1)
    use(database, "b", "m", AT)
    use(database, "a", "n", AT)
    assert uses(database) == {("a", "m", AT), ("b", "m", AT), ("a", "n", AT)}


def test_an_old_use_is_replaced(database: Database) -> None:
    use(database, "a", "m", AT)
    use(database, "a", "m", AT + HOUR + 1)
    assert uses(database) == {("a", "m", AT + HOUR + 1)}


def test_a_clock_set_back_makes_no_room_for_a_repetition(database: Database) -> None:
    use(database, "a", "m", AT)
    with pytest.raises(RepeatedMessage):
        use(database, "a", "m", AT - HOUR)


def test_a_refused_use_undoes_what_was_written_with_it(database: Database) -> None:
    use(database, "a", "m", AT)

    def both(connection: Connection) -> None:
        insert_or_repeat(connection, "a", "other", AT, HOUR)
        insert_or_repeat(connection, "a", "m", AT, HOUR)

    with pytest.raises(RepeatedMessage):
        database.write(both)
    assert uses(database) == {("a", "m", AT)}


def test_of_many_at_once_one_succeeds(database: Database) -> None:
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            use(database, "a", "m", AT)
        except RepeatedMessage:
            outcomes.append("repeated")
        else:
            outcomes.append("used")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["repeated"] * 7 + ["used"]


def test_endless_and_unstorable_ids_are_told_apart_by_their_digest(database: Database) -> None:
    for message_id in ("x" * 100_000, "x" * 100_001, "a\0b", "a\ufffdb", "a\ud800b"):
        use(database, "a", message_id, AT)
        with pytest.raises(RepeatedMessage):
            use(database, "a", message_id, AT)
    assert len(uses(database)) == 5


def test_old_uses_are_forgotten_in_portions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journal.message_ids._BATCH", 3)
    for number in range(8):
        use(database, "a", f"m{number}", AT + number)
    assert purge_message_ids(database, AT + 7) == 7
    assert purge_message_ids(database, AT + 7) == 0
    assert uses(database) == {("a", "m7", AT + 7)}
