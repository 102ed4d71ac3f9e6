"""`liasse backup DIR` and `liasse restore DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liasse.backup import Progress, back_up, read_manifest
from liasse.commands import output
from liasse.commands.fsck import fsck
from liasse.commands.peers import ConfigOption, config_path, read_settings
from liasse.commands.stores import failures, open_stores, progress_bar
from liasse.restore import restore as restore_backup


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="a folder that is absent or empty")],
    config: ConfigOption = None,
    link: Annotated[
        bool, typer.Option("--link", help="hard links instead of copies: fast, but on the same disk; copy the folder away")
    ] = False,
) -> None:
    """Copy the database, then the documents, then a manifest. The server may run."""
    with open_stores(config) as stores, progress_bar() as bar:
        task = bar.add_task("backup", total=None)
        told = Progress(
            step=lambda text: bar.update(task, description=text, completed=0), copied=lambda _size: bar.advance(task)
        )
        manifest = back_up(
            stores.settings, stores.database, stores.store, directory, stores.config, link=link, progress=told
        )
    text = f"{directory}: database and {manifest.blobs} documents, {output.size_text(manifest.blobs_size)}"
    output.errors().print(output.lines(text, output.GOOD))


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="a folder that `liasse backup` wrote")],
    config: ConfigOption = None,
    verify: Annotated[bool, typer.Option(help="check everything afterwards, as `liasse fsck --deep` does")] = True,
) -> None:
    """Fill an empty storage from a backup. The server must not run."""
    path = config_path(config)
    settings = read_settings(path)
    with failures(), progress_bar() as bar:
        task = bar.add_task("restore", total=read_manifest(directory).blobs)
        told = Progress(step=lambda text: bar.update(task, description=text), copied=lambda _size: bar.advance(task))
        manifest = restore_backup(settings, directory, told)
    output.errors().print(f"{settings.storage.directory}: {manifest.blobs} documents restored")
    if verify:
        fsck(config=path, deep=True, collect=False, json=False)
