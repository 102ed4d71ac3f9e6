"""The repository's table: which bytes stand behind a document's uniqueId.

`state`: `stored` (served), `pending` (kept, never served: a remote registry has not answered yet), `withdrawn` (taken back
by an operator). Times are microseconds since 1970 UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from database.tables import code_text, metadata

repository_document = Table(
    "repository_document",
    metadata,
    Column("unique_id", code_text(), primary_key=True),
    Column("sha256", code_text(), nullable=False),
    Column("sha1", code_text(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mime_type", code_text(), nullable=False),
    Column("state", code_text(), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_repository_document_sha256", "sha256"),
    Index("ix_repository_document_state", "state", "changed_at"),
)
