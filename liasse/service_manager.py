"""What a service manager such as systemd is told, where there is one: readiness, the end, and that the supervisor lives.

Source: the manual pages sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

_SHARE = 3


def notify(state: str) -> None:
    """Send one notice, such as READY=1, to the socket that NOTIFY_SOCKET names."""
    where = os.environ.get("NOTIFY_SOCKET")
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            try:
                out.sendto(state.encode(), "\0" + where[1:] if where.startswith("@") else where)
            except OSError as error:
                log.warning("the service manager could not be told", exc_info=error)


class Watchdog:
    """The service manager's watchdog. `every` is the number of seconds between notices; infinite where none is wanted.

    The variables are WATCHDOG_USEC, after which silence is taken for a hang, and WATCHDOG_PID, whom that is meant for.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        time = environment.get("WATCHDOG_USEC", "")
        wanted = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.every = int(time) / 1_000_000 / _SHARE if wanted and time.isdecimal() and int(time) else math.inf
        self._told = 0.0

    def calm(self, now: float) -> None:
        """Say that we live, when it is time to. `now` is of the monotonic clock."""
        if now - self._told >= self.every:
            self._told = now
            notify("WATCHDOG=1")
