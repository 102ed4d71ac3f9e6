"""The one MetaData of all packages, column types with one meaning on both engines, and this package's own table.

Identifiers and codes compare byte by byte on both engines: SQLite does so by itself, PostgreSQL with the C collation.
Times are integers: microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

import time

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def code_text() -> TypeEngine[str]:
    """A text column that is compared and ordered byte by byte: ids, codes, times as text."""
    return String().with_variant(String(collation="C"), "postgresql")


def auto_key() -> TypeEngine[int]:
    """A 64-bit primary key that the database numbers."""
    return BigInteger().with_variant(Integer(), "sqlite")


def now_micros() -> int:
    """The wall clock in microseconds since 1970 UTC. It may jump: never measure a duration with it."""
    return time.time_ns() // 1000


lease = Table(
    "lease",
    metadata,
    Column("name", code_text(), primary_key=True),
    Column("holder", code_text(), nullable=False),
    Column("fencing", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("renewed_at", BigInteger, nullable=False),
)
"""Who does the work that only one process may do.

`holder` is empty when released; `fencing` grows with each change of holder; `beat` grows with each renewal, and is what
others watch on their own monotonic clocks; `renewed_at` is shown to people only.
"""
