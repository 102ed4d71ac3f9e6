"""The signed assertions behind journal rows, kept as received so that a row can be proved years later.

Source: security reference I10.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from database.errors import DatabaseError
from database.handle import Database
from database.prepared import Statement
from journal.tables import journal_assertion

LARGEST: Final = 524_288
"""Bytes of an assertion that are kept."""

MOST_REMEMBERED: Final = 4096


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


class KeptAssertions:
    """What one process knows to be kept, so that an assertion costs a write with its first message only.

    Only what a read found committed is remembered: the write of a message may still be undone. `most` digests at most, least
    recently used out first; shared by threads.
    """

    def __init__(self, database: Database, most: int = MOST_REMEMBERED) -> None:
        self._database = database
        self._find = database.prepare(
            select(journal_assertion.c.at).where(journal_assertion.c.digest == bindparam("digest"))
        )
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def has(self, digest: str) -> bool:
        """Whether the assertion is kept for certain; False where the database does not answer."""
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
                return True
        try:
            with self._database.read_raw() as cursor:
                found = self._find.execute(cursor, {"digest": digest}).fetchone()
        except DatabaseError:
            return False
        if found is None:
            return False
        with self._lock:
            self._known[digest] = None
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return True
