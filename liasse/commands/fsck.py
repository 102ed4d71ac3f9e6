"""`liasse fsck`: check everything that is stored. The server may run."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.progress import Progress

from database.errors import DatabaseBusy
from database.problem import Problem, Severity
from liasse.commands import output
from liasse.commands.peers import ConfigOption
from liasse.commands.stores import open_stores, progress_bar
from liasse.fsck import Fsck
from liasse.wiring import wall_clock
from xds_repository.integrity import BlobCheck


def fsck(
    config: ConfigOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="hash every document anew, and let SQLite check its file")] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="remove blobs that no document has, stored more than a day ago")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON object a line: each finding, then the counts")] = False,
) -> None:
    """Check that everything acknowledged is there, whole and in agreement.

    Exit code 1 when there is an error. Notes are harmless.
    """
    with open_stores(config) as stores:
        settings = stores.settings
        run = Fsck(
            database=stores.database,
            store=stores.store,
            repository=settings.repository.unique_id,
            remote=bool(settings.repository.registry),
            at=wall_clock(),
            blobs=BlobCheck(deep=deep, collect=collect),
            following=stores.following,
        )
        with progress_bar() as bar:
            print_problems(run.run(_counter(run, bar)), json=json)
        summarise(run, json=json)
    if not run.clean:
        raise typer.Exit(1)


def print_problems(problems: Iterable[Problem], *, json: bool) -> None:
    """Each finding as it comes, one a line."""
    console = output.console()
    for problem in problems:
        if json:
            _print_line(
                {
                    "severity": str(problem.severity),
                    "rule": problem.rule,
                    "place": problem.place,
                    "text": problem.text,
                }
            )
        else:
            style = output.BAD if problem.severity is Severity.ERROR else output.NOTE
            line = f"{problem.severity:5} {problem.rule}: {problem.place}: {problem.text}"
            console.print(output.lines(line, style), soft_wrap=True)


def summarise(run: Fsck, *, json: bool) -> None:
    """The counts at the end."""
    orphans = run.blobs.orphans
    errors, notes = run.found[Severity.ERROR], run.found[Severity.NOTE]
    if json:
        counts = {"errors": errors, "notes": notes, "orphans": orphans.count, "orphanBytes": orphans.size}
        _print_line({**counts, "collected": orphans.collected, "clean": run.clean})
        return
    text = f"{errors} errors, {notes} notes"
    if orphans.count:
        text += f"; {orphans.count} blobs without a document, {output.size_text(orphans.size)}"
        text += f", {orphans.collected} removed" if orphans.collected else ""
    output.errors().print(output.lines(text, output.GOOD if run.clean else output.BAD))


def _counter(run: Fsck, bar: Progress) -> Any:
    """What is told of each checked row: moves the bar."""
    try:
        total: int | None = run.total()
    except DatabaseBusy:
        total = None  # too many rows to count in the time that a statement has
    task = bar.add_task("checking", total=total)
    return lambda count: bar.advance(task, count)


def _print_line(value: object) -> None:
    typer.echo(json_module.dumps(value, ensure_ascii=False))
