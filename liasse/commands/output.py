"""How commands talk: tables and JSON on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE: Final = 200
DIM: Final = "dim"
GOOD, BAD, NOTE = "green", "bold red", "yellow"


def console(stream: TextIO | None = None) -> Console:
    """A console on `stream` (standard output unless given); into a file or pipe lines are up to 200 characters wide."""
    out = stream or sys.stdout
    return Console(file=out, width=None if out.isatty() else _WIDE, highlight=False)


def errors() -> Console:
    """The console for progress, warnings and errors."""
    return console(sys.stderr)


def table(*columns: str) -> Table:
    """A table whose first columns are `columns`; their texts are folded, never cut."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def print_json(value: object) -> None:
    """One JSON document, indented."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def lines(text: str, style: str) -> Text:
    """Text for a console, taken literally."""
    return Text(text, style=style)


def complain(text: str) -> None:
    """Say on standard error why something failed; lines are not broken."""
    errors().print(lines(text, BAD), soft_wrap=True)


def size_text(size: int) -> str:
    """A size in bytes for people."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def time_text(dtm: str | None) -> str:
    """A DTM for people: 2024-03-01 09:00 of 202403010900, as precise as it is."""
    if not dtm:
        return ""
    date = "-".join(part for part in (dtm[:4], dtm[4:6], dtm[6:8]) if part)
    clock = ":".join(part for part in (dtm[8:10], dtm[10:12], dtm[12:14]) if part)
    return f"{date} {clock}".strip()
