"""Which file system a path is on, and whether documents may be kept there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

_NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
})  # fmt: skip
_LAYERED = frozenset({"overlay", "overlayfs", "aufs", "unionfs", "squashfs", "iso9660"})
_MEMORY = frozenset({"tmpfs", "ramfs"})
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, and its type as the kernel names it."""

    point: Path
    kind: str

    @property
    def fault(self) -> str | None:
        """Why documents cannot be kept on it, or None. Fuse file systems count as remote: locks and fsync are not theirs."""
        if self.kind in _NETWORK or self.kind.startswith("fuse"):
            return f"{self.point} is a network or user-space file system ({self.kind}): locks and fsync cannot be relied on"
        if self.kind in _LAYERED:
            return f"{self.point} is a container layer or an image ({self.kind}), it goes with the container: mount a volume"
        return None

    @property
    def caution(self) -> str | None:
        """What an operator should know about it, or None."""
        return f"{self.point} is in memory ({self.kind}): lost when the machine stops" if self.kind in _MEMORY else None


def mount_of(path: Path, mountinfo: Path = MOUNTINFO) -> Mount | None:
    """The mount that holds `path`, or will hold it: a missing path belongs to its nearest existing folder.

    None where the kernel's list cannot be read.
    """
    real = path.resolve()
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    best: Mount | None = None
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split()[4]))
        if real.is_relative_to(point) and (best is None or len(point.parts) >= len(best.point.parts)):
            best = Mount(point, rest.split()[0])
    return best
