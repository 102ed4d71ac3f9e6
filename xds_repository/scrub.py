"""Scrubbing: every stored blob is hashed anew, so that decay is found while a good copy may still exist elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xds_repository.file_store import FileStore
from xds_repository.store import BlobCorrupt, BlobMissing, StoreUnavailable


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What a walk found: counts of blobs and bytes that are sound, and the names of those that are not.

    `corrupt` blobs are in quarantine now. `unreadable` ones gave an input/output error: a disk to replace.
    """

    blobs: int
    size: int
    corrupt: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether every blob was what it must be."""
        return not self.corrupt and not self.unreadable


def scrub_blobs(
    store: FileStore,
    *,
    after: str = "",
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> ScrubReport:
    """Verify all blobs whose names follow `after`; those removed meanwhile are passed over.

    `progress(name, size)` is called after each sound blob: keep the name to resume there. `stop()` ends the walk early.
    Raises StoreUnavailable when the store's directories cannot be read.
    """
    blobs = size = 0
    corrupt: list[str] = []
    unreadable: list[str] = []
    for name in store.walk(after):
        if stop is not None and stop():
            break
        try:
            found = store.verify(name)
        except BlobMissing:
            continue
        except BlobCorrupt:
            corrupt.append(name)
        except StoreUnavailable:
            unreadable.append(name)
        else:
            blobs, size = blobs + 1, size + found
            if progress is not None:
                progress(name, found)
    return ScrubReport(blobs, size, tuple(corrupt), tuple(unreadable))
