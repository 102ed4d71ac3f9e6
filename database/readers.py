"""Connections for reading SQLite on the driver's own cursor, the last one given back lent first: its caches are warm.

A cursor is closed before its connection is lent again. Else the driver would reset its statement when it forgets the
cursor, at some time, in some thread, perhaps while the next borrower of the connection runs the very same statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from database.errors import DatabaseBusy


class Readers:
    """At most `size` connections made by `connect`, opened when needed. Thread-safe."""

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._free: list[Any] = []
        self._left = size
        self._generation = 0
        self._changed = threading.Condition(threading.Lock())

    def take(self, timeout: float) -> tuple[Any, int]:
        """A connection and the generation to give it back with. Raises DatabaseBusy, and what `connect` raises."""
        with self._changed:
            while True:
                if self._free:
                    return self._free.pop(), self._generation
                if self._left:
                    self._left -= 1
                    generation = self._generation
                    break
                if not self._changed.wait(timeout):
                    raise DatabaseBusy("no connection for reading became free in time")
        try:
            return self._connect(), generation
        except BaseException:
            self._freed()
            raise

    def give(self, connection: Any, generation: int) -> None:
        """Give a sound connection back, outside any transaction."""
        with self._changed:
            if generation == self._generation:
                self._free.append(connection)
                self._changed.notify()
                return
        self.drop(connection)

    def drop(self, connection: Any) -> None:
        """Give back a connection that is not to be used again."""
        connection.close()
        self._freed()

    def dispose(self) -> None:
        """Close all; those that are lent are closed when they come back."""
        with self._changed:
            self._generation += 1
            free, self._free = self._free, []
        for connection in free:
            self.drop(connection)

    def _freed(self) -> None:
        with self._changed:
            self._left += 1
            self._changed.notify()
