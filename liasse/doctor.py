"""Whether this machine is fit to keep documents: checks for people (`liasse doctor`) and for the start of the server.

A failed check is a reason not to serve; a warning is something an operator should know.
"""

from __future__ import annotations

import ctypes
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from database.engine import open_database
from database.errors import DatabaseError, SchemaMismatch
from database.schema import check_schema, current_schema
from database.sqlite_driver import SqliteEngine, sqlite_engine
from liasse.checks import Check
from liasse.mounts import MOUNTINFO, mount_of
from liasse.packages import PACKAGES
from liasse.settings import Settings
from liasse.tls_checks import check_tls

_ENOUGH_FILES = 4096
_CLOCK_UNKNOWN = 5
_STA_UNSYNC = 0x40
_TIMEX_BYTES, _TIMEX_STATUS = 256, 40


def run_doctor(settings: Settings) -> list[Check]:
    """Every check, in a fixed order. Reads only: nothing is created or changed."""
    return [
        check_python(sys.version_info[:2]),
        check_packages(),
        check_sqlite(settings, sqlite_engine()),
        check_file_system(settings),
        check_one_file_system(settings),
        check_permissions(settings),
        check_free_space(settings),
        check_database(settings),
        check_clock(),
        check_open_files(),
        *check_tls(settings),
        *(Check("settings", "warn", caution) for caution in settings.cautions()),
    ]


def check_python(version: tuple[int, int]) -> Check:
    """The interpreter is one of those that are tested."""
    fit = (3, 11) <= version <= (3, 13)
    return Check("python", "ok" if fit else "fail", f"{version[0]}.{version[1]}, expected 3.11 to 3.13")


def check_packages(locate: Callable[[str], str | None] | None = None) -> Check:
    """All our packages come from one folder: other distributions have packages of the same plain names."""
    found = {name: (locate or _origin)(name) for name in PACKAGES}
    missing = sorted(name for name, origin in found.items() if origin is None)
    if missing:
        return Check("packages", "fail", f"not installed: {', '.join(missing)}; install liasse in an environment of its own")
    home = found["liasse"]
    strangers = sorted(f"{name} from {origin}" for name, origin in found.items() if origin != home)
    if strangers:
        return Check("packages", "fail", f"expected all from {home}, found {'; '.join(strangers)}")
    return Check("packages", "ok", f"{len(found)} packages from {home}")


def check_sqlite(settings: Settings, engine: SqliteEngine) -> Check:
    """An SQLite with the WAL-reset fault is safe only while no other program opens the file: ours takes turns."""
    which = f"{engine.module} {engine.version}"
    if "postgresql" in settings.storage.database:
        return Check("sqlite", "ok", "not used, PostgreSQL is")
    if engine.affected:
        detail = f"{which} has the WAL-reset fault; it is avoided here, but no other program may open the database"
        return Check("sqlite", "warn", detail)
    return Check("sqlite", "ok", which)


def check_file_system(settings: Settings, mountinfo: Path = MOUNTINFO) -> Check:
    """The storage folder is on a local disk: no network file system, no container layer."""
    mount = mount_of(settings.storage.directory, mountinfo)
    if mount is None:
        return Check("file system", "warn", "unknown: the list of mounts cannot be read")
    if mount.fault is not None:
        return Check("file system", "fail", mount.fault)
    if mount.caution is not None:
        return Check("file system", "warn", mount.caution)
    return Check("file system", "ok", f"{settings.storage.directory} on {mount.point} ({mount.kind})")


def check_one_file_system(settings: Settings) -> Check:
    """Every folder of the storage is on the file system of the storage itself: documents get their place by one rename."""
    directory = settings.storage.directory
    if not directory.is_dir():
        return Check("one file system", "ok", "the storage is not made yet")
    device = directory.stat().st_dev
    others = sorted(each.name for each in _folders(directory) if each.stat().st_dev != device)
    if others:
        return Check("one file system", "fail", f"on another file system than {directory}: {', '.join(others)}")
    return Check("one file system", "ok", f"{directory} and everything in it")


def check_permissions(settings: Settings) -> Check:
    """The storage folder belongs to the server alone."""
    directory = settings.storage.directory
    if not directory.exists():
        return Check("permissions", "ok", "the storage is not made yet")
    if not directory.is_dir():
        return Check("permissions", "fail", f"{directory} is no folder")
    mode = directory.stat().st_mode & 0o777
    if mode & 0o007:
        return Check(
            "permissions", "warn", f"{directory} has mode {mode:04o}: every user of this machine can enter, use 0700"
        )
    return Check("permissions", "ok", f"{directory} has mode {mode:04o}")


def check_free_space(settings: Settings) -> Check:
    """There is room for deposits. Without, the server still answers queries."""
    usage = shutil.disk_usage(_existing(settings.storage.directory))
    least = settings.limits.low_water(usage.total)
    text = f"{usage.free} bytes free, deposits stop below {least}"
    return Check("free space", "ok" if usage.free >= least else "warn", text)


def check_database(settings: Settings) -> Check:
    """The database answers and has the schema of this program, or nothing yet."""
    place = settings.storage.database_place
    if "://" not in place and not Path(place).exists():
        return Check("database", "ok", "not made yet: `liasse init` or the first start makes it")
    try:
        with open_database(place) as database:
            if current_schema(database) is None:
                return Check("database", "ok", "empty: `liasse init` or the first start makes its tables")
            check_schema(database)
    except SchemaMismatch as error:
        return Check("database", "fail", str(error))
    except DatabaseError as error:
        return Check("database", "fail", f"cannot be used: {error}")
    return Check("database", "ok", "has the schema of this program")


def check_clock() -> Check:
    """The kernel says that the clock follows a time source."""
    synchronised = clock_is_synchronised()
    if synchronised is None:
        return Check("clock", "warn", "unknown: the kernel does not say whether it is synchronised")
    return (
        Check("clock", "ok", "synchronised") if synchronised else Check("clock", "warn", "not synchronised: run NTP (ITI-1)")
    )


def clock_is_synchronised() -> bool | None:
    """What adjtimex(2) says, None where it cannot be asked."""
    answer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(answer)
    if state < 0:
        return None
    status = int.from_bytes(answer.raw[_TIMEX_STATUS : _TIMEX_STATUS + 4], sys.byteorder)
    return state != _CLOCK_UNKNOWN and not status & _STA_UNSYNC


def check_open_files(limit: int | None = None) -> Check:
    """Each connection is a file; the server raises its own limit as far as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if limit is None else limit
    enough = hard == resource.RLIM_INFINITY or hard >= _ENOUGH_FILES
    text = "no limit" if hard == resource.RLIM_INFINITY else f"{hard} allowed"
    return Check("open files", "ok" if enough else "warn", f"{text}, {_ENOUGH_FILES} wanted (LimitNOFILE, ulimit -n)")


def _origin(name: str) -> str | None:
    spec = find_spec(name)
    return str(Path(spec.origin).parents[1]) if spec is not None and spec.origin is not None else None


def _folders(directory: Path) -> Iterator[Path]:
    for each in directory.iterdir():
        if each.is_dir():
            yield each


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())
