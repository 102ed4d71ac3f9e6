"""`liasse journal key init|show|rotate`: the key that seals the journal."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from journal.head import insert_key, registered_keys
from journal.keys import SealKeyError, endorse, load_key, make_key, public_keys, replace_key, save_key, trusted_keys
from liasse.commands import output
from liasse.commands.journal_times import moment_text
from liasse.commands.peers import ConfigOption, JsonOption
from liasse.commands.stores import open_database_of
from liasse.wiring import wall_clock

app = typer.Typer(help="The key that seals the journal.", no_args_is_help=True)


class Algorithm(StrEnum):
    """Kinds of keys."""

    ED25519 = "ed25519"
    P256 = "p256"


KindOption = Annotated[Algorithm, typer.Option("--type", help="kind of the new key")]


@app.command()
def init(config: ConfigOption = None, kind: KindOption = Algorithm.ED25519) -> None:
    """Make a key where there is none; an existing one is never written over.

    After the loss of a key the journal goes on with the new one, which nothing endorses: keep its public half.
    """
    with open_database_of(config) as (settings, _database):
        key = make_key(kind.value)
        try:
            save_key(settings.seal_key, key)
        except SealKeyError as error:
            _fail(error)
    output.errors().print(output.lines(f"key {key.id}: {settings.seal_key}", output.GOOD), soft_wrap=True)


@app.command()
def rotate(config: ConfigOption = None, kind: KindOption = Algorithm.ED25519) -> None:
    """Put a new key in the place of the present one, which endorses it and is then forgotten. The server may run."""
    with open_database_of(config) as (settings, database):
        try:
            old, new = load_key(settings.seal_key), make_key(kind.value)
            entry = endorse(new.public, old, wall_clock())
            database.write(lambda connection: insert_key(connection, entry))
            replace_key(settings.seal_key, new)
        except SealKeyError as error:
            _fail(error)
    output.errors().print(output.lines(f"key {new.id} follows {old.id}: {settings.seal_key}", output.GOOD), soft_wrap=True)


@app.command()
def show(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List every key of the journal: since when, endorsed by which, and whether a file here vouches for it."""
    with open_database_of(config) as (settings, database):
        try:
            files = public_keys(settings.seal_key.parent)
            present = load_key(settings.seal_key).id if settings.seal_key.exists() else ""
        except SealKeyError as error:
            _fail(error)
        with database.read() as connection:
            entries = registered_keys(connection)
    trusted = trusted_keys(files, entries)
    rows = [
        {
            "id": entry.public.id,
            "type": entry.public.kind,
            "since": moment_text(entry.at),
            "endorsedBy": entry.endorsed_by,
            "trusted": entry.public.id in trusted,
            "inUse": entry.public.id == present,
        }
        for entry in entries
    ]
    if present and present not in {entry.public.id for entry in entries}:
        key = next(key for key in files if key.id == present) if present in trusted else load_key(settings.seal_key).public
        used = {"type": key.kind, "since": "not yet", "endorsedBy": "", "trusted": present in trusted, "inUse": True}
        rows.append({"id": present, **used})
    if json:
        output.print_json(rows)
        return
    table = output.table("key", "type", "since (UTC)", "endorsed by", "trusted", "in use")
    for row in rows:
        table.add_row(*(("yes" if value else "no") if isinstance(value, bool) else str(value) for value in row.values()))
    output.console().print(table)


def _fail(error: Exception) -> None:
    output.complain(str(error))
    raise typer.Exit(1) from error
