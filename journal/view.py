"""Reading the journal: rows by patient and time, newest first; and one row with its place in the chain.

Who reads is journaled by the caller, before anything is shown: see `reading_row`. Source: security reference I8.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from access_control.decision import Decision
from database.handle import Database
from journal.head import Head, heads_after
from journal.line import row_columns
from journal.rows import JournalRow
from journal.tables import journal_number, journal_row

READ_JOURNAL: Final = "read-journal"
"""The action of a row that says who read the journal."""

_r, _n = journal_row.c, journal_number.c


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: of a patient (key text; None: all), from `since` until before `until` (microseconds since 1970 UTC)."""

    patient: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 100

    def words(self) -> str:
        """What was asked, for the row that tells of it."""
        parts = [
            f"since {self.since}" if self.since is not None else "",
            f"until {self.until}" if self.until is not None else "",
        ]
        return "; ".join([*(part for part in parts if part), f"at most {self.limit}"])


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A row as stored, by column, and its number; None while it is not sealed."""

    number: int | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A row, the head that covers it, and both hashes; None while it is not sealed."""

    row: ViewRow
    hash: bytes | None
    head: Head | None

    @property
    def assertion(self) -> str:
        """The digest of the caller's assertion; empty without one."""
        try:
            told = json.loads(self.row.values["detail"])
        except ValueError:
            return ""
        return str(told.get("assertion", "")) if isinstance(told, dict) else ""


def reading_row(asked: Asked, reason: str) -> JournalRow:
    """The row of somebody who reads the journal."""
    decision = Decision(allowed=True, rule="operator")
    return JournalRow(asked.patient or "", READ_JOURNAL, (("journal", asked.words()),), decision, "Success", detail=reason)


def find_rows(database: Database, asked: Asked) -> Sequence[ViewRow]:
    """The newest rows that were asked for, newest first. Raises DatabaseError."""
    wanted = _selection().order_by(_r.id.desc()).limit(asked.limit)
    if asked.patient is not None:
        wanted = wanted.where(_r.patient == asked.patient)
    if asked.since is not None:
        wanted = wanted.where(_r.id >= f"{max(asked.since, 0):016x}")
    if asked.until is not None:
        wanted = wanted.where(_r.id < f"{max(asked.until, 0):016x}")
    with database.read() as connection:
        return [_view(tuple(row)) for row in connection.execute(wanted)]


def find_evidence(database: Database, name: str) -> Evidence | None:
    """One row by its number or its id; None where there is none. Raises DatabaseError."""
    with database.read() as connection:
        if name.isdecimal() and len(name) < 16:
            wanted = _selection().where(_n.number == int(name))
        else:
            wanted = _selection().where(_r.id == name)
        row = connection.execute(wanted.limit(1)).first()
        if row is None:
            return None
        found = _view(tuple(row))
        if found.number is None:
            return Evidence(found, None, None)
        digest = connection.execute(select(_n.hash).where(_n.number == found.number)).scalar_one()
        return Evidence(found, bytes(digest), _covering(connection, found.number))


def _covering(connection: Connection, number: int) -> Head | None:
    return next(iter(heads_after(connection, number - 1, 1)), None)


def _selection() -> Select[Any]:
    joined = journal_row.outerjoin(journal_number, (_n.row_id == _r.id) & (_n.patient == _r.patient))
    return select(_n.number, *row_columns()).select_from(joined)


def _view(row: tuple[Any, ...]) -> ViewRow:
    return ViewRow(row[0], dict(zip((column.name for column in row_columns()), row[1:], strict=True)))
