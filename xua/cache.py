"""Assertions that were verified: by the digest of their bytes, so many at most. What can change is checked at each use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from access_control.subject import Subject
from xua.conditions import Window
from xua.kinds.kind import AssertionKind
from xua.replay import Use

MOST_ENTRIES: Final = 4096


@dataclass(frozen=True, slots=True)
class Accepted:
    """An assertion that was accepted: what to check again (window, certificates, client), and what it says."""

    kind: AssertionKind
    subject: Subject
    assertion_id: str
    issuer: str
    window: Window
    certificates: tuple[bytes, ...]
    use: Use
    once: bool


class VerifiedCache:
    """A bounded map, least recently used out first. Safe to share between threads."""

    __slots__ = ("_entries", "_lock", "_most")

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._entries: OrderedDict[bytes, Accepted] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def get(self, digest: bytes) -> Accepted | None:
        """The entry of `digest`, the SHA-256 of the serialised assertion."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is not None:
                self._entries.move_to_end(digest)
            return entry

    def put(self, digest: bytes, entry: Accepted) -> None:
        """Remember an entry."""
        with self._lock:
            self._entries[digest] = entry
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        """Forget an entry that no longer holds."""
        with self._lock:
            self._entries.pop(digest, None)

    def __len__(self) -> int:
        return len(self._entries)
