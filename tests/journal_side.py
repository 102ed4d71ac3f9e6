"""What a test of the journal needs: rows, and the hand of somebody who may change everything in the database."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, text

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.handle import Database
from journal.rows import JournalRow, journal
from journal.tables import APPEND_ONLY

AT = 1_790_000_000_000_000
"""A time in microseconds since 1970 UTC."""

SECOND = 1_000_000

CONTEXT = RequestContext("ITI-18", "urn:uuid:00000000-0000-4000-8000-000000000001", AT, "192.0.2.1", Subject("reader"))
ROW = JournalRow("p1^1.2.3", "query", (("query", "FindDocuments"),), Decision(allowed=True, rule="open"), "Success")

_numbers = itertools.count(1)


def unprotect(connection: Connection) -> Connection:
    """Drop the triggers that refuse changes, as an administrator of the database can; returns the connection."""
    for table in APPEND_ONLY:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table.name}_no_change ON {table.name}"))
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table.name}_no_truncate ON {table.name}"))
        else:
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table.name}_no_update"))
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table.name}_no_delete"))
    return connection


def tamper(database: Database, statement: str, **values: object) -> int:
    """Run one statement past the triggers; returns the number of rows that it touched."""

    def run(connection: Connection) -> int:
        return unprotect(connection).execute(text(statement), values).rowcount

    return database.write(run)


def write_rows(database: Database, count: int, at: int = AT, patients: int = 5) -> None:
    """`count` rows of a microsecond each, one write a row."""
    for ctx, row in made_rows(count, at, patients):
        database.write(journal(ctx, [row]))


def write_rows_at_once(database: Database, count: int, at: int = AT, patients: int = 5) -> None:
    """`count` rows in one write."""
    made = made_rows(count, at, patients)

    def insert(connection: Connection) -> None:
        for ctx, row in made:
            journal(ctx, [row])(connection)

    database.write(insert, timeout=60.0)


def made_rows(count: int, at: int, patients: int) -> Sequence[tuple[RequestContext, JournalRow]]:
    """Contexts and rows; each has a MessageID of its own."""
    return [
        (
            replace(CONTEXT, at=at + number, message_id=f"urn:uuid:message-{next(_numbers)}"),
            replace(ROW, patient=f"p{number % patients}^1.2.3"),
        )
        for number in range(count)
    ]
