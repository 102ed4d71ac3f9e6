"""The file store: what is committed comes back byte for byte, damage is never served, failures leave nothing half."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from soap.transaction import StagedPart
from xds_repository.file_store import CHUNK, GRACE, LEAST_BYTES, SMALL, FileStore
from xds_repository.filesystem import FileSystem, try_lock_file
from xds_repository.scrub import scrub_blobs
from xds_repository.staging import StagedFile
from xds_repository.store import BlobCorrupt, BlobMissing, StoreError, StoreFull, StoreUnavailable


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    made = FileStore(tmp_path / "documents", free_space=0)
    made.init()
    made.start()
    yield made
    made.close()


def _stage(store: FileStore, data: bytes) -> StagedFile:
    staged = store.stage()
    staged.write(data)
    staged.close()
    return staged


def _put(store: FileStore, data: bytes) -> str:
    staged = _stage(store, data)
    store.commit(staged)
    return staged.sha256


def _blob(store: FileStore, sha256: str) -> Path:
    return store.directory / "blobs" / sha256[:2] / sha256


def _staging(store: FileStore) -> list[str]:
    return [name for name in os.listdir(store.directory / "staging") if not name.endswith(".lock")]


@pytest.mark.parametrize("size", [0, 1, 20_000, SMALL, SMALL + 1, 5 * CHUNK, 4 * SMALL + 13])
def test_a_committed_document_comes_back(store: FileStore, size: int) -> None:
    data = random.Random(size).randbytes(size)
    staged = store.stage()
    part: StagedPart = staged
    for start in range(0, size, 100_001):
        part.write(data[start : start + 100_001])
    part.close()
    assert (staged.sha1, staged.sha256, staged.size) == (
        hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        hashlib.sha256(data).hexdigest(),
        size,
    )
    with staged.open() as file:
        assert file.read() == data
    store.commit(staged)
    part.discard()
    assert store.exists(staged.sha256)
    assert b"".join(store.read_verified(staged.sha256, size)) == data
    with store.open(staged.sha256) as file:
        assert file.read() == data
    assert store.verify(staged.sha256) == size
    assert _staging(store) == []


def test_several_at_once_and_the_same_bytes_twice(store: FileStore) -> None:
    staged = [_stage(store, data) for data in (b"a", b"b", b"a", b"c")]
    store.commit_all(staged)
    assert list(store.walk()) == sorted({s.sha256 for s in staged})
    assert _put(store, b"a") == staged[0].sha256
    assert list(store.walk(after=sorted({s.sha256 for s in staged})[0])) == sorted({s.sha256 for s in staged})[1:]


def test_files_are_for_this_user_only(store: FileStore) -> None:
    sha256 = _put(store, b"secret")
    assert _blob(store, sha256).stat().st_mode & 0o777 == 0o600
    assert store.directory.stat().st_mode & 0o777 == 0o700


def test_a_discarded_document_leaves_nothing(store: FileStore) -> None:
    staged = _stage(store, b"refused")
    staged.discard()
    staged.discard()
    assert _staging(store) == []
    with pytest.raises(StoreUnavailable, match="discarded"):
        store.commit(staged)
    with pytest.raises(StoreUnavailable):
        staged.open()
    with pytest.raises(StoreUnavailable, match="closed or discarded"):
        staged.write(b"more")
    assert list(store.walk()) == []


def test_no_bytes_after_close(store: FileStore) -> None:
    staged = _stage(store, b"all")
    with pytest.raises(StoreUnavailable, match="closed"):
        staged.write(b"more")


def test_unknown_and_impossible_names(store: FileStore) -> None:
    for name in ("0" * 64, "../../etc/passwd", "A" * 64, ""):
        with pytest.raises(BlobMissing):
            store.open(name)
        with pytest.raises(BlobMissing):
            store.read_verified(name, 1)
    assert not store.exists("0" * 64)
    assert not store.delete("0" * 64)


@pytest.mark.parametrize("size", [100, 3 * SMALL])
def test_a_flipped_bit_is_never_served_and_goes_to_quarantine(store: FileStore, size: int) -> None:
    data = random.Random(size).randbytes(size)
    sha256 = _put(store, data)
    damaged = bytearray(data)
    damaged[size // 2] ^= 1
    _blob(store, sha256).write_bytes(damaged)
    received: list[bytes] = []
    with pytest.raises(BlobCorrupt):
        received.extend(store.read_verified(sha256, size))
    assert sum(map(len, received)) < size
    assert [name[:64] for name in store.quarantined()] == [sha256]
    with pytest.raises(BlobMissing):
        store.read_verified(sha256, size)
    assert _put(store, data) == sha256
    assert b"".join(store.read_verified(sha256, size)) == data


def test_a_damaged_blob_is_repaired_by_the_next_deposit_of_its_bytes(store: FileStore) -> None:
    sha256 = _put(store, b"good bytes")
    _blob(store, sha256).write_bytes(b"bad bytes!")
    _put(store, b"good bytes")
    assert b"".join(store.read_verified(sha256, 10)) == b"good bytes"


@pytest.mark.parametrize("size", [5, SMALL + 5])
def test_a_size_that_is_not_the_registered_one_is_an_error_but_no_damage(store: FileStore, size: int) -> None:
    sha256 = _put(store, b"x" * size)
    for wrong in (size - 1, size + 1, 0, SMALL * 2):
        with pytest.raises(BlobCorrupt):
            store.read_verified(sha256, wrong)
    assert store.quarantined() == []
    assert store.exists(sha256)


def test_a_truncated_blob_is_refused_before_the_first_byte(store: FileStore) -> None:
    sha256 = _put(store, b"x" * (2 * SMALL))
    os.truncate(_blob(store, sha256), SMALL)
    with pytest.raises(BlobCorrupt):
        store.read_verified(sha256, 2 * SMALL)
    assert len(store.quarantined()) == 1


def test_a_reader_that_leaves_early_gives_the_file_back(store: FileStore) -> None:
    sha256 = _put(store, b"x" * (2 * SMALL))
    before = len(os.listdir("/proc/self/fd"))
    reader = store.read_verified(sha256, 2 * SMALL)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_do_not_leak(store: FileStore) -> None:
    _put(store, b"warm")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        staged = _stage(store, str(number).encode())
        if number % 2:
            store.commit(staged)
        staged.discard()
    assert len(os.listdir("/proc/self/fd")) == before


def test_scrub_finds_what_decayed(store: FileStore) -> None:
    names = sorted(_put(store, bytes([n]) * 100) for n in range(30))
    for name in names[5:8]:
        _blob(store, name).write_bytes(b"decayed")
    (store.directory / "blobs" / "00" / "notes.txt").write_text("not a blob")
    seen: list[str] = []
    report = scrub_blobs(store, progress=lambda name, size: seen.append(name))
    assert (report.blobs, report.size, report.corrupt, report.sound) == (27, 2700, tuple(names[5:8]), False)
    assert seen == names[:5] + names[8:]
    again = scrub_blobs(store, after=names[9], stop=lambda: False)
    assert (again.blobs, again.sound) == (20, True)
    assert scrub_blobs(store, stop=lambda: True).blobs == 0


def test_scrub_reports_what_it_cannot_read_and_passes_over_what_went_away(store: FileStore) -> None:
    names = sorted(_put(store, bytes([n])) for n in range(3))
    _blob(store, names[0]).unlink()
    _blob(store, names[0]).symlink_to(_blob(store, names[0]))
    gone: list[str] = []

    def removes_the_next(name: str, _size: int) -> None:
        if not gone:
            gone.append(names[2])
            _blob(store, names[2]).unlink()
            _blob(store, names[2]).symlink_to("nowhere")

    report = scrub_blobs(store, progress=removes_the_next)
    assert (report.blobs, report.unreadable, report.corrupt) == (1, (names[0],), ())


def test_deposits_stop_at_the_low_water_mark_and_reads_go_on(tmp_path: Path) -> None:
    ample = FileStore(tmp_path, free_space=0)
    ample.init()
    sha256 = _put(ample, b"before")
    ample.close()
    space = FileStore(tmp_path).space()
    assert space.least == min(int(space.total * 0.05), LEAST_BYTES)
    tight = FileStore(tmp_path, free_space=space.total + 1)
    tight.start()
    with pytest.raises(StoreFull, match="must stay free"):
        tight.stage()
    assert b"".join(tight.read_verified(sha256, 6)) == b"before"
    tight.close()


def test_a_store_that_was_never_initialised_says_what_to_run(tmp_path: Path) -> None:
    bare = FileStore(tmp_path / "nothing")
    with pytest.raises(StoreUnavailable, match="liasse init"):
        bare.start()
    with pytest.raises(StoreUnavailable):
        bare.stage()
    with pytest.raises(StoreUnavailable):
        list(bare.walk())
    bare.init()
    (tmp_path / "nothing" / "blobs" / "a7").rmdir()
    with pytest.raises(StoreUnavailable, match="liasse init"):
        bare.start()
    bare.init()
    bare.start()


def test_a_store_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="ENOTDIR"):
        FileStore(tmp_path / "file" / "store").init()


def test_a_blob_is_not_deleted_while_it_is_young(store: FileStore) -> None:
    sha256 = _put(store, b"orphan?")
    assert not store.delete(sha256)
    assert store.exists(sha256)
    assert store.delete(sha256, unused_for=-1)
    assert not store.exists(sha256)
    assert GRACE >= 3600


def test_deletion_and_deposit_of_the_same_bytes_never_lose_the_deposit(store: FileStore) -> None:
    stop = threading.Event()
    sha256 = hashlib.sha256(b"contended").hexdigest()

    def collect() -> None:
        while not stop.is_set():
            store.delete(sha256, unused_for=60)

    collectors = [threading.Thread(target=collect) for _ in range(2)]
    for thread in collectors:
        thread.start()
    try:
        for _ in range(200):
            _put(store, b"contended")
            assert store.exists(sha256)
    finally:
        stop.set()
        for thread in collectors:
            thread.join()


def test_many_threads_deposit_the_same_and_other_bytes(store: FileStore) -> None:
    failures: list[BaseException] = []

    def deposit(seed: int) -> None:
        try:
            for number in range(40):
                data = str((seed * number) % 50).encode() * 100
                assert b"".join(store.read_verified(_put(store, data), len(data))) == data
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=deposit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _staging(store) == []


_DYING = """
import os, sys
from pathlib import Path
from xds_repository.file_store import FileStore
store = FileStore(Path(sys.argv[1]), free_space=0)
staged = store.stage()
staged.write(b"half a doc")
store.stage().write(b"another")
print("staged", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_staged_is_cleaned_and_what_a_living_one_stages_is_kept(store: FileStore) -> None:
    ours = _stage(store, b"ours")
    command = [sys.executable, "-c", _DYING, str(store.directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"staged\n"
        neighbour = FileStore(store.directory)
        neighbour.start()
        assert len(_staging(store)) == 3
        process.kill()
        process.wait()
    neighbour.start()
    assert _staging(store) == [ours.path.name]
    store.commit(ours)
    (store.directory / "staging" / "without-lock.7").touch()
    neighbour.start()
    assert _staging(store) == []


def test_a_closed_store_leaves_its_staged_files_to_the_next_start(store: FileStore) -> None:
    _stage(store, b"left")
    store.close()
    store.start()
    assert os.listdir(store.directory / "staging") == []


def test_the_lock_of_a_removed_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    first = try_lock_file(path, create=True)
    assert first is not None
    assert try_lock_file(path, create=False) is None
    path.unlink()
    second = try_lock_file(path, create=True)
    assert second is not None
    os.close(first)
    os.close(second)


class _Failing(FileSystem):
    """The n-th effect fails with `number`, or, without a number, writes half of what it was given."""

    def __init__(self, nth: int, number: int | None) -> None:
        self.left = nth
        self.number = number

    def _count(self) -> bool:
        self.left -= 1
        if self.left == 0 and self.number is not None:
            raise OSError(self.number, os.strerror(self.number))
        return self.left == 0

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        short = self._count()
        return super().write(descriptor, data[: len(data) // 2 + 1] if short else data)

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._count()

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, None])
def test_whichever_effect_fails_the_answer_is_true(store: FileStore, number: int | None) -> None:
    documents = [random.Random(n).randbytes(500 + n) for n in range(3)]
    expected = StoreFull if number in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
    for nth in range(1, 100):
        files = _Failing(nth, number)
        faulty = FileStore(store.directory, free_space=0, files=files)
        acknowledged, failure = _try_deposit(faulty, documents)
        if failure is not None:
            assert number is not None
            assert type(failure) is expected
        for sha256 in acknowledged:
            store.verify(sha256)
        assert scrub_blobs(store).sound
        faulty.close()
        store.start()
        assert _staging(store) == []
        for sha256 in store.walk():
            store.delete(sha256, unused_for=-1)
        if files.left > 0:
            assert len(acknowledged) == 3
            break
    else:
        pytest.fail("the scenario never ran without a failure")


def _try_deposit(store: FileStore, documents: list[bytes]) -> tuple[list[str], StoreError | None]:
    """The names acknowledged, and the failure reported."""
    staged: list[StagedFile] = []
    acknowledged: list[str] = []
    try:
        for data in documents:
            staged.append(store.stage())
            staged[-1].write(data)
        store.commit(staged[0])
        acknowledged.append(staged[0].sha256)
        store.commit_all(staged[1:])
        acknowledged += [file.sha256 for file in staged[1:]]
    except StoreError as error:
        for file in staged:
            file.discard()
        return acknowledged, error
    return acknowledged, None


def test_an_unreadable_blob_is_unavailable_not_corrupt(store: FileStore) -> None:
    sha256 = _put(store, b"x")
    path = _blob(store, sha256)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="EISDIR"):
        store.read_verified(sha256, 1)


_LIMITED = """
import resource, sys
from pathlib import Path
from xds_repository.file_store import FileStore
from xds_repository.store import StoreFull
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = FileStore(Path(sys.argv[1]), free_space=0)
staged = store.stage()
try:
    for _ in range(100):
        staged.write(b"x" * 10_000)
except StoreFull as error:
    print(error)
small = store.stage()
small.write(b"small enough")
store.commit(small)
print(small.sha256)
"""


def test_a_file_size_limit_is_a_full_disk_and_smaller_documents_go_on(store: FileStore) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(store.directory)], capture_output=True, text=True, check=True, timeout=60
    )
    message, sha256 = result.stdout.splitlines()
    assert "EFBIG" in message
    assert store.verify(sha256) == 12
    store.start()
    assert _staging(store) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; skipped where it cannot be mounted."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small file system needs root")
    directory = tmp_path / "disk"
    directory.mkdir()
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], capture_output=True)
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_a_full_disk_refuses_deposits_keeps_what_it_has_and_recovers(small_disk: Path) -> None:
    store = FileStore(small_disk / "store", free_space=0)
    store.init()
    kept: list[tuple[str, int]] = []
    with pytest.raises(StoreFull):
        kept.extend((_put_or_discard(store, random.Random(n).randbytes(40_000)), 40_000) for n in range(100))
    assert len(kept) > 5
    for sha256, size in kept:
        assert sum(len(c) for c in store.read_verified(sha256, size)) == size
    assert _staging(store) == []
    guarded = FileStore(small_disk / "store")
    with pytest.raises(StoreFull, match="must stay free"):
        guarded.stage()
    for sha256, _ in kept[:5]:
        assert store.delete(sha256, unused_for=-1)
    assert guarded.exists(_put_or_discard(guarded, b"room again"))
    for opened in (store, guarded):
        opened.close()


def _put_or_discard(store: FileStore, data: bytes) -> str:
    staged = store.stage()
    try:
        staged.write(data)
        store.commit(staged)
    finally:
        staged.discard()
    return staged.sha256


def test_staging_on_another_file_system_is_refused(small_disk: Path, store: FileStore) -> None:
    staging = store.directory / "staging"
    staging.rmdir()
    (small_disk / "staging").mkdir()
    staging.symlink_to(small_disk / "staging")
    with pytest.raises(StoreUnavailable, match="different file systems"):
        store.start()
