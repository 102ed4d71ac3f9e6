"""`liasse doctor`: is this machine fit?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from liasse.checks import Check
from liasse.commands import output
from liasse.commands.peers import ConfigOption, JsonOption, config_path, read_settings
from liasse.doctor import run_doctor

_STYLES: Final = {"ok": output.GOOD, "warn": output.NOTE, "fail": output.BAD}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check this machine and the settings: interpreter, packages, SQLite, file system, space, database, clock, limits.

    Ends with 1 when a check failed: the server would refuse to start. Changes nothing.
    """
    checks = run_doctor(read_settings(config_path(config)))
    if as_json:
        output.print_json([asdict(check) for check in checks])
    else:
        output.console().print(_table(checks))
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


def _table(checks: list[Check]) -> Table:
    table = Table("", "check", "found", box=None, pad_edge=False)
    for check in checks:
        table.add_row(Text(check.status, style=_STYLES[check.status]), Text(check.name), Text(check.detail))
    return table
