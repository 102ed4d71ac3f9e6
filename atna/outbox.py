"""The outbox: events are queued in the transaction that they report, and taken out when they were delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from atna.events import AuditEvent, write_event
from atna.tables import audit_outbox
from database.handle import Database
from database.prepared import Statement

_o = audit_outbox.c
_INSERT = Statement(lambda _dialect: insert(audit_outbox).inline().values(at=bindparam("at"), event=bindparam("event")))
_DELETE = Statement(lambda _dialect: delete(audit_outbox).where(_o.id == bindparam("row")))
_FIRST = select(_o.id, _o.event).order_by(_o.id)
_ENDS = select(func.min(_o.id), func.max(_o.id))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: `rows` as the distance of the ids, which counts rolled-back ones too; `oldest` in µs, None for none."""

    rows: int
    oldest: int | None


def enqueue(events: Sequence[AuditEvent]) -> Callable[[Connection], None]:
    """Statements that queue `events`, to run in the write that they report. The work of encoding is done here and now."""
    values = [{"at": event.at, "event": write_event(event)} for event in events]

    def insert_rows(connection: Connection) -> None:
        if values:
            _INSERT.write(connection, values)

    return insert_rows


def first_rows(database: Database, rows: int, size: int) -> list[tuple[int, bytes]]:
    """The oldest rows as (id, compact form): at most `rows` of them, and no more than fit into `size` bytes, but one."""
    found: list[tuple[int, bytes]] = []
    left = size
    with database.read() as connection:
        for row_id, event in connection.execute(_FIRST.limit(rows)):
            left -= len(event)
            if found and left < 0:
                break
            found.append((row_id, bytes(event)))
    return found


def forget(connection: Connection, ids: Sequence[int]) -> None:
    """Take out exactly these rows."""
    _DELETE.write(connection, [{"row": row_id} for row_id in ids])


def waiting(database: Database) -> Waiting:
    """How much waits, at the price of two look-ups, however much it is."""
    with database.read() as connection:
        first, last = connection.execute(_ENDS).one()
        if first is None:
            return Waiting(0, None)
        oldest = connection.execute(select(_o.at).where(_o.id == first)).scalar()
    return Waiting(last - first + 1, oldest)
