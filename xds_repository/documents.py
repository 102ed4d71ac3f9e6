"""The repository's rows: which bytes a uniqueId stands for, and whether they may be served. Statements only.

Source: IHE ITI TF-2 3.41.4.1.3 (a uniqueId stands for one content for ever).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from xds_metadata.errors import Finding, XdsFailure
from xds_repository.tables import repository_document

STORED, PENDING, WITHDRAWN = "stored", "pending", "withdrawn"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One row: hashes in lower-case hex, size in bytes."""

    unique_id: str
    sha256: str
    sha1: str
    size: int
    mime_type: str
    state: str


def put_documents(documents: Sequence[StoredDocument], at: int) -> Callable[[Connection], None]:
    """Statements that add the rows. A row that is there stays, unless it was pending and is now stored.

    They raise XdsFailure when a uniqueId stands for other bytes already.
    """
    values = [
        {
            "unique_id": d.unique_id,
            "sha256": d.sha256,
            "sha1": d.sha1,
            "size": d.size,
            "mime_type": d.mime_type,
            "state": d.state,
            "changed_at": at,
        }
        for d in documents
    ]
    wanted = {d.unique_id: d for d in documents}

    def put(connection: Connection) -> None:
        dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(dialect(repository_document).on_conflict_do_nothing(), values)
        for row in find_documents(connection, list(wanted)):
            new = wanted[row.unique_id]
            if row.sha256 != new.sha256:
                raise XdsFailure(
                    Finding(
                        "XDSNonIdenticalHash", f"{row.unique_id} is stored with other content", rule="document-identical"
                    )
                )
            if row.state == PENDING and new.state == STORED:
                set_state(connection, [row.unique_id], STORED, at)

    return put


def find_documents(connection: Connection, unique_ids: Sequence[str]) -> list[StoredDocument]:
    """The rows of `unique_ids`, whatever their state."""
    r = repository_document.c
    rows = connection.execute(
        select(r.unique_id, r.sha256, r.sha1, r.size, r.mime_type, r.state).where(r.unique_id.in_(unique_ids))
    )
    return [StoredDocument(*row) for row in rows]


def set_state(connection: Connection, unique_ids: Sequence[str], state: str, at: int) -> None:
    """Change the state of rows."""
    r = repository_document
    connection.execute(update(r).where(r.c.unique_id.in_(unique_ids)).values(state=state, changed_at=at))


def forget_pending(connection: Connection, unique_ids: Sequence[str]) -> None:
    """Remove rows that are still pending: the registry refused them."""
    r = repository_document
    connection.execute(delete(r).where(r.c.unique_id.in_(unique_ids), r.c.state == PENDING))


ONE_DOCUMENT = select(
    repository_document.c.unique_id,
    repository_document.c.sha256,
    repository_document.c.sha1,
    repository_document.c.size,
    repository_document.c.mime_type,
    repository_document.c.state,
).where(repository_document.c.unique_id == bindparam("unique_id"))
"""The row of one uniqueId, for the retrieve path."""
