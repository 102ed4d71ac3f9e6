"""`liasse journal`: verify, read, export and prove the access journal. The server may run.

`verify` ends with 0 for a journal that is whole, 1 for one that is not, 2 where that cannot be judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from access_control.context import RequestContext
from database.errors import DatabaseError
from database.handle import Database
from database.problem import Problem, Severity
from journal.assertions import kept_assertion
from journal.export import ExportError, ExportVerification, export_journal
from journal.grants import grants as grants_of
from journal.head import ExportedHead, HeadFileError, last_head, registered_keys
from journal.keys import PublicKey, SealKeyError, load_public_key, public_keys, trusted_keys
from journal.rows import journal
from journal.verify import Verification, extent
from journal.view import Asked, Evidence, ViewRow, find_evidence, find_rows, reading_row
from liasse.commands import journal_keys, output
from liasse.commands.fsck import print_problems
from liasse.commands.journal_people import GROUPS, Format, People, language_of, read_choice
from liasse.commands.journal_times import moment_text, read_moment
from liasse.commands.peers import ConfigOption, JsonOption, usage
from liasse.commands.stores import open_database_of, progress_bar
from liasse.evidence import EvidenceBroken, Signer, prove_assertion
from liasse.journal_reading import Wanted
from liasse.reading_as import FORMS
from liasse.settings import Settings
from liasse.wiring import wall_clock
from liasse.withdraw import operator
from xds_metadata.patients import patient_column

MOST_PROBLEMS = 20

app = typer.Typer(help="The access journal: verify, read, export, prove.", no_args_is_help=True)
head_app = typer.Typer(help="Signed heads, to be kept elsewhere.", no_args_is_help=True)
app.add_typer(head_app, name="head")
app.add_typer(journal_keys.app, name="key")

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; it is journaled with your user name")]


@app.command()
def verify(
    config: ConfigOption = None,
    head: Annotated[list[Path] | None, typer.Option("--head", help="an exported head that the journal must hold")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="an exported journal, instead of the database")] = None,
    key: Annotated[list[Path] | None, typer.Option("--key", help="public key to trust; else those near journal.key")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="check the signature of the last head of each key only")] = False,
    json: JsonOption = False,
) -> None:
    """Check every row, number and signed head, and name what is wrong, the first first.

    Exit code 0: whole; 1: not; 2: it cannot be judged.
    """
    with _cannot_judge():
        heads = [ExportedHead.read(path) for path in head or ()]
        given = [load_public_key(path) for path in key or ()]
        if export is not None:
            clean = _verify_export(export, given, heads, quick=quick, json=json)
        else:
            with open_database_of(config, failure=2) as (settings, database):
                clean = _verify_database(settings, database, given, heads, quick=quick, json=json)
    if not clean:
        raise typer.Exit(1)


def _verify_database(
    settings: Settings,
    database: Database,
    given: Sequence[PublicKey],
    heads: Sequence[ExportedHead],
    *,
    quick: bool,
    json: bool,
) -> bool:
    files = given or public_keys(settings.seal_key.parent)
    with database.read() as connection:
        registered = registered_keys(connection)
    keys = trusted_keys(files, [*registered, *(entry for each in heads for entry in each.keys)])
    run = Verification(database, keys, wall_clock(), heads, signatures=not quick)
    with progress_bar() as bar:
        task = bar.add_task("verifying", total=extent(database).rows)
        clean = _print(run.run(lambda count: bar.advance(task, count)), json=json)
    end = extent(database)
    sealed = f"sealed until {moment_text(end.last.at)} UTC" if end.last is not None else "never sealed"
    _summary(clean, f"{end.rows} rows, {sealed}; {run.unsealed} rows not sealed yet")
    return clean


def _verify_export(
    path: Path, given: Sequence[PublicKey], heads: Sequence[ExportedHead], *, quick: bool, json: bool
) -> bool:
    run = ExportVerification(path, given, heads, signatures=not quick, proves=_proves)
    with progress_bar() as bar:
        task = bar.add_task("verifying", total=None)
        clean = _print(run.run(lambda count: bar.advance(task, count)), json=json)
    if not given:
        output.errors().print(
            "the keys are those of the file itself: give --key to prove where it comes from", style=output.NOTE
        )
    until = f"sealed until {moment_text(run.last.at)} UTC" if run.last is not None else "without a head"
    _summary(clean, f"{run.rows} rows, {until}; {run.assertions} assertions")
    return clean


def _proves(digest: str, data: bytes) -> bool:
    try:
        prove_assertion(digest, data, wall_clock())
    except EvidenceBroken:
        return False
    return True


def _print(problems: Iterator[Problem], *, json: bool) -> bool:
    """The first problems; whether there was no error."""
    errors = 0
    for problem in problems:
        print_problems([problem], json=json)
        errors += problem.severity is Severity.ERROR
        if errors == MOST_PROBLEMS:
            output.errors().print(f"{MOST_PROBLEMS} problems: not looked further")
            break
    return errors == 0


def _summary(clean: bool, text: str) -> None:
    verdict = "the journal is whole" if clean else "the journal is NOT whole"
    output.errors().print(output.lines(f"{verdict}: {text}", output.GOOD if clean else output.BAD), soft_wrap=True)


@contextmanager
def _cannot_judge() -> Iterator[None]:
    try:
        yield
    except (SealKeyError, HeadFileError, ExportError, DatabaseError, OSError) as error:
        output.complain(str(error))
        raise typer.Exit(2) from error


@app.command()
def show(
    config: ConfigOption = None,
    patient: Annotated[str | None, typer.Option("--patient", metavar="CX", help="rows of this patient only")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="from this time on, UTC")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="before this time, UTC")] = None,
    last: Annotated[int, typer.Option("--last", min=1, max=100_000, help="so many rows at most, the newest")] = 100,
    reason: ReasonOption = "",
    json: JsonOption = False,
    reader: Annotated[
        str | None, typer.Option("--as", metavar="READER", help=f"in words, as he may read it: {FORMS}")
    ] = None,
    group: Annotated[str, typer.Option("--group", help=f"with --as: {', '.join(GROUPS)}")] = "all",
    shown: Annotated[str, typer.Option("--format", help="with --as: table, csv or json")] = "table",
    language: Annotated[str, typer.Option("--language", help="with --as: fr or en")] = "fr",
) -> None:
    """Read rows, newest first. That they were read, by whom and which, is a row of the journal itself.

    With --as, what a person may see of the journal of one record, in words; a table shows the last year. Exit code 1:
    refused.
    """
    times = (None if since is None else read_moment(since), None if until is None else read_moment(until))
    if reader is not None:
        if patient is None:
            raise usage("--as needs --patient")
        wanted = Wanted(read_choice("--group", group, GROUPS), *times, last, language_of(language))
        form = cast(Format, "json" if json else read_choice("--format", shown, ("table", "csv", "json")))
        People(reader, patient, wanted, form, reason).show(config)
        return
    key = None if patient is None else patient_column(patient)
    if key == "":
        raise typer.BadParameter(f"found {patient!r}, expected a CX such as '123^^^&1.2.3&ISO'")
    asked = Asked(key, *times, last)
    with open_database_of(config) as (_settings, database):
        _record_reading(database, asked, reason)
        rows = find_rows(database, asked)
    if json:
        output.print_json([_as_json(row) for row in rows])
        return
    table = output.table("number", "time (UTC)", "who", "proof", "action", "objects", "patient", "outcome", "rule")
    for row in rows:
        v = row.values
        who = f"{v['subject']} ({v['mode']})" if v["mode"] else v["subject"]
        cells = [who, v["proof_level"], v["action"], v["objects"], v["patient"], v["outcome"], v["rule"]]
        table.add_row(_number(row), moment_text(v["at"]), *(output.lines(str(each), "") for each in cells))
    output.console().print(table)


def _record_reading(database: Database, asked: Asked, reason: str) -> None:
    """Committed before anything is shown."""
    ctx = RequestContext("operator", "", wall_clock(), subject=operator())
    database.write(journal(ctx, [reading_row(asked, reason)]))


def _number(row: ViewRow) -> str:
    return "" if row.number is None else str(row.number)


def _as_json(row: ViewRow) -> dict[str, Any]:
    return {"number": row.number, **row.values}


@app.command()
def evidence(
    row: Annotated[str, typer.Argument(metavar="NUMBER|ID", help="the row to prove")],
    config: ConfigOption = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="write the signed assertion there")] = None,
    reason: ReasonOption = "",
) -> None:
    """Show one row, the head that covers it, and the signed assertion behind it with who signed it.

    Exit code 1 where the assertion is not kept, or does not prove the row. Reading is journaled.
    """
    with open_database_of(config) as (_settings, database):
        found = find_evidence(database, row)
        if found is None:
            output.complain(f"the journal has no row {row}")
            raise typer.Exit(1)
        _record_reading(database, Asked(found.row.values["patient"], limit=1), reason)
        digest = found.assertion
        data = kept_assertion(database, digest) if digest else None
    _print_row(found)
    if not digest:
        output.errors().print("no signed assertion: the caller was not proved by one")
        return
    if data is None:
        output.complain(f"assertion {digest}: not kept")
        raise typer.Exit(1)
    if save is not None:
        _save(save, data)
    try:
        _print_signer(prove_assertion(digest, data, found.row.values["at"]))
    except EvidenceBroken as error:
        output.complain(str(error))
        raise typer.Exit(1) from error
    if save is None:
        typer.echo(data.decode("utf-8", "replace"))


def _print_row(found: Evidence) -> None:
    console = output.console()
    console.print(output.lines(f"row {found.row.number or 'not sealed yet'}", output.GOOD))
    for name, value in found.row.values.items():
        shown = f"{value} ({moment_text(value)} UTC)" if name == "at" else value
        console.print(output.lines(f"  {name}: {shown}", ""), soft_wrap=True)
    if found.hash is not None:
        console.print(f"  hash: {found.hash.hex()}")
    if found.head is not None:
        head = found.head
        console.print(f"  covered by head {head.number}, sealed {moment_text(head.at)} UTC with key {head.key_id}")


def _print_signer(signer: Signer) -> None:
    identity = signer.identity
    console = output.console()
    console.print(output.lines(f"signed by {identity.dn}", output.GOOD), soft_wrap=True)
    valid = f"valid {signer.not_before:%Y-%m-%d} to {signer.not_after:%Y-%m-%d}"
    text = f"  issuer {identity.issuer_dn}; serial {identity.serial}; {valid}; certificate {identity.fingerprint}"
    console.print(output.lines(text, ""), soft_wrap=True)


def _save(path: Path, data: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(data)
    except OSError as error:
        output.complain(f"{path}: {error.strerror}")
        raise typer.Exit(1) from error


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="a new file of JSON lines")],
    config: ConfigOption = None,
    assertions: Annotated[bool, typer.Option("--assertions", help="the kept assertions too")] = False,
    reason: ReasonOption = "",
) -> None:
    """Write every sealed row, its hash and the signed heads: `verify --export` needs nothing else, for years.

    The file names patients and professionals: mode 0600. Exporting is journaled.
    """
    with open_database_of(config) as (settings, database):
        _record_reading(database, Asked(limit=extent(database).rows), reason)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out, progress_bar() as bar:
                task = bar.add_task("exporting", total=extent(database).rows)
                repository = settings.repository.unique_id
                rows = export_journal(
                    database,
                    out,
                    repository,
                    wall_clock(),
                    assertions=assertions,
                    progress=lambda count: bar.advance(task, count),
                )
                out.flush()
                os.fsync(out.fileno())
        except (ExportError, OSError) as error:
            output.complain(str(error))
            raise typer.Exit(1) from error
    output.errors().print(output.lines(f"{rows} rows: {path}", output.GOOD), soft_wrap=True)


@head_app.command("export")
def head_export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="a new file, to be kept on another machine")],
    config: ConfigOption = None,
) -> None:
    """Write the newest signed head: with it a cut tail or an older backup is found out. It holds no patient data."""
    with open_database_of(config) as (_settings, database):
        with database.read() as connection:
            found, keys = last_head(connection), registered_keys(connection)
        if found is None:
            output.complain("the journal has no head yet: the server seals it while it runs")
            raise typer.Exit(1)
        try:
            ExportedHead(found, tuple(keys)).write(path)
        except OSError as error:
            output.complain(f"{path}: {error.strerror}")
            raise typer.Exit(1) from error
    output.errors().print(output.lines(f"head {found.number} of {moment_text(found.at)} UTC: {path}", output.GOOD))


@app.command()
def grants(
    role: Annotated[str, typer.Option("--role", help="the role that the server connects as, not the tables' owner")],
    config: ConfigOption = None,
) -> None:
    """Print SQL for PostgreSQL that gives a role what the server needs, and only INSERT and SELECT on the journal."""
    with open_database_of(config) as (_settings, database):
        if database.kind != "postgresql":
            output.complain("SQLite has no roles: there triggers refuse changes of the journal")
            raise typer.Exit(1)
        typer.echo(grants_of(database, role), nl=False)
