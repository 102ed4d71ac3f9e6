"""`liasse access`: why a caller may or may not do something with a record, or see a document, rule by rule."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from dmp.explain import Explanation, Step
from dmp.record import By
from liasse.commands import output
from liasse.commands.journal_people import policy_of, read_choice
from liasse.commands.peers import ConfigOption, JsonOption, usage
from liasse.commands.stores import open_database_of
from liasse.explaining import QUESTIONS, NoSuchDocument, explain_access
from liasse.reading_as import FORMS, subject_as
from liasse.record_desk import read_patient
from liasse.wiring import wall_clock
from liasse.withdraw import operator
from xua.kinds.vihf_table import BREAK_GLASS, NORMAL, REGULATION

app = typer.Typer(help="Decisions of the access policy dmp.", no_args_is_help=True)
_STYLES = {"met": output.GOOD, "not met": output.BAD, "not asked": output.DIM}


@app.callback()
def _access() -> None:
    """Decisions of the access policy dmp."""


@app.command("explain")
def explain_command(
    reader: Annotated[str, typer.Option("--as", metavar="CALLER", help=f"who asks: {FORMS}")],
    patient: Annotated[str, typer.Option("--patient", metavar="INS|CX", help="whose record")],
    document: Annotated[str, typer.Option("--document", metavar="ID", help="uniqueId of a document of the record")] = "",
    action: Annotated[
        str, typer.Option("--action", help=f"{', '.join(QUESTIONS)}; default: read of a document, else search")
    ] = "",
    mode: Annotated[str, typer.Option("--mode", help=f"{NORMAL}, {BREAK_GLASS} or {REGULATION}")] = NORMAL,
    motive: Annotated[str, typer.Option("--motive", metavar="TEXT", help="why the mode is not normal, as he says it")] = "",
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="why you look; it is journaled")] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Say in order what each rule of the policy says of an act, and which one decided. Nothing is done but a journal row.

    Exit code 0: he may, or sees the document; 1: he may not; 2: wrong use.
    """
    action = action or ("read" if document else "search")
    question = QUESTIONS[read_choice("--action", action, tuple(QUESTIONS))]
    read_choice("--mode", mode, (NORMAL, BREAK_GLASS, REGULATION))
    if question.change is not None and not document:
        raise usage(f"--action {action} needs --document")
    with open_database_of(config) as (settings, database):
        policy = policy_of(settings, database)
        try:
            key = read_patient(patient, settings)
            subject = subject_as(reader, key, database, mode, motive)
        except ValueError as error:
            raise usage(str(error)) from error
        by = By(operator(), wall_clock(), because)
        try:
            found = explain_access(database, policy, subject, key, question, document, by)
        except NoSuchDocument as error:
            output.complain(str(error))
            raise typer.Exit(1) from error
    if json:
        output.print_json(_as_json(found))
    else:
        output.console().print(_table(found))
        verdict = "shown" if question.reads and document else "allowed"
        text = verdict if found.allowed else f"not {verdict}"
        output.console().print(
            output.lines(f"{text}, by the rule {found.rule}", output.GOOD if found.allowed else output.BAD)
        )
    if not found.allowed:
        raise typer.Exit(1)


def _table(found: Explanation) -> Table:
    table = output.table("rule", "says", "because", "in words", "source")
    for step in found.steps:
        style = _STYLES[step.said] if step.rule.id != found.rule else f"bold {_STYLES[step.said]}"
        cells = (step.rule.id, step.said, step.fact)
        table.add_row(
            *(output.lines(cell, style) for cell in cells), step.rule.text, output.lines(step.rule.source, output.DIM)
        )
    return table


def _as_json(found: Explanation) -> dict[str, Any]:
    return {"allowed": found.allowed, "rule": found.rule, "steps": [_step(step) for step in found.steps]}


def _step(step: Step) -> dict[str, str]:
    rule = step.rule
    return {"rule": rule.id, "said": step.said, "fact": step.fact, "text": rule.text, "source": rule.source}
