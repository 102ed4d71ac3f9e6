"""MessageIDs in use: a sender must not use one again while messages of that age are accepted.

Source: WS-Addressing 1.0 Core 3.1 ([message id] is unique); security reference 2.B (replay).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from database.handle import Database
from database.prepared import Statement
from journal.bounds import bounded
from journal.tables import journal_message

_BATCH: Final = 5000
_LONGEST: Final = 256


class RepeatedMessage(Exception):
    """The sender used this MessageID before, within the time for which it is kept."""


def _upsert(dialect: str) -> ClauseElement:
    m = journal_message.c
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(journal_message)
    taken_over = {"at": insert.excluded.at, "request_digest": insert.excluded.request_digest}
    return insert.on_conflict_do_update(
        index_elements=[m.sender, m.message_id], set_=taken_over, where=m.at < bindparam("oldest")
    ).returning(m.at)


_UPSERT: Final = Statement(_upsert)


def insert_or_repeat(
    connection: Connection, sender: str, message_id: str, at: int, max_age: int, request_digest: str = ""
) -> None:
    """Inside a write: note the use of a MessageID. `at` and `max_age` in microseconds.

    Of two at once one succeeds. Raises RepeatedMessage where (sender, MessageID) was used after `at - max_age`; an older use
    is replaced by this one. A use in the future, which a clock set back makes, counts as repeated.
    """
    values = {
        "sender": bounded(sender, _LONGEST),
        "message_id": bounded(message_id, _LONGEST),
        "at": at,
        "request_digest": request_digest,
        "oldest": at - max_age,
    }
    if not _UPSERT.on(connection.dialect).fetch(connection, values):
        raise RepeatedMessage("the MessageID was used before")


def purge_message_ids(database: Database, before: int) -> int:
    """Forget uses before `before` (microseconds since 1970 UTC), a few thousand a write; returns how many.

    Raises a DatabaseError.
    """
    m = journal_message.c
    old = select(m.sender, m.message_id).where(m.at < before).limit(_BATCH)
    total = 0
    while True:
        with database.read() as connection:
            keys = [tuple(row) for row in connection.execute(old)]
        if keys:
            gone = delete(journal_message).where(m.at < before, tuple_(m.sender, m.message_id).in_(keys))
            total += database.write(lambda connection, gone=gone: connection.execute(gone).rowcount)  # type: ignore[misc]
        if len(keys) < _BATCH:
            return total
