"""`liasse reindex`: whatever the index columns say, the leaves put it right; resumable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, update
from typer.testing import CliRunner

from database.problem import batches
from liasse.cli import app
from tests import samples
from tests.instance import Instance, instance_on
from tests.unit.liasse.test_fsck import Filled, damage, fill, problems
from xds_registry import maintenance
from xds_registry import tables as t
from xds_registry.maintenance import Step, reindex


@pytest.fixture
def filled(tmp_path: Path, database_url: str) -> Iterator[Filled]:
    with instance_on(tmp_path / "instance", database_url) as instance:
        yield fill(instance)


def break_everything(connection: Connection) -> None:
    """What follows from the leaves, wrong in every table."""
    connection.execute(update(t.entry).values(class_code="x^^y", creation_time=None, size=1, mime_type="a/b", version=7))
    connection.execute(update(t.submission_set).values(source_id="1.2", content_type="x"))
    connection.execute(update(t.folder).values(unique_id="1.2.3", splice=1))
    connection.execute(update(t.association).values(type=5, membership=2, source="nobody"))
    connection.execute(update(t.entry_author).values(person="nobody"))
    for table in (t.entry_code, t.entry_actor, t.document_mask, t.entry_reference, t.set_author, t.folder_code):
        connection.execute(delete(table))
    for table in (t.object_key, t.object_version, t.document_locator, t.document_identity):
        connection.execute(delete(table))


def test_everything_that_follows_from_the_leaves_is_made_anew(filled: Filled) -> None:
    database = filled.instance.database
    before = _content(filled.instance)
    assert sum(step.changed for step in reindex(database)) == 0
    damage(database, break_everything)
    assert problems(filled.instance)
    steps = list(reindex(database))
    assert sum(step.changed for step in steps) > 10
    assert problems(filled.instance) == []
    assert _content(filled.instance) == before
    assert sum(step.changed for step in reindex(database)) == 0


def _content(instance: Instance) -> dict[str, list[tuple[object, ...]]]:
    with instance.database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in t.entry.metadata.sorted_tables
            if table.name not in ("lease", "journal_row")
        }


def test_it_goes_on_where_it_stopped(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_BATCH", 1)
    database = filled.instance.database
    damage(database, break_everything)
    some = list(islice(reindex(database), 6))
    rest = list(reindex(database, some[-1].cursor))
    everything = list(reindex(database))
    assert [step.cursor for step in (*some, *rest)] == [step.cursor for step in everything]
    assert problems(filled.instance) == []


def test_an_unreadable_leaf_is_named_and_left_alone(filled: Filled) -> None:
    damage(
        filled.instance.database, lambda c: c.execute(update(t.entry).where(t.entry.c.id == filled.entry).values(leaf=b"?"))
    )
    assert [step.unreadable for step in reindex(filled.instance.database) if step.unreadable] == [(filled.entry,)]


def test_an_object_that_is_purged_meanwhile_is_passed_over(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    database = filled.instance.database
    damage(database, lambda c: c.execute(update(t.folder).values(unique_id="1.2")))
    really = maintenance._put_right

    def after_purge(*arguments: object) -> Step:
        damage(database, lambda c: c.execute(delete(t.folder)))
        return really(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(maintenance, "_put_right", after_purge)
    assert list(reindex(database))
    with database.read() as connection:
        assert connection.execute(select(t.folder)).all() == []
        assert connection.execute(select(t.folder_code)).all() == []


def test_the_command_resumes_and_forgets_its_place_at_the_end(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    run, command = CliRunner().invoke, ["reindex", "--config", str(filled.instance.config)]
    state = filled.instance.settings.storage.run_directory / "reindex.json"
    monkeypatch.setattr(maintenance, "_BATCH", 2)
    really = maintenance._put_right
    steps: list[Step] = []

    def interrupted(*arguments: object) -> Step:
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(really(*arguments))  # type: ignore[arg-type]
        return steps[-1]

    monkeypatch.setattr(maintenance, "_put_right", interrupted)
    assert run(app, command).exit_code != 0
    assert state.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(maintenance, "_put_right", really)
    damage(filled.instance.database, break_everything)
    resumed = run(app, command)
    assert "going on" in resumed.stderr
    assert resumed.exit_code == 0
    assert not state.exists()
    assert problems(filled.instance)
    anew = run(app, [*command, "--restart"])
    assert "put right" in anew.stderr
    assert problems(filled.instance) == []


def test_the_command_names_what_it_could_not_read(filled: Filled) -> None:
    damage(
        filled.instance.database, lambda c: c.execute(update(t.entry).where(t.entry.c.id == filled.entry).values(leaf=b"?"))
    )
    state = filled.instance.settings.storage.run_directory / "reindex.json"
    state.parent.mkdir(exist_ok=True)
    state.write_text("not json")
    done = CliRunner().invoke(app, ["reindex", "--config", str(filled.instance.config)])
    assert done.exit_code == 1
    assert filled.entry in done.stdout


def test_a_walk_over_a_table_gives_every_row_once(tmp_path: Path, database_url: str) -> None:
    with instance_on(tmp_path / "instance", database_url) as instance:
        for number in range(3):
            instance.deposit(*(f"{number}-{n}" for n in range(3)), patient=samples.patient(number % 2))
        e = t.entry.c
        for size in (1, 2, 4, 9, 10):
            found = [
                row.id
                for _, rows in batches(instance.database, [e.patient, e.id], [e.patient, e.id], size=size)
                for row in rows
            ]
            assert len(found) == len(set(found)) == 9
        one = e.patient == f"PAT0^{samples.AUTHORITY}"
        assert (
            sum(len(rows) for _, rows in batches(instance.database, [e.patient, e.id], [e.patient, e.id], one, size=4)) == 6
        )
