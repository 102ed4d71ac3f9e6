"""The journal's table: one row per access or refusal, inserted only, never updated or deleted.

`id` is time-ordered and unique over all workers. `number` of a sealed row lives in a table of the sealer, so that rows stay
as they were written. Source: what a row must say, IHE ITI TF-2 (ATNA) and the DMP's access journal.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from database.tables import code_text, metadata

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
"""`patient` is empty where none is named; `objects` is a JSON list of [kind, id]; `detail` says why an operator acted."""
