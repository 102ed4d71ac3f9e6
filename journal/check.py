"""The judgement over a journal, wherever its rows and heads are read from: numbers, chain of hashes, signed heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from database.problem import Problem, Severity
from journal.head import NO_HEAD, ExportedHead, Head
from journal.keys import PublicKey
from journal.line import Values, chained, line, time_of

LATE: Final = 3600 * 1_000_000
"""Microseconds between the time of a row and its seal, beyond which an operator should know."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One number as stored: patient and id of its row, its hash, and the row; None where there is no such row."""

    number: int
    patient: str
    row_id: str
    hash: bytes
    values: Values | None


@dataclass(slots=True)
class Checker:
    """Takes heads and rows in the order of their numbers; each call gives what is wrong.

    `exported` are heads that were kept elsewhere. `keys`: public keys that are trusted, by id. `signatures`: check all; else
    only those of the last head under each key, which covers everything before it.
    """

    keys: Mapping[str, PublicKey]
    exported: Sequence[ExportedHead] = ()
    signatures: bool = True
    number: int = 0
    hash: bytes = b""
    late: int = 0
    _first_late: int = 0
    _head: Head | None = None
    _unproved: Head | None = None
    _wanted: dict[int, list[Head]] = field(default_factory=dict)

    def begin(self, first: Head | None, *, missing: bool = False) -> Iterator[Problem]:
        """The head with number 0 comes first; None where there is none. `missing`: though there should be one."""
        for each in self.exported:
            yield from self._signature(each.head, f"exported head {each.head.number}")
            self._wanted.setdefault(each.head.number, []).append(each.head)
        if missing:
            yield Problem("head-missing", "head 0", "the head that begins the journal is gone")
        if first is not None:
            yield from self._take_head(first, 0)

    def rows(self, rows: Sequence[Sealed], head_at: int) -> Iterator[Problem]:
        """Rows that follow, all of them covered by one head, sealed at `head_at`."""
        number, digest, oldest = self.number, self.hash, head_at - LATE
        for row in rows:
            number += 1
            if row.number != number:
                yield _gap(number, row.number)
                number, digest = row.number, row.hash
                continue
            if row.values is None:
                yield Problem(
                    "row-missing", f"row {number}", f"the row with id {row.row_id} is gone, or has another patient"
                )
            else:
                if digest and chained(digest, line(number, row.values)) != row.hash:
                    yield Problem(
                        "row-changed",
                        f"row {number}",
                        f"id {row.row_id}: it is not what was sealed here: changed, or put in another's place",
                    )
                if time_of(row.values) < oldest:
                    self.late, self._first_late = self.late + 1, self._first_late or number
            digest = row.hash
            if number in self._wanted:
                yield from self._compare(number, digest)
        self.number, self.hash = number, digest

    def head(self, head: Head) -> Iterator[Problem]:
        """The head after these rows."""
        previous = self._head.number if self._head is not None else NO_HEAD
        if self._head is not None and head.previous != previous:
            yield Problem(
                "head-missing", f"head {head.number}", f"it follows head {head.previous}, found before: {previous}"
            )
        elif head.number - head.count != max(previous, 0):
            yield Problem(
                "head-changed", f"head {head.number}", f"it counts {head.count} rows, {head.number - max(previous, 0)} are"
            )
        yield from self._take_head(head, self.number)

    def end(self) -> Iterator[Problem]:
        """Nothing follows: is this the end of the journal?"""
        if self._unproved is not None:
            yield from self._signature(self._unproved, f"head {self._unproved.number}")
        last = self._head.number if self._head is not None else 0
        if self.number > last:
            yield Problem("head-missing", f"row {last + 1}", f"no head covers the rows up to {self.number}")
        for number, heads in sorted(self._wanted.items()):
            if heads and (number > last or self._head is None):
                yield Problem(
                    "tail-missing",
                    f"row {last + 1}",
                    f"the journal ends with row {last}, the exported head says {number}: its tail was cut off, or this is "
                    "an older backup",
                )
        if self.late:
            text = f"{self.late} rows were sealed more than an hour after their time, the first is row {self._first_late}"
            yield Problem("sealed-late", f"row {self._first_late}", text, Severity.NOTE)

    def _take_head(self, head: Head, reached: int) -> Iterator[Problem]:
        place = f"head {head.number}"
        if head.number == 0:
            self.hash = head.hash
            yield from self._compare(0, head.hash)
        elif head.number != reached:
            yield Problem("row-missing", f"row {reached + 1}", f"the journal ends with row {reached}, {place} covers more")
            self.number, self.hash = head.number, head.hash
        elif head.hash != self.hash:
            yield Problem("head-changed", place, f"its hash is not that of row {head.number}")
        if self.signatures:
            yield from self._signature(head, place)
        else:
            if self._unproved is not None and self._unproved.key_id != head.key_id:
                yield from self._signature(self._unproved, f"head {self._unproved.number}")
            self._unproved = head
        self._head = head

    def _signature(self, head: Head, place: str) -> Iterator[Problem]:
        key = self.keys.get(head.key_id)
        if key is None:
            yield Problem("key-unknown", place, f"it is signed with key {head.key_id}, which nothing here vouches for")
        elif not head.is_signed_by(key):
            yield Problem("head-changed", place, "its signature does not fit it")

    def _compare(self, number: int, digest: bytes) -> Iterator[Problem]:
        for head in self._wanted.pop(number, ()):
            if head.hash != digest:
                yield Problem(
                    "head-differs",
                    f"row {number}",
                    "the exported head has another hash: the journal was written anew, or forked, before or at this row",
                )


def _gap(expected: int, found: int) -> Problem:
    missing = f"row {expected}" if found == expected + 1 else f"rows {expected} to {found - 1}"
    if found <= expected - 1:
        return Problem("row-changed", f"row {found}", f"it stands where row {expected} is expected")
    return Problem("row-missing", f"row {expected}", f"{missing}: no such number any more")
