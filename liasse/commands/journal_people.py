"""`liasse journal show --as`: the journal of a record as the patient, who represents him, or a professional reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import typer

from access_control.policy import UnknownPolicy, load_policy
from database.handle import Database
from dmp.journal_view import ON_LINE_DAYS, History, Language, Line
from dmp.policy import DmpPolicy
from dmp.record import DAY, By
from liasse.commands import output
from liasse.commands.journal_times import moment_text
from liasse.commands.peers import usage
from liasse.commands.stores import open_database_of
from liasse.journal_reading import ReadingRefused, Wanted, read_history
from liasse.reading_as import subject_as
from liasse.record_desk import read_patient
from liasse.settings import Settings
from liasse.wiring import wall_clock
from liasse.withdraw import operator

Format = Literal["table", "csv", "json"]
GROUPS: Final = ("all", "own", "professional", "other")
_HEADINGS: Final[Mapping[Language, Sequence[str]]] = {
    "fr": ("date (UTC)", "auteur", "profession", "action", "contexte", "motif", "documents"),
    "en": ("date (UTC)", "author", "profession", "action", "context", "reason", "documents"),
}
_COUNTED: Final[Mapping[Language, Mapping[str, str]]] = {
    "fr": {
        "all": "toutes les actions",
        "own": "vos actions",
        "professional": "professionnels et établissements",
        "other": "autres",
    },
    "en": {"all": "all acts", "own": "your acts", "professional": "professionals and structures", "other": "others"},
}


@dataclass(frozen=True, slots=True)
class People:
    """What is asked: the reader, the patient, and how the answer is shown."""

    reader: str
    patient: str
    wanted: Wanted
    shown: Format
    reason: str

    def show(self, config: Path | None) -> None:
        """Read and print. Exit code 1 where the reader may not, 2 for what is wrongly named."""
        with open_database_of(config) as (settings, database):
            policy = policy_of(settings, database)
            at = wall_clock()
            wanted = self.wanted
            if wanted.since is None and self.shown == "table":
                wanted = Wanted(wanted.group, at - ON_LINE_DAYS * DAY, wanted.until, wanted.limit, wanted.language)
            try:
                key = read_patient(self.patient, settings)
                subject = subject_as(self.reader, key, database)
            except ValueError as error:
                raise usage(str(error)) from error
            try:
                history, lines = read_history(database, policy, subject, key, wanted, By(operator(), at, self.reason))
            except ReadingRefused as error:
                output.complain(f"the journal is not shown: {error}")
                raise typer.Exit(1) from error
        self._print(history, lines)

    def _print(self, history: History, lines: Sequence[Line]) -> None:
        headings = _HEADINGS[self.wanted.language]
        if self.shown == "json":
            output.print_json(
                {"counts": {group: history.counts[group] for group in GROUPS}, "lines": list(map(as_json, lines))}
            )
        elif self.shown == "csv":
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(headings)
            writer.writerows(map(_cells, lines))
            typer.echo(text.getvalue(), nl=False)
        else:
            output.console().print(table(lines, self.wanted.language))
            counted = _COUNTED[self.wanted.language]
            output.errors().print(
                " · ".join(f"{counted[group]}: {history.counts[group]}" for group in GROUPS),
                style=output.DIM,
                soft_wrap=True,
            )


def policy_of(settings: Settings, database: Database) -> DmpPolicy:
    """The policy of the shared record. Ends the command with 2 where the settings name another."""
    try:
        policy = load_policy(settings.access.policy, settings.access.options)(database)
    except UnknownPolicy as error:
        raise usage(str(error)) from error
    if not isinstance(policy, DmpPolicy):
        raise usage(
            f'the access policy is {settings.access.policy!r}: records and their rules need policy = "dmp" in [access]'
        )
    return policy


def table(lines: Sequence[Line], language: Language) -> Any:
    """The lines for a person: what was done in an emergency stands out, with its motive."""
    shown = output.table(*_HEADINGS[language])
    for line in lines:
        style = output.BAD if line.emergency else output.NOTE if line.refused else ""
        shown.add_row(*(output.lines(cell, style) for cell in _cells(line)))
    return shown


def _cells(line: Line) -> tuple[str, ...]:
    when = moment_text(line.at)
    return (when, line.author, line.profession, line.action, line.context, line.reason, "\n".join(line.documents))


def as_json(line: Line) -> dict[str, Any]:
    """One line."""
    return {
        "at": moment_text(line.at),
        "author": line.author,
        "profession": line.profession,
        "action": line.action,
        "context": line.context,
        "emergency": line.emergency,
        "refused": line.refused,
        "reason": line.reason,
        "documents": list(line.documents),
        "group": line.group,
    }


def read_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """One of the choices. Ends the command with 2 for another."""
    if value not in choices:
        raise usage(f"{name}: found {value!r}, expected one of {', '.join(choices)}")
    return value


def language_of(value: str) -> Language:
    """fr or en."""
    return cast(Language, read_choice("--language", value, ("fr", "en")))
