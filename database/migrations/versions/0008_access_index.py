"""What access rules ask of entries: authors by identity, and the confidentiality codes in force on each document.

Codes in force follow from what is stored. Identities of authors do not: `liasse reindex` reads them from the entries.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKeyConstraint, PrimaryKeyConstraint, SmallInteger, String
from sqlalchemy.schema import SchemaItem

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PARTITIONS = 16


def upgrade() -> None:
    _table(
        "entry_actor",
        *(_text("entry"), Column("kind", SmallInteger, nullable=False), _text("identity")),
        ForeignKeyConstraint(
            ["patient", "entry"],
            ["entry.patient", "entry.id"],
            name="fk_entry_actor_patient_entry_entry",
            ondelete="CASCADE",
        ),
        key=["entry", "kind", "identity"],
    )
    _table("document_mask", _text("unique_id"), _text("code"), key=["unique_id", "code"])
    op.create_index("ix_document_mask_unique_id", "document_mask", ["unique_id"])
    op.execute(
        "INSERT INTO document_mask (patient, unique_id, code) SELECT DISTINCT e.patient, e.unique_id, c.code "
        "FROM entry e JOIN entry_code c ON c.patient = e.patient AND c.entry = e.id WHERE c.kind = 2"
    )


def _table(name: str, *items: SchemaItem, key: list[str]) -> None:
    op.create_table(
        name,
        _text("patient"),
        *items,
        PrimaryKeyConstraint("patient", *key, name=f"pk_{name}"),
        postgresql_partition_by="HASH (patient)",
    )
    if op.get_context().dialect.name == "postgresql":
        for remainder in range(_PARTITIONS):
            op.execute(
                f"CREATE TABLE {name}_p{remainder:02} PARTITION OF {name} "
                f"FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {remainder})"
            )


def _text(name: str) -> Column[str]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=False)
