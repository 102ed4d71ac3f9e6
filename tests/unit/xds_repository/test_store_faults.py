"""Second names of blobs, and blobs that cannot be read: what the store says, and what `fsck` says of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from database import Database
from xds_repository.file_store import FileStore
from xds_repository.integrity import BlobCheck, check_blobs, hashes
from xds_repository.store import BlobMissing, StoreUnavailable


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    made = FileStore(tmp_path / "documents", free_space=0)
    made.init()
    made.start()
    yield made
    made.close()


def put(store: FileStore, data: bytes) -> str:
    staged = store.stage()
    staged.write(data)
    staged.close()
    store.commit(staged)
    return staged.sha256


def blob(store: FileStore, sha256: str) -> Path:
    return store.directory / "blobs" / sha256[:2] / sha256


def unreadable(store: FileStore, sha256: str) -> None:
    """A folder where the bytes should be: opening it works for no reader, whoever it is."""
    blob(store, sha256).unlink()
    blob(store, sha256).mkdir()


def test_a_second_name_has_the_same_bytes_and_outlives_the_first(store: FileStore, tmp_path: Path) -> None:
    sha256 = put(store, b"a document")
    assert store.link(sha256, tmp_path / "copy")
    blob(store, sha256).unlink()
    assert (tmp_path / "copy").read_bytes() == b"a document"


def test_a_second_name_on_another_file_system_is_refused_without_error(store: FileStore, tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        assert not store.link(put(store, b"a document"), Path(folder) / "copy")
        assert list(Path(folder).iterdir()) == []


def test_a_second_name_of_nothing_or_in_a_taken_place_is_an_error(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        store.link("0" * 64, tmp_path / "copy")
    (tmp_path / "taken").write_bytes(b"precious")
    with pytest.raises(StoreUnavailable):
        store.link(put(store, b"a document"), tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"precious"


def test_what_cannot_be_read_is_an_error_of_the_store(store: FileStore) -> None:
    sha256 = put(store, b"a document")
    unreadable(store, sha256)
    with pytest.raises(StoreUnavailable):
        hashes(store, sha256)


def test_an_orphan_that_cannot_be_read_is_counted_or_reported_but_never_removed(
    store: FileStore, database: Database
) -> None:
    sha256, other = put(store, b"a document"), put(store, b"another")
    unreadable(store, sha256)
    how = BlobCheck(deep=True, collect=True)
    found = list(check_blobs(database, store, how, lambda _count: None))
    assert blob(store, sha256).is_dir()
    assert blob(store, other).read_bytes() == b"another"  # too young to be certain
    assert how.orphans.collected == 0
    assert {problem.rule for problem in found} <= {"blob-unreadable", "orphan"}
