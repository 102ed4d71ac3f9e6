"""Processes that live but no longer do anything: found by their silence, asked where they are, so that they can be killed.

Each process beats in the shared status while its event loop turns. One that is silent too long gets SIGUSR2, at which it
writes the stacks of its threads into memory shared with the supervisor: not by its interpreter, which may be what hangs.
A core dump, which SIGABRT might leave, would hold patient data; names of files and functions do not.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal

from liasse.status import Status

TIME_TO_TELL = 1.0
"""Seconds between the question where a process is and its end."""

_SLOW_START = 10
_OWN_PAUSE = 5.0
_MOST_BYTES = 65_536
_FRAME = re.compile(r'^  File "(?:.*site-packages/)?([^"]*)", line (\d+) in (.*)$', re.MULTILINE)


class Watch:
    """The silence of `processes` processes, judged by `patience` seconds; times are of the monotonic clock.

    A process that has not beaten yet is opening its database: it has ten times as long. When the supervisor itself stood
    still, as on a machine that was paused, everybody has the whole time anew.
    """

    def __init__(self, status: Status, processes: int, patience: float) -> None:
        self._status, self._patience = status, patience
        self._looked = self._awake = 0.0
        self._files = [os.memfd_create(f"stacks-{slot}") for slot in range(processes)]

    def look(self, now: float) -> None:
        """To be called at every round of the supervisor, before anyone is judged."""
        if now - self._looked > _OWN_PAUSE:
            self._awake = now
        self._looked = now

    def silence(self, slot: int, started: float, now: float) -> float:
        """The seconds for which process `slot`, forked at `started`, has been silent; 0 when that is within its time."""
        beat = self._status.last_beat(slot)
        silent = now - max(beat or started, self._awake)
        return silent if silent > self._patience * (1 if beat else _SLOW_START) else 0.0

    def tell_when_asked(self, slot: int) -> None:
        """Write the stacks of this process at SIGUSR2. Called in process `slot` itself."""
        faulthandler.register(signal.SIGUSR2, self._files[slot], all_threads=True)

    def told(self, slot: int) -> list[str]:
        """What process `slot` has written: `file:line function`, innermost first, the main thread first. It is forgotten."""
        file = self._files[slot]
        text = os.pread(file, _MOST_BYTES, 0).decode("utf-8", "replace")
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return [f"{path}:{line} {function}" for path, line, function in _FRAME.findall(text)]

    def close(self) -> None:
        """Give the shared memory back."""
        while self._files:
            os.close(self._files.pop())
