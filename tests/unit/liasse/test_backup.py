"""`liasse backup` and `restore`: what was restored into an empty storage answers byte for byte as the original."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from database.errors import DatabaseUnavailable
from liasse import backup, postgres_tools
from liasse.backup import BackupError, back_up
from liasse.cli import app
from liasse.restore import restore
from liasse.settings_file import load_settings
from tests import samples
from tests.instance import Instance, instance_on, write_settings
from tests.registry_side import IDS, find_documents
from tests.unit.liasse.test_fsck import fill, problems
from xds_registry.stored_queries import QUERIES

APPROVED_OR_NOT = (
    "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved','urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')"
)


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    with instance_on(tmp_path / "instance", database_url) as opened:
        fill(opened)
        for number in range(5):
            opened.deposit(f"document {number}", patient=samples.patient(number))
        yield opened


@pytest.fixture
def empty_place(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty PostgreSQL database to restore into; empty for SQLite."""
    if database_kind == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def save(instance: Instance, target: Path, *, link: bool = False) -> backup.Manifest:
    return back_up(instance.settings, instance.database, instance.store, target, instance.config, link=link)


def answers(instance: Instance) -> dict[str, object]:
    """Every patient's objects by every query that takes a patient, every object by id, every document."""
    found: dict[str, object] = {}
    for number in range(6):
        patient = f"'{samples.patient(number)}'"
        for leaves in (True, False):
            documents = find_documents(samples.patient(number))
            found[f"documents {number} {leaves}"] = instance.query("FindDocuments", *documents, leaves=leaves)
            everything = [("$patientId", patient)]
            everything += [(f"$XDS{kind}Status", APPROVED_OR_NOT) for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
            found[f"all {number} {leaves}"] = instance.query("GetAll", *everything, leaves=leaves)
        for kind, query in (("SubmissionSet", "FindSubmissionSets"), ("Folder", "FindFolders")):
            parameters = [(f"$XDS{kind}PatientId", patient), (f"$XDS{kind}Status", APPROVED_OR_NOT)]
            found[f"{query} {number}"] = instance.query(query, *parameters)
        ids = sorted(instance.found("GetAll", *everything))
        quoted = "(" + ",".join(f"'{one}'" for one in ids) + ")"
        if ids:
            found[f"associations {number}"] = instance.query("GetAssociations", ("$uuid", quoted))
            found[f"sets {number}"] = instance.query("GetSubmissionSets", ("$uuid", quoted))
    with instance.database.read() as connection:
        unique_ids = connection.exec_driver_sql("SELECT unique_id FROM repository_document ORDER BY 1").scalars().all()
    found |= {f"document {unique_id}": instance.retrieve(unique_id) for unique_id in unique_ids}
    assert None not in found.values()
    return found


@pytest.mark.parametrize("link", [False, True])
def test_every_answer_is_the_same_after_restoring(instance: Instance, tmp_path: Path, empty_place: str, link: bool) -> None:
    before = answers(instance)
    target = tmp_path / "backup"
    manifest = save(instance, target, link=link)
    assert manifest.blobs == len(list(instance.store.walk())) == 9
    instance.deposit("after the backup")
    config = write_settings(tmp_path / "restored", empty_place)
    assert restore(load_settings(config), target) == manifest
    restored = Instance(config)
    try:
        assert answers(restored) == before
        assert problems(restored, deep=True) == []
        provided = restored.deposit("life goes on")
        assert restored.retrieve(provided.unique_ids[0]) == provided.documents[provided.unique_ids[0]]
    finally:
        restored.close()


def test_the_queries_that_are_compared_exist() -> None:
    assert set(IDS) == {query.name for query in QUERIES.values()}


def test_a_backup_keeps_the_settings_and_secrets_to_its_owner(instance: Instance, tmp_path: Path) -> None:
    save(instance, tmp_path / "backup")
    assert (tmp_path / "backup" / "config.toml").read_bytes() == instance.config.read_bytes()
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    for path in (tmp_path / "backup").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_codes_of_the_domain_are_kept_where_they_are_a_file(instance: Instance, tmp_path: Path) -> None:
    codes = tmp_path / "domain.json"
    codes.write_text("{}")
    domain = instance.settings.affinity_domain.model_copy(update={"codes": str(codes)})
    settings = instance.settings.model_copy(update={"affinity_domain": domain})
    back_up(settings, instance.database, instance.store, tmp_path / "backup")
    assert (tmp_path / "backup" / "codes.json").read_text() == "{}"
    assert not (tmp_path / "backup" / "config.toml").exists()


def test_a_folder_that_is_not_empty_is_refused(instance: Instance, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "something").touch()
    with pytest.raises(BackupError, match="not empty"):
        save(instance, tmp_path / "backup")
    with pytest.raises(BackupError, match="Not a directory"):
        save(instance, tmp_path / "backup" / "something" / "below")


def test_what_was_stored_meanwhile_does_no_harm(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that comes between database and documents is an orphan of the backup; one that goes is passed over."""
    really = backup._copy_database

    def then_deposit(*arguments: object) -> str:
        name = really(*arguments)  # type: ignore[arg-type]
        instance.deposit("late")
        return name

    monkeypatch.setattr(backup, "_copy_database", then_deposit)
    assert save(instance, tmp_path / "backup").blobs == 10
    walk = instance.store.walk
    monkeypatch.setattr(instance.store, "walk", lambda: iter([*walk(), "0" * 64]))
    assert save(instance, tmp_path / "second").blobs == 10


def test_damage_stops_a_backup(instance: Instance, tmp_path: Path) -> None:
    name = next(instance.store.walk())
    blob = instance.store.directory / "blobs" / name[:2] / name
    data = blob.read_bytes()
    blob.write_bytes(b"x" + data[1:])
    for link in (False, True):
        with pytest.raises(BackupError, match=f"{name} is damaged"):
            save(instance, tmp_path / f"damaged {link}", link=link)
    blob.unlink()
    with pytest.raises(BackupError, match="has no bytes in the store"):
        save(instance, tmp_path / "missing")
    with pytest.raises(BackupError, match=r"no manifest\.json"):
        restore(instance.settings, tmp_path / "missing")


def _first_blob(target: Path) -> Path:
    return next(path for path in sorted((target / "blobs").rglob("*")) if path.is_file())


def _edit(target: Path, **changes: object) -> None:
    path = target / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda t: (t / "manifest.json").unlink(), r"holds no manifest\.json"),
    (lambda t: (t / "manifest.json").write_text("{"), "not readable as a manifest"),
    (lambda t: (t / "manifest.json").write_text("{}"), "not readable as a manifest"),
    (lambda t: _edit(t, format=9), "has format 9"),
    (lambda t: _edit(t, repository="1.2.3"), r"the backup is of 1\.2\.3"),
    (lambda t: _edit(t, schema="9999"), "use a newer release"),
    (lambda t: _edit(t, blobs=1), "the manifest says 1"),
    (lambda t: (t / "blobs.txt").write_text("nothing\n"), r"blobs\.txt is damaged"),
    (lambda t: (t / "blobs.txt").unlink(), "not whole"),
    (lambda t: _first_blob(t).unlink(), "lacks the document"),
    (lambda t: _first_blob(t).write_bytes(b"x"), "is damaged"),
]


@pytest.mark.parametrize(("damage", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_a_broken_backup_is_not_restored(
    instance: Instance, tmp_path: Path, empty_place: str, damage: Callable[[Path], object], says: str
) -> None:
    save(instance, tmp_path / "backup")
    damage(tmp_path / "backup")
    config = write_settings(tmp_path / "restored", empty_place)
    with pytest.raises(BackupError, match=says):
        restore(load_settings(config), tmp_path / "backup")
    assert not (tmp_path / "restored" / "data" / "liasse.sqlite").exists()


def test_a_list_of_documents_that_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "blobs.txt").write_text("abc 12\n")
    with pytest.raises(BackupError, match="not a hash and a size"):
        list(backup.listed_blobs(tmp_path))


def test_only_an_empty_storage_is_filled(instance: Instance, tmp_path: Path, empty_place: str) -> None:
    save(instance, tmp_path / "backup")
    with pytest.raises(BackupError, match="is not empty"):
        restore(instance.settings, tmp_path / "backup")
    url = instance.settings.storage.database
    if url:
        other = load_settings(write_settings(tmp_path / "other", url))
        with pytest.raises(BackupError, match="the database has tables"):
            restore(other, tmp_path / "backup")
        wrong = load_settings(write_settings(tmp_path / "sqlite"))
    else:
        taken = load_settings(write_settings(tmp_path / "taken", f"sqlite:///{instance.database_path}"))
        with pytest.raises(BackupError, match="exists"):
            restore(taken, tmp_path / "backup")
        wrong = load_settings(write_settings(tmp_path / "postgres", "postgresql://host/name"))
    with pytest.raises(BackupError, match="the other kind of database"):
        restore(wrong, tmp_path / "backup")


def test_an_sqlite_url_names_a_file(instance: Instance, tmp_path: Path) -> None:
    if instance.database.kind != "sqlite":
        pytest.skip("SQLite only")
    save(instance, tmp_path / "backup")
    (tmp_path / "elsewhere").mkdir()
    config = write_settings(tmp_path / "restored", f"sqlite:///{tmp_path}/elsewhere/db")
    restore(load_settings(config), tmp_path / "backup")
    assert (tmp_path / "elsewhere" / "db").exists()


def test_a_disk_that_is_full_is_said(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    save(instance, tmp_path / "backup")
    monkeypatch.setattr(os, "sync", full)
    with pytest.raises(BackupError, match="No space left on device; it has no manifest"):
        save(instance, tmp_path / "second")
    config = write_settings(tmp_path / "restored")
    if instance.database.kind == "sqlite":
        with pytest.raises(BackupError, match="No space left on device; empty it"):
            restore(load_settings(config), tmp_path / "backup")


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:secret@host/name", "postgresql:///name?host=h&password=secret"])
def test_a_password_is_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        seen.append((command, env))
        return subprocess.CompletedProcess(command, 1, b"", b"pg_dump: error: no such host\nmore")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DatabaseUnavailable, match="pg_dump failed: pg_dump: error: no such host"):
        postgres_tools.dump(url, tmp_path / "dump")
    ((command, environment),) = seen
    assert "secret" not in " ".join(command)
    assert environment["PGPASSWORD"] == "secret"
    assert make_url(command[1].removeprefix("--dbname=")).drivername == "postgresql"


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatabaseUnavailable, match="pg_restore is not installed: install"):
        postgres_tools.load("postgresql://host/name", tmp_path / "dump")


def test_the_commands(instance: Instance, tmp_path: Path, empty_place: str) -> None:
    run = CliRunner().invoke
    made = run(app, ["backup", str(tmp_path / "backup"), "--config", str(instance.config)])
    assert made.exit_code == 0, made.output
    assert "9 documents" in made.stderr
    again = run(app, ["backup", str(tmp_path / "backup"), "--config", str(instance.config)])
    assert again.exit_code == 1
    assert "not empty" in again.stderr
    config = write_settings(tmp_path / "restored", empty_place)
    restored = run(app, ["restore", str(tmp_path / "backup"), "--config", str(config), "--verify"])
    assert restored.exit_code == 0, restored.output
    assert "0 errors" in restored.stderr
    assert run(app, ["restore", str(tmp_path / "backup"), "--config", str(config), "--no-verify"]).exit_code == 1


def test_scrub_names_the_documents_whose_bytes_are_damaged(instance: Instance) -> None:
    run = CliRunner().invoke
    command = ["scrub", "--config", str(instance.config)]
    assert run(app, command).exit_code == 0
    provided = instance.deposit("to be damaged")
    (unique_id,) = provided.unique_ids
    name = hashlib.sha256(provided.documents[unique_id]).hexdigest()
    blob = instance.store.directory / "blobs" / name[:2] / name
    blob.write_bytes(b"damaged")
    found = run(app, command)
    assert found.exit_code == 1
    assert f"blob {name}: damaged, in quarantine now; documents: {unique_id}" in found.stdout
    assert not blob.exists()
    shutil.rmtree(instance.store.directory / "blobs" / "00")
    lost = run(app, command)
    assert lost.exit_code == 1
    assert "document store failed" in lost.stderr
