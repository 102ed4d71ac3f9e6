"""The bytes of a journal row that are hashed, and the chain of hashes.

A line is a JSON array, ASCII, without blanks: the row's number, then every column in the order of COLUMNS. The hash of a row
is SHA-256 of the 32 bytes of the previous row's hash followed by its line. Anybody can do that again without this program.
Source: RFC 8259 (JSON); FIPS 180-4 (SHA-256).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column

from journal.tables import journal_row

COLUMNS: Final = (
    "patient",
    "id",
    "at",
    "subject",
    "proof_level",
    "mode",
    "purpose",
    "action",
    "objects",
    "decision",
    "rule",
    "outcome",
    "message_id",
    "request_digest",
    "peer",
    "detail",
)
"""All columns of `journal_row`. The order is part of the format: it never changes."""

PATIENT, ID, ROW_AT = COLUMNS.index("patient"), COLUMNS.index("id"), COLUMNS.index("at")

Values = tuple[Any, ...]
"""The values of one row in the order of COLUMNS: text, and the time as an integer."""

_quoted = json.encoder.encode_basestring_ascii
_AFTER_AT = ROW_AT + 1


def _odd(value: object) -> object:
    """What no column of ours holds, and SQLite would store all the same."""
    return {"blob": value.hex()} if isinstance(value, bytes) else {"value": repr(value)}


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_odd).encode


def row_columns() -> tuple[Column[Any], ...]:
    """The columns to select."""
    return tuple(journal_row.c[name] for name in COLUMNS)


def line(number: int, values: Values) -> bytes:
    """The canonical bytes of a row: as `canonical` gives them, several times faster."""
    at = values[ROW_AT]
    if type(at) is int:
        try:
            before, after = ",".join(map(_quoted, values[:ROW_AT])), ",".join(map(_quoted, values[_AFTER_AT:]))
            return f"[{number},{before},{at},{after}]".encode("ascii")
        except TypeError:
            pass  # put in by another hand: not text
    return canonical((number, *values))


def time_of(values: Values) -> int:
    """The time of a row; 0 where another hand put in something else."""
    at = values[ROW_AT]
    return at if type(at) is int else 0


def chained(previous: bytes, line: bytes) -> bytes:
    """The hash of a row: 32 bytes."""
    return hashlib.sha256(previous + line).digest()


def canonical(value: Sequence[object]) -> bytes:
    """An array of texts and numbers as it is signed: JSON, ASCII, without blanks."""
    return _encode(value).encode("ascii")
