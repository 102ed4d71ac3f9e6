"""The repository's rows: which bytes a uniqueId stands for, and whether they may be served. Statements only.

Source: IHE ITI TF-2 3.41.4.1.3 (a uniqueId stands for one content for ever).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from database.prepared import Lookup, Statement
from xds_metadata.errors import Finding, XdsFailure
from xds_repository.tables import repository_document

_r = repository_document.c
_BY_UNIQUE_ID = Lookup(_r.unique_id, _r.unique_id, _r.sha256, _r.sha1, _r.size, _r.mime_type, _r.state)
_INSERT = Statement(
    lambda dialect: (
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(repository_document)
        .on_conflict_do_update(index_elements=[_r.unique_id], set_={"changed_at": _r.changed_at})
    )
)
"""A row that is there is not changed, but locked: a withdrawal of it comes before or after."""

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
    """Statements that add the rows. A row that is there stays, unless it was pending or withdrawn and is now stored.

    A withdrawn document comes back this way only with a new submission: a repetition of its first one is refused before.
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
        _INSERT.write(connection, values)
        for row in find_documents(connection, list(wanted)):
            new = wanted[row.unique_id]
            if row.sha256 != new.sha256:
                raise XdsFailure(
                    Finding(
                        "XDSNonIdenticalHash", f"{row.unique_id} is stored with other content", rule="document-identical"
                    )
                )
            if row.state != STORED and new.state == STORED:
                set_state(connection, [row.unique_id], STORED, at)
            elif row.state == new.state == PENDING:
                set_state(connection, [row.unique_id], PENDING, at)  # asked anew: it is young again

    return put


def find_documents(connection: Connection, unique_ids: Sequence[str]) -> list[StoredDocument]:
    """The rows of `unique_ids`, whatever their state."""
    return [StoredDocument(*row) for row in _BY_UNIQUE_ID.rows(connection, unique_ids)]


def set_state(connection: Connection, unique_ids: Sequence[str], state: str, at: int) -> None:
    """Change the state of rows."""
    r = repository_document
    connection.execute(update(r).where(r.c.unique_id.in_(unique_ids)).values(state=state, changed_at=at))


def forget_pending(connection: Connection, unique_ids: Sequence[str], before: int | None = None) -> None:
    """Remove rows that are still pending: the registry refused them. `before`: only those that did not change since."""
    r = repository_document
    where = [r.c.unique_id.in_(unique_ids), r.c.state == PENDING]
    if before is not None:
        where.append(r.c.changed_at < before)
    connection.execute(delete(r).where(*where))


def lock_documents(connection: Connection, unique_ids: Collection[str]) -> None:
    """Let nobody else change the rows, or register their uniqueIds anew, before the transaction ends."""
    r = repository_document.c
    connection.execute(
        select(r.unique_id).where(r.unique_id.in_(sorted(unique_ids))).order_by(r.unique_id).with_for_update()
    ).all()


def withdraw_documents(connection: Connection, unique_ids: Collection[str], at: int) -> tuple[str, ...]:
    """Documents that are served are no longer; returns their uniqueIds."""
    return _move(connection, unique_ids, STORED, WITHDRAWN, at)


def reinstate_documents(connection: Connection, unique_ids: Collection[str], at: int) -> tuple[str, ...]:
    """Undo `withdraw_documents`; returns the uniqueIds that are served again."""
    return _move(connection, unique_ids, WITHDRAWN, STORED, at)


def _move(connection: Connection, unique_ids: Collection[str], before: str, after: str, at: int) -> tuple[str, ...]:
    found = tuple(d.unique_id for d in find_documents(connection, sorted(unique_ids)) if d.state == before)
    if found:
        set_state(connection, found, after, at)
    return found


def purge_documents(connection: Connection, unique_ids: Collection[str]) -> tuple[str, ...]:
    """Delete rows; returns the SHA-256 of the blobs that no row refers to any more."""
    r = repository_document
    blobs = {d.sha256 for d in find_documents(connection, sorted(unique_ids))}
    connection.execute(delete(r).where(r.c.unique_id.in_(sorted(unique_ids))))
    kept = set(connection.execute(select(r.c.sha256).where(r.c.sha256.in_(sorted(blobs)))).scalars())
    return tuple(sorted(blobs - kept))


def owners_of(connection: Connection, blobs: Collection[str]) -> dict[str, tuple[str, ...]]:
    """By SHA-256, the uniqueIds whose documents are these bytes; a blob without any is absent."""
    r = repository_document.c
    found: dict[str, list[str]] = {}
    for sha256, unique_id in connection.execute(select(r.sha256, r.unique_id).where(r.sha256.in_(sorted(blobs)))):
        found.setdefault(sha256, []).append(unique_id)
    return {sha256: tuple(sorted(unique_ids)) for sha256, unique_ids in found.items()}


ONE_DOCUMENT = select(
    repository_document.c.unique_id,
    repository_document.c.sha256,
    repository_document.c.sha1,
    repository_document.c.size,
    repository_document.c.mime_type,
    repository_document.c.state,
).where(repository_document.c.unique_id == bindparam("unique_id"))
"""The row of one uniqueId, for the retrieve path."""
