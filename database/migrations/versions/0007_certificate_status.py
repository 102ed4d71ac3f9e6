"""The table of answers of OCSP responders."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "certificate_status",
        Column("key", String().with_variant(String(collation="C"), "postgresql"), nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("asked_at", "this_update", "produced_at")),
        Column("data", LargeBinary, nullable=False),
        PrimaryKeyConstraint("key", name="pk_certificate_status"),
    )
