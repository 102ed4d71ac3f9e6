"""The server under what deploy/liasse.service forbids, as far as a test can do what systemd does.

strace refuses the system calls that the unit refuses, with the same error, and shows what else the unit would refuse.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server import ROOT

UNIT = (ROOT / "deploy" / "liasse.service").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or shutil.which("strace") is None, reason="systemd or strace is not installed"
)


def groups() -> dict[str, set[str]]:
    """systemd's sets of system calls, as they are listed: sets may name others."""
    done = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True)
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in done.stdout.splitlines():
        text = line.split("#")[0].rstrip()
        if text.startswith("@"):
            current = found[text] = set()
        elif text.strip():
            current.add(text.strip())
    return found


def calls(name: str, known: dict[str, set[str]]) -> set[str]:
    """A system call, or all those of a set."""
    return set().union(*(calls(each, known) for each in known[name])) if name.startswith("@") else {name}


def refused() -> set[str]:
    """What SystemCallFilter of the unit refuses, its lines applied in their order."""
    known = groups()
    allowed: set[str] = calls("@default", known)
    for line in re.findall(r"^SystemCallFilter=(.+)$", UNIT, re.MULTILINE):
        named = set().union(*(calls(each, known) for each in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return set().union(*(calls(name, known) for name in known)) - allowed


def test_the_demonstration_succeeds_without_what_the_unit_refuses(tmp_path: Path) -> None:
    assert "SystemCallErrorNumber=EPERM" in UNIT  # otherwise a refused call kills the process
    names = ",".join(f"?{name}" for name in sorted(refused()))
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "--seccomp-bpf", "-o", str(trace)),
            *("-e", f"trace={names},socket,mmap,mprotect", "-e", f"inject={names}:error=EPERM"),
            *(sys.executable, "-m", "liasse.cli", "demo"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip(f"this machine lets nobody trace: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    families = {found[1] for line in lines if (found := re.search(r" socket\((AF_\w+)", line))}
    assert families
    assert families <= set(re.findall(r"^RestrictAddressFamilies=(.+)$", UNIT, re.MULTILINE)[0].split())
    assert "MemoryDenyWriteExecute=true" in UNIT
    mapped = [line for line in lines if re.search(r" (mmap|mprotect)\(", line)]
    assert mapped
    assert [line for line in mapped if "PROT_EXEC" in line and ("PROT_WRITE" in line or " mprotect(" in line)] == []
