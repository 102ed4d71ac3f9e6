"""The person stays in the store where things go wrong inside: failing plugins, a lost registry, damaged rows, operators."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.failing import comes_true, frozen, pids
from tests.e2e.sentinel import CDA, NAME, OID, PATIENT, check, clean, deposit, register, sentinels
from tests.e2e.server import ROOT, RunningServer, command, start, write_config

DEBUG = {"log": {"level": "debug"}, "server": {"workers": 1}}
PLAIN = samples.oid()
"""The uniqueId of a document that operators may name: nothing of the person is in it."""


def tool(server: RunningServer, *arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command of the same settings, as a process of its own."""
    done = subprocess.run(
        [*command(arguments[0]), *arguments[1:], "--config", str(server.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done


@pytest.fixture
def failing_policy(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose access policy, a third party's, raises what it was given."""
    plugin = tmp_path / "plugin"
    (plugin / "raising-1.dist-info").mkdir(parents=True)
    (plugin / "raising-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: raising\nVersion: 1\n")
    (plugin / "raising-1.dist-info" / "entry_points.txt").write_text(
        "[liasse.access_policies]\nraising = raising:configure\n"
    )
    source = f"""
        from access_control.open import OpenPolicy

        class Raising(OpenPolicy):
            def may(self, ctx, action, target):
                try:
                    raise KeyError({NAME!r})
                except KeyError as error:
                    raise RuntimeError({NAME!r}, ctx, action, target) from error

        def configure(options):
            return lambda database: Raising()
    """
    (plugin / "raising.py").write_text(textwrap.dedent(source))
    config = write_config(tmp_path / "server", {**DEBUG, "access": {"policy": "raising"}})
    server = start(config, {"PYTHONPATH": str(plugin)})
    yield server
    server.kill()


def test_an_exception_of_a_handler_is_logged_without_what_it_says(failing_policy: RunningServer) -> None:
    messages = [
        deposit(1).message(),
        register(),
        wire.find_documents(PATIENT),
        wire.retrieve(DEFAULT_REPOSITORY_ID, f"{OID}.1^{NAME}"),
    ]
    for message in messages:
        seen = wire.send(failing_policy, message)
        assert not seen.verdict.startswith("Success"), seen.text
        assert sentinels(seen.text) == []
    clean("exceptions", failing_policy)
    assert failing_policy.stop() == 0
    clean("stop", failing_policy)
    lines = [line for line in failing_policy.log_text().splitlines() if '"event": "internal error"' in line]
    assert len(lines) == len(messages)
    assert all('"code": "RuntimeError"' in line and "raising.py:" in line for line in lines)


def test_a_registry_that_is_away_and_comes_back(make_server: ServerFactory) -> None:
    """The transactions between repository and registry, the pending document and the job that decides it."""
    registry = make_server(DEBUG, name="registry")
    settings = {**DEBUG, "repository": {"registry": f"{registry.base_url}/registry", "unique_id": "1.2.250.1.999.32"}}
    repository = make_server(settings, name="repository")
    check(repository, deposit(1).message(), "Success")
    check(repository, deposit(1, CDA + b" ").message(), "Failure XDSNonIdenticalHash")
    check(repository, deposit(2, language_code=NAME).message(), "Failure XDSRepositoryMetadataError")
    with frozen(pids(registry)):
        seen = wire.send(repository, deposit(3).message())
        assert seen.verdict == "Failure XDSRegistryNotAvailable", seen.text
        assert comes_true(lambda: "could not be asked about pending documents" in repository.log_text())
    # What the frozen registry was sent it may have dropped, since nobody waited for its answer any more.
    filed = register(
        unique_id=f"{OID}.3^{NAME}",
        repository_unique_id="1.2.250.1.999.32",
        hash=wire.sha1(CDA),
        size=str(len(CDA)),
        mime_type="text/xml",
    )
    check(registry, filed, "Success")
    assert comes_true(lambda: pending(repository) == 0)
    for server in (registry, repository):
        clean("remote", server)
        assert server.stop() == 0
        clean("stop", server)
    assert "pending documents were decided" in repository.log_text()


def pending(repository: RunningServer) -> int:
    with contextlib.closing(wire.open_database(repository)) as database:
        (count,) = database.execute("SELECT count(*) FROM repository_document WHERE state = 'pending'").fetchone()
        return int(count)


def test_operators_tools_name_no_patient(make_server: ServerFactory, tmp_path: Path) -> None:
    """The whole output of every command that keeps a store, on a sound store and on a damaged one."""
    server = make_server({**DEBUG, "affinity_domain": {"assigning_authorities": [samples.AUTHORITY]}})
    check(server, deposit(1, unique_id=PLAIN).message(), "Success")
    check(server, register(unique_id=samples.oid()), "Success")
    said = [tool(server, "patient", "add", PATIENT), tool(server, "patient", "add", stdin=f"{PATIENT}\n")]
    backup = tmp_path / "backup"
    said += [
        tool(server, *each)
        for each in (
            ("doctor",),
            ("fsck", "--deep"),
            ("fsck", "--json"),
            ("scrub",),
            ("reindex",),
            ("backup", str(backup)),
            ("withdraw", PLAIN, "--reason", "a test"),
            ("withdraw", PLAIN, "--undo", "--reason", "a test"),
        )
    ]
    said.append(tool(server, "withdraw", samples.oid(), "--reason", NAME, code=1))
    damage(server)
    said += [tool(server, *each, code=1) for each in (("fsck", "--deep"), ("fsck", "--json"), ("scrub",), ("reindex",))]
    assert PLAIN in said[-4].stdout  # what is damaged is named, by its document
    for done in said:
        assert sentinels(done.stdout + done.stderr) == [], done.args
    for path in backup.iterdir():
        if path.is_file() and not path.name.startswith("liasse.sqlite") and path.name != "database":
            assert sentinels(path.read_bytes().decode("utf-8", "replace")) == [], path
    clean("tools", server)
    assert server.stop() == 0
    clean("stop", server)


def damage(server: RunningServer) -> None:
    """Stored objects that cannot be read, index columns that contradict them, a document of other bytes."""
    with contextlib.closing(sqlite3.connect(server.data / "liasse.sqlite", timeout=20, isolation_level=None)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "entry_author" in tables
        database.execute("UPDATE entry_author SET person = ?", (NAME + " and another",))
        database.execute("UPDATE entry SET leaf = ? WHERE unique_id <> ?", (f"<{NAME}>".encode(), PLAIN))
    (blob,) = wire.blobs(server)
    kept = blob.read_bytes()
    os.chmod(blob, 0o600)
    blob.write_bytes(NAME.encode() + kept[len(NAME) :])
