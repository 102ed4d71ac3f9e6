"""Connections for reading are lent again without anything left of their last use."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from database import Database, DatabaseBusy, DatabaseUnavailable, open_database
from database.readers import Readers
from tests.unit.database.tables import adding, make

_TEXTS = "SELECT text FROM note ORDER BY text"


@pytest.fixture
def single(tmp_path: Path) -> Database:
    opened = open_database(tmp_path / "x.sqlite", create=True, pool_size=1)
    make(opened)
    opened.write(adding("a", "b", "c"))
    return opened


def test_a_cursor_of_an_earlier_use_does_not_disturb_a_later_one(single: Database) -> None:
    with single.read_raw() as cursor:
        cursor.execute(_TEXTS)
        assert cursor.fetchone() == ("a",)
        earlier: Any = cursor
    with single.read_raw() as later:
        later.execute(_TEXTS)
        assert later.fetchone() == ("a",)
        del earlier, cursor  # the driver resets the statement of a cursor that it forgets
        assert later.fetchall() == [("b",), ("c",)]
    single.close()


def test_many_threads_read_what_is_there(tmp_path: Path) -> None:
    wrong: list[Any] = []
    with open_database(tmp_path / "x.sqlite", create=True, pool_size=4) as opened:
        make(opened)
        opened.write(adding("a", "b", "c"))

        def read() -> None:
            for _ in range(300):
                with opened.read_raw() as cursor:
                    cursor.execute("SELECT text FROM note WHERE text >= ? ORDER BY text", ("b",))
                    row = cursor.fetchone()
                if row != ("b",):
                    wrong.append(row)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_reader_beyond_the_number_of_connections_waits_and_is_told_busy(
    single: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.sqlite.DEFAULT_TIMEOUT", 0.05)
    with single.read_raw(), pytest.raises(DatabaseBusy, match="became free"), single.read_raw():
        pass
    with single.read_raw() as cursor:
        assert cursor.execute("SELECT 1").fetchall() == [(1,)]
    single.close()


def test_connections_that_cannot_be_opened_are_not_counted_as_lent(single: Database, tmp_path: Path) -> None:
    shutil.move(tmp_path / "x.sqlite", tmp_path / "aside")
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable), single.read_raw():
            pass
    shutil.move(tmp_path / "aside", tmp_path / "x.sqlite")
    with single.read_raw() as cursor:
        cursor.execute(_TEXTS)
        assert cursor.fetchall() == [("a",), ("b",), ("c",)]
    single.close()


class _Connection:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_what_is_lent_while_all_are_disposed_of_is_closed_when_it_comes_back() -> None:
    readers = Readers(_Connection, 2)
    lent, generation = readers.take(0)
    free, other = readers.take(0)
    readers.give(free, other)
    readers.dispose()
    assert free.closed
    assert not lent.closed
    readers.give(lent, generation)
    assert lent.closed
    assert readers.take(0)[0] is not lent


def test_who_waits_gets_what_is_given_back() -> None:
    readers = Readers(_Connection, 1)
    lent, generation = readers.take(0)
    timer = threading.Timer(0.05, readers.give, (lent, generation))
    timer.start()
    assert readers.take(5)[0] is lent
    timer.join()
