"""Every change that the document store makes to the file system, one method each.

They are few so that tests can record them, fail the n-th of them, and replay any prefix as a power loss would leave it.
Durable after a power loss is only: the bytes of a file after `sync`, a name after `sync_directory` of its directory.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileSystem:
    """The real one. All methods raise OSError."""

    def create(self, path: Path) -> int:
        """A new file, open for writing: its descriptor. The name must be free."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Append; returns how many bytes were taken, perhaps fewer than given."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make the bytes of a file durable."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Move a name; a file already at `target` is replaced in one step."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Remove a name; a missing one is no error."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        """A directory for this user only; an existing one is no error."""
        path.mkdir(mode=0o700, exist_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(directory: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a directory, between processes too. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def try_lock_file(path: Path, *, create: bool) -> int | None:
    """A descriptor that holds the lock of the file at `path`, or None when another process holds it. Raises OSError.

    The kernel drops the lock when the last process that has the descriptor ends, however it ends.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # removed by a cleaner between open and lock
        if not create:
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
