"""`liasse restore`: a backup into an empty storage folder, and an empty database where that is PostgreSQL.

The documents first, the SQLite database last: a restoration that was interrupted leaves no storage that could be served.
Source: security reference R10 (documents no older than the registry).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy import make_url

from database.engine import open_database
from database.schema import REVISIONS, check_schema, current_schema
from database.sqlite import sync_directory
from liasse.backup import (
    BLOB_LIST,
    BLOBS,
    SQLITE,
    BackupError,
    Manifest,
    Progress,
    copy_hashed,
    file_sha256,
    listed_blobs,
    read_manifest,
)
from liasse.postgres_tools import load
from liasse.settings import Settings
from xds_repository.file_store import CHUNK, FileStore


def restore(settings: Settings, source: Path, progress: Progress | None = None) -> Manifest:
    """Fill the storage of `settings` from the backup in `source`; everything is hashed on the way.

    Raises BackupError: storage not empty, another repositoryUniqueId, another kind of database, a newer schema, or damage;
    also DatabaseError and StoreError.
    """
    progress = progress or Progress()
    manifest = read_manifest(source)
    _check_fit(settings, manifest)
    _check_empty(settings)
    progress.step("checking the backup")
    for name, expected in ((manifest.database, manifest.database_sha256), (BLOB_LIST, manifest.blob_list_sha256)):
        _check_hash(source / name, expected)
    try:
        progress.step("documents")
        _restore_blobs(settings.storage.directory, source, manifest, progress)
        progress.step("database")
        _restore_database(settings, source / manifest.database)
    except OSError as error:
        raise BackupError(f"the storage could not be written: {error.strerror}; empty it and begin again") from None
    with open_database(settings.storage.database_place) as database:
        check_schema(database)
    return manifest


def _check_fit(settings: Settings, manifest: Manifest) -> None:
    if manifest.repository != settings.repository.unique_id:
        raise BackupError(
            f"repository.unique_id is {settings.repository.unique_id}, the backup is of {manifest.repository}: "
            "its documents could not be retrieved"
        )
    if manifest.schema not in REVISIONS:
        raise BackupError(f"the backup has schema {manifest.schema}, which this program does not know: use a newer release")
    if (manifest.database == SQLITE) != (_sqlite_file(settings) is not None):
        raise BackupError(f"the backup holds {manifest.database}, storage.database asks for the other kind of database")


def _sqlite_file(settings: Settings) -> Path | None:
    """The SQLite file of the settings, None where they name another database."""
    place = settings.storage.database_place
    if "://" not in place:
        return Path(place)
    url = make_url(place)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _check_empty(settings: Settings) -> None:
    directory = settings.storage.directory
    if directory.exists() and any(directory.iterdir()):
        raise BackupError(f"storage.directory: {directory} is not empty; a backup is restored into an empty folder only")
    path = _sqlite_file(settings)
    if path is None:
        with open_database(settings.storage.database_place) as database:
            if current_schema(database) is not None:
                raise BackupError("storage.database: the database has tables; a backup is restored into an empty one only")
    elif path.exists():
        raise BackupError(f"storage.database: {path} exists; a backup is restored into an empty storage only")


def _check_hash(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}: the backup is not whole") from None
    if found != expected:
        raise BackupError(f"{path} is damaged: its hash is {found}, the manifest says {expected}")


def _restore_blobs(directory: Path, source: Path, manifest: Manifest, progress: Progress) -> None:
    FileStore(directory).init()
    count = 0
    for sha256, size in listed_blobs(source):
        _copy(source / BLOBS / sha256[:2] / sha256, directory / BLOBS / sha256[:2] / sha256, sha256, size)
        count += 1
        progress.copied(size)
    if count != manifest.blobs:
        raise BackupError(f"{source / BLOB_LIST} names {count} documents, the manifest says {manifest.blobs}")
    os.sync()  # all documents durable before there is a database that names them


def _copy(source: Path, target: Path, sha256: str, size: int) -> None:
    try:
        with source.open("rb") as file, target.open("xb") as out:
            found = copy_hashed(iter(lambda: file.read(CHUNK), b""), out.write)
    except FileNotFoundError:
        raise BackupError(f"the backup lacks the document {sha256}") from None
    target.chmod(0o600)
    if found != (sha256, size):
        raise BackupError(f"the backup's document {sha256} is damaged")


def _restore_database(settings: Settings, copy: Path) -> None:
    path = _sqlite_file(settings)
    if path is None:
        load(settings.storage.database_place, copy)
        return
    aside = path.with_name(path.name + ".restoring")
    with copy.open("rb") as source, aside.open("xb") as out:
        shutil.copyfileobj(source, out, CHUNK)
        out.flush()
        os.fsync(out.fileno())
    aside.chmod(0o600)
    aside.rename(path)
    sync_directory(path.parent)
