"""`liasse config`: check a settings file, print the sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from access_control.policy import UnknownPolicy, load_policy
from liasse.commands import output
from liasse.settings import Settings
from liasse.settings_file import SettingsError, load_settings, sample

config = typer.Typer(help="Settings files.", no_args_is_help=True)


@config.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Read a settings file and name every problem with its line; unknown keys come with the nearest known one."""
    notes = output.errors()
    try:
        settings = load_settings(file)
    except SettingsError as error:
        for problem in error.problems:
            notes.print(output.lines(problem, output.BAD), soft_wrap=True)
        raise typer.Exit(1) from None
    if problems := list(_unusable(settings)):
        for problem in problems:
            notes.print(output.lines(f"{file}: {problem}", output.BAD), soft_wrap=True)
        raise typer.Exit(1)
    for caution in settings.cautions():
        notes.print(output.lines(f"note: {caution}", output.NOTE), soft_wrap=True)
    output.console().print(output.lines(f"{file}: valid", output.GOOD), soft_wrap=True)


def _unusable(settings: Settings) -> Iterator[str]:
    """What the file names and this installation does not have, or not with these options."""
    try:
        load_policy(settings.access.policy, settings.access.options)
    except UnknownPolicy as error:
        yield str(error)


@config.command("sample")
def print_sample() -> None:
    """Print a settings file that lists every option, commented at its default."""
    typer.echo(sample(), nl=False)
