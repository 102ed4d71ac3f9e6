"""The journal's tables. Rows of the journal are inserted only, never updated or deleted: the database refuses it (SQLite and
PostgreSQL by triggers; on PostgreSQL by the rights of the server's role too, see `journal.grants`).

`journal_row` is written with what it reports. A sealer numbers rows afterwards, chains a hash from row to row and signs the
newest one, in tables of its own, so that rows stay as they were written.
Source: what a row must say, IHE ITI TF-2 (ATNA) and the DMP's access journal.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, UniqueConstraint

from database.tables import auto_key, code_text, metadata

journal_row = Table(
    "journal_row",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("subject", code_text(), nullable=False),
    Column("proof_level", code_text(), nullable=False),
    Column("mode", code_text(), nullable=False),
    Column("purpose", code_text(), nullable=False),
    Column("action", code_text(), nullable=False),
    Column("objects", code_text(), nullable=False),
    Column("decision", code_text(), nullable=False),
    Column("rule", code_text(), nullable=False),
    Column("outcome", code_text(), nullable=False),
    Column("message_id", code_text(), nullable=False),
    Column("request_digest", code_text(), nullable=False),
    Column("peer", code_text(), nullable=False),
    Column("detail", code_text(), nullable=False),
    Index("ix_journal_row_id", "id"),
)
"""`id` is time-ordered and unique over all workers. `patient` is empty where none is named; `objects` is a JSON list of
[kind, id]; `detail` says more of a proved caller, or why an operator acted."""

journal_number = Table(
    "journal_number",
    metadata,
    Column("number", auto_key(), primary_key=True, autoincrement=False),
    Column("patient", code_text(), nullable=False),
    Column("row_id", code_text(), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("row_id", "patient", name="uq_journal_number_row_id"),
)
"""The sealed rows: number from 1 without a gap, and SHA-256 of the previous row's hash and this row's line."""

journal_head = Table(
    "journal_head",
    metadata,
    Column("number", auto_key(), primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("previous", BigInteger, nullable=False),
    Column("key_id", code_text(), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
"""Signed ends of batches: number and hash of the last row, rows of the batch, time of sealing, number of the head before.

Number 0 begins the journal: its hash is chance, so that no two journals have the same chain.
"""

journal_key = Table(
    "journal_key",
    metadata,
    Column("id", code_text(), primary_key=True),
    Column("public", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("endorsed_by", code_text(), nullable=False),
    Column("endorsement", LargeBinary, nullable=False),
)
"""Public keys of all heads, DER; `endorsement` is the signature of the key before, empty for a key without predecessor."""

journal_assertion = Table(
    "journal_assertion",
    metadata,
    Column("digest", code_text(), primary_key=True),
    Column("bytes", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""The signed assertions that rows name by digest (SHA-256 in hexadecimal), each once, as received."""

journal_message = Table(
    "journal_message",
    metadata,
    Column("sender", code_text(), primary_key=True),
    Column("message_id", code_text(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("request_digest", code_text(), nullable=False),
    sqlite_with_rowid=False,
)
"""MessageIDs in use. Not the journal: old rows are deleted."""

APPEND_ONLY: Final = (journal_row, journal_number, journal_head, journal_key, journal_assertion)
"""Tables in which nothing is ever updated or deleted."""
