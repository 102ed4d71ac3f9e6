"""The command `liasse`. Exit codes: 0 done, 1 refused or failed, 2 wrong use.

`serve` replaces this process by one that never loads the libraries of the command line.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from conformance.cli import app as conformance
from conformance.simulators.receive import app as audit
from liasse.commands.access import app as access
from liasse.commands.config import config
from liasse.commands.doctor import doctor
from liasse.commands.init import init, migrate
from liasse.commands.mount import mount
from liasse.commands.record import app as record
from liasse.commands.serve import serve
from liasse.commands.upkeep import mount_upkeep

app = typer.Typer(
    name="liasse",
    help="Document sharing for health records: IHE XDS.b registry and repository.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(init)
app.command()(migrate)
app.command()(doctor)
app.add_typer(config, name="config")
mount(app)
mount_upkeep(app)
app.add_typer(record, name="record")
app.add_typer(access, name="access")
app.add_typer(conformance, name="conformance")
app.add_typer(audit, name="audit")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"liasse {version('liasse')}")
        raise typer.Exit


@app.callback()
def common(
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options of all commands."""


def main() -> None:
    """Entry point of the program."""
    app(prog_name="liasse")


if __name__ == "__main__":
    main()
