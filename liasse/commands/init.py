"""`liasse init` and `liasse migrate`: make the storage, bring the database to this program's schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from database.engine import open_database
from database.errors import DatabaseError
from database.migrate import migrate as apply_migrations
from database.schema import check_schema, pending_revisions
from liasse.commands import output
from liasse.commands.peers import ConfigOption, config_path, read_settings
from liasse.storage import init_storage, is_new
from xds_repository.store import StoreError


def init(config: ConfigOption = None) -> None:
    """Make the storage: folders, document store, database with its tables. What exists stays."""
    settings = read_settings(config_path(config))
    with _failures():
        if not is_new(settings):
            with open_database(settings.storage.database_place) as database:
                check_schema(database)
        init_storage(settings)
    output.console().print(output.lines(f"storage ready: {settings.storage.directory}", output.GOOD), soft_wrap=True)


def migrate(
    config: ConfigOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="only say which schema versions would be applied")] = False,
) -> None:
    """Bring the database to the schema of this program, in one transaction. Make a backup first."""
    settings = read_settings(config_path(config))
    with _failures(), open_database(settings.storage.database_place) as database:
        versions = pending_revisions(database) if plan else apply_migrations(database)
    what = ", ".join(versions) or "nothing"
    output.console().print(output.lines(f"{'to apply' if plan else 'applied'}: {what}", output.GOOD), soft_wrap=True)


@contextmanager
def _failures() -> Iterator[None]:
    """Failures of the storage end the command with 1 and say what happened."""
    try:
        yield
    except (DatabaseError, StoreError) as error:
        output.errors().print(output.lines(str(error), output.BAD), soft_wrap=True)
        raise typer.Exit(1) from error
    except OSError as error:
        output.errors().print(output.lines(f"{error.filename}: {error.strerror}", output.BAD), soft_wrap=True)
        raise typer.Exit(1) from error
