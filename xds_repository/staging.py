"""Documents written aside while they arrive: hashed as they come, moved to their place later or thrown away.

Each process has files of its own in the staging directory, named after a lock file that it holds as long as it lives. What a
dead process left is recognised by its free lock and removed at the next start.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xds_repository.filesystem import FileSystem, try_lock_file
from xds_repository.store import StoreError, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def translated() -> Iterator[None]:
    """Our errors for what the file system raises."""
    try:
        yield
    except OSError as error:
        raise store_error(error) from None


def store_error(error: OSError) -> StoreError:
    """StoreFull when space is the reason, else StoreUnavailable; without the file's name."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    if error.errno in _NO_SPACE:
        return StoreFull(f"no space is left for documents [{name}]")
    return StoreUnavailable(f"the document store failed [{name}]")


class StagedFile:
    """A document while and after it arrives; a `soap.transaction.StagedPart`. Used by one thread at a time.

    `sha1`, `sha256` (lower-case hex) and `size` (bytes) are final after `close`.
    """

    def __init__(self, files: FileSystem, path: Path) -> None:
        self._files = files
        self.path = path
        self.size = 0
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._closed = False
        self._moved = False
        with translated():
            self._descriptor: int | None = files.create(path)

    @property
    def sha1(self) -> str:
        """Of the bytes written so far: what DocumentEntry.hash means. Source: IHE ITI TF-3 4.2.3.2.10."""
        return self._sha1.hexdigest()

    @property
    def sha256(self) -> str:
        """Of the bytes written so far: the name of the blob."""
        return self._sha256.hexdigest()

    def write(self, data: bytes) -> None:
        """Append. Raises StoreFull or StoreUnavailable; the file is then discarded."""
        if self._closed or self._descriptor is None:
            raise StoreUnavailable("bytes were written to a staged file that is closed or discarded")
        self._sha1.update(data)
        self._sha256.update(data)
        rest = memoryview(data)
        try:
            with translated():
                while rest:
                    rest = rest[self._files.write(self._descriptor, rest) :]
        except StoreError:
            self.discard()
            raise
        self.size += len(data)

    def close(self) -> None:
        """No more bytes follow."""
        self._closed = True

    def open(self) -> BinaryIO:
        """Read what was written, from its beginning, while it is still staged. Raises StoreUnavailable."""
        with translated():
            return self.path.open("rb")

    def discard(self) -> None:
        """Forget the bytes; without effect after they were moved to their place. Never raises."""
        self.release()
        if not self._moved:
            self._moved = True
            with suppress(OSError):
                self._files.unlink(self.path)

    def make_durable(self) -> None:
        """Bring the bytes to the disk. After an error the file must be discarded: trying again proves nothing."""
        if self._descriptor is None:
            raise StoreUnavailable("a staged file was to be stored that is discarded or stored already")
        with translated():
            self._files.sync(self._descriptor)

    def move(self, target: Path) -> None:
        """Give the file its final name."""
        with translated():
            self._files.rename(self.path, target)
        self._moved = True
        self.release()

    def release(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                self._files.close(descriptor)


class StagingArea:
    """The staging directory, as one process sees it. Thread-safe; a forked child gets files of its own."""

    def __init__(self, directory: Path, files: FileSystem) -> None:
        self.directory = directory
        self._files = files
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._owner: tuple[int, str, int] | None = None

    def new_file(self) -> StagedFile:
        """An empty staged file. Raises StoreFull, StoreUnavailable."""
        return StagedFile(self._files, self.directory / f"{self._token()}.{next(self._numbers)}")

    def clean(self) -> int:
        """Remove what processes that no longer live have left; returns the number of files. Raises StoreUnavailable."""
        removed = 0
        with translated():
            names = [name for name in os.listdir(self.directory) if not name.endswith(".lock")]
            for token in sorted({name.split(".")[0] for name in os.listdir(self.directory)}):
                removed += self._clean_token(token, [name for name in names if name.split(".")[0] == token])
        if removed:
            log.info("removed %d staged files of processes that ended", removed)
        return removed

    def close(self) -> None:
        """Give up the process's lock: what it still has staged may be cleaned by anyone."""
        with self._lock:
            if self._owner is not None and self._owner[0] == os.getpid():
                _, token, descriptor = self._owner
                with suppress(OSError):
                    self._files.unlink(self.directory / f"{token}.lock")
                os.close(descriptor)
            self._owner = None

    def _clean_token(self, token: str, names: list[str]) -> int:
        lock = self.directory / f"{token}.lock"
        descriptor = None
        if lock.exists():
            descriptor = try_lock_file(lock, create=False)
            if descriptor is None:
                return 0
        for name in names:
            self._files.unlink(self.directory / name)
        if descriptor is not None:
            self._files.unlink(lock)
            os.close(descriptor)
        return len(names)

    def _token(self) -> str:
        with self._lock:
            if self._owner is None or self._owner[0] != os.getpid():
                token = secrets.token_hex(8)
                with translated():
                    descriptor = try_lock_file(self.directory / f"{token}.lock", create=True)
                if descriptor is None:
                    raise StoreUnavailable("the staging directory gave no lock of our own")
                self._owner = (os.getpid(), token, descriptor)
            return self._owner[1]
