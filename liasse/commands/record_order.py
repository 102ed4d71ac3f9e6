"""An act on a record that an operator orders: carried out, journaled, and told on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from dmp.record import By, Party, RecordRefused
from dmp.records import Act
from liasse.commands import output
from liasse.commands.peers import usage
from liasse.commands.record_options import author_of
from liasse.commands.record_pages import as_json
from liasse.commands.stores import open_database_of
from liasse.record_desk import Done, Statements, carry_out, dmp_settings, read_patient
from liasse.settings import Settings
from xds_metadata.datatypes import PatientKey

Make = Callable[[Settings, By, PatientKey], Statements]
"""From settings, author and patient to the statements of an act."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """An act that an operator orders."""

    config: Path | None
    patient: str
    by: str
    because: str
    json: bool
    party: Party | None = None

    def carry_out(self, act: Act, make: Make, words: str) -> None:
        """Do it, and say what was done."""
        author = author_of(self.by, self.because)
        with open_database_of(self.config) as (settings, database):
            try:
                key, adult_age = read_patient(self.patient, settings), dmp_settings(settings).adult_age
                run = make(settings, author, key)
            except ValueError as error:
                raise usage(str(error)) from error
            try:
                done = carry_out(database, act, key, author, run, self.party, adult_age)
            except RecordRefused as error:
                output.complain(f"{error} [{error.rule}]")
                raise typer.Exit(1) from error
        self._tell(done, words, author.at)

    def _tell(self, done: Done, words: str, at: int) -> None:
        if self.json:
            output.print_json({"changed": done.changed, "record": as_json(done.whole, at)})
        text, style = (words, output.GOOD) if done.changed else (f"nothing to do: {words} already", output.NOTE)
        output.errors().print(output.lines(text, style), soft_wrap=True)
