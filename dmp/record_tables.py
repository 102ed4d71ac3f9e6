"""The tables of the records. Every row carries the patient key `CX.1^CX.4.2`. Times are microseconds since 1970 UTC.

They hold what is so now, so that a decision costs one select by primary keys; `dmp_change` keeps everything that was done.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table

from database.tables import code_text, metadata

dmp_record = Table(
    "dmp_record",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("state", code_text(), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("motive", code_text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("consent_at", BigInteger, nullable=True),
    Column("break_glass", SmallInteger, nullable=False),
    Column("regulation", SmallInteger, nullable=False),
    Column("masked", SmallInteger, nullable=False),
    Column("family", code_text(), nullable=False),
    Column("used", code_text(), nullable=False),
    Column("given", code_text(), nullable=False),
    Column("birth_date", code_text(), nullable=False),
    Column("sex", code_text(), nullable=False),
    sqlite_with_rowid=False,
)
"""One row for each record. `break_glass` and `regulation`: 1 where the patient opposes that mode; `masked`: 1 where masked
documents are open in emergencies. A destroyed record keeps its row, without traits of the holder."""

dmp_standing = Table(
    "dmp_standing",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("party", code_text(), primary_key=True),
    Column("family", code_text(), nullable=False),
    Column("given", code_text(), nullable=False),
    Column("role", code_text(), nullable=False),
    Column("role_text", code_text(), nullable=False),
    Column("declared_at", BigInteger, nullable=True),
    Column("expires_at", BigInteger, nullable=True),
    Column("removed_at", BigInteger, nullable=True),
    Column("attending_since", BigInteger, nullable=True),
    Column("blocked_since", BigInteger, nullable=True),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_dmp_standing_party", "party"),
    sqlite_with_rowid=False,
)
"""What a record says of a professional or structure (`party`: `identifier^authority`)."""

dmp_person = Table(
    "dmp_person",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("identity", code_text(), primary_key=True),
    Column("relation", code_text(), nullable=False),
    Column("kind", code_text(), nullable=False),
    Column("link", code_text(), nullable=False),
    Column("family", code_text(), nullable=False),
    Column("given", code_text(), nullable=False),
    Column("answer", code_text(), nullable=False),
    Column("invited_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=True),
    sqlite_with_rowid=False,
)
"""Representatives and delegates (`relation`); `kind` is the ground of a representation or the kind of a delegation."""

dmp_contact = Table(
    "dmp_contact",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("owner", code_text(), primary_key=True),
    Column("channel", code_text(), primary_key=True),
    Column("value", code_text(), primary_key=True),
    Column("language", code_text(), nullable=False),
    Column("documents", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Contact channels of the holder (`owner` empty), of representatives and professionals (their identity)."""

dmp_change = Table(
    "dmp_change",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("act", code_text(), nullable=False),
    Column("subject", code_text(), nullable=False),
    Column("reason", code_text(), nullable=False),
    Column("party", code_text(), nullable=False),
    Column("detail", code_text(), nullable=False),
    sqlite_with_rowid=False,
)
"""The history: one row for each change, inserted only. `id` is time-ordered, `detail` a JSON object of what it set, and
`by` in an operator's words."""
