"""The registry's tables. Every row of an object carries the patient key; the leaf column comes last.

A patient key is `CX.1^CX.4.2`. Object ids are entryUUIDs without `urn:uuid:`. Coded values are `code^^scheme`. Times are
UTC text of 14 digits. Kinds, statuses and association types are the small integers of `vocabulary`.
The stored leaf of an object version is the truth and is never changed; the other columns are an index of it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, LargeBinary, SmallInteger, Table

from database.tables import code_text, metadata

patient = Table(
    "patient",
    metadata,
    Column("key", code_text(), primary_key=True),
    Column("cx", code_text(), nullable=False),
    Column("origin", code_text(), nullable=False),
    Column("known_at", BigInteger, nullable=False),
)

object_key = Table(
    "object_key",
    metadata,
    Column("id", code_text(), primary_key=True),
    Column("patient", code_text(), nullable=False),
    Column("kind", SmallInteger, nullable=False),
)
"""Every entryUUID in use: the insert is the check of uniqueness, over all patients."""

part_key = Table(
    "part_key", metadata, Column("id", code_text(), primary_key=True), Column("owner", code_text(), nullable=False)
)
"""UUIDs that senders gave to Classifications and ExternalIdentifiers."""

object_version = Table(
    "object_version",
    metadata,
    Column("lid", code_text(), primary_key=True),
    Column("version", SmallInteger, primary_key=True),
    Column("id", code_text(), nullable=False, unique=True),
    Column("latest", SmallInteger, nullable=False),
)

document_identity = Table(
    "document_identity",
    metadata,
    Column("unique_id", code_text(), primary_key=True),
    Column("hash", code_text(), nullable=True),
    Column("size", BigInteger, nullable=True),
)
"""One row per DocumentEntry.uniqueId: the bytes it stands for. On-demand entries have no hash and no size."""

document_locator = Table(
    "document_locator",
    metadata,
    Column("unique_id", code_text(), primary_key=True),
    Column("patient", code_text(), primary_key=True),
)

document_mask = Table(
    "document_mask",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("unique_id", code_text(), primary_key=True),
    Column("code", code_text(), primary_key=True),
    Index("ix_document_mask_unique_id", "unique_id"),
)
"""The confidentiality codes in force on a document of a patient: see `masks`."""

set_identity = Table(
    "set_identity",
    metadata,
    Column("unique_id", code_text(), primary_key=True),
    Column("patient", code_text(), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("sender", code_text(), nullable=False),
    Column("digest", code_text(), nullable=False),
    Column("message_id", code_text(), nullable=False),
    Column("answered_at", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=True),
)
"""uniqueIds of submission sets and folders; for a set also what recognises a retry and the answer it gets."""

_FOUND_BY = ("patient", "registered_at", "status", "withdrawn", "stable", "id")
entry = Table(
    "entry",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("lid", code_text(), nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False),
    Column("stable", SmallInteger, nullable=False),
    Column("submission", code_text(), nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("unique_id", code_text(), nullable=False),
    Column("repository", code_text(), nullable=True),
    Column("hash", code_text(), nullable=True),
    Column("size", BigInteger, nullable=True),
    Column("mime_type", code_text(), nullable=False),
    Column("class_code", code_text(), nullable=True),
    Column("type_code", code_text(), nullable=True),
    Column("format_code", code_text(), nullable=True),
    Column("facility_code", code_text(), nullable=True),
    Column("practice_code", code_text(), nullable=True),
    Column("creation_time", code_text(), nullable=True),
    Column("service_start", code_text(), nullable=True),
    Column("service_stop", code_text(), nullable=True),
    Column("leaf_format", SmallInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_entry_id", "id"),
    Index("ix_entry_unique_id", "unique_id"),
    Index("ix_entry_submission", "submission"),
    Index("ix_entry_find", *_FOUND_BY),
    Index("ix_entry_read", *_FOUND_BY, "type_code", "class_code", "unique_id").ddl_if(dialect="sqlite"),
)
"""`ix_entry_read` holds all that access rules ask of most entries: see `visibility`."""

entry_code = Table(
    "entry_code",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("entry", code_text(), primary_key=True),
    Column("kind", SmallInteger, primary_key=True),
    Column("code", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "entry"], ["entry.patient", "entry.id"], ondelete="CASCADE"),
)
"""Codes that an entry may have several of: events (kind 1) and confidentiality (kind 2)."""

entry_author = Table(
    "entry_author",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("entry", code_text(), primary_key=True),
    Column("person", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "entry"], ["entry.patient", "entry.id"], ondelete="CASCADE"),
)

entry_actor = Table(
    "entry_actor",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("entry", code_text(), primary_key=True),
    Column("kind", SmallInteger, primary_key=True),
    Column("identity", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "entry"], ["entry.patient", "entry.id"], ondelete="CASCADE"),
)
"""Authors of an entry as `identifier^authority`: persons (kind 1) and institutions (kind 2)."""

entry_reference = Table(
    "entry_reference",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("entry", code_text(), primary_key=True),
    Column("reference", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "entry"], ["entry.patient", "entry.id"], ondelete="CASCADE"),
    Index("ix_entry_reference", "patient", "reference"),
)

submission_set = Table(
    "submission_set",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("status", SmallInteger, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("unique_id", code_text(), nullable=False),
    Column("source_id", code_text(), nullable=False),
    Column("content_type", code_text(), nullable=True),
    Column("submission_time", code_text(), nullable=False),
    Column("leaf_format", SmallInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_submission_set_id", "id"),
    Index("ix_submission_set_unique_id", "unique_id"),
    Index("ix_submission_set_patient_time", "patient", "registered_at"),
)

set_author = Table(
    "set_author",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("set_id", code_text(), primary_key=True),
    Column("person", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "set_id"], ["submission_set.patient", "submission_set.id"], ondelete="CASCADE"),
)

folder = Table(
    "folder",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("lid", code_text(), nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False),
    Column("submission", code_text(), nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("unique_id", code_text(), nullable=False),
    Column("last_update", code_text(), nullable=False),
    Column("splice", SmallInteger, nullable=False),
    Column("leaf_format", SmallInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_folder_id", "id"),
    Index("ix_folder_unique_id", "unique_id"),
    Index("ix_folder_submission", "submission"),
    Index("ix_folder_patient_time", "patient", "registered_at"),
)

folder_code = Table(
    "folder_code",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("folder", code_text(), primary_key=True),
    Column("code", code_text(), primary_key=True),
    ForeignKeyConstraint(["patient", "folder"], ["folder.patient", "folder.id"], ondelete="CASCADE"),
)

association = Table(
    "association",
    metadata,
    Column("patient", code_text(), primary_key=True),
    Column("id", code_text(), primary_key=True),
    Column("type", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False),
    Column("membership", SmallInteger, nullable=False),
    Column("source", code_text(), nullable=False),
    Column("target", code_text(), nullable=False),
    Column("submission", code_text(), nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("leaf_format", SmallInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("ix_association_id", "id"),
    Index("ix_association_source", "source"),
    Index("ix_association_target", "target"),
    Index("ix_association_submission", "submission"),
    Index("ix_association_patient", "patient", "registered_at"),
)
"""Links; `patient` is that of the submission set that made them. `membership`: 1 Original, 2 Reference, 0 neither."""

PARTITIONED = (
    entry,
    entry_code,
    entry_author,
    entry_actor,
    entry_reference,
    document_mask,
    submission_set,
    set_author,
    folder,
    folder_code,
    association,
)
"""Tables that PostgreSQL partitions by hash of the patient."""
