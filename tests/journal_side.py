"""What a test of the journal needs: rows, and the hand of somebody who may change everything in the database."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, select, text

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.handle import Database
from database.problem import Problem, Severity
from journal.head import ExportedHead, last_head, registered_keys
from journal.keys import PublicKey, public_keys, trusted_keys
from journal.rows import JournalRow, journal
from journal.seal import BATCH, Sealer
from journal.tables import APPEND_ONLY, journal_number
from journal.verify import Verification

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


def no_guard(_connection: Connection) -> None:
    """Nobody else seals."""


@dataclass
class Journal:
    """A journal under test: its database, its key, and a clock that the test moves."""

    database: Database
    key_file: Path
    now: int = AT + 3600 * SECOND

    def sealer(self, batch: int = BATCH) -> Sealer:
        """A sealer as a new process has it."""
        return Sealer(self.database, self.key_file, no_guard, lambda: self.now, batch)

    def sealed(self, count: int, batch: int = BATCH) -> None:
        """`count` more rows, sealed."""
        write_rows_at_once(self.database, count, self.now)
        assert self.sealer(batch).run() == count

    def keys(self) -> dict[str, PublicKey]:
        """What is trusted: the files beside the key, and what these endorse."""
        with self.database.read() as connection:
            return trusted_keys(public_keys(self.key_file.parent), registered_keys(connection))

    def problems(self, *heads: ExportedHead, signatures: bool = True) -> list[Problem]:
        """Everything that the verification finds."""
        return list(Verification(self.database, self.keys(), self.now, heads, signatures=signatures).run())

    def rules(self, *heads: ExportedHead) -> list[str]:
        """The rules of the errors found."""
        return [each.rule for each in self.problems(*heads) if each.severity is Severity.ERROR]

    def first(self, *heads: ExportedHead) -> tuple[str, str]:
        """Rule and place of the first error."""
        found = next(each for each in self.problems(*heads) if each.severity is Severity.ERROR)
        return found.rule, found.place

    def head(self) -> ExportedHead:
        """The newest head, to be kept elsewhere."""
        with self.database.read() as connection:
            found = last_head(connection)
            assert found is not None
            return ExportedHead(found, tuple(registered_keys(connection)))

    def ids(self) -> list[str]:
        """The ids of the sealed rows in the order of their numbers."""
        with self.database.read() as connection:
            return list(connection.execute(select(journal_number.c.row_id).order_by(journal_number.c.number)).scalars())
