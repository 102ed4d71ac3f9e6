"""The tables of notices. Times are microseconds since 1970 UTC.

`dmp_notice` is an outbox: a row waits until its message was taken, and is deleted then. `dmp_told` keeps what is told once.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table

from database.tables import code_text, metadata

dmp_told = Table(
    "dmp_told",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("about", code_text(), primary_key=True),
    Column("what", code_text(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""`about`: a professional or structure (`identifier^authority`), or the uniqueId of a document; `what`: the event and, of an
emergency, its mode; `at`: when it was told last."""

dmp_notice = Table(
    "dmp_notice",
    metadata,
    Column("id", code_text(), primary_key=True),
    Column("patient", code_text(), nullable=False),
    Column("event", code_text(), nullable=False),
    Column("address", code_text(), nullable=False),
    Column("language", code_text(), nullable=False),
    Column("facts", code_text(), nullable=False),
    Column("state", code_text(), nullable=False),
    Column("error", code_text(), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Index("ix_dmp_notice_due", "state", "due"),
    sqlite_with_rowid=False,
)
"""`state`: waiting; dead where it is not tried again; unaddressed where nobody can be written to (`address` is empty then).
`facts` is a JSON object of texts, nothing clinical among them."""
