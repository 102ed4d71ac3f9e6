"""`liasse fsck`: silent on what the server wrote, and each kind of damage found by its rule."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update
from typer.testing import CliRunner

from database.handle import Database
from database.problem import Problem, Severity
from journal.tables import journal_row
from liasse.cli import app
from liasse.fsck import Fsck
from liasse.wiring import wall_clock
from tests import samples
from tests.instance import Instance, described, instance_on
from tests.journal_side import unprotect
from xds_metadata.associations import RPLC
from xds_registry import tables as t
from xds_registry.integrity import CHECKED
from xds_repository.integrity import BlobCheck
from xds_repository.tables import repository_document

Damage = Callable[[Connection, "Filled"], object]


@dataclass
class Filled:
    """An instance that holds one of everything. Bare ids."""

    instance: Instance
    entry: str
    unique_id: str
    set_id: str
    folder: str
    member: str
    blob_name: str = ""

    def blob(self) -> Path:
        """The file of the entry's document."""
        r = repository_document.c
        with self.instance.database.read() as connection:
            sha256: str = connection.execute(select(r.sha256).where(r.unique_id == self.unique_id)).scalar_one()
        return self.instance.store.directory / "blobs" / sha256[:2] / sha256


@pytest.fixture
def filled(tmp_path: Path, database_url: str) -> Iterator[Filled]:
    with instance_on(tmp_path / "instance", database_url) as instance:
        yield fill(instance)


def fill(instance: Instance) -> Filled:
    """Two documents in a folder, one of them replaced, and a second patient."""
    pairs = [described("one", event_codes=(samples.code("E1"),), reference_ids=("R1^^^^urn:ihe:iti:xds:2013:order",))]
    pairs.append(described("two"))
    folder = samples.folder()
    links = [samples.member(folder.entry_uuid, entry.entry_uuid) for entry, _ in pairs]
    first = instance.deposit_pairs(pairs, folders=[folder], links=links)
    replacing = described("one again")
    link = samples.link(RPLC, replacing[0].entry_uuid, first.submission.entries[0].entry_uuid)
    instance.deposit_pairs([replacing], links=[link])
    instance.deposit("three", patient=samples.patient(2))
    value = first.submission
    entry = value.entries[1]
    member = next(a for a in value.associations if a.target == entry.entry_uuid and a.submission_set_status)
    bare = [uuid.removeprefix("urn:uuid:") for uuid in (entry.entry_uuid, value.submission_sets[0].entry_uuid)]
    others = [uuid.removeprefix("urn:uuid:") for uuid in (value.folders[0].entry_uuid, member.entry_uuid)]
    return Filled(instance, bare[0], entry.unique_id or "", bare[1], others[0], others[1])


def checker(instance: Instance, *, deep: bool = False, collect: bool = False, grace: float = 86_400.0) -> Fsck:
    return Fsck(
        instance.database,
        instance.store,
        instance.settings.repository.unique_id,
        remote=False,
        at=wall_clock(),
        blobs=BlobCheck(deep=deep, collect=collect, grace=grace),
    )


def problems(instance: Instance, *, deep: bool = False) -> list[Problem]:
    return list(checker(instance, deep=deep).run())


def damage(database: Database, what: Callable[[Connection], object]) -> None:
    def run(connection: Connection) -> None:
        what(connection)

    database.write(run)


@pytest.mark.parametrize("deep", [False, True])
def test_what_the_server_wrote_is_clean(filled: Filled, deep: bool) -> None:
    run = checker(filled.instance, deep=deep)
    counted: list[int] = []
    assert list(run.run(counted.append)) == []
    assert run.clean
    assert sum(counted) >= run.total() > 30


def test_every_table_of_the_registry_is_looked_at(filled: Filled) -> None:
    details = {
        table.name for table in (t.entry_code, t.entry_author, t.entry_actor, t.entry_reference, t.set_author, t.folder_code)
    }
    checked = {table.name for table in CHECKED} | details | {"patient"}
    assert checked == {table.name for name, table in vars(t).items() if name == getattr(table, "name", None)}


DAMAGES: list[tuple[str, Damage]] = [
    ("leaf-format", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(leaf_format=9))),
    ("leaf", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(leaf=b"<not>a leaf"))),
    ("leaf", lambda c, f: c.execute(update(t.association).where(t.association.c.id == f.member).values(leaf=b"/><a/>"))),
    ("document-mask", lambda c, f: c.execute(delete(t.document_mask))),
    ("mask-without-document", lambda c, f: c.execute(insert(t.document_mask).values(patient="x", unique_id="y", code="z"))),
    ("status", lambda c, f: c.execute(update(t.folder).where(t.folder.c.id == f.folder).values(status=9))),
    ("withdrawn", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(withdrawn=7))),
    ("last-update", lambda c, f: c.execute(update(t.folder).values(last_update="yesterday"))),
    ("index-column", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(class_code="x^^y"))),
    ("index-column", lambda c, f: c.execute(update(t.submission_set).values(source_id="1.2"))),
    ("index-column", lambda c, f: c.execute(update(t.folder).values(splice=3))),
    ("index-column", lambda c, f: c.execute(update(t.association).where(t.association.c.id == f.member).values(type=4))),
    ("index-detail", lambda c, f: c.execute(delete(t.entry_code).where(t.entry_code.c.entry == f.entry))),
    ("index-detail", lambda c, f: c.execute(update(t.set_author).values(person="somebody else"))),
    ("index-detail", lambda c, f: c.execute(delete(t.folder_code))),
    ("object-key", lambda c, f: c.execute(delete(t.object_key).where(t.object_key.c.id == f.entry))),
    ("object-key", lambda c, f: c.execute(update(t.object_key).where(t.object_key.c.id == f.member).values(kind=1))),
    ("object-version", lambda c, f: c.execute(delete(t.object_version).where(t.object_version.c.id == f.folder))),
    ("document-identity", lambda c, f: c.execute(delete(t.document_identity))),
    ("document-identity", lambda c, f: c.execute(update(t.document_identity).values(size=1))),
    ("document-locator", lambda c, f: c.execute(delete(t.document_locator))),
    ("set-identity", lambda c, f: c.execute(update(t.set_identity).values(kind=3))),
    ("submission", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(submission="none"))),
    ("withdrawn-set", lambda c, f: c.execute(update(t.submission_set).values(withdrawn=1))),
    ("has-member", lambda c, f: c.execute(delete(t.association).where(t.association.c.id == f.member))),
    ("withdrawn-member", lambda c, f: c.execute(update(t.association).values(withdrawn=1))),
    ("association-end", lambda c, f: c.execute(update(t.association).values(source="nobody"))),
    ("withdrawn-end", lambda c, f: c.execute(update(t.entry).where(t.entry.c.id == f.entry).values(withdrawn=1))),
    ("key-without-object", lambda c, f: c.execute(insert(t.object_key).values(id="x", patient="p", kind=1))),
    ("version-without-object", lambda c, f: c.execute(insert(t.object_version).values(("x", 1, "x", 1)))),
    ("version-latest", lambda c, f: c.execute(update(t.object_version).values(latest=0))),
    ("part-without-owner", lambda c, f: c.execute(insert(t.part_key).values(id="x", owner="y"))),
    ("identity-without-entry", lambda c, f: c.execute(insert(t.document_identity).values(("1.9", "a", 1)))),
    ("locator-without-entry", lambda c, f: c.execute(insert(t.document_locator).values(unique_id="1.9", patient="p"))),
    ("identity-without-set", lambda c, f: c.execute(insert(t.set_identity).values(foreign_set()))),
    ("document-missing", lambda c, f: c.execute(delete(repository_document))),
    ("document-differs", lambda c, f: c.execute(update(repository_document).values(sha1="0" * 40))),
    ("not-served", lambda c, f: c.execute(update(repository_document).values(state="withdrawn"))),
    ("served-withdrawn", lambda c, f: c.execute(update(t.entry).values(withdrawn=1))),
    ("document-without-entry", lambda c, f: c.execute(update(repository_document).values(row_of(f, "1.9")))),
    ("document-state", lambda c, f: c.execute(update(repository_document).values(state="lost"))),
    ("not-journaled", lambda c, f: unprotect(c).execute(delete(journal_row))),
    ("blob-missing", lambda c, f: f.blob().unlink()),
    ("blob-size", lambda c, f: os.truncate(f.blob(), 3)),
]  # fmt: skip


def foreign_set() -> dict[str, object]:
    texts = dict.fromkeys(("unique_id", "patient", "sender", "digest", "message_id"), "1.9")
    return {**texts, "kind": 3, "answered_at": 1}


def row_of(filled: Filled, unique_id: str) -> dict[str, object]:
    return {"unique_id": repository_document.c.unique_id + unique_id}


@pytest.mark.parametrize(("rule", "what"), DAMAGES, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(DAMAGES)])
def test_damage_is_found(filled: Filled, rule: str, what: Damage) -> None:
    damage(filled.instance.database, lambda connection: what(connection, filled))
    found = [problem for problem in problems(filled.instance) if problem.rule == rule]
    assert found
    assert {problem.severity for problem in found} == {Severity.ERROR}
    assert "PAT1" not in "".join(problem.place + problem.text for problem in found)


def test_a_pending_document_is_a_note(filled: Filled) -> None:
    damage(filled.instance.database, lambda c: c.execute(update(repository_document).values(state="pending")))
    notes = [p for p in problems(filled.instance) if p.severity is Severity.NOTE]
    assert {p.rule for p in notes} == {"pending"}


def test_bytes_that_changed_are_found_when_looked_at_deeply(filled: Filled) -> None:
    blob = filled.blob()
    data = bytearray(blob.read_bytes())
    data[0] ^= 1
    blob.write_bytes(data)
    assert problems(filled.instance) == []
    found = problems(filled.instance, deep=True)
    assert [(p.rule, filled.unique_id in p.text) for p in found] == [("blob-hash", True)]


def test_a_row_whose_sha1_is_not_that_of_its_bytes_is_found_deeply(filled: Filled) -> None:
    damage(filled.instance.database, lambda c: c.execute(update(repository_document).values(sha1="0" * 40)))
    damage(filled.instance.database, lambda c: c.execute(update(t.entry).values(hash="0" * 40)))
    assert "document-hash" in {p.rule for p in problems(filled.instance, deep=True)}


def test_a_blob_that_cannot_be_read_is_found(filled: Filled) -> None:
    blob = filled.blob()
    blob.unlink()
    blob.symlink_to(blob.name)  # leads to itself: the file system gives an error
    (blob.parent.parent / "aa" / ("a" * 64)).symlink_to("a" * 64)
    found = [problem.place for problem in problems(filled.instance) if problem.rule == "blob-unreadable"]
    assert found == [f"document {filled.unique_id}", f"blob {'a' * 64}"]
    deep = [problem.place for problem in problems(filled.instance, deep=True) if problem.rule == "blob-unreadable"]
    assert deep.count(f"blob {blob.name}") == 1


def test_an_orphan_is_harmless_and_collected_when_old(filled: Filled) -> None:
    store = filled.instance.store
    staged = store.stage()
    staged.write(b"nobody's")
    staged.close()
    store.commit(staged)
    young = checker(filled.instance, collect=True)
    assert list(young.run()) == []
    assert (young.blobs.orphans.count, young.blobs.orphans.collected) == (1, 0)
    old = checker(filled.instance, grace=0)
    assert [(p.rule, p.severity) for p in old.run()] == [("orphan", Severity.NOTE)]
    assert old.clean
    collecting = checker(filled.instance, grace=0, collect=True)
    assert [p.rule for p in collecting.run()] == ["orphan"]
    assert collecting.blobs.orphans.collected == 1
    assert not store.exists(staged.sha256)
    assert list(checker(filled.instance, grace=0).run()) == []


def test_what_is_in_quarantine_is_noted(filled: Filled) -> None:
    (filled.instance.store.directory / "quarantine" / "something").touch()
    assert [(p.rule, p.severity) for p in problems(filled.instance)] == [("quarantine", Severity.NOTE)]


def test_sqlite_looks_through_its_file(filled: Filled) -> None:
    if filled.instance.database.kind != "sqlite":
        pytest.skip("SQLite only")

    def break_constraint(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE odd (x INTEGER CHECK (x > 0))"))
        connection.execute(text("PRAGMA ignore_check_constraints=ON"))
        connection.execute(text("INSERT INTO odd VALUES (-1)"))
        connection.execute(text("PRAGMA ignore_check_constraints=OFF"))

    damage(filled.instance.database, break_constraint)
    assert [p.rule for p in problems(filled.instance, deep=True)] == ["sqlite"]


def test_a_document_that_is_purged_meanwhile_is_no_finding(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row goes between its reading and the look at its blob."""
    instance, seen = filled.instance, filled.instance.store.stat

    def stat_after_purge(sha256: str) -> object:
        if filled.blob_name == sha256:
            damage(
                instance.database,
                lambda c: c.execute(delete(repository_document).where(repository_document.c.unique_id == filled.unique_id)),
            )
            instance.store.delete(sha256, unused_for=0)
        return seen(sha256)

    filled.blob_name = filled.blob().name
    monkeypatch.setattr(instance.store, "stat", stat_after_purge)
    assert "blob-missing" not in {p.rule for p in problems(instance)}


def test_the_command_says_what_it_found_and_ends_with_1(filled: Filled) -> None:
    command = ["fsck", "--config", str(filled.instance.config)]
    clean = CliRunner().invoke(app, [*command, "--deep"])
    assert clean.exit_code == 0, clean.output
    filled.blob().unlink()
    broken = CliRunner().invoke(app, command)
    assert broken.exit_code == 1
    assert f"document {filled.unique_id}" in broken.stdout
    lines = [json.loads(line) for line in CliRunner().invoke(app, [*command, "--json"]).stdout.splitlines()]
    assert lines[0]["rule"] == "blob-missing"
    assert lines[-1] == {"errors": 1, "notes": 0, "orphans": 0, "orphanBytes": 0, "collected": 0, "clean": False}
