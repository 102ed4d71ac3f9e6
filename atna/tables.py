"""The outbox of audit events: rows wait here, in the order of `id`, until the audit record repository has taken them.

`event` is the compact form of `atna.events`. It holds patient identifiers and never goes to logs.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from database.tables import auto_key, metadata

audit_outbox = Table(
    "audit_outbox",
    metadata,
    Column("id", auto_key(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("event", LargeBinary, nullable=False),
)
"""`at` is the time of the event. On an empty table ids may begin anew; on PostgreSQL a lower one may appear later."""
