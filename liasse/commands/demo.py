"""`liasse demo`: the main job, shown."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from liasse import demo as demonstration
from liasse.commands import output


def demo(
    directory: Annotated[
        Path | None,
        typer.Option("--directory", metavar="DIR", help="folder for settings, data and log; else a temporary one"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the server running, and its folder in place")] = False,
) -> None:
    """Start a server, provide two documents, find them, retrieve them, compare the bytes, stop the server."""
    if directory is not None or keep:
        _show(directory or Path(tempfile.mkdtemp(prefix="liasse-demo-")), keep=keep)
        return
    with tempfile.TemporaryDirectory(prefix="liasse-demo-") as temporary:
        _show(Path(temporary), keep=False)


def _show(directory: Path, *, keep: bool) -> None:
    """The steps one by one while they happen, then all in a table with the addresses."""
    progress = output.errors()
    steps: list[demonstration.Step] = []

    def report(step: demonstration.Step) -> None:
        steps.append(step)
        progress.print(output.lines(f"{step.what}: {step.result}", output.DIM))

    try:
        running = demonstration.run(directory.resolve(), report, keep=keep)
    except (demonstration.DemoFailed, OSError) as error:
        output.complain(f"the demonstration failed after {len(steps)} steps")
        output.complain(str(error))
        raise typer.Exit(1) from error
    console = output.console()
    console.print(_steps(steps))
    console.print(_addresses(running))
    if keep:
        console.print(f"The server runs on: stop it with kill {running.process.pid}, its folder is {running.directory}")


def _steps(steps: list[demonstration.Step]) -> Table:
    table = output.table("what happened", "transaction", "result")
    table.add_column("ms", justify="right", no_wrap=True)
    for step in steps:
        table.add_row(step.what, step.transaction, output.lines(step.result, output.GOOD), f"{step.milliseconds:.0f}")
    return table


def _addresses(running: demonstration.Running) -> Table:
    table = output.table("service", "address")
    for name, where in running.addresses():
        table.add_row(name, output.lines(where, "cyan"))
    return table
