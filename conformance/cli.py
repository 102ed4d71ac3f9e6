"""The command `liasse conformance`: run, list, show, sample, patients.

Exit codes: 0 all pass, 1 some failed or did not run, 2 usage, or nothing was run.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.engine import Run, run_cases
from conformance.ids import Ids
from conformance.plan import Case, load_plan, select
from conformance.report import exit_code, print_line, print_report, write_json, write_junit
from conformance.tables import PlanError
from conformance.target import SAMPLE, load_target
from schemas.paths import MESSAGES, schema_files
from xmlsafe.schema import Schema, SchemaError

app = typer.Typer(help="Check a registry and repository against ITI-18, 41, 42 and 43.", no_args_is_help=True)

_TARGET = typer.Option("--target", help="TOML file that describes the system under test", metavar="TARGET.toml")
_CASE = typer.Option("--case", help="a case id or a transaction (ITI-18); may be repeated; all when absent", metavar="ID")
_SEED = typer.Option("--seed", help="names all identifiers of the run; the same seed gives the same ones")


@app.command("run")
def run_command(
    target: Annotated[Path, _TARGET],
    case: Annotated[list[str] | None, _CASE] = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit XML report", metavar="FILE")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write a JSON report", metavar="FILE")] = None,
    keep: Annotated[Path | None, typer.Option(help="keep every request and answer in this folder", metavar="DIR")] = None,
    seed: Annotated[str, _SEED] = "",
    schemas: Annotated[
        Path | None, typer.Option(help="judge by the published XSDs in this folder instead of ours", metavar="DIR")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="a warning makes the run fail too")] = False,
) -> None:
    """Run the plan, or a part of it, against a target."""
    console = Console()
    try:
        schema = Schema(schema_files(MESSAGES, schemas))
        run = Run(load_target(target), seed or secrets.token_hex(8), keep, schema)
        cases = select(load_plan(), case or [])
        results = run_cases(run, cases, lambda result: print_line(console, result))
        print_report(console, run, results)
        if junit:
            write_junit(junit, run, results)
        if json:
            write_json(json, run, results)
    except (PlanError, SchemaError, OSError) as error:
        raise _usage(error) from error
    code = exit_code(results, strict=strict)
    if code == 2:
        console.print("[bold red]nothing was run: no selected case applies to this target[/]")
    raise typer.Exit(code)


@app.command("list")
def list_command() -> None:
    """All cases of the plan."""
    table = Table("id", "transaction", "title", "needs")
    for case in _plan():
        table.add_row(case.id, case.transaction, escape(case.title), ", ".join(case.needs))
    Console().print(table)


@app.command("show")
def show_command(case_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """One case: purpose, clauses, steps, expectations."""
    try:
        cases = select(load_plan(), [case_id])
    except PlanError as error:
        raise _usage(error) from error
    console = Console()
    for case in cases:
        _print_case(console, case)


@app.command("sample")
def sample_command() -> None:
    """A commented target file, to be copied and changed."""
    typer.echo(SAMPLE.read_text(encoding="utf-8"), nl=False)


@app.command("patients")
def patients_command(
    target: Annotated[Path, _TARGET],
    seed: Annotated[str, _SEED],
    case: Annotated[list[str] | None, _CASE] = None,
) -> None:
    """The patients that a run with this seed uses, one a line, for a target without feed that checks patients."""
    try:
        domain = load_target(target).domain
        cases = select(load_plan(), case or [])
    except PlanError as error:
        raise _usage(error) from error
    for item in cases:
        for name in item.patients:
            typer.echo(Ids(seed, item.id, domain).patient(name))


def _print_case(console: Console, case: Case) -> None:
    console.print(f"[bold]{case.id}[/] (rev {case.rev}, {case.transaction})  {escape(case.title)}")
    console.print(f"  purpose  {escape(case.purpose)}")
    console.print(f"  clauses  {escape('; '.join(case.clauses))}")
    console.print(f"  needs    {', '.join(case.needs) or 'nothing'}")
    for number, step in enumerate(case.step, start=1):
        console.print(f"  {number}. {step.name}: {step.send} {escape(step.query or step.of)}")
        for item in step.expect:
            arguments = ", ".join(f"{key} = {value}" for key, value in item.arguments.items())
            console.print(f"       {item.level} {item.check}: {escape(arguments)}", soft_wrap=True)


def _plan() -> tuple[Case, ...]:
    try:
        return load_plan()
    except PlanError as error:
        raise _usage(error) from error


def _usage(error: Exception) -> typer.Exit:
    typer.echo(f"conformance: {error}", err=True)
    return typer.Exit(2)
