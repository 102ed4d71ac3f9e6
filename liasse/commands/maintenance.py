"""`liasse reindex` and `liasse scrub`: what keeps a store sound. The server may run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from liasse.commands import output
from liasse.commands.peers import ConfigOption
from liasse.commands.stores import open_stores, progress_bar
from xds_registry.maintenance import Cursor
from xds_registry.maintenance import reindex as reindex_objects
from xds_registry.vocabulary import Kind
from xds_repository.documents import owners_of
from xds_repository.scrub import scrub_blobs

_STATE: Final = "reindex.json"


def reindex(
    config: ConfigOption = None,
    restart: Annotated[bool, typer.Option("--restart", help="begin anew instead of where the last run stopped")] = False,
) -> None:
    """Make index columns, details and identities anew from the stored objects. Interrupted, it goes on where it was."""
    with open_stores(config) as stores, progress_bar() as bar:
        state = stores.settings.storage.run_directory / _STATE
        after = None if restart else _read_cursor(state)
        if after is not None:
            output.errors().print("going on where the last run stopped")
        task = bar.add_task("reindexing", total=None)
        objects = changed = 0
        unreadable: list[str] = []
        for step in reindex_objects(stores.database, after, following=stores.following):
            objects, changed = objects + step.objects, changed + step.changed
            unreadable += step.unreadable
            _write_cursor(state, step.cursor)
            bar.advance(task, step.objects)
        state.unlink(missing_ok=True)
    for object_id in unreadable:
        output.console().print(output.lines(f"object {object_id}: its stored form cannot be read", output.BAD))
    output.errors().print(f"{objects} objects, {changed} put right, {len(unreadable)} unreadable")
    if unreadable:
        raise typer.Exit(1)


def _read_cursor(state: Path) -> Cursor | None:
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        return Cursor(Kind(found["kind"]), str(found["patient"]), str(found["id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cursor(state: Path, cursor: Cursor) -> None:
    """Replace the state in one step; it names a patient: mode 0600."""
    state.parent.mkdir(parents=True, exist_ok=True)
    aside = state.with_suffix(".new")
    text = json.dumps({"kind": int(cursor.kind), "patient": cursor.patient, "id": cursor.id})
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    aside.rename(state)


def scrub(
    config: ConfigOption = None,
    after: Annotated[str, typer.Option("--after", metavar="SHA256", help="begin after this blob")] = "",
) -> None:
    """Hash every stored document anew. Damaged ones go into quarantine and are named; exit code 1 if there are any."""
    with open_stores(config) as stores, progress_bar() as bar:
        task = bar.add_task("scrubbing", total=None)
        report = scrub_blobs(stores.store, after=after, progress=lambda _name, _size: bar.advance(task))
        bad = (*report.corrupt, *report.unreadable)
        with stores.database.read() as connection:
            owners = owners_of(connection, bad)
    for sha256 in bad:
        what = "damaged, in quarantine now" if sha256 in report.corrupt else "unreadable: replace the disk"
        names = ", ".join(owners.get(sha256, ())) or "none"
        output.console().print(output.lines(f"blob {sha256}: {what}; documents: {names}", output.BAD), soft_wrap=True)
    output.errors().print(f"{report.blobs} documents sound, {output.size_text(report.size)}; {len(bad)} not")
    if not report.sound:
        raise typer.Exit(1)
