"""`liasse init` and `liasse migrate` where the storage cannot be made or read: exit code 1, the reason, nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from liasse.cli import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "liasse.toml"
    path.write_text("[storage]\ndirectory = 'data'\n", encoding="utf-8")
    return path


def test_a_storage_whose_place_is_taken_by_a_file_is_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("precious", encoding="ascii")
    done = run("init", "--config", config)
    assert (done.exit_code, done.stdout) == (1, "")
    assert str(tmp_path / "data") in done.stderr.replace("\n", "")
    assert (tmp_path / "data").read_text(encoding="ascii") == "precious"


@pytest.mark.parametrize("command", [("init",), ("migrate",), ("migrate", "--plan")])
def test_what_is_no_database_is_left_as_it_is(config: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "liasse.sqlite"
    file.write_bytes(b"a diary\n" * 1000)
    done = run(*command, "--config", config)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.strip()
    assert file.read_bytes() == b"a diary\n" * 1000


def test_migrating_what_was_never_made_says_so_and_makes_nothing(config: Path, tmp_path: Path) -> None:
    done = run("migrate", "--config", config)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.strip()
    assert not (tmp_path / "data" / "liasse.sqlite").exists()


def test_a_schema_of_a_newer_program_is_refused(config: Path, tmp_path: Path) -> None:
    assert run("init", "--config", config).exit_code == 0
    with sqlite3.connect(tmp_path / "data" / "liasse.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in (("init",), ("migrate",), ("migrate", "--plan")):
        done = run(*command, "--config", config)
        assert (done.exit_code, done.stdout) == (1, ""), command
        assert "9999" in done.stderr


def test_nothing_is_to_be_done_twice(config: Path) -> None:
    assert run("init", "--config", config).exit_code == 0
    for command, what in ((("migrate", "--plan"), "to apply: nothing\n"), (("migrate",), "applied: nothing\n")):
        done = run(*command, "--config", config)
        assert (done.exit_code, done.stdout) == (0, what)
