"""Notices to the holder of a record and to professionals: the outbox, and what was told once already."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, SmallInteger, String
from sqlalchemy.schema import SchemaItem

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _table("dmp_told", _text("patient"), _text("about"), _text("what"), _number("at"), key=["patient", "about", "what"])
    _table(
        "dmp_notice",
        *(_text(name) for name in ("id", "patient", "event", "address", "language", "facts", "state", "error")),
        *(_number(name) for name in ("at", "due")),
        Column("attempts", SmallInteger, nullable=False),
        key=["id"],
    )
    op.create_index("ix_dmp_notice_due", "dmp_notice", ["state", "due"])


def _table(name: str, *columns: SchemaItem, key: list[str]) -> None:
    op.create_table(name, *columns, PrimaryKeyConstraint(*key, name=f"pk_{name}"), sqlite_with_rowid=False)


def _text(name: str) -> Column[str]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)
