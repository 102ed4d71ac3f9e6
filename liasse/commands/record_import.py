"""`liasse record import`: many records from a CSV file. A wrong line is named with its place and stops no other."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from database.errors import DatabaseError
from database.handle import Database
from dmp.record import By
from dmp.record_csv import COLUMNS, CsvError, CsvFile, Line, Problem
from liasse.commands import output
from liasse.commands.peers import ConfigOption, JsonOption, usage
from liasse.commands.record_options import BecauseOption, ByOption, author_of
from liasse.commands.stores import open_database_of, progress_bar
from liasse.record_desk import Imported, dmp_settings, import_lines, read_patient

BATCH: Final = 100
"""Lines of one transaction."""

_HELP = "Columns, named in the first line: " + ", ".join(COLUMNS) + ". Only patient and consent must be there."


@dataclass(slots=True)
class _Rejects:
    """Where wrong lines go, to be corrected and imported again: made with the first one."""

    path: Path | None
    delimiter: str
    header: list[str]
    file: TextIO | None = None

    def keep(self, line: Line) -> None:
        if self.path is None:
            return
        first = self.file is None
        if self.file is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.file = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")
        writer = csv.writer(self.file, delimiter=self.delimiter, lineterminator="\n")
        if first:
            writer.writerow(self.header)
        writer.writerow(line.cells)

    def close(self) -> None:
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()


@dataclass(slots=True)
class _Run:
    """One import under way."""

    database: Database
    by: By
    rejects: _Rejects
    skip_existing: bool
    adult_age: int
    done: Imported = field(default_factory=Imported)
    waiting: list[Line] = field(default_factory=list)
    stopped: str = ""

    def take(self, line: Line) -> None:
        if line.problems:
            self._refuse(line, *line.problems)
            return
        self.waiting.append(line)
        if len(self.waiting) >= BATCH:
            self.store()

    def store(self) -> None:
        """Store the lines that wait. Raises DatabaseError: then they are not stored."""
        lines, self.waiting = self.waiting, []
        if not lines:
            return
        try:
            batch = import_lines(self.database, lines, self.by, skip_existing=self.skip_existing, adult_age=self.adult_age)
        except DatabaseError:
            self.stopped = f"lines {lines[0].number} and all after it were not imported"
            raise
        self.done.created += batch.created
        self.done.existing += batch.existing
        by_number = {line.number: line for line in lines}
        for problem in batch.problems:
            self._refuse(by_number[problem.line], problem)

    def _refuse(self, line: Line, *problems: Problem) -> None:
        for problem in problems:
            self.done.problems.append(problem)
            output.complain(str(problem))
        self.rejects.keep(line)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV in UTF-8")],
    because: BecauseOption,
    by: ByOption = "",
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="a new file for the wrong lines, to be corrected")
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="a patient who has a record already is no error")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Open many records. Each wrong line is named on standard error and left out; all others are imported.

    Exit code 1 where a line was wrong. An import that was interrupted is continued with --skip-existing.
    """
    author = author_of(by, because)
    if rejects is not None and rejects.exists():
        raise usage(f"--rejects: {rejects} exists already, a new file is expected")
    with open_database_of(config) as (settings, database), _opened(file) as text:
        try:
            adult_age = dmp_settings(settings).adult_age
            table = CsvFile(text, lambda patient: read_patient(patient, settings), author.at)
        except CsvError as error:
            raise usage(f"{file}: {error}") from error
        except ValueError as error:
            raise usage(str(error)) from error
        run = _Run(database, author, _Rejects(rejects, table.delimiter, table.header), skip_existing, adult_age)
        try:
            with progress_bar() as bar:
                task = bar.add_task("importing", total=_count(file))
                for line in table.lines():
                    run.take(line)
                    bar.update(task, completed=table.position)
                run.store()
        except OSError as error:
            output.complain(f"{error.filename or file}: {error.strerror}")
            raise typer.Exit(1) from error
        finally:
            run.rejects.close()
            _tell(run, json=json)
    if run.done.problems:
        raise typer.Exit(1)


import_.__doc__ = f"{import_.__doc__}\n\n    {_HELP}\n"


def _tell(run: _Run, *, json: bool) -> None:
    done, unsure = run.done, len(run.waiting)
    if run.stopped:
        output.complain(run.stopped)
    if json:
        problems = [{"line": each.line, "column": each.column or None, "reason": each.reason} for each in done.problems]
        output.print_json({"created": done.created, "existing": done.existing, "problems": problems})
    wrong = len({problem.line for problem in done.problems})
    parts = [f"{done.created} records opened", f"{done.existing} there already", f"{wrong} lines wrong"]
    if unsure:
        parts.append(f"{unsure} lines read and not imported")
    if run.rejects.file is not None:
        parts.append(f"wrong lines in {run.rejects.path}")
    style = output.GOOD if not wrong and not run.stopped and not unsure else output.NOTE
    output.errors().print(output.lines(", ".join(parts), style), soft_wrap=True)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        output.complain(f"{error.filename or path}: {error.strerror}")
        raise typer.Exit(1) from error


def _count(path: Path) -> int:
    """Lines, for the bar."""
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b"")) or 1
