"""The command `liasse`. Exit codes: 0 done, 1 refused or failed, 2 wrong use.

Only the modules of the command that is asked for are loaded: all of them take seconds. `serve` replaces this process by one
that never loads the libraries of the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

PLACES: Final[Mapping[str, str]] = {
    "serve": "liasse.commands.serve:serve",
    "init": "liasse.commands.init:init",
    "migrate": "liasse.commands.init:migrate",
    "doctor": "liasse.commands.doctor:doctor",
    "submit": "liasse.commands.submit:submit",
    "find": "liasse.commands.find:find",
    "get": "liasse.commands.get:get",
    "demo": "liasse.commands.demo:demo",
    "fsck": "liasse.commands.fsck:fsck",
    "scrub": "liasse.commands.maintenance:scrub",
    "reindex": "liasse.commands.maintenance:reindex",
    "backup": "liasse.commands.backup:backup",
    "restore": "liasse.commands.backup:restore",
    "withdraw": "liasse.commands.withdraw:withdraw",
    "run-due": "liasse.commands.due:run_due_",
    "notices": "liasse.commands.due:notices",
    "config": "liasse.commands.config:config",
    "patient": "liasse.commands.patient:app",
    "record": "liasse.commands.record:app",
    "access": "liasse.commands.access:app",
    "journal": "liasse.commands.journal:app",
    "assertion": "liasse.commands.assertion:app",
    "pki": "liasse.commands.pki:app",
    "conformance": "conformance.cli:app",
    "audit": "conformance.simulators.receive:app",
}
"""Where each command is: a function, or a typer application with commands of its own."""


@cache
def load(name: str) -> Any:
    """The command of that name. Raises KeyError."""
    module, _, attribute = PLACES[name].partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        made: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        made = typer.main.get_command(alone)
    made.name = name
    return made


class _OnDemand(Mapping[str, Any]):
    """The commands by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _OnDemand()


app = typer.Typer(
    name="liasse",
    cls=Commands,
    help="Document sharing for health records: IHE XDS.b registry and repository.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
