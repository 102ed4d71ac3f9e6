"""The table of used assertions: who used which first. Rows are forgotten once the assertion could not be valid any more."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from database.tables import code_text, metadata

assertion_use = Table(
    "assertion_use",
    metadata,
    Column("key", code_text(), primary_key=True),
    Column("peer", code_text(), nullable=False),
    Column("digest", code_text(), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("ix_assertion_use_expires", "expires"),
)
"""`key`: SHA-256 of issuer and ID; `peer`: fingerprint of the TLS client certificate; `digest`: SHA-256 of what it says."""
