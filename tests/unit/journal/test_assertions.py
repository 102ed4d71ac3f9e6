"""Signed assertions are kept once, with the first row that names them, whatever becomes of the writes around it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, func, select

from access_control.context import RequestContext
from access_control.subject import Subject
from database import Database
from journal.assertions import LARGEST, AssertionTooLarge, KeptAssertions, keep_assertion, kept_assertion
from journal.tables import journal_assertion, journal_row
from liasse.recording import Recorder
from soap.faults import Fault
from tests.journal_side import AT, CONTEXT, ROW
from xua.shape import MOST_BYTES

DIGEST, DATA = "d" * 64, b"<signed/>"
HOUR = 3_600_000_000


def context(digest: str = DIGEST, data: bytes = DATA, message_id: str = "urn:uuid:m") -> RequestContext:
    subject = Subject("899700000001", proof_level="card", digest=digest)
    return replace(CONTEXT, subject=subject, message_id=message_id, evidence=data)


def count(database: Database) -> tuple[int, int]:
    """Rows and assertions."""
    with database.read() as connection:
        tables = (journal_row, journal_assertion)
        rows, kept = (connection.execute(select(func.count()).select_from(each)).scalar_one() for each in tables)
        return rows, kept


def test_an_assertion_is_kept_with_its_first_row_and_once(database: Database) -> None:
    record = Recorder()
    database.write(record(context(), [ROW]))
    database.write(record(context(data=b"<the same in other words/>"), [ROW]))
    assert count(database) == (2, 1)
    assert kept_assertion(database, DIGEST) == DATA


def test_nothing_is_kept_for_a_caller_without_one(database: Database) -> None:
    database.write(Recorder()(context(digest=""), [ROW]))
    database.write(Recorder()(context(data=b""), [ROW]))
    assert count(database) == (2, 0)


def test_it_is_undone_with_its_row_and_kept_with_the_refusal(database: Database) -> None:
    record, kept = Recorder(message_ids_kept=HOUR), KeptAssertions(database)
    database.write(record(context("a" * 64), [ROW]))
    with pytest.raises(Fault):
        database.write(record(context(), [ROW]))
    assert (count(database), kept.has(DIGEST)) == ((1, 1), False)
    database.write(record(context(), [ROW], once=False))
    assert (count(database), kept.has(DIGEST)) == ((2, 2), True)


def test_only_what_is_committed_is_remembered(database: Database) -> None:
    kept = KeptAssertions(database)

    def undone(connection: Connection) -> None:
        keep_assertion(connection, DIGEST, DATA, AT)
        assert not kept.has(DIGEST)
        raise LookupError

    with pytest.raises(LookupError):
        database.write(undone)
    assert not kept.has(DIGEST)


def test_so_many_are_remembered_and_the_others_looked_up(database: Database) -> None:
    kept = KeptAssertions(database, most=2)
    for digest in "abc":
        database.write(partial(keep_assertion, digest=digest, data=DATA, at=AT))
        assert kept.has(digest)
    database.close()
    assert [kept.has(digest) for digest in "abc"] == [False, True, True]


def test_what_a_verifier_accepts_is_not_too_large_to_be_kept(database: Database) -> None:
    assert MOST_BYTES <= LARGEST
    with pytest.raises(AssertionTooLarge):
        database.write(partial(keep_assertion, digest=DIGEST, data=bytes(LARGEST + 1), at=AT))
