"""`liasse backup`: database first, then documents, then a manifest. What the database names is then in the backup.

The server may run: the database is copied as of one moment, documents never change, and a document that is purged
meanwhile is missed only if its row is gone too. A folder without manifest is no backup. Layout: `manifest.json`,
`liasse.sqlite` or `liasse.pgdump`, `blobs/xx/…`, `blobs.txt` (one line a blob: SHA-256 and size), `config.toml`.
Source: DESIGN 5; security reference R10 (snapshot of the registry no later than the set of documents).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from database.handle import Database
from database.problem import batches
from database.schema import current_schema
from database.sqlite import SqliteDatabase
from liasse.postgres_tools import dump
from liasse.settings import Settings
from xds_repository.file_store import CHUNK, FileStore
from xds_repository.store import BlobMissing
from xds_repository.tables import repository_document

FORMAT = 1
MANIFEST, BLOBS, BLOB_LIST, CONFIG, CODES = "manifest.json", "blobs", "blobs.txt", "config.toml", "codes.json"
SQLITE, POSTGRESQL = "liasse.sqlite", "liasse.pgdump"


class BackupError(Exception):
    """A backup or a restoration that did not succeed; the text says why and what is left."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is. Hashes in lower-case hex, sizes in bytes; `made_at`: microseconds since 1970 UTC."""

    format: int
    made_at: int
    repository: str
    profile: str
    schema: str
    database: str
    database_sha256: str
    blobs: int
    blobs_size: int
    blob_list_sha256: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Told what is being done, and each document's bytes."""

    step: Callable[[str], None] = lambda _text: None
    copied: Callable[[int], None] = lambda _size: None


def back_up(
    settings: Settings,
    database: Database,
    store: FileStore,
    target: Path,
    config: Path | None = None,
    *,
    link: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write a backup into `target`, which must be absent or empty. `link`: documents are hard links where that is possible.

    Every document is hashed while it is copied. Raises BackupError; also DatabaseError and StoreError for what is backed up.
    """
    progress = progress or Progress()
    _make_empty(target)
    made_at = time.time_ns() // 1000
    try:
        progress.step("database")
        name = _copy_database(settings, database, target)
        progress.step("documents")
        blobs, size = _copy_blobs(store, target, link=link, progress=progress)
        _check_complete(database, target, made_at)
        _copy_settings(settings, config, target)
        manifest = Manifest(
            format=FORMAT,
            made_at=made_at,
            repository=settings.repository.unique_id,
            profile=settings.profile,
            schema=current_schema(database) or "",
            database=name,
            database_sha256=file_sha256(target / name),
            blobs=blobs,
            blobs_size=size,
            blob_list_sha256=file_sha256(target / BLOB_LIST),
        )
        os.sync()  # everything before the manifest that says it is there
        _write_manifest(target, manifest)
    except OSError as error:
        raise BackupError(f"{target}: the backup could not be written: {error.strerror}; it has no manifest") from None
    return manifest


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise BackupError(f"{target} is not empty: a backup is written into a folder of its own")
    except OSError as error:
        raise BackupError(f"{target}: {error.strerror}") from None


def _copy_database(settings: Settings, database: Database, target: Path) -> str:
    if isinstance(database, SqliteDatabase):
        database.copy_to(target / SQLITE)
        (target / SQLITE).chmod(0o600)
        return SQLITE
    dump(settings.storage.database_place, target / POSTGRESQL)
    return POSTGRESQL


def _copy_blobs(store: FileStore, target: Path, *, link: bool, progress: Progress) -> tuple[int, int]:
    """Copy all documents and list them; returns their number and bytes."""
    count = total = 0
    folder = target / BLOBS
    folder.mkdir(mode=0o700)
    with _create(target / BLOB_LIST) as listed:
        for sha256 in store.walk():
            (folder / sha256[:2]).mkdir(mode=0o700, exist_ok=True)
            try:
                size = _copy_blob(store, sha256, folder / sha256[:2] / sha256, link=link)
            except BlobMissing:
                continue  # purged or collected since it was listed
            listed.write(f"{sha256} {size}\n")
            count, total = count + 1, total + size
            progress.copied(size)
    return count, total


def _copy_blob(store: FileStore, sha256: str, path: Path, *, link: bool) -> int:
    """Copy one document, its bytes hashed on the way. Raises BackupError for damaged ones."""
    if link and store.link(sha256, path):
        found, size = file_sha256(path), path.stat().st_size
    else:
        with store.open(sha256) as source, path.open("xb") as out:
            found, size = copy_hashed(iter(lambda: source.read(CHUNK), b""), out.write)
        path.chmod(0o600)
    if found != sha256:
        raise BackupError(f"blob {sha256} is damaged: run `liasse scrub` and restore that document; nothing was backed up")
    return size


def _check_complete(database: Database, target: Path, made_at: int) -> None:
    """Every row that the copied database has, and that still exists, has its document in the backup."""
    r = repository_document.c
    for _, rows in batches(database, [r.unique_id, r.sha256, r.changed_at], [r.unique_id]):
        for row in rows:
            if row.changed_at < made_at and not (target / BLOBS / row.sha256[:2] / row.sha256).exists():
                raise BackupError(
                    f"document {row.unique_id} has no bytes in the store: run `liasse fsck`; no manifest written"
                )


def _copy_settings(settings: Settings, config: Path | None, target: Path) -> None:
    """The settings file and the affinity domain's codes, where they are files. They may hold a password: mode 0600."""
    codes = Path(settings.affinity_domain.codes) if "/" in settings.affinity_domain.codes else None
    for source, name in ((config, CONFIG), (codes, CODES)):
        if source is not None:
            shutil.copyfile(source, target / name)
            (target / name).chmod(0o600)


def _write_manifest(target: Path, manifest: Manifest) -> None:
    with _create(target / MANIFEST) as out:
        json.dump(asdict(manifest), out, indent=2)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    os.sync()


def _create(path: Path) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="ascii")


def read_manifest(source: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError where the folder holds none that this program knows."""
    try:
        data = json.loads((source / MANIFEST).read_text(encoding="ascii"))
        manifest = Manifest(**data)
    except OSError:
        raise BackupError(f"{source} holds no {MANIFEST}: it is no backup, or one that was not finished") from None
    except (ValueError, TypeError):
        raise BackupError(f"{source / MANIFEST} is not readable as a manifest") from None
    if manifest.format != FORMAT:
        raise BackupError(f"{source} has format {manifest.format}, this program knows {FORMAT}")
    return manifest


def listed_blobs(source: Path) -> Iterator[tuple[str, int]]:
    """(SHA-256, size) of every document of a backup. Raises BackupError for a line of another kind."""
    with (source / BLOB_LIST).open(encoding="ascii") as lines:
        for line in lines:
            sha256, _, size = line.rstrip("\n").partition(" ")
            if len(sha256) != 64 or not size.isdecimal():
                raise BackupError(f"{source / BLOB_LIST}: a line is not a hash and a size")
            yield sha256, int(size)


def file_sha256(path: Path) -> str:
    """The hash of a file, lower-case hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_hashed(chunks: Iterator[bytes], write: Callable[[bytes], object]) -> tuple[str, int]:
    """Write all chunks; returns their SHA-256 and size."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
