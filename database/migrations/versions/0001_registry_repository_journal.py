"""The tables of registry, repository and journal, and the lease.

On PostgreSQL the tables that hold a patient's objects are partitioned by hash of the patient key, 16 ways. Alembic does not
see partitions: they are written here by hand.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 16


def upgrade() -> None:
    _identities()
    _entries()
    _submission_sets()
    _folders()
    _associations()
    _others()


def _identities() -> None:
    _table("patient", _text("key"), _text("cx"), _text("origin"), _big("known_at"), key=["key"])
    _table("object_key", _text("id"), _text("patient"), _small("kind"), key=["id"])
    _table("part_key", _text("id"), _text("owner"), key=["id"])
    _table(
        "object_version",
        *(_text("lid"), _small("version"), _text("id"), _small("latest")),
        UniqueConstraint("id", name="uq_object_version_id"),
        key=["lid", "version"],
    )
    _table("document_identity", _text("unique_id"), _text("hash", True), _big("size", True), key=["unique_id"])
    _table("document_locator", _text("unique_id"), _text("patient"), key=["unique_id", "patient"])
    _table(
        "set_identity",
        *(_text("unique_id"), _text("patient"), _small("kind"), _text("sender"), _text("digest"), _text("message_id")),
        *(_big("answered_at"), Column("answer", LargeBinary, nullable=True)),
        key=["unique_id"],
    )


def _entries() -> None:
    _patient_table(
        "entry",
        *(_text("id"), _text("lid"), _small("version"), _small("status"), _small("withdrawn"), _small("stable")),
        *(_text("submission"), _big("registered_at"), _text("unique_id"), _text("repository", True)),
        *(_text("hash", True), _big("size", True), _text("mime_type")),
        *(_text("class_code", True), _text("type_code", True), _text("format_code", True)),
        *(_text("facility_code", True), _text("practice_code", True)),
        *(_text("creation_time", True), _text("service_start", True), _text("service_stop", True)),
        *_leaf(),
        key=["id"],
    )
    _index("entry", "id", ["id"])
    _index("entry", "unique_id", ["unique_id"])
    _index("entry", "submission", ["submission"])
    _index("entry", "find", ["patient", "registered_at", "status", "withdrawn", "stable", "id"])
    _details("entry_code", "entry", _text("entry"), _small("kind"), _text("code"))
    _details("entry_author", "entry", _text("entry"), _text("person"))
    _details("entry_reference", "entry", _text("entry"), _text("reference"))
    op.create_index("ix_entry_reference", "entry_reference", ["patient", "reference"])


def _submission_sets() -> None:
    _patient_table(
        "submission_set",
        *(_text("id"), _small("status"), _small("withdrawn"), _big("registered_at"), _text("unique_id")),
        *(_text("source_id"), _text("content_type", True), _text("submission_time"), *_leaf()),
        key=["id"],
    )
    _index("submission_set", "id", ["id"])
    _index("submission_set", "unique_id", ["unique_id"])
    _index("submission_set", "patient_time", ["patient", "registered_at"])
    _details("set_author", "submission_set", _text("set_id"), _text("person"))


def _folders() -> None:
    _patient_table(
        "folder",
        *(_text("id"), _text("lid"), _small("version"), _small("status"), _small("withdrawn"), _text("submission")),
        *(_big("registered_at"), _text("unique_id"), _text("last_update"), _small("splice"), *_leaf()),
        key=["id"],
    )
    _index("folder", "id", ["id"])
    _index("folder", "unique_id", ["unique_id"])
    _index("folder", "submission", ["submission"])
    _index("folder", "patient_time", ["patient", "registered_at"])
    _details("folder_code", "folder", _text("folder"), _text("code"))


def _associations() -> None:
    _patient_table(
        "association",
        *(_text("id"), _small("type"), _small("status"), _small("withdrawn"), _small("membership")),
        *(_text("source"), _text("target"), _text("submission"), _big("registered_at"), *_leaf()),
        key=["id"],
    )
    _index("association", "id", ["id"])
    _index("association", "source", ["source"])
    _index("association", "target", ["target"])
    _index("association", "submission", ["submission"])
    _index("association", "patient", ["patient", "registered_at"])


def _others() -> None:
    _table(
        "repository_document",
        *(_text("unique_id"), _text("sha256"), _text("sha1"), _big("size"), _text("mime_type"), _text("state")),
        _big("changed_at"),
        key=["unique_id"],
    )
    _index("repository_document", "sha256", ["sha256"])
    _index("repository_document", "state", ["state", "changed_at"])
    _patient_table(
        "journal_row",
        *(_text("id"), _big("at"), _text("subject"), _text("proof_level"), _text("mode"), _text("purpose"), _text("action")),
        *(_text("objects"), _text("decision"), _text("rule"), _text("outcome"), _text("message_id")),
        *(_text("request_digest"), _text("peer"), _text("detail")),
        key=["id"],
    )
    _index("journal_row", "id", ["id"])
    _table("lease", _text("name"), _text("holder"), _big("fencing"), _big("beat"), _big("renewed_at"), key=["name"])


def _table(name: str, *items: SchemaItem, key: list[str]) -> None:
    op.create_table(name, *items, PrimaryKeyConstraint(*key, name=f"pk_{name}"))


def _patient_table(name: str, *items: SchemaItem, key: list[str]) -> None:
    """A table of a patient's rows: the patient leads its primary key and decides its partition."""
    op.create_table(
        name,
        _text("patient"),
        *items,
        PrimaryKeyConstraint("patient", *key, name=f"pk_{name}"),
        postgresql_partition_by="HASH (patient)",
    )
    if op.get_context().dialect.name == "postgresql":
        for remainder in range(PARTITIONS):
            op.execute(
                f"CREATE TABLE {name}_p{remainder:02} PARTITION OF {name} "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
            )


def _details(name: str, owner: str, *columns: Column[str] | Column[int]) -> None:
    """A table of an object's multiple values: its first column is the object's id, all columns are the key."""
    foreign = ForeignKeyConstraint(
        ["patient", columns[0].name],
        [f"{owner}.patient", f"{owner}.id"],
        name=f"fk_{name}_patient_{columns[0].name}_{owner}",
        ondelete="CASCADE",
    )
    _patient_table(name, *columns, foreign, key=[c.name for c in columns])


def _index(table: str, name: str, columns: list[str]) -> None:
    op.create_index(f"ix_{table}_{name}", table, columns)


def _text(name: str, nullable: bool = False) -> Column[str]:
    return Column(name, String().with_variant(String(collation="C"), "postgresql"), nullable=nullable)


def _big(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _leaf() -> tuple[Column[int], Column[bytes]]:
    return _small("leaf_format"), Column("leaf", LargeBinary, nullable=False)
