"""The outbox of audit events."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_outbox",
        Column("id", BigInteger().with_variant(Integer(), "sqlite"), nullable=False, autoincrement=True),
        Column("at", BigInteger, nullable=False),
        Column("event", LargeBinary, nullable=False),
        PrimaryKeyConstraint("id", name="pk_audit_outbox"),
    )
