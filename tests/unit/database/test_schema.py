"""The migrated schema is what the packages declare, on both engines; any other version is refused with what to run."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import atna.tables
import dmp.notice_tables
import dmp.record_tables
import journal.tables
import pki.tables
import xds_registry.tables
import xds_repository.tables
import xua.tables
from database import Database, DatabaseUnavailable, SchemaMismatch, open_database
from database.migrate import init_database, migrate
from database.schema import REVISIONS, check_schema, current_schema, pending_revisions
from database.tables import metadata

_PARTITION = re.compile(r"_p\d\d$")
_KEY_TO_PARTITION = re.compile(r"_fkey\d*$")
"""PostgreSQL's own copies of a foreign key, one for each partition it refers to."""

_OF_SQLITE = frozenset({"ix_entry_read"})
"""Indexes that are made on SQLite alone."""

_DECLARED = (
    xds_registry.tables,
    xds_repository.tables,
    journal.tables,
    atna.tables,
    pki.tables,
    xua.tables,
    dmp.record_tables,
    dmp.notice_tables,
)


def test_the_migrations_make_the_tables_that_the_packages_declare(database: Database) -> None:
    assert all(module.metadata is metadata for module in _DECLARED)
    assert database.write(_differences) == []


def _differences(connection: Connection) -> list[object]:
    def is_meant(_made: object, name: str | None, _kind: str, reflected: bool, _compared: object) -> bool:
        return reflected or connection.dialect.name == "sqlite" or name not in _OF_SQLITE

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_name": _is_declared,
        "include_object": is_meant,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _is_declared(name: str | None, kind: str, _parents: object) -> bool:
    if kind == "foreign_key_constraint":
        return not _KEY_TO_PARTITION.search(name or "")
    return kind != "table" or not (_PARTITION.search(name or "") or name == "alembic_version")


def test_names_of_constraints_follow_the_declared_convention(database: Database) -> None:
    with database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
            declared = {f.name for f in table.foreign_key_constraints}
            names = {str(key["name"]) for key in found.get_foreign_keys(table.name)}
            assert {name for name in names if not _KEY_TO_PARTITION.search(name)} == declared


def test_text_compares_byte_by_byte_on_both_engines(database: Database) -> None:
    keys = ["B", "a", "A", "b", "é", "1", "_", "a b", "ab"]

    def fill(connection: Connection) -> None:
        for key in keys:
            connection.execute(xds_registry.tables.patient.insert().values(key=key, cx="", origin="", known_at=0))

    database.write(fill)
    with database.read() as connection:
        rows = connection.execute(xds_registry.tables.patient.select().order_by("key")).all()
    assert [row.key for row in rows] == sorted(keys, key=str.encode)


def test_postgresql_has_sixteen_partitions_of_each_patient_table(database: Database) -> None:
    if database.kind != "postgresql":
        pytest.skip("SQLite has no partitions")
    with database.read() as connection:
        rows = connection.execute(text("SELECT inhparent::regclass::text, count(*) FROM pg_inherits GROUP BY 1")).all()
        counts: dict[str, int] = {str(name): int(number) for name, number in rows}
    declared = {table.name for table in (*xds_registry.tables.PARTITIONED, journal.tables.journal_row)}
    assert {name: n for name, n in counts.items() if not name.startswith(("ix_", "pk_"))} == dict.fromkeys(declared, 16)


def test_revisions_listed_are_the_scripts_in_order() -> None:
    scripts = ScriptDirectory(str(Path(__file__).parents[3] / "database" / "migrations"))
    assert tuple(s.revision for s in reversed(list(scripts.walk_revisions()))) == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]
    assert Config().get_main_option("script_location") is None


def test_init_makes_the_schema_once(empty_database_url: str) -> None:
    with init_database(empty_database_url) as made:
        assert current_schema(made) == REVISIONS[-1]
        assert migrate(made) == ()
        check_schema(made)
    with init_database(empty_database_url) as again:
        assert pending_revisions(again) == ()


def test_a_database_without_tables_is_refused_and_says_what_to_run(empty_database_url: str) -> None:
    Path(empty_database_url).parent.mkdir(parents=True, exist_ok=True) if "://" not in empty_database_url else None
    with open_database(empty_database_url, create=True) as empty:
        assert pending_revisions(empty) == REVISIONS
        with pytest.raises(SchemaMismatch, match="liasse init"):
            check_schema(empty)


def test_an_older_and_a_newer_schema_are_refused_and_say_what_to_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.schema.REVISIONS", (*REVISIONS, "9998"))
    with pytest.raises(SchemaMismatch, match="liasse migrate"):
        check_schema(database)
    assert pending_revisions(database) == ("9998",)
    monkeypatch.undo()
    database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")) and None)
    for check in (check_schema, pending_revisions, migrate):
        with pytest.raises(SchemaMismatch, match="newer release"):
            check(database)


def test_many_that_initialise_at_once_agree(empty_database_url: str) -> None:
    outcomes: list[str | None] = []

    def initialise() -> None:
        with init_database(empty_database_url) as opened:
            outcomes.append(current_schema(opened))

    threads = [threading.Thread(target=initialise) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [REVISIONS[-1]] * 4


def test_init_where_no_directory_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="cannot be made"):
        init_database(tmp_path / "file" / "below" / "x.sqlite")
