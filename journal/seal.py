"""The sealer: numbers new rows without a gap, chains their hashes and signs the end of each batch.

One process does it at a time (a lease; the unique numbers would refuse a second). Nothing is changed: numbers and
heads are inserted. A batch is one transaction: killed at any instant, it is there wholly or not at all.
Source: security reference 4.6 (a batch sealer instead of a chain inside the business transaction), 2.I.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, insert, select

from database.errors import ConstraintViolated, LeaseLost, OutcomeUnknown
from database.handle import Database
from database.prepared import Statement
from journal.head import HASH_LENGTH, NO_HEAD, Head, insert_head, insert_key, last_head, registered_keys
from journal.keys import RegisteredKey, SealKey, load_key, make_key, save_key
from journal.line import ID, PATIENT, Values, chained, line, time_of
from journal.scan import journal_scan
from journal.tables import journal_head, journal_number

log = logging.getLogger(__name__)

BATCH: Final = 1000
"""Rows under one signature, at most."""

PATROL: Final = 1000
"""Rows at which each run looks again."""

LATE: Final = 60 * 1_000_000
"""Microseconds after which a row that gets its number is worth a line of the log."""

_INSERT: Final = Statement(lambda _dialect: insert(journal_number))


class SealBroken(Exception):
    """The numbers and heads in the database are not those that were written: nothing is added to them."""


class Sealer:
    """Seals one journal. Used by one thread at a time.

    `guard` is run first in each write and raises where another process may be sealing. `clock`: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        database: Database,
        key_file: Path,
        guard: Callable[[Connection], None],
        clock: Callable[[], int],
        batch: int = BATCH,
    ) -> None:
        self._database, self._key_file, self._guard, self._clock, self._batch = database, key_file, guard, clock, batch
        self._scan = journal_scan(database)
        self._key: SealKey | None = None
        self._key_state: tuple[int, ...] = ()
        self._last: Head | None = None

    def run(self) -> int:
        """Seal every row that is committed now; returns how many.

        Raises SealKeyError, SealBroken, DatabaseError, LeaseLost: what was sealed before stays sealed.
        """
        try:
            return self._run()
        except Exception:
            self._scan.forget()  # rows that were read may have got no number
            raise

    def _run(self) -> int:
        key = self._ready_key()
        last = self._check_last(key)
        total = 0
        while True:
            with self._database.read_raw() as cursor:
                rows = self._scan.fresh(cursor, self._batch, self._clock())
            last = self._seal(key, last, rows)
            total += len(rows)
            if len(rows) < self._batch:
                break
        with self._database.read_raw() as cursor:
            missed = self._scan.patrol(cursor, PATROL)
        self._seal(key, last, missed)
        return total + len(missed)

    def oldest_unsealed(self) -> str | None:
        """The id of the oldest new row without number, for a process that does not seal itself."""
        try:
            with self._database.read_raw() as cursor:
                rows = self._scan.fresh(cursor, 1, self._clock())
        finally:
            self._scan.forget()
        return rows[0][ID] if rows else None

    def _seal(self, key: SealKey, last: Head, rows: Sequence[Values]) -> Head:
        if not rows:
            return last
        at = self._clock()
        number, digest, numbers = last.number, last.hash, []
        for values in rows:
            number += 1
            digest = chained(digest, line(number, values))
            numbers.append({"number": number, "patient": values[PATIENT], "row_id": values[ID], "hash": digest})
        head = Head(number, len(rows), digest, at, last.number, key.id).signed_with(key)
        self._write(lambda connection: self._store(connection, numbers, head))
        late = sum(at - time_of(values) > LATE for values in rows)
        if late:
            log.warning("%d journal rows were sealed more than %d s after their time", late, LATE // 1_000_000)
        self._last = head
        return head

    def _store(self, connection: Connection, numbers: Sequence[dict[str, object]], head: Head) -> None:
        self._guard(connection)
        _INSERT.write(connection, numbers)
        insert_head(connection, head)

    def _write(self, statements: Callable[[Connection], None]) -> None:
        """One transaction; when it is not known to have succeeded, what we remember is not to be trusted."""
        try:
            self._database.write(statements)
        except (ConstraintViolated, OutcomeUnknown, LeaseLost):
            self._last = None
            raise

    def _ready_key(self) -> SealKey:
        """The key of the file, read anew when the file changes. A journal without any key gets its first one."""
        state = _state(self._key_file)
        if self._key is None or state != self._key_state:
            self._key = self._read_key(exists=bool(state))
            self._key_state = state or _state(self._key_file)
        return self._key

    def _read_key(self, *, exists: bool) -> SealKey:
        with self._database.read() as connection:
            known = {entry.public.id for entry in registered_keys(connection)}
        if not exists and not known:
            save_key(self._key_file, make_key())
            log.info("a key for the seal of the journal was made: %s", self._key_file)
        key = load_key(self._key_file)
        if key.id not in known:
            self._write(lambda connection: self._register(connection, key))
            log.info("the key %s seals the journal from now on", key.id)
        return key

    def _register(self, connection: Connection, key: SealKey) -> None:
        self._guard(connection)
        insert_key(connection, RegisteredKey(key.public, self._clock()))

    def _check_last(self, key: SealKey) -> Head:
        """The newest head, which must go on from where we were. Raises SealBroken."""
        with self._database.read() as connection:
            found = last_head(connection)
            if found is not None and found == self._last:
                return found
            if found is None:
                if self._last is not None:
                    raise SealBroken("all heads of the journal are gone: run `liasse journal verify`")
            else:
                self._check_continues(connection, found)
        if found is None:
            found = self._begin(key)
        self._last = found
        return found

    def _check_continues(self, connection: Connection, found: Head) -> None:
        """That the newest head is genuine, ends the numbers, and has what we sealed last before it."""
        keys = {entry.public.id: entry.public for entry in registered_keys(connection)}
        signer = keys.get(found.key_id)
        if signer is None or not found.is_signed_by(signer):
            raise SealBroken(f"head {found.number} of the journal is not genuine: run `liasse journal verify`")
        newest = connection.execute(select(func.max(journal_number.c.number))).scalar() or 0
        if newest != found.number:
            raise SealBroken(f"rows are numbered up to {newest}, the newest head says {found.number}")
        if self._last is not None:
            mine = select(journal_head.c.hash).where(journal_head.c.number == self._last.number)
            digest = connection.execute(mine).scalar()
            if digest is None or bytes(digest) != self._last.hash:
                raise SealBroken(f"head {self._last.number}, sealed here, is gone or another: run `liasse journal verify`")

    def _begin(self, key: SealKey) -> Head:
        head = Head(0, 0, os.urandom(HASH_LENGTH), self._clock(), NO_HEAD, key.id).signed_with(key)

        def statements(connection: Connection) -> None:
            self._guard(connection)
            insert_head(connection, head)

        self._write(statements)
        return head


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file does; empty where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
