"""Who a process is, so that another one on the same machine can tell that it has ended."""

from __future__ import annotations

import os
from pathlib import Path


def process_identity() -> str:
    """This process: boot of the machine, process-id namespace, process id, start time. Unique over machines and time."""
    pid = os.getpid()
    return ":".join((_boot(), _namespace(), str(pid), _started(pid) or "0"))


def is_dead(identity: str) -> bool:
    """Whether the process of that identity has surely ended: it ran here, since the last boot, and is not there any more.

    Anything may follow the identity after a further colon.
    """
    parts = identity.split(":")
    if len(parts) < 4 or (parts[0], parts[1]) != (_boot(), _namespace()) or not parts[2].isdigit():
        return False
    return _started(int(parts[2])) != parts[3]


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")[5:-1]


def _started(pid: int) -> str | None:
    """Clock ticks from boot to the start of the process; None where there is none, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
