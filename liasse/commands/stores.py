"""What operators' commands work on: the database and the document store of a settings file, and how their errors end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from access_control.policy import UnknownPolicy, load_policy
from database.engine import open_database
from database.errors import DatabaseError
from database.handle import Database
from database.schema import check_schema
from liasse.backup import BackupError
from liasse.commands import output
from liasse.commands.peers import config_path, read_settings
from liasse.settings import Settings
from liasse.wiring import file_store
from liasse.withdraw import WithdrawalRefused
from xds_repository.file_store import FileStore
from xds_repository.store import StoreError


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one instance. `config` is the settings file, None where there is none."""

    config: Path | None
    settings: Settings
    database: Database
    store: FileStore

    @property
    def following(self) -> frozenset[str]:
        """The confidentiality codes that follow a document, as the access policy has it. Raises UnknownPolicy."""
        access = self.settings.access
        return load_policy(access.policy, access.options)(self.database).following


@contextmanager
def failures() -> Iterator[None]:
    """What the stores raise ends the command with 1, its reason on standard error."""
    try:
        yield
    except (DatabaseError, StoreError, BackupError, WithdrawalRefused, UnknownPolicy) as error:
        output.errors().print(output.lines(str(error), output.BAD))
        raise typer.Exit(1) from error


@contextmanager
def open_stores(config: Path | None) -> Iterator[Stores]:
    """The stores of the settings file that applies. The server may run, or not."""
    path = config_path(config)
    settings = read_settings(path)
    with failures(), open_database(settings.storage.database_place) as database:
        check_schema(database)
        try:
            store = file_store(settings)
        except OSError as error:
            raise StoreError(f"storage.directory: {settings.storage.directory}: {error.strerror}") from None
        try:
            yield Stores(path, settings, database, store)
        finally:
            store.close()


@contextmanager
def open_database_of(config: Path | None, *, failure: int = 1) -> Iterator[tuple[Settings, Database]]:
    """Settings and database alone; what the database raises ends the command with `failure`. The server may run."""
    settings = read_settings(config_path(config))
    try:
        with open_database(settings.storage.database_place) as database:
            check_schema(database)
            yield settings, database
    except DatabaseError as error:
        output.complain(str(error))
        raise typer.Exit(failure) from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error, on a terminal only; it goes away at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.errors(), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield bar
