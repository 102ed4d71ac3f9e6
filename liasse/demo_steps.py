"""What the demonstration is made of: steps, how long they took, and why it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class DemoFailed(Exception):
    """A step did not do what it should. The text has one line for each reason."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, by which transaction and which caller if any, with which result, in how many milliseconds.

    `refused`: the server did not do it, as it should.
    """

    what: str
    transaction: str
    result: str
    milliseconds: float
    caller: str = ""
    refused: bool = False


Report = Callable[[Step], None]


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Gives the milliseconds of the block, once it ended."""
    started = time.perf_counter()
    ended = started
    yield lambda: (ended - started) * 1000
    ended = time.perf_counter()
