"""`liasse config`: check a settings file, print the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liasse.commands import output
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
    for caution in settings.cautions():
        notes.print(output.lines(f"note: {caution}", output.NOTE), soft_wrap=True)
    output.console().print(output.lines(f"{file}: valid", output.GOOD), soft_wrap=True)


@config.command("sample")
def print_sample() -> None:
    """Print a settings file that lists every option, commented at its default."""
    typer.echo(sample(), nl=False)
