"""The records of the shared health record: states, standings of professionals, people around the holder, their history."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, SmallInteger, String

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _table(
        "dmp_record",
        ["patient"],
        [_text("patient"), _text("state"), _time("since"), _text("motive"), _time("created_at"), _time("consent_at", True)],
        [_flag(name) for name in ("break_glass", "regulation", "masked")],
        [_text(name) for name in ("family", "used", "given", "birth_date", "sex")],
    )
    _table(
        "dmp_standing",
        ["patient", "party"],
        [_text(name) for name in ("patient", "party", "family", "given", "role", "role_text")],
        [_time(name, True) for name in ("declared_at", "expires_at", "removed_at", "attending_since", "blocked_since")],
        [_time("changed_at")],
    )
    op.create_index("ix_dmp_standing_party", "dmp_standing", ["party"])
    _table(
        "dmp_person",
        ["patient", "identity"],
        [_text(name) for name in ("patient", "identity", "relation", "kind", "link", "family", "given", "answer")],
        [_time("invited_at"), _time("since"), _time("until", True)],
    )
    _table(
        "dmp_contact",
        ["patient", "owner", "channel", "value"],
        [_text(name) for name in ("patient", "owner", "channel", "value", "language")],
        [_flag("documents")],
    )
    _table(
        "dmp_change",
        ["patient", "id"],
        [_text("patient"), _text("id"), _time("at")],
        [_text(name) for name in ("act", "subject", "reason", "party", "detail")],
    )


def _table(name: str, key: list[str], *columns: list[Column[object]]) -> None:
    listed = [column for group in columns for column in group]
    op.create_table(name, *listed, PrimaryKeyConstraint(*key, name=f"pk_{name}"), sqlite_with_rowid=False)


def _text(name: str) -> Column[object]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=False)


def _time(name: str, absent: bool = False) -> Column[object]:
    return Column(name, BigInteger, nullable=absent)


def _flag(name: str) -> Column[object]:
    return Column(name, SmallInteger, nullable=False)
