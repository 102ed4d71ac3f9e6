"""Verification of the journal in its database: every row, number, hash and head. Reads only, beside a running server.

Rows and numbers are read side by side, each in its own order, which is nearly the same: what is in memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from sqlalchemy import Integer, bindparam, select
from sqlalchemy.engine.interfaces import DBAPICursor

from database.handle import Database
from database.prepared import Prepared
from database.problem import Problem
from journal.check import Checker, Sealed
from journal.head import ExportedHead, Head, heads_after, last_head
from journal.keys import PublicKey
from journal.line import ID, PATIENT, Values, time_of
from journal.scan import JournalScan, Position, journal_scan
from journal.tables import journal_number

Progress = Callable[[int], None]
"""Called with the number of rows just checked."""

READ: Final = 4000
"""Rows, numbers or heads of one read transaction."""

AHEAD: Final = 40_000
"""Rows kept in memory until their number comes."""

LATE: Final = 120.0
"""Seconds for which a row may be without number while a server runs."""

_LATE: Final = int(LATE * 1_000_000)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a verification goes: the newest head when it began."""

    last: Head | None

    @property
    def rows(self) -> int:
        """How many rows are sealed."""
        return self.last.number if self.last is not None else 0


def extent(database: Database) -> Extent:
    """The journal as it is now. Raises DatabaseError."""
    with database.read() as connection:
        return Extent(last_head(connection))


def check_ends(database: Database) -> Iterator[Problem]:
    """The quick question: do numbers, and the newest row, end where the newest head says? Raises DatabaseError."""
    n = journal_number.c
    with database.read() as connection:
        head = last_head(connection)
        number, digest = connection.execute(select(n.number, n.hash).order_by(n.number.desc()).limit(1)).first() or (0, None)
    if head is None and number:
        yield Problem("head-missing", f"row {number}", "there are sealed rows, and no head of the journal")
    elif head is not None and number != head.number:
        yield Problem("row-missing", f"head {head.number}", f"the journal's numbers end with {number}")
    elif head is not None and number and bytes(digest or b"") != head.hash:
        yield Problem("head-changed", f"head {head.number}", "its hash is not that of the last row")


@dataclass(slots=True)
class Verification:
    """One run. `keys`: trusted public keys by id. `at`: microseconds since 1970 UTC. See `Checker` for the rest."""

    database: Database
    keys: dict[str, PublicKey]
    at: int
    exported: Sequence[ExportedHead] = ()
    signatures: bool = True
    unsealed: int = field(default=0, init=False)

    def run(self, progress: Progress = lambda _count: None) -> Iterator[Problem]:
        """Every problem in the order of the journal; then rows without number. Raises DatabaseError."""
        end = extent(self.database)
        checker = Checker(self.keys, self.exported, self.signatures)
        reader = SealedReader(self.database)
        heads = heads_up_to(self.database, end.rows)
        first = next(heads, None)
        begins = first is not None and first.number == 0
        yield from checker.begin(first if begins else None, missing=first is not None and not begins)
        for head in heads if begins or first is None else chain([first], heads):
            for rows in reader.up_to(head.number):
                yield from checker.rows(rows, head.at)
                progress(len(rows))
            yield from checker.head(head)
        self._look_beyond(checker, reader, end)
        yield from checker.end()
        yield from self._without_number(reader, end)

    def _look_beyond(self, checker: Checker, reader: SealedReader, end: Extent) -> None:
        """Numbers after the newest head belong to a head that came meanwhile, or to none."""
        beyond = next(reader.up_to(None), [])
        if extent(self.database).rows <= end.rows:
            checker.number = max([checker.number, *(row.number for row in beyond[:1])])

    def _without_number(self, reader: SealedReader, end: Extent) -> Iterator[Problem]:
        """Rows that wait for the sealer: one older than the newest seal was passed by; a long wait is told once."""
        sealed_at = end.last.at if end.last is not None else 0
        oldest: Values | None = None
        for values in reader.left_over():
            self.unsealed += 1
            at = time_of(values)
            if at < sealed_at - _LATE:
                text = f"id {values[ID]}: without number though older than the newest seal: put in afterwards, or passed by"
                yield Problem("row-unsealed", f"row id {values[ID]}", text)
            elif at < self.at - _LATE and (oldest is None or at < time_of(oldest)):
                oldest = values
        if oldest is not None:
            waited = (self.at - time_of(oldest)) / 1_000_000
            text = f"the oldest of {self.unsealed} rows without number waits for {waited:.0f} s: does the server run?"
            yield Problem("seal-late", f"row id {oldest[ID]}", text)


def heads_up_to(database: Database, last: int) -> Iterator[Head]:
    """All heads up to a number, in order."""
    after = -1
    while True:
        with database.read() as connection:
            found = heads_after(connection, after, READ)
        for head in found:
            if head.number > last:
                return
            yield head
        if len(found) < READ:
            return
        after = found[-1].number


class SealedReader:
    """Numbers with their rows. `up_to` goes on where it ended the last time."""

    def __init__(self, database: Database) -> None:
        n = journal_number.c
        ordered = select(n.number, n.patient, n.row_id, n.hash).order_by(n.number)
        limit: Any = bindparam("limit", type_=Integer)
        key = (n.patient == bindparam("patient")) & (n.row_id == bindparam("row_id"))
        self._database = database
        self._scan: JournalScan = journal_scan(database)
        self._numbers: Prepared = database.prepare(ordered.where(n.number > bindparam("after")).limit(limit))
        self._number_of: Prepared = database.prepare(select(n.number).where(key))
        self._read: Iterator[Sealed] = iter(())
        self._after = -(2**62)
        self._ahead: dict[tuple[str, str], Values] = {}
        self._position: Position | None = None
        self._rows_end = False
        self._strays: list[Values] = []
        self._held: list[Sealed] = []
        self._numbers_end = False

    def up_to(self, number: int | None) -> Iterator[list[Sealed]]:
        """The next numbers until `number` (all that are there: None), in lists."""
        while True:
            if not self._held and not self._fill():
                return
            if number is None or self._held[-1].number <= number:
                rows, self._held = self._held, []
            else:
                at = next(index for index, row in enumerate(self._held) if row.number > number)
                rows, self._held = self._held[:at], self._held[at:]
            if rows:
                yield rows
            if self._held:
                return

    def left_over(self) -> Iterator[Values]:
        """Every row without number, after all numbers were read; those that got one meanwhile are not given."""
        yield from self._strays
        while True:
            waiting, self._ahead = list(self._ahead.values()), {}
            for start in range(0, len(waiting), READ):
                with self._database.read_raw() as cursor:
                    missing = [row for row in waiting[start : start + READ] if not self._has_number(cursor, row)]
                yield from missing
            if self._rows_end:
                return
            with self._database.read_raw() as cursor:
                self._read_ahead(cursor)

    def _fill(self) -> bool:
        """Read the next numbers, and rows until each number has its own."""
        if self._numbers_end:
            return False
        with self._database.read_raw() as cursor:
            found = self._numbers.execute(cursor, {"after": self._after, "limit": READ}).fetchall()
            ahead = self._ahead
            for number, patient, row_id, digest in found:
                key = (patient, row_id)
                values = ahead.pop(key, None)
                if values is None:
                    values = self._find(cursor, key)
                self._held.append(Sealed(number, patient, row_id, bytes(digest), values))
        self._numbers_end = len(found) < READ
        if found:
            self._after = found[-1][0]
        return bool(self._held)

    def _find(self, cursor: DBAPICursor, key: tuple[str, str]) -> Values | None:
        while not self._rows_end:
            if len(self._ahead) >= AHEAD:
                self._drop_ahead(cursor)
                return self._scan.one(cursor, *key)
            self._read_ahead(cursor)
            values = self._ahead.pop(key, None)
            if values is not None:
                return values
        return self._scan.one(cursor, *key)

    def _drop_ahead(self, cursor: DBAPICursor) -> None:
        """Too many rows wait: those that have a number will be read one by one, the others are kept for the end."""
        self._strays += [row for row in self._ahead.values() if not self._has_number(cursor, row)]
        self._ahead.clear()

    def _has_number(self, cursor: DBAPICursor, row: Values) -> bool:
        key = {"patient": row[PATIENT], "row_id": row[ID]}
        return self._number_of.execute(cursor, key).fetchone() is not None

    def _read_ahead(self, cursor: DBAPICursor) -> None:
        rows, position = self._scan.rows(cursor, self._position, READ)
        self._ahead.update(((row[PATIENT], row[ID]), row) for row in rows)
        self._position = position or self._position
        self._rows_end = len(rows) < READ
