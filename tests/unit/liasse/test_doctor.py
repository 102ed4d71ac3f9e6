"""What makes a machine unfit, what is only worth knowing."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from sqlalchemy import text

from database.engine import open_database
from database.sqlite_driver import SqliteEngine
from liasse.checks import Check
from liasse.doctor import (
    check_clock,
    check_database,
    check_file_system,
    check_free_space,
    check_one_file_system,
    check_open_files,
    check_packages,
    check_permissions,
    check_python,
    check_sqlite,
    clock_is_synchronised,
    run_doctor,
)
from liasse.mounts import Mount, mount_of
from liasse.settings import LimitSettings, Settings, StorageSettings
from liasse.storage import init_storage, is_new


def settings(directory: Path, database: str = "", free_space: int | str = 0) -> Settings:
    return Settings(
        storage=StorageSettings(directory=directory, database=database), limits=LimitSettings(free_space=free_space)
    )


def mountinfo(tmp_path: Path, *mounts: tuple[str, str]) -> Path:
    """A list of mounts as the kernel writes it."""
    path = tmp_path / "mountinfo"
    lines = [f"{n} 1 0:{n} / {point} rw,relatime shared:1 - {kind} src rw\n" for n, (point, kind) in enumerate(mounts, 20)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_the_machine_of_the_tests_is_fit_before_and_after_the_storage_is_made(tmp_path: Path) -> None:
    given = settings(tmp_path / "data")
    assert [check for check in run_doctor(given) if check.status == "fail"] == []
    assert not (tmp_path / "data").exists(), "nothing is created"
    init_storage(given)
    after = {check.name: check for check in run_doctor(given) if check.name != "settings"}
    assert [check for check in after.values() if check.status == "fail"] == []
    assert after["database"].detail == "has the schema of this program"
    assert after["permissions"].status == "ok"
    assert after["one file system"].status == "ok"


def test_every_risky_setting_is_named(tmp_path: Path) -> None:
    named = [check.detail for check in run_doctor(settings(tmp_path)) if check.name == "settings"]
    assert named == settings(tmp_path).cautions()


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "ok"), ((3, 14), "fail")]
)
def test_interpreters(version: tuple[int, int], status: str) -> None:
    assert check_python(version).status == status


def test_a_package_of_the_same_name_from_elsewhere_is_found() -> None:
    check = check_packages(lambda name: "/elsewhere" if name == "soap" else "/here")
    assert check == Check("packages", "fail", "expected all from /here, found soap from /elsewhere")


def test_a_missing_package_is_found() -> None:
    check = check_packages(lambda name: None if name == "cda" else "/here")
    assert check.status == "fail"
    assert "not installed: cda" in check.detail
    assert check_packages().status == "ok"


@pytest.mark.parametrize(("affected", "status"), [(True, "warn"), (False, "ok")])
def test_an_affected_sqlite_is_named(tmp_path: Path, affected: bool, status: str) -> None:
    check = check_sqlite(settings(tmp_path), SqliteEngine("sqlite3", "3.40.1", affected))
    assert check.status == status
    assert "sqlite3 3.40.1" in check.detail
    other = check_sqlite(settings(tmp_path, "postgresql://h/d"), SqliteEngine("sqlite3", "3.40.1", affected))
    assert other.status == "ok"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("btrfs", "ok"),
        ("zfs", "ok"),
        ("nfs4", "fail"),
        ("cifs", "fail"),
        ("9p", "fail"),
        ("virtiofs", "fail"),
        ("fuse.sshfs", "fail"),
        ("fuseblk", "fail"),
        ("overlay", "fail"),
        ("tmpfs", "warn"),
    ],
)
def test_kinds_of_file_systems(tmp_path: Path, kind: str, status: str) -> None:
    check = check_file_system(settings(tmp_path / "data"), mountinfo(tmp_path, ("/", "ext4"), (str(tmp_path), kind)))
    assert check.status == status
    assert kind in check.detail


def test_a_volume_in_a_container_counts_and_not_the_layer_below(tmp_path: Path) -> None:
    mounts = mountinfo(tmp_path, ("/", "overlay"), (str(tmp_path / "volume"), "ext4"))
    assert mount_of(tmp_path / "volume" / "not" / "yet", mounts) == Mount(tmp_path / "volume", "ext4")
    assert mount_of(tmp_path / "volumes", mounts) == Mount(Path("/"), "overlay")


def test_the_last_of_two_mounts_on_one_point_counts(tmp_path: Path) -> None:
    assert mount_of(tmp_path, mountinfo(tmp_path, ("/", "rootfs"), ("/", "ext4"))) == Mount(Path("/"), "ext4")


def test_blanks_in_a_mount_point_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    mounts = mountinfo(tmp_path, ("/", "ext4"), (str(folder).replace(" ", "\\040"), "nfs"))
    assert mount_of(folder / "x", mounts) == Mount(folder, "nfs")


def test_a_link_is_followed_to_its_file_system(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mounts = mountinfo(tmp_path, ("/", "ext4"), (str(tmp_path / "real"), "nfs"))
    assert check_file_system(settings(tmp_path / "link"), mounts).status == "fail"


def test_an_unreadable_list_of_mounts_is_no_verdict(tmp_path: Path) -> None:
    assert check_file_system(settings(tmp_path), tmp_path / "absent").status == "warn"
    assert mount_of(tmp_path) is not None


def test_a_part_of_the_storage_on_another_file_system_is_refused(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system to try")
    (tmp_path / "blobs").symlink_to(shared)
    check = check_one_file_system(settings(tmp_path))
    assert check.status == "fail"
    assert check.detail.endswith(": blobs")


def test_permissions_and_a_file_in_the_place_of_the_storage(tmp_path: Path) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o755)
    assert check_permissions(settings(directory)).status == "warn"
    directory.chmod(0o750)
    assert check_permissions(settings(directory)).status == "ok"
    (tmp_path / "file").write_bytes(b"")
    assert check_permissions(settings(tmp_path / "file")).status == "fail"


def test_too_little_space_is_a_warning_because_reading_goes_on(tmp_path: Path) -> None:
    assert check_free_space(settings(tmp_path / "a" / "b")).status == "ok"
    assert check_free_space(settings(tmp_path, free_space=10**18)).status == "warn"


def test_the_schema_of_another_release_is_refused_with_what_to_do(tmp_path: Path) -> None:
    given = settings(tmp_path / "data")
    init_storage(given)
    with open_database(given.storage.database_place) as database:
        database.write(
            lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")).rowcount
        )
    check = check_database(given)
    assert check.status == "fail"
    assert "newer release" in check.detail


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "liasse.sqlite").write_bytes(b"nothing of the kind" * 500)
    assert check_database(settings(tmp_path)).status == "fail"
    assert check_database(settings(tmp_path, "postgresql://127.0.0.1:1/none")).status == "fail"


def test_a_storage_is_new_once(tmp_path: Path) -> None:
    given = settings(tmp_path / "data")
    assert is_new(given)
    init_storage(given)
    assert not is_new(given)
    init_storage(given)
    assert check_database(given).status == "ok"


def test_an_empty_database_behind_a_url_is_new(tmp_path: Path) -> None:
    given = settings(tmp_path / "data", f"sqlite:///{tmp_path}/d.sqlite")
    assert is_new(given)
    assert check_database(given).detail.startswith("empty")
    init_storage(given)
    assert not is_new(given)


def test_the_clock_is_asked_of_the_kernel() -> None:
    state = clock_is_synchronised()
    assert check_clock().status == ("ok" if state else "warn")


@pytest.mark.parametrize(("limit", "status"), [(1024, "warn"), (4096, "ok"), (resource.RLIM_INFINITY, "ok")])
def test_open_files(limit: int, status: str) -> None:
    assert check_open_files(limit).status == status
