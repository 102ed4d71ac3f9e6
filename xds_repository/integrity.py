"""Does every document row have its bytes, and every blob a row? Checks that only read, beside a running server.

`deep` hashes every blob anew. Blobs without a row are orphans: harmless, never retrievable; those older than the grace
time may be collected. Source: DESIGN 12: blob durable, then the registration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Row, select

from database.handle import Database
from database.problem import BATCH, Problem, Severity, batches
from xds_repository.documents import PENDING, STORED, WITHDRAWN
from xds_repository.file_store import CHUNK, GRACE, FileStore
from xds_repository.store import BlobMissing, StoreError, StoreUnavailable
from xds_repository.tables import repository_document

Progress = Callable[[int], None]
"""Called with the number of rows or blobs just checked."""


@dataclass(slots=True)
class Orphans:
    """Blobs that nobody refers to: how many, their bytes, and how many of them were removed."""

    count: int = 0
    size: int = 0
    collected: int = 0


@dataclass(slots=True)
class BlobCheck:
    """How blobs are checked. `deep`: their bytes are hashed. `collect`: orphans older than `grace` seconds are removed."""

    deep: bool = False
    collect: bool = False
    grace: float = GRACE
    orphans: Orphans = field(default_factory=Orphans)


def check_documents(database: Database, store: FileStore, at: int, progress: Progress) -> Iterator[Problem]:
    """Every row of the repository: its state, its blob, the blob's size. `at`: microseconds since 1970 UTC.

    Raises DatabaseError.
    """
    r = repository_document.c
    columns = [r.unique_id, r.sha256, r.sha1, r.size, r.state, r.changed_at]
    for _, rows in batches(database, columns, [r.unique_id]):
        suspect = [(row, problem) for row in rows for problem in _check_row(store, row, at)]
        again = _still_there(database, [row.unique_id for row, _ in suspect])
        yield from (problem for row, problem in suspect if row.unique_id in again)
        progress(len(rows))


def _still_there(database: Database, unique_ids: Sequence[str]) -> frozenset[str]:
    """Those that were not purged, or forgotten, between the reading of their rows and the look at their blobs."""
    r = repository_document.c
    with database.read() as connection:
        found = connection.execute(select(r.unique_id).where(r.unique_id.in_(unique_ids)))
        return frozenset(found.scalars())


def _check_row(store: FileStore, row: Row[Any], at: int) -> Iterator[Problem]:
    place = f"document {row.unique_id}"
    if row.state not in (STORED, PENDING, WITHDRAWN):
        yield Problem("document-state", place, f"its state is {row.state!r}, expected stored, pending or withdrawn")
    if row.state == PENDING:
        text = (
            f"pending for {max(at - row.changed_at, 0) // 1_000_000} s: its registry has not answered yet, it is not served"
        )
        yield Problem("pending", place, text, Severity.NOTE)
    try:
        found = store.stat(row.sha256)
    except BlobMissing:
        yield Problem("blob-missing", place, f"its bytes are gone: no blob {row.sha256}")
    except StoreError as error:
        yield Problem("blob-unreadable", place, f"blob {row.sha256}: {error}")
    else:
        if found.size != row.size:
            text = f"blob {row.sha256} has {found.size} bytes, {row.size} were stored"
            yield Problem("blob-size", place, text)


def check_blobs(database: Database, store: FileStore, how: BlobCheck, progress: Progress) -> Iterator[Problem]:
    """Every blob: that a row refers to it, and, if `how.deep`, that its bytes are those that were stored.

    Counts what it finds in `how.orphans`. Raises DatabaseError, StoreUnavailable.
    """
    names = store.walk()
    while some := list(islice(names, BATCH)):
        owners = _owners(database, some)
        for sha256 in some:
            rows = owners.get(sha256, ())
            if not rows:
                yield from _check_orphan(store, sha256, how)
            elif how.deep:
                yield from _check_bytes(store, sha256, rows)
            progress(1)
    for name in store.quarantined():
        text = "bytes that were damaged were put aside here; see `liasse scrub`"
        yield Problem("quarantine", f"quarantine {name}", text, Severity.NOTE)


def _owners(database: Database, blobs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """(uniqueId, SHA-1) of the rows of each blob."""
    r = repository_document.c
    found: dict[str, list[tuple[str, str]]] = {}
    with database.read() as connection:
        for sha256, unique_id, sha1 in connection.execute(select(r.sha256, r.unique_id, r.sha1).where(r.sha256.in_(blobs))):
            found.setdefault(sha256, []).append((unique_id, sha1))
    return found


def _check_orphan(store: FileStore, sha256: str, how: BlobCheck) -> Iterator[Problem]:
    """A registration may be under way: only an old orphan is certain to be one."""
    try:
        found = store.stat(sha256)
        collected = how.collect and store.delete(sha256, unused_for=how.grace)
    except BlobMissing:
        return
    except StoreError as error:
        yield Problem("blob-unreadable", f"blob {sha256}", str(error))
        return
    how.orphans.count += 1
    how.orphans.size += found.size
    how.orphans.collected += collected
    if found.age >= how.grace:
        text = f"no document has these {found.size} bytes, stored {int(found.age)} s ago"
        text += ": collected" if collected else ": harmless, `liasse fsck --collect` removes them"
        yield Problem("orphan", f"blob {sha256}", text, Severity.NOTE)


def _check_bytes(store: FileStore, sha256: str, rows: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    names = ", ".join(unique_id for unique_id, _ in rows)
    try:
        found256, found1 = hashes(store, sha256)
    except BlobMissing:
        return  # removed or put into quarantine since it was listed: the check of its rows says so
    except StoreError as error:
        yield Problem("blob-unreadable", f"blob {sha256}", f"{error}; document {names}")
        return
    if found256 != sha256:
        yield Problem("blob-hash", f"blob {sha256}", f"its bytes hash to {found256}; document {names}: run `liasse scrub`")
        return
    for unique_id, sha1 in rows:
        if sha1 != found1:
            yield Problem("document-hash", f"document {unique_id}", f"its row says SHA-1 {sha1}, its bytes have {found1}")


def hashes(store: FileStore, sha256: str) -> tuple[str, str]:
    """SHA-256 and SHA-1 of a blob's bytes as they are now. Raises BlobMissing, StoreUnavailable."""
    first, second = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    with store.open(sha256) as file:
        try:
            while chunk := file.read(CHUNK):
                first.update(chunk)
                second.update(chunk)
        except OSError as error:
            raise StoreUnavailable(f"the blob cannot be read [{type(error).__name__}]") from None
    return first.hexdigest(), second.hexdigest()
