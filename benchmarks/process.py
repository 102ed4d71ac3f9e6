"""What processes use, from /proc: CPU time and memory."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, in steps of 10 ms each."""
    total = 0
    for each in family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_mb(pid: int) -> dict[str, float]:
    """Proportional and resident set of one process, in MB (2^20 bytes)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key.lower(): int(_field(key, text)) / 1024 for key in ("Pss", "Rss")}


def high_water_mb(pid: int) -> float:
    """The most that was resident since `reset_high_water`, in MB."""
    return int(_field("VmHWM", Path(f"/proc/{pid}/status").read_text())) / 1024


def reset_high_water(pid: int) -> None:
    """Begin anew with the most that was resident."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(name: str, text: str) -> str:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"/proc gives no {name}")
    return found[1]
