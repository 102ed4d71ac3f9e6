"""The signed assertions behind journal rows, kept as received so that a row can be proved years later.

Source: security reference I10.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from database.handle import Database
from database.prepared import Statement
from journal.tables import journal_assertion

LARGEST: Final = 524_288
"""Bytes of an assertion that are kept."""


class AssertionTooLarge(Exception):
    """More bytes than are kept; the message is not to be accepted."""


def _insert(dialect: str) -> ClauseElement:
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(journal_assertion)
    return insert.on_conflict_do_nothing()


_INSERT: Final = Statement(_insert)


def keep_assertion(connection: Connection, digest: str, data: bytes, at: int) -> None:
    """Inside the write of its first row: keep an assertion, once.

    `digest` is `Subject.digest`; `data` the serialised assertion that was verified, signature and namespace declarations
    included. Nothing is verified here. Raises AssertionTooLarge.
    """
    if len(data) > LARGEST:
        raise AssertionTooLarge(f"the assertion has {len(data)} bytes, at most {LARGEST} are kept")
    _INSERT.write(connection, [{"digest": digest, "bytes": data, "at": at}])


def kept_assertion(database: Database, digest: str) -> bytes | None:
    """The bytes of an assertion; None where it was not kept. Raises DatabaseError."""
    with database.read() as connection:
        found = connection.execute(select(journal_assertion.c.bytes).where(journal_assertion.c.digest == digest)).scalar()
    return None if found is None else bytes(found)
