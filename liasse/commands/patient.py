"""`liasse patient add|list|show`: the patients that the registry knows, in the database itself.

The server need not run; one that runs knows the patients at once. `add` is all or nothing: when one id is wrong every wrong
one is named with its place, and none is added.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from database.engine import open_database
from database.errors import DatabaseError
from database.handle import Database
from database.schema import check_schema
from liasse.commands import output
from liasse.commands.peers import ConfigOption, JsonOption, config_path, read_settings
from liasse.settings import Settings
from liasse.storage import init_storage, is_new
from xds_metadata.datatypes import DatatypeError, DatatypeTolerances, read_cx
from xds_metadata.patients import patient_column
from xds_metadata.profile import PROFILES
from xds_registry.patients import OPERATOR, KnownPatient, add_patients, find_patient, list_patients

_PAGE: Final = 1000

app = typer.Typer(help="The patients that the registry knows.", no_args_is_help=True)


@app.command()
def add(
    patients: Annotated[
        list[str] | None, typer.Argument(metavar="CX…", help="ids such as '123^^^&1.2.3&ISO'; none or -: standard input")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make patients known: from the arguments, or from standard input, one a line.

    When one id is wrong none is added. An id that is known already stays as it is.
    """
    settings = read_settings(config_path(config))
    given = [(f"argument {number}", text) for number, text in enumerate(patients or (), 1)]
    if not given or [text for _, text in given] == ["-"]:
        given = [(f"line {number}", line.strip()) for number, line in enumerate(sys.stdin, 1) if line.strip()]
    wrong = list(_problems(given, settings))
    notes = output.errors()
    if wrong:
        for line in wrong:
            output.complain(line)
        notes.print(f"{len(wrong)} of {len(given)} ids are wrong: none was added")
        raise typer.Exit(1)
    with _database(settings, make=True) as database:
        added = add_patients(database, [text for _, text in given], OPERATOR, time.time_ns() // 1000)
    notes.print(f"{added} added, {len(given) - added} known before or given twice")


@app.command("list")
def list_command(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the known patients."""
    with _database(read_settings(config_path(config))) as database:
        patients = list(_all(database))
    if json:
        output.print_json([_as_json(patient) for patient in patients])
        return
    if patients:
        output.console().print(_table(patients))
    output.errors().print(f"{len(patients)} patients")


@app.command()
def show(
    patient: Annotated[str, typer.Argument(metavar="CX")], config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Show one patient; exit code 1 when it is not known."""
    settings = read_settings(config_path(config))
    wrong = list(_problems([("argument 1", patient)], settings))
    if wrong:
        output.complain(wrong[0])
        raise typer.Exit(1)
    with _database(settings) as database:
        found = find_patient(database, patient)
    if found is None:
        output.complain(f"{patient} is not known")
        raise typer.Exit(1)
    if json:
        output.print_json(_as_json(found))
    else:
        output.console().print(_table([found]))


def _problems(given: Iterable[tuple[str, str]], settings: Settings) -> Iterator[str]:
    """One sentence, with its place, for each text that is no patient id of the affinity domain."""
    tolerances: DatatypeTolerances = PROFILES[settings.profile].datatypes
    authorities = settings.affinity_domain.assigning_authorities
    for place, text in given:
        try:
            cx = read_cx(text, tolerances)
        except DatatypeError as error:
            yield f"{place}: {error.reason}"
            continue
        if authorities and cx.authority not in authorities:
            yield (
                f"{place}: the authority of {text!r} is {cx.authority}, "
                f"expected is one of affinity_domain.assigning_authorities: {', '.join(authorities)}"
            )


@contextmanager
def _database(settings: Settings, make: bool = False) -> Iterator[Database]:
    """The database of the settings; its errors end the command with 1. `make`: a new storage is initialised first."""
    try:
        if make and is_new(settings):
            init_storage(settings)
        with open_database(settings.storage.database_place) as database:
            check_schema(database)
            yield database
    except DatabaseError as error:
        output.complain(str(error))
        raise typer.Exit(1) from error


def _all(database: Database) -> Iterator[KnownPatient]:
    after = ""
    while page := list_patients(database, _PAGE, after):
        yield from page
        after = patient_column(page[-1].cx)


def _table(patients: Iterable[KnownPatient]) -> Table:
    table = output.table()
    table.add_column("patient", overflow="fold", style="cyan")
    for name in ("known by", "since (UTC)"):
        table.add_column(name, no_wrap=True)
    for patient in patients:
        table.add_row(output.lines(patient.cx, ""), patient.origin, f"{_since(patient):%Y-%m-%d %H:%M:%S}")
    return table


def _since(patient: KnownPatient) -> datetime:
    return datetime.fromtimestamp(patient.known_at / 1_000_000, UTC)


def _as_json(patient: KnownPatient) -> dict[str, Any]:
    return {"patient": patient.cx, "knownBy": patient.origin, "since": _since(patient).isoformat()}
