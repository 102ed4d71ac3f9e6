"""`liasse demo`: the main job, shown; or what `make serve` needs before it can show it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from liasse import demo as demonstration
from liasse.commands import output
from liasse.commands.journal_people import table as history_table
from liasse.commands.peers import read_settings, usage
from liasse.demo_callers import Callers, CallersMissing, callers_of
from liasse.demo_commands import commands
from liasse.demo_steps import DemoFailed, Step
from liasse.demo_story import SCENES, TOLD, Story, documents, listed
from liasse.demo_traces import Trace
from liasse.settings import Settings

_PAUSE: Final = 0.25
"""Seconds after each step for a person who looks on."""


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", metavar="DIR", help="folder for settings, certificates, data and log; else a temporary one"
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the server running, and its folder in place")] = False,
    only_prepare: Annotated[
        Path | None,
        typer.Option(
            "--prepare", metavar="FILE", help="only make the certificates and cards of this settings file, where absent"
        ),
    ] = None,
) -> None:
    """Start a server, play the story of one patient's record, stop the server.

    Documents are provided, found and read back over mutual TLS with signed assertions. An attending doctor, a cardiologist,
    a nurse, an optician and a hospital ask the same, before and after the patient has a document masked and somebody
    blocked; there is an emergency, and the patient is told of it. Calls with a wrong card are shown too. The demonstration
    fails where somebody gets more, or less, than is his to see.
    """
    if only_prepare is not None:
        if directory is not None or keep:
            raise usage("--prepare goes without --directory and --keep")
        _prepare(only_prepare.resolve())
        return
    if directory is not None or keep:
        _show(directory or Path(tempfile.mkdtemp(prefix="liasse-demo-")), keep=keep)
        return
    with tempfile.TemporaryDirectory(prefix="liasse-demo-") as temporary:
        _show(Path(temporary), keep=False)


def _prepare(config: Path) -> None:
    """Certificates and cards where they are absent, and how to use them once the server runs."""
    settings = read_settings(config)
    console = output.console()
    try:
        callers = callers_of(settings)
        console.print(output.lines(f"certificates and cards: {callers.authorities.parent}", output.GOOD), soft_wrap=True)
        _print_commands(console, config, settings, callers)
    except (CallersMissing, OSError) as error:
        output.complain(str(error))
        raise typer.Exit(1) from error


def _show(directory: Path, *, keep: bool) -> None:
    """The steps one by one while they happen, then all in a table with what the operator sees and the addresses."""
    progress = output.errors()
    steps: list[Step] = []

    def report(step: Step) -> None:
        steps.append(step)
        who = f"{step.caller}: " if step.caller else ""
        style = output.NOTE if step.refused else output.DIM
        progress.print(output.lines(f"{who}{step.what}: {step.result}", style), soft_wrap=True)
        if progress.is_terminal:
            time.sleep(_PAUSE)

    try:
        running = demonstration.run(directory.resolve(), report, keep=keep)
        seen = running.traces()
    except (DemoFailed, OSError) as error:
        output.complain(f"the demonstration failed after {len(steps)} steps")
        output.complain(str(error))
        raise typer.Exit(1) from error
    console = output.console()
    console.print(_steps(steps))
    console.print(_answers(running.story))
    console.print(_mails(running.story))
    if running.story.history is not None:
        console.print(output.lines("What the patient reads in the history of her record", "bold"))
        console.print(history_table(running.story.history[1], "en"))
    console.print(_traces(seen))
    console.print(_addresses(running))
    if keep:
        _print_commands(console, running.config, running.settings, running.callers)
        console.print(f"The server runs on: stop it with kill {running.process.pid}, its folder is {running.directory}")


def _steps(steps: list[Step]) -> Table:
    table = output.table("what happened", "who called", "transaction", "result")
    table.add_column("ms", justify="right", no_wrap=True)
    for step in steps:
        style = output.NOTE if step.refused else output.GOOD
        table.add_row(step.what, step.caller, step.transaction, output.lines(step.result, style), f"{step.milliseconds:.0f}")
    return table


def _answers(story: Story) -> Table:
    """The same query by each, scene by scene."""
    table = output.table("who asks for all documents", *SCENES)
    callers = list(next(iter(story.answers.values()), {}))
    for caller in callers:
        got = [answers[caller] for answers in story.answers.values()]
        cells = [output.lines(listed(each), output.NOTE if each is None else output.GOOD) for each in got]
        table.add_row(caller, *cells)
    return table


def _mails(story: Story) -> Table:
    """What the patient was told."""
    table = output.table("e-mail to the patient", "text")
    for mail in story.mails:
        subject = str(mail.message["Subject"])
        table.add_row(output.lines(subject, output.BAD if subject == TOLD else output.GOOD), mail.text.strip())
    return table


def _traces(seen: list[Trace]) -> Table:
    """What the operator sees of calls that were refused."""
    table = output.table("the operator sees in", "caller", "proof", "action", "what", "rule id", "detail")
    for trace in seen:
        if trace.decision == "allowed":
            continue
        texts = (trace.where, trace.caller, trace.proof, trace.action)
        table.add_row(*texts, output.lines(trace.decision, output.NOTE), trace.rule, output.lines(trace.detail, output.DIM))
    return table


def _addresses(running: demonstration.Running) -> Table:
    table = output.table("service", "address")
    for name, where in demonstration.addresses(running.settings):
        table.add_row(name, output.lines(where, "cyan"))
    return table


def _print_commands(console: Console, config: Path, settings: Settings, callers: Callers) -> None:
    """How to call the server, with a new document; one line each, not broken, so that they can be pasted."""
    document = documents()[0]
    path = document.write(callers.authorities.parent.parent)
    console.print("Commands to paste while the server runs:")
    for command in commands(config, demonstration.base_of(settings), callers, path, document.unique_id):
        console.print(output.lines(f"# {command.what}", output.DIM))
        console.print(output.lines(command.line, "cyan"), soft_wrap=True)
    console.print()
