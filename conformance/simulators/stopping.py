"""How a simulator that a person started ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def until_stopped() -> Iterator[None]:
    """The block ends at SIGINT or SIGTERM, as it would at its own end.

    Of a job in the background a shell lets SIGINT be ignored; whoever sends it to one of these all the same means it.
    Main thread only.
    """
    before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
