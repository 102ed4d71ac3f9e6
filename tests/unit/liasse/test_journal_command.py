"""`liasse journal`, as an operator runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from journal.keys import load_key, make_key
from journal.seal import Sealer
from journal.tables import journal_row
from liasse.backup import back_up
from liasse.cli import app
from liasse.restore import restore
from liasse.settings_file import load_settings
from liasse.wiring import wall_clock
from tests import samples
from tests.instance import Instance, instance_on, write_settings
from tests.journal_side import no_guard, tamper


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


def run(instance: Instance | None, *arguments: str) -> Outcome:
    config = [] if instance is None else ["--config", str(instance.config)]
    result = CliRunner().invoke(app, ["journal", *arguments, *config])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def seal(instance: Instance) -> int:
    return Sealer(instance.database, instance.settings.seal_key, no_guard, wall_clock).run()


def last_row(instance: Instance) -> tuple[str, ...]:
    with instance.database.read() as connection:
        j = journal_row.c
        columns = (j.subject, j.proof_level, j.action, j.patient, j.objects, j.detail)
        return tuple(connection.execute(select(*columns).order_by(j.id.desc()).limit(1)).one())


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    """Two patients, three accesses each at least, all sealed."""
    with instance_on(tmp_path / "instance", database_url) as opened:
        for patient in (samples.PATIENT, samples.patient(2)):
            provided = opened.deposit("one", patient=patient)
            assert opened.retrieve(provided.unique_ids[0])
        seal(opened)
        yield opened


def test_a_journal_is_verified_by_exit_code(instance: Instance, tmp_path: Path) -> None:
    done = run(instance, "verify")
    assert (done.code, done.out) == (0, "")
    assert "the journal is whole: 4 rows, sealed until" in done.err
    assert run(instance, "head", "export", str(tmp_path / "head.json")).code == 0
    assert run(instance, "verify", "--head", str(tmp_path / "head.json"), "--quick").code == 0
    tamper(instance.database, "UPDATE journal_row SET subject = 'another' WHERE action = 'retrieve'")
    done = run(instance, "verify", "--json")
    assert done.code == 1
    assert [json.loads(line)["place"] for line in done.out.splitlines()] == ["row 2", "row 4"]
    assert "NOT whole" in done.err


def test_what_cannot_be_judged_ends_with_2(instance: Instance, tmp_path: Path) -> None:
    for arguments in (
        ("--head", str(tmp_path / "none.json")),
        ("--key", str(tmp_path / "none.pem")),
        ("--export", str(tmp_path / "none.jsonl")),
    ):
        done = run(instance, "verify", *arguments)
        assert (done.code, done.out) == (2, "")
        assert "none" in done.err
    assert run(instance, "verify", "--nothing").code == 2
    empty = write_settings(tmp_path / "empty")
    assert CliRunner().invoke(app, ["journal", "verify", "--config", str(empty)]).exit_code == 2


def test_problems_are_named_up_to_a_bound(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liasse.commands.journal.MOST_PROBLEMS", 2)
    tamper(instance.database, "UPDATE journal_row SET subject = 'another'")
    done = run(instance, "verify")
    assert (done.code, done.out.count("row-changed")) == (1, 2)
    assert "not looked further" in done.err


def test_an_export_is_verified_without_settings_and_database(instance: Instance, tmp_path: Path) -> None:
    path, key = tmp_path / "export.jsonl", next(instance.settings.seal_key.parent.glob("*.pub.pem"))
    assert run(instance, "export", str(path), "--assertions", "--reason", "yearly").code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text().splitlines()[0])["repository"] == instance.settings.repository.unique_id
    done = run(None, "verify", "--export", str(path), "--key", str(key))
    assert done.code == 0
    assert "whole: 4 rows" in done.err
    assert "give --key" in run(None, "verify", "--export", str(path)).err
    (tmp_path / "stranger.pem").write_bytes(make_key().public.pem())
    done = run(None, "verify", "--export", str(path), "--key", str(tmp_path / "stranger.pem"))
    assert (done.code, "key-unknown" in done.out) == (1, True)
    path.write_text(path.read_text().replace('"retrieve"', '"query"', 1))
    assert "row-changed: row 2" in run(None, "verify", "--export", str(path)).out
    again = run(instance, "export", str(path))
    assert (again.code, "File exists" in again.err) == (1, True)


def test_reading_the_journal_is_journaled_before_anything_is_shown(instance: Instance) -> None:
    done = run(instance, "show", "--patient", samples.PATIENT, "--reason", "asked by the patient", "--json")
    rows = json.loads(done.out)
    assert [row["action"] for row in rows] == ["read-journal", "retrieve", "provide"]
    assert [row["number"] for row in rows] == [None, 2, 1]
    subject, proof, action, patient, objects, detail = last_row(instance)
    assert subject.startswith("os-user:")
    assert (proof, action, detail) == ("local", "read-journal", "asked by the patient")
    assert patient == rows[1]["patient"]
    assert "at most 100" in objects
    assert seal(instance) == 1
    assert run(instance, "verify").code == 0


def test_rows_are_chosen_by_time_and_number(instance: Instance) -> None:
    assert len(json.loads(run(instance, "show", "--since", "2001-01-01", "--json").out)) == 5
    assert json.loads(run(instance, "show", "--until", "2001-01-01T12:00+01:00", "--json").out) == []
    assert len(json.loads(run(instance, "show", "--last", "2", "--json").out)) == 2
    assert "read-journal" in run(instance, "show").out
    for wrong in (("--since", "yesterday"), ("--patient", "nobody"), ("--last", "0")):
        assert run(instance, "show", *wrong).code == 2


def test_nothing_is_shown_when_the_reading_cannot_be_journaled(instance: Instance) -> None:
    instance.database.write(lambda connection: connection.exec_driver_sql(BLOCK[instance.database.kind]) and None)
    for command in (("show",), ("evidence", "1"), ("export", "never.jsonl")):
        done = run(instance, *command)
        assert (done.code, done.out) == (1, "")
    assert not Path("never.jsonl").exists()


BLOCK = {
    "sqlite": "CREATE TRIGGER blocked BEFORE INSERT ON journal_row BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "ALTER TABLE journal_row ADD CONSTRAINT blocked CHECK (false) NOT VALID",
}


def test_the_evidence_of_a_row_without_assertion(instance: Instance) -> None:
    done = run(instance, "evidence", "2")
    assert done.code == 0
    assert "action: retrieve" in done.out
    assert "covered by head 4" in done.out
    assert "no signed assertion" in done.err
    assert run(instance, "evidence", "99").code == 1
    assert "not sealed yet" in run(instance, "evidence", newest_id(instance)).out


def newest_id(instance: Instance) -> str:
    with instance.database.read() as connection:
        return str(connection.execute(select(journal_row.c.id).order_by(journal_row.c.id.desc()).limit(1)).scalar_one())


def test_keys_are_made_shown_and_rotated(instance: Instance) -> None:
    key_file = instance.settings.seal_key
    first = load_key(key_file).id
    assert run(instance, "key", "init").code == 1  # never written over
    assert run(instance, "key", "rotate", "--type", "p256").code == 0
    second = load_key(key_file).id
    assert instance.retrieve("1.2.3") is None
    assert seal(instance) == 1
    shown = {row["id"]: row for row in json.loads(run(instance, "key", "show", "--json").out)}
    assert (shown[second]["endorsedBy"], shown[second]["type"], shown[second]["inUse"]) == (first, "p256", True)
    assert (shown[first]["inUse"], shown[first]["trusted"]) == (False, True)
    assert run(instance, "verify").code == 0
    key_file.unlink()
    assert run(instance, "key", "rotate").code == 1
    assert run(instance, "key", "init").code == 0
    assert "not yet" in run(instance, "key", "show").out
    assert instance.retrieve("1.2.3") is None
    assert seal(instance) == 1
    assert run(instance, "verify").code == 0
    key_file.write_text("damaged")
    assert run(instance, "key", "show").code == 1


def test_a_head_is_exported_once_there_is_one(tmp_path: Path, database_url: str) -> None:
    with instance_on(tmp_path / "instance", database_url) as instance:
        done = run(instance, "head", "export", str(tmp_path / "head.json"))
        assert (done.code, "no head yet" in done.err) == (1, True)
        seal(instance)
        assert run(instance, "head", "export", str(tmp_path / "head.json")).code == 0
        assert run(instance, "head", "export", str(tmp_path / "head.json")).code == 1  # never written over


def test_rights_are_printed_for_postgresql_only(instance: Instance) -> None:
    done = run(instance, "grants", "--role", "server")
    if instance.database.kind == "sqlite":
        assert (done.code, "triggers" in done.err) == (1, True)
    else:
        assert done.code == 0
        assert 'FROM "server"' in done.out


def test_fsck_looks_at_the_chain(instance: Instance) -> None:
    def fsck(*options: str) -> Outcome:
        result = CliRunner().invoke(app, ["fsck", "--config", str(instance.config), *options])
        return Outcome(result.exit_code, result.stdout, result.stderr)

    assert fsck().code == fsck("--deep").code == 0
    tamper(instance.database, "UPDATE journal_row SET subject = 'another' WHERE action = 'retrieve'")
    assert fsck().code == 0
    assert "row-changed: row 2" in fsck("--deep").out
    tamper(instance.database, "DELETE FROM journal_head WHERE number > 0")
    assert "row-missing" in fsck().out


def test_a_restored_journal_is_whole_goes_on_and_is_found_older_than_a_kept_head(instance: Instance, tmp_path: Path) -> None:
    if instance.database.kind != "sqlite":
        pytest.skip("the PostgreSQL database of the test is one")
    back_up(instance.settings, instance.database, instance.store, tmp_path / "backup", instance.config)
    assert instance.retrieve("1.2.3") is None
    assert seal(instance) == 1
    kept = tmp_path / "head.json"
    assert run(instance, "head", "export", str(kept)).code == 0
    config = write_settings(tmp_path / "restored", journal={"key": str(instance.settings.seal_key)})
    restore(load_settings(config), tmp_path / "backup")
    restored = Instance(config)
    try:
        assert run(restored, "verify").code == 0
        done = run(restored, "verify", "--head", str(kept))
        assert (done.code, "tail-missing" in done.out) == (1, True)
        assert restored.retrieve("1.2.3") is None
        assert seal(restored) == 1
        assert run(restored, "verify").code == 0
        done = run(restored, "verify", "--head", str(kept))
        assert (done.code, "head-differs" in done.out) == (1, True)
    finally:
        restored.close()
