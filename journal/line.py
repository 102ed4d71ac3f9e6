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

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def row_columns() -> tuple[Column[Any], ...]:
    """The columns to select."""
    return tuple(journal_row.c[name] for name in COLUMNS)


def line(number: int, values: Sequence[object]) -> bytes:
    """The canonical bytes of a row."""
    return _encode((number, *values)).encode("ascii")


def chained(previous: bytes, line: bytes) -> bytes:
    """The hash of a row: 32 bytes."""
    return hashlib.sha256(previous + line).digest()


def canonical(value: Sequence[object]) -> bytes:
    """An array of texts and numbers as it is signed: JSON, ASCII, without blanks."""
    return _encode(value).encode("ascii")
