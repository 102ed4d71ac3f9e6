"""Documents as files, named by the SHA-256 of their content, in 256 folders by its first byte.

A blob is written aside, made durable, given its name, and its folder made durable; only then `commit` returns. A blob that
is there already is replaced by the same bytes: that takes the same time whether it was there or not, and repairs it if it
was damaged. Nothing is ever changed in place.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from xds_repository.filesystem import FileSystem, locked
from xds_repository.staging import StagedFile, StagingArea, store_error, translated
from xds_repository.store import BlobCorrupt, BlobMissing, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

SMALL = 1 << 20
"""Bytes: up to this size a blob is verified before the first byte is given."""

CHUNK = 1 << 19
"""Bytes read and hashed at once: half as many steps as with 256 kB bring 50 MB from half to 70 % of a plain copy's speed."""

LEAST_SHARE = 0.05
LEAST_BYTES = 2_000_000_000
"""Deposits stop when less is free than this share of the disk, or than these bytes, whichever is less."""

GRACE = 86_400.0
"""Seconds: a blob younger than this is never deleted, its registration may be under way."""

_NAME = re.compile(r"[0-9a-f]{64}")
_FOLDERS = tuple(f"{n:02x}" for n in range(256))


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the disk that holds the store: all, free for us, and how many must stay free."""

    total: int
    free: int
    least: int


@dataclass(frozen=True, slots=True)
class BlobStat:
    """What the file system says of a blob: its bytes, and the seconds since it was last stored."""

    size: int
    age: float


class FileStore:
    """A store below `directory`; staging is on the same file system. Thread-safe, shared by processes.

    `free_space` in bytes: deposits stop when less is free; None: 5 % of the disk or 2 GB, whichever is less.
    """

    def __init__(self, directory: Path, *, free_space: int | None = None, files: FileSystem | None = None) -> None:
        self.directory = directory
        self._files = files or FileSystem()
        self._blobs = directory / "blobs"
        self._blobs_name = str(self._blobs)
        self._quarantine = directory / "quarantine"
        self._staging = StagingArea(directory / "staging", self._files)
        self._free_space = free_space

    def init(self) -> None:
        """Make and sync the directories; what exists stays. Raises StoreFull, StoreUnavailable."""
        with translated():
            missing = list(itertools.takewhile(lambda d: not d.exists(), (self.directory, *self.directory.parents)))
            for directory in (*reversed(missing), self._blobs, self._staging.directory, self._quarantine):
                self._files.make_directory(directory)
                self._files.sync_directory(directory.parent)
            for name in _FOLDERS:
                self._files.make_directory(self._blobs / name)
            self._files.sync_directory(self._blobs)

    def start(self) -> None:
        """Check that the store is initialised and sound, and clean what dead processes left. Raises StoreUnavailable."""
        with translated():
            present = set(os.listdir(self._blobs)) if self._blobs.is_dir() else set()
            if not present.issuperset(_FOLDERS) or not self._staging.directory.is_dir() or not self._quarantine.is_dir():
                raise StoreUnavailable("the document store is not initialised: run `liasse init`")
            devices = {d.stat().st_dev for d in (self._staging.directory, *(self._blobs / name for name in _FOLDERS))}
        if len(devices) != 1:
            raise StoreUnavailable(
                "staging and documents are on different file systems: a file could not be moved in one step"
            )
        self._staging.clean()

    def close(self) -> None:
        """Give back what the process holds; staged files it still has are left to the next start."""
        self._staging.close()

    def space(self) -> Space:
        """How much room there is. Raises StoreUnavailable."""
        with translated():
            found = os.statvfs(self._blobs)
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        least = self._free_space
        return Space(total, free, min(int(total * LEAST_SHARE), LEAST_BYTES) if least is None else least)

    def stage(self) -> StagedFile:
        """A new file to receive a document. Raises StoreFull (below the low-water mark, too), StoreUnavailable."""
        space = self.space()
        if space.free < space.least:
            raise StoreFull(f"{space.free} bytes are free, {space.least} must stay free: deposits are refused")
        return self._staging.new_file()

    def commit(self, staged: StagedFile) -> None:
        """Store a closed file: durable when this returns. Raises StoreFull, StoreUnavailable; it is then to be discarded."""
        self.commit_all([staged])

    def commit_all(self, staged: Sequence[StagedFile]) -> None:
        """Store several closed files; after an error some may be stored, which harms nothing: nobody refers to them."""
        for file in staged:
            file.close()
            file.make_durable()
        for folder, files in itertools.groupby(
            sorted(staged, key=lambda f: f.sha256), key=lambda f: self._blobs / f.sha256[:2]
        ):
            self._commit_folder(folder, files)

    def exists(self, sha256: str) -> bool:
        """Whether there is such a blob; its bytes are not verified."""
        return self._path(sha256).is_file()

    def stat(self, sha256: str) -> BlobStat:
        """Size and age of a blob; its bytes are not read. Raises BlobMissing, StoreUnavailable."""
        try:
            found = self._path(sha256).stat()
        except FileNotFoundError:
            raise BlobMissing("the document store has no such blob") from None
        except OSError as error:
            raise store_error(error) from None
        return BlobStat(found.st_size, max(time.time() - found.st_ctime, 0.0))

    def open(self, sha256: str) -> BinaryIO:
        """The blob's bytes as they are, not verified. Raises BlobMissing, StoreUnavailable."""
        try:
            # Unbuffered: every read takes all it can, and a small document is one read.
            return cast("BinaryIO", open(self._name(sha256), "rb", buffering=0))
        except FileNotFoundError:
            raise BlobMissing("the document store has no such blob") from None
        except OSError as error:
            raise store_error(error) from None

    def link(self, sha256: str, target: Path) -> bool:
        """Give a blob a second name at `target`; False where the file system cannot. Raises BlobMissing, StoreUnavailable.

        It counts as stored just now, from then on.
        """
        try:
            os.link(self._path(sha256), target)
        except FileNotFoundError:
            raise BlobMissing("the document store has no such blob") from None
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                return False
            raise store_error(error) from None
        return True

    def read_verified(self, sha256: str, size: int) -> Iterator[bytes]:
        """The blob's bytes, never all of them when they are not what was stored.

        Up to 1 MB they are verified before this returns. A larger blob is hashed while it is given out, and its last piece
        is held back until the hash agrees; else the iterator raises. A damaged blob goes into quarantine.
        Raises BlobMissing, BlobCorrupt, StoreUnavailable.
        """
        with self.open(sha256) as file, translated():
            found = os.fstat(file.fileno()).st_size
            if found == size <= SMALL:
                data = file.read()
                if hashlib.sha256(data).hexdigest() == sha256:
                    return iter((data,))
        if size <= SMALL or found != size:
            raise self._corrupt(sha256)
        return self._stream(sha256)

    def verify(self, sha256: str) -> int:
        """Hash a blob; returns its size. Raises BlobCorrupt (it is in quarantine then), BlobMissing, StoreUnavailable."""
        return sum(len(chunk) for chunk in self._stream(sha256))

    def delete(self, sha256: str, *, unused_for: float = GRACE) -> bool:
        """Remove a blob that nobody refers to; False when it is not there or was stored less than `unused_for` seconds ago.

        A commit of the same bytes meanwhile either comes first, and the blob stays, or later, and stores it anew.
        Raises StoreUnavailable.
        """
        path = self._path(sha256)
        with translated(), locked(path.parent, exclusive=True):
            try:
                age = time.time() - path.stat().st_ctime
            except FileNotFoundError:
                return False
            if age < unused_for:
                return False
            self._files.unlink(path)
            self._files.sync_directory(path.parent)
        return True

    def walk(self, after: str = "") -> Iterator[str]:
        """The names of all blobs, in order, beginning after `after`. Raises StoreUnavailable."""
        for folder in _FOLDERS:
            if folder < after[:2]:
                continue
            with translated():
                names = sorted(os.listdir(self._blobs / folder))
            yield from (name for name in names if name > after and _NAME.fullmatch(name))

    def quarantined(self) -> list[str]:
        """The names of the files in quarantine. Raises StoreUnavailable."""
        with translated():
            return sorted(os.listdir(self._quarantine))

    def _commit_folder(self, folder: Path, files: Iterable[StagedFile]) -> None:
        with translated(), locked(folder, exclusive=False):
            for file in files:
                file.move(folder / file.sha256)
            self._files.sync_directory(folder)

    def _stream(self, sha256: str) -> Iterator[bytes]:
        digest, held = hashlib.sha256(), b""
        with self.open(sha256) as file, translated():
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if held:
                    yield held
                held = chunk
        if digest.hexdigest() != sha256:
            raise self._corrupt(sha256)
        yield held

    def _corrupt(self, sha256: str) -> BlobCorrupt:
        """Put a damaged blob aside, once a second look, with the folder locked, confirms the damage."""
        path = self._path(sha256)
        with translated(), locked(path.parent, exclusive=True):
            if path.is_file() and _hash(path) != sha256:
                self._files.rename(path, self._quarantine / f"{sha256}.{time.time_ns()}")
                self._files.sync_directory(self._quarantine)
                self._files.sync_directory(path.parent)
                log.error("a stored document does not have its hash any more: it is in quarantine")
        return BlobCorrupt("the stored document does not have its hash or size any more")

    def _path(self, sha256: str) -> Path:
        return Path(self._name(sha256))

    def _name(self, sha256: str) -> str:
        if not _NAME.fullmatch(sha256):
            raise BlobMissing("a blob is named by 64 lower-case hex digits")
        return f"{self._blobs_name}/{sha256[:2]}/{sha256}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
