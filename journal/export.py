"""The journal outside its database: a file of JSON lines, and its verification without the database, years later.

The first line is `{"format", "columns", "exported_at", "repository"}`. Then, in the order of numbers: `{"key": …}` for each
public key, `{"head": …}` for each head after the rows that it covers (head 0 before the first row),
`{"row": [number, columns…], "hash": "…"}` for each row, and where wanted `{"assertion": {"digest", "bytes", "at"}}`, its
bytes in base64. The hash of a row is SHA-256 of the hash before and of the array as `journal.line` writes it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from sqlalchemy import select

from database.handle import Database
from database.problem import Problem
from journal.check import Checker, Sealed
from journal.head import ExportedHead, Head, HeadFileError, key_from_json, key_to_json, registered_keys
from journal.keys import PublicKey, RegisteredKey, SealKeyError, trusted_keys
from journal.line import COLUMNS, ID, PATIENT
from journal.tables import journal_assertion
from journal.verify import Progress, SealedReader, extent, heads_up_to

FORMAT: Final = "liasse-journal/1"


class ExportError(Exception):
    """A journal that cannot be exported, or a file that is not an export; the text says why."""


def export_journal(
    database: Database,
    out: TextIO,
    repository: str,
    at: int,
    *,
    assertions: bool = False,
    progress: Progress = lambda _count: None,
) -> int:
    """Write every sealed row; returns how many. Rows that came after the newest head are left for the next time.

    Nothing is judged here, but a row that is gone cannot be exported: ExportError. Raises DatabaseError, OSError.
    """
    end = extent(database)
    header = {"format": FORMAT, "columns": COLUMNS, "exported_at": at, "repository": repository}
    out.write(_line(header))
    with database.read() as connection:
        keys = registered_keys(connection)
    for key in keys:
        out.write(_line({"key": key_to_json(key)}))
    reader = SealedReader(database)
    for head in heads_up_to(database, end.rows):
        for rows in reader.up_to(head.number):
            out.writelines(_row_line(row) for row in rows)
            progress(len(rows))
        out.write(_line({"head": head.to_json()}))
    if assertions:
        for each in _assertions(database):
            out.write(_line({"assertion": each}))
    return end.rows


def _row_line(row: Sealed) -> str:
    if row.values is None:
        raise ExportError(f"row {row.number} is gone: run `liasse journal verify`")
    return _line({"row": (row.number, *row.values), "hash": row.hash.hex()})


def _assertions(database: Database) -> Iterator[dict[str, object]]:
    a = journal_assertion.c
    after = ""
    while True:
        with database.read() as connection:
            rows = connection.execute(
                select(a.digest, a.bytes, a.at).where(a.digest > after).order_by(a.digest).limit(100)
            ).all()
        for digest, data, at in rows:
            yield {"digest": digest, "bytes": base64.b64encode(bytes(data)).decode(), "at": at}
        if not rows:
            return
        after = rows[-1].digest


_line_of = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _line(value: Mapping[str, object]) -> str:
    return _line_of(value) + "\n"


@dataclass(slots=True)
class ExportVerification:
    """One run over an exported file. `files`: public keys that are trusted; without any, those of the file itself are.

    `proves(digest, bytes)` says whether an assertion is the signed one of that digest. After the run `rows`, `assertions`
    and `last` say how far it went.
    """

    path: Path
    files: Sequence[PublicKey] = ()
    exported: Sequence[ExportedHead] = ()
    signatures: bool = True
    proves: Callable[[str, bytes], bool] = lambda _digest, _data: True
    rows: int = field(default=0, init=False)
    last: Head | None = field(default=None, init=False)
    assertions: int = field(default=0, init=False)
    _keys: list[RegisteredKey] = field(default_factory=list, init=False)
    _begun: bool = field(default=False, init=False)
    _waiting: list[Sealed] = field(default_factory=list, init=False)

    def run(self, progress: Progress = lambda _count: None) -> Iterator[Problem]:
        """Every problem in the order of the file. Raises ExportError for what is no export, OSError."""
        checker = Checker({}, self.exported, self.signatures)
        with self.path.open("rb") as lines:
            _check_header(next(lines, b""), self.path)
            for number, raw in enumerate(lines, 2):
                value = _parsed(raw, number)
                if "row" in value:
                    yield from self._take_row(value, number, checker)
                elif "head" in value:
                    progress(len(self._waiting))
                    yield from self._take_head(_head(value, number), checker)
                elif "key" in value:
                    self._take_key(value, number)
                elif "assertion" in value:
                    yield from self._take_assertion(value["assertion"], number)
                else:
                    raise ExportError(f"line {number}: neither row, head, key nor assertion")
        yield from self._begin(checker, None, missing=False)
        yield from checker.rows(self._waiting, self.last.at if self.last else 0)
        yield from checker.end()

    def _begin(self, checker: Checker, first: Head | None, *, missing: bool = True) -> Iterator[Problem]:
        if not self._begun:
            self._begun = True
            trusted = trusted_keys(self.files or [entry.public for entry in self._keys], self._keys)
            checker.keys = trusted
            yield from checker.begin(first, missing=missing and first is None)

    def _take_row(self, value: Mapping[str, Any], number: int, checker: Checker) -> Iterator[Problem]:
        yield from self._begin(checker, None)
        row = value["row"]
        try:
            digest = bytes.fromhex(value["hash"])
            if len(row) != len(COLUMNS) + 1 or type(row[0]) is not int or type(row[3]) is not int:
                raise ValueError
            sealed = Sealed(row[0], row[1 + PATIENT], row[1 + ID], digest, tuple(row[1:]))
        except (KeyError, TypeError, ValueError):
            raise ExportError(f"line {number}: not a row of {len(COLUMNS)} columns with its hash") from None
        self._waiting.append(sealed)
        self.rows += 1

    def _take_head(self, head: Head, checker: Checker) -> Iterator[Problem]:
        if head.number == 0:
            yield from self._begin(checker, head)
        else:
            yield from self._begin(checker, None)
            rows, self._waiting = self._waiting, []
            yield from checker.rows(rows, head.at)
            yield from checker.head(head)
        self.last = head

    def _take_key(self, value: Mapping[str, Any], number: int) -> None:
        try:
            self._keys.append(key_from_json(value["key"]))
        except (HeadFileError, SealKeyError) as error:
            raise ExportError(f"line {number}: {error}") from None

    def _take_assertion(self, value: Any, number: int) -> Iterator[Problem]:
        try:
            digest, data = str(value["digest"]), base64.b64decode(value["bytes"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise ExportError(f"line {number}: not an assertion") from None
        self.assertions += 1
        if not self.proves(digest, data):
            yield Problem("assertion-changed", f"assertion {digest}", "its signature does not cover what the rows name")


def _check_header(raw: bytes, path: Path) -> None:
    value = _parsed(raw, 1) if raw else {}
    if value.get("format") != FORMAT or value.get("columns") != list(COLUMNS):
        raise ExportError(f"{path}: not an exported journal of format {FORMAT}")


def _parsed(raw: bytes, number: int) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        raise ExportError(f"line {number}: not JSON") from None
    if not isinstance(value, Mapping):
        raise ExportError(f"line {number}: not a JSON object")
    return value


def _head(value: Mapping[str, Any], number: int) -> Head:
    try:
        return Head.from_json(value["head"])
    except HeadFileError as error:
        raise ExportError(f"line {number}: {error}") from None
