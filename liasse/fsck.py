"""`liasse fsck`: is everything that was acknowledged there, whole, and in agreement? Reads only, beside a running server.

The registry's and the repository's own checks, and those that need both: each entry of this repository against its
document row, each document row against its entries, each submission against the journal; and the journal's own chain.
Source: DESIGN 12; the guarantees R1 to R4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, select, text

from database.handle import Database
from database.problem import Problem, Severity, batches, count_rows
from journal.head import registered_keys
from journal.tables import journal_row
from journal.verify import Verification, check_ends, extent
from xds_registry import tables as t
from xds_registry.integrity import CHECKED, check_registry
from xds_registry.vocabulary import Kind
from xds_repository.documents import STORED, StoredDocument, find_documents
from xds_repository.file_store import FileStore
from xds_repository.integrity import BlobCheck, check_blobs, check_documents
from xds_repository.tables import repository_document

Progress = Callable[[int], None]
"""Called with the number of rows or blobs just checked."""

_STABLE = 1
_PASSES = (t.entry, repository_document, t.set_identity, repository_document, *CHECKED)


@dataclass(slots=True)
class Fsck:
    """One run. `remote`: the registry of this repository is elsewhere. `at`: microseconds since 1970 UTC.

    `following`: the confidentiality codes that follow a document, as the access policy has it. `found` counts problems by
    severity as they are given.
    """

    database: Database
    store: FileStore
    repository: str
    remote: bool
    at: int
    blobs: BlobCheck = field(default_factory=BlobCheck)
    following: frozenset[str] = frozenset()
    found: Counter[Severity] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether no error was found."""
        return not self.found[Severity.ERROR]

    def total(self) -> int:
        """How many rows `run` will go through, blobs apart. Raises DatabaseError."""
        sealed = extent(self.database).rows if self.blobs.deep else 0
        return sum(count_rows(self.database, table) for table in _PASSES) + sealed

    def run(self, progress: Progress = lambda _count: None) -> Iterator[Problem]:
        """Every problem, as it is found. Raises DatabaseError, StoreError where nothing can be read at all."""
        for problem in self._run(progress):
            self.found[problem.severity] += 1
            yield problem

    def _run(self, progress: Progress) -> Iterator[Problem]:
        if self.blobs.deep:
            yield from _check_file(self.database)
        yield from check_registry(self.database, progress, self.following)
        yield from self._entries(progress)
        yield from check_documents(self.database, self.store, self.at, progress)
        if not self.remote:
            yield from self._documents(progress)
        yield from self._submissions(progress)
        yield from check_blobs(self.database, self.store, self.blobs, progress)
        yield from self._journal(progress)

    def _journal(self, progress: Progress) -> Iterator[Problem]:
        """The journal's numbers end where its newest head says; `deep`: every row is what was sealed.

        Signatures are checked with the keys that the journal itself holds; `liasse journal verify` asks whether these are
        genuine.
        """
        if not self.blobs.deep:
            yield from check_ends(self.database)
            return
        with self.database.read() as connection:
            keys = {entry.public.id: entry.public for entry in registered_keys(connection)}
        for problem in Verification(self.database, keys, self.at).run(progress):
            harmless = problem.rule == "seal-late"  # the server does not run
            yield replace(problem, severity=Severity.NOTE) if harmless else problem

    def _entries(self, progress: Progress) -> Iterator[Problem]:
        """Each entry of this repository has its document row, which says the same."""
        e = t.entry.c
        columns = [e.patient, e.id, e.unique_id, e.hash, e.size, e.withdrawn]
        ours = (e.repository == self.repository) & (e.stable == _STABLE)
        for connection, rows in batches(self.database, columns, [e.patient, e.id], ours):
            unique_ids = sorted({row.unique_id for row in rows})
            known = {d.unique_id: d for d in find_documents(connection, unique_ids)}
            for row in rows:
                yield from _against_document(row, known.get(row.unique_id))
            progress(len(rows))

    def _documents(self, progress: Progress) -> Iterator[Problem]:
        """Each document row of a repository with its own registry belongs to an entry, and is served if one is visible."""
        r, e = repository_document.c, t.entry.c
        for connection, rows in batches(self.database, [r.unique_id, r.state], [r.unique_id]):
            visible: dict[str, bool] = {}
            asked = select(e.unique_id, e.withdrawn).where(e.unique_id.in_([row.unique_id for row in rows]))
            for unique_id, withdrawn in connection.execute(asked):
                visible[unique_id] = visible.get(unique_id, False) or not withdrawn
            for row in rows:
                place = f"document {row.unique_id}"
                if row.unique_id not in visible:
                    yield Problem("document-without-entry", place, f"state {row.state}, and no entry has this uniqueId")
                elif row.state == STORED and not visible[row.unique_id]:
                    yield Problem("served-withdrawn", place, "it is served, all its entries are withdrawn")
            progress(len(rows))

    def _submissions(self, progress: Progress) -> Iterator[Problem]:
        """Each acknowledged submission has a journal row of its time and digest."""
        s = t.set_identity.c
        columns = [s.unique_id, s.patient, s.kind, s.digest, s.answered_at]
        for connection, rows in batches(self.database, columns, [s.unique_id]):
            for row in rows:
                if row.kind == Kind.SUBMISSION_SET and row.digest not in _journaled(connection, row):
                    yield Problem(
                        "not-journaled",
                        f"submission set uniqueId {row.unique_id}",
                        "no journal row of its patient, its time and its digest",
                    )
            progress(len(rows))


def _journaled(connection: Connection, row: Row[Any]) -> set[str]:
    """The digests journaled for the patient in the microsecond of a registration; ids begin with their time."""
    j, moment = journal_row.c, f"{row.answered_at:016x}"
    asked = select(j.request_digest).where(j.patient == row.patient, j.id >= moment, j.id < moment + "g")
    return set(connection.execute(asked).scalars())


def _against_document(row: Row[Any], document: StoredDocument | None) -> Iterator[Problem]:
    place = f"entry {row.id}"
    if document is None:
        yield Problem("document-missing", place, f"the repository knows no document {row.unique_id}")
        return
    if (document.sha1, document.size) != (row.hash, row.size):
        found = f"hash {document.sha1}, size {document.size}"
        yield Problem(
            "document-differs", place, f"document {row.unique_id} has {found}; the entry hash {row.hash}, size {row.size}"
        )
    if not row.withdrawn and document.state != STORED:
        yield Problem("not-served", place, f"it is visible, its document {row.unique_id} is {document.state}")


def _check_file(database: Database) -> Iterator[Problem]:
    """SQLite looks through its file; PostgreSQL has page checksums and tools of its own."""
    if database.kind != "sqlite":
        return
    with database.read() as connection:
        found = connection.execute(text("PRAGMA integrity_check(20)")).scalars().all()
    for line in found:
        if line != "ok":
            yield Problem("sqlite", "database file", line)
