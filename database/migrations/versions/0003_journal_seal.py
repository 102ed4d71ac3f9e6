"""The seal of the journal: numbers, signed heads, public keys; kept assertions; MessageIDs in use.

From here on the database itself refuses to update or delete rows of the journal.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, UniqueConstraint

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("journal_row", "journal_number", "journal_head", "journal_key", "journal_assertion")
_TEXT = "the journal is append-only"


def upgrade() -> None:
    _make_tables()
    if op.get_context().dialect.name == "postgresql":
        _refuse_changes_on_postgresql()
    else:
        _refuse_changes_on_sqlite()


def _make_tables() -> None:
    op.create_table(
        "journal_number",
        *(_key_number("number"), _text("patient"), _text("row_id"), _binary("hash")),
        PrimaryKeyConstraint("number", name="pk_journal_number"),
        UniqueConstraint("row_id", "patient", name="uq_journal_number_row_id"),
    )
    op.create_table(
        "journal_head",
        *(_key_number("number"), _big("count"), _binary("hash"), _big("at"), _big("previous"), _text("key_id")),
        _binary("signature"),
        PrimaryKeyConstraint("number", name="pk_journal_head"),
    )
    op.create_table(
        "journal_key",
        *(_text("id"), _binary("public"), _big("at"), _text("endorsed_by"), _binary("endorsement")),
        PrimaryKeyConstraint("id", name="pk_journal_key"),
    )
    op.create_table(
        "journal_assertion",
        *(_text("digest"), _binary("bytes"), _big("at")),
        PrimaryKeyConstraint("digest", name="pk_journal_assertion"),
    )
    op.create_table(
        "journal_message",
        *(_text("sender"), _text("message_id"), _big("at"), _text("request_digest")),
        PrimaryKeyConstraint("sender", "message_id", name="pk_journal_message"),
        sqlite_with_rowid=False,
    )


def _refuse_changes_on_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{_TEXT}'); END"
            )


def _refuse_changes_on_postgresql() -> None:
    """For whoever connects, the owner of the tables too, until a trigger is dropped."""
    op.execute(
        "CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_TEXT}' USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION journal_is_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only()"
        )


def _key_number(name: str) -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), nullable=False, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=False)


def _big(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _binary(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)
