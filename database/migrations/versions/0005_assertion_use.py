"""The table of used assertions."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assertion_use",
        *(_text("key"), _text("peer"), _text("digest"), Column("expires", BigInteger, nullable=False)),
        PrimaryKeyConstraint("key", name="pk_assertion_use"),
    )
    op.create_index("ix_assertion_use_expires", "assertion_use", ["expires"])


def _text(name: str) -> Column[str]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=False)
