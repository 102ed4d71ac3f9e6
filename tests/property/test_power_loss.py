"""A model of power loss over the document store.

Every effect on the file system is recorded. The model replays each prefix of the record and lets the power fail: of what was
not synced, any part is kept, lost or torn (the worst that POSIX allows, worse than a journalling file system). Whatever
remains, an acknowledged document must be there whole, and no name may stand for other bytes. Stores that forget one sync
are run through the same model, to show that it would notice.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xds_repository.file_store import FileStore
from xds_repository.filesystem import FileSystem
from xds_repository.scrub import scrub_blobs
from xds_repository.staging import StagedFile

pytestmark = pytest.mark.proof
SAMPLES = 60 if os.environ.get("LIASSE_PROOF") == "1" else 12
"""Random crash states for each prefix, beside the systematic ones."""


@dataclass
class Effect:
    """One recorded effect; `node` numbers a file, `name` is the path below the store."""

    kind: str
    name: str = ""
    target: str = ""
    node: int = 0
    data: bytes = b""


class Recording(FileSystem):
    """Does everything for real and keeps a record."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.effects: list[Effect] = []
        self._nodes: dict[str, int] = {}
        self._open: dict[int, int] = {}

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        node = self._open[descriptor] = len(self.effects) + 1
        self._nodes[self._name(path)] = node
        self.effects.append(Effect("create", self._name(path), node=node))
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        taken = super().write(descriptor, data)
        self.effects.append(Effect("write", node=self._open[descriptor], data=bytes(data[:taken])))
        return taken

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.effects.append(Effect("sync", node=self._open[descriptor]))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        node = self._nodes[self._name(target)] = self._nodes.pop(self._name(source))
        self.effects.append(Effect("rename", self._name(source), self._name(target), node))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._nodes.pop(self._name(path), None)
        self.effects.append(Effect("unlink", self._name(path)))

    def make_directory(self, path: Path) -> None:
        super().make_directory(path)
        self.effects.append(Effect("mkdir", self._name(path)))

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        if path.is_relative_to(self.root):
            self.effects.append(Effect("syncdir", self._name(path)))

    def acknowledge(self, sha256: str) -> None:
        """The sender has been told that this document is stored."""
        self.effects.append(Effect("ack", sha256))

    def forget(self, sha256: str) -> None:
        """An operator is about to delete this document: from now on it may be there or not."""
        self.effects.append(Effect("forget", sha256))


@dataclass
class Disk:
    """What is surely on the disk, and what waits to get there.

    A directory maps names to file numbers, or to -1 for a directory; None in a waiting change removes the name.
    """

    content: dict[int, bytes] = field(default_factory=dict)
    waiting_data: dict[int, list[bytes]] = field(default_factory=dict)
    entries: dict[str, dict[str, int]] = field(default_factory=lambda: {".": {}})
    waiting_names: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    promised: set[str] = field(default_factory=set)

    def apply(self, effect: Effect) -> None:
        """Follow one recorded effect."""
        match effect.kind:
            case "create":
                self.content[effect.node] = b""
                self._name(effect.name, effect.node)
            case "write":
                self.waiting_data.setdefault(effect.node, []).append(effect.data)
            case "sync":
                self.content[effect.node] += b"".join(self.waiting_data.pop(effect.node, []))
            case "rename":
                self._name(effect.name, None)
                self._name(effect.target, effect.node)
            case "unlink":
                self._name(effect.name, None)
            case "mkdir":
                self.entries.setdefault(effect.name, {})
                if effect.name != ".":
                    self._name(effect.name, -1)
            case "syncdir":
                for name, value in self.waiting_names.pop(effect.name, []):
                    _set(self.entries[effect.name], name, value)
            case "ack":
                self.promised.add(effect.name)
            case "forget":
                self.promised.discard(effect.name)

    def _name(self, path: str, value: int | None) -> None:
        directory, name = os.path.split(path)
        self.waiting_names.setdefault(directory or ".", []).append((name, value))

    def crash(self, choose: Callable[[], str]) -> dict[str, bytes]:
        """The files that remain, by path; `choose` says keep, drop or tear for each waiting effect."""
        content = dict(self.content)
        for node, pieces in self.waiting_data.items():
            for piece in pieces:
                content[node] += _kept(piece, choose())
        entries = {d: dict(names) for d, names in self.entries.items()}
        for directory, changes in self.waiting_names.items():
            for name, value in changes:
                if choose() == "keep":
                    _set(entries[directory], name, value)
        return dict(_walk(".", entries, content))


def _set(names: dict[str, int], name: str, value: int | None) -> None:
    if value is None:
        names.pop(name, None)
    else:
        names[name] = value


def _kept(piece: bytes, choice: str) -> bytes:
    if choice == "tear":
        return piece[: len(piece) // 2] + b"\0" * (len(piece) - len(piece) // 2)
    return piece if choice == "keep" else b""


def _walk(directory: str, entries: dict[str, dict[str, int]], content: dict[int, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, node in entries[directory].items():
        path = name if directory == "." else f"{directory}/{name}"
        if node == -1:
            yield from _walk(path, entries, content)
        else:
            yield path, content[node]


def _losses(disk: Disk, remains: dict[str, bytes]) -> list[str]:
    """What must never be: a promised document that is missing, a name that stands for other bytes."""
    found = {os.path.basename(p): data for p, data in remains.items() if p.startswith("blobs/")}
    wrong = [f"other bytes under {name}" for name, data in found.items() if hashlib.sha256(data).hexdigest() != name]
    return wrong + [f"lost {name}" for name in disk.promised if name not in found]


def _crash_states(disk: Disk, chance: random.Random) -> Iterator[dict[str, bytes]]:
    waiting = sum(map(len, disk.waiting_data.values())) + sum(map(len, disk.waiting_names.values()))
    yield disk.crash(lambda: "drop")
    yield disk.crash(lambda: "keep")
    for odd in range(min(waiting, 20)):
        yield disk.crash(_one_odd(odd, "keep", "drop"))
        yield disk.crash(_one_odd(odd, "drop", "keep"))
    for _ in range(SAMPLES):
        yield disk.crash(lambda: chance.choice(("keep", "drop", "tear")))


def _one_odd(odd: int, others: str, this: str) -> Callable[[], str]:
    choices = iter(this if n == odd else others for n in range(1 << 30))
    return lambda: next(choices)


def _run_model(effects: list[Effect]) -> tuple[int, list[str]]:
    """Number of crash states tried until one shows a loss, and what is lost in it."""
    disk, chance, states = Disk(), random.Random(41), 0
    for effect in effects:
        disk.apply(effect)
        if effect.kind == "mkdir" and disk.entries.get("blobs") == {}:
            continue  # 256 folders in a row: their states do not differ for a document
        for remains in _crash_states(disk, chance):
            states += 1
            if losses := _losses(disk, remains):
                return states, losses
    return states, []


def _document(number: int) -> bytes:
    return random.Random(number % 23).randbytes(50 + number * 37 % 4000)


def _staged(store: FileStore, data: bytes) -> StagedFile:
    staged = store.stage()
    for start in range(0, len(data), 1500):
        staged.write(data[start : start + 1500])
    staged.close()
    return staged


def _deposits(store: FileStore, files: Recording) -> None:
    """A day in the life of a store: single and several deposits, the same bytes again, refusals, a deletion."""
    store.init()
    store.start()
    for number in range(0, 60, 3):
        first, second, third = (_staged(store, _document(number + k)) for k in range(3))
        store.commit(first)
        files.acknowledge(first.sha256)
        if number % 4 == 0:
            third.discard()
            store.commit(second)
        else:
            store.commit_all([second, third])
            files.acknowledge(third.sha256)
        files.acknowledge(second.sha256)
        if number % 9 == 0:
            files.forget(first.sha256)
            store.delete(first.sha256, unused_for=0)
            again = _staged(store, _document(number))
            store.commit(again)
            files.acknowledge(again.sha256)
    store.close()


def test_no_acknowledged_document_is_lost_at_any_instant(tmp_path: Path) -> None:
    files = Recording(tmp_path)
    _deposits(FileStore(tmp_path, free_space=0, files=files), files)
    states, losses = _run_model(files.effects)
    assert losses == []
    assert states >= 5000


def test_what_a_crash_leaves_is_a_store_that_starts_and_is_sound(tmp_path: Path) -> None:
    files = Recording(tmp_path / "live")
    (tmp_path / "live").mkdir()
    _deposits(FileStore(tmp_path / "live", free_space=0, files=files), files)
    disk, chance = Disk(), random.Random(7)
    for number, effect in enumerate(files.effects):
        disk.apply(effect)
        if effect.kind not in ("rename", "write") or number % 5:
            continue
        store = _materialise(tmp_path / str(number), disk.crash(lambda: chance.choice(("keep", "drop", "tear"))))
        store.start()
        assert os.listdir(store.directory / "staging") == []
        assert scrub_blobs(store).sound
        assert disk.promised <= set(store.walk())
        store.close()


def _materialise(directory: Path, remains: dict[str, bytes]) -> FileStore:
    store = FileStore(directory, free_space=0)
    store.init()
    for path, data in remains.items():
        (directory / path).write_bytes(data)
    return store


class _NoDirectorySync(Recording):
    def sync_directory(self, path: Path) -> None:
        if path.parent.name != "blobs":
            super().sync_directory(path)


class _NoFolderSyncAtInit(Recording):
    def sync_directory(self, path: Path) -> None:
        if path.name != "blobs":
            super().sync_directory(path)


class _NoFileSync(Recording):
    def sync(self, descriptor: int) -> None:
        """Forgotten."""


class _NameFirst(Recording):
    """Syncs the bytes, but only after the file has its final name."""

    _late: list[int]

    def sync(self, descriptor: int) -> None:
        self._late = [*getattr(self, "_late", []), os.dup(descriptor)]
        self._open[self._late[-1]] = self._open[descriptor]

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        for descriptor in getattr(self, "_late", []):
            super().sync(descriptor)
            os.close(descriptor)
        self._late = []


@pytest.mark.parametrize("broken", [_NoDirectorySync, _NoFolderSyncAtInit, _NoFileSync, _NameFirst])
def test_the_model_finds_a_store_that_forgets_a_sync(tmp_path: Path, broken: type[Recording]) -> None:
    files = broken(tmp_path)
    _deposits(FileStore(tmp_path, free_space=0, files=files), files)
    _, losses = _run_model(files.effects)
    assert losses


class _WritesInPlace(FileStore):
    """Writes straight to the final name, as some repositories do."""

    def commit_all(self, staged: list[StagedFile]) -> None:  # type: ignore[override]
        for file in staged:
            with file.open() as source:
                data = source.read()
            path = self.directory / "blobs" / file.sha256[:2] / file.sha256
            if path.exists():
                continue
            descriptor = self._files.create(path)
            self._files.write(descriptor, data)
            self._files.sync(descriptor)
            self._files.close(descriptor)
            self._files.sync_directory(path.parent)
            file.discard()


def test_the_model_finds_a_store_that_writes_to_the_final_name(tmp_path: Path) -> None:
    files = Recording(tmp_path)
    _deposits(_WritesInPlace(tmp_path, free_space=0, files=files), files)
    _, losses = _run_model(files.effects)
    assert any(loss.startswith("other bytes") for loss in losses)


def test_the_model_finds_a_store_that_acknowledges_too_early(tmp_path: Path) -> None:
    files = Recording(tmp_path)
    store = FileStore(tmp_path, free_space=0, files=files)
    store.init()
    staged = _staged(store, b"early")
    files.acknowledge(staged.sha256)
    store.commit(staged)
    store.close()
    _, losses = _run_model(files.effects)
    assert losses
