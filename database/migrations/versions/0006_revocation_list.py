"""The table of revocation lists."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint, String

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocation_list",
        Column("authority", String().with_variant(String(collation="C"), "postgresql"), nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("version", "this_update", "next_update", "stored_at")),
        Column("data", LargeBinary, nullable=False),
        PrimaryKeyConstraint("authority", name="pk_revocation_list"),
    )
