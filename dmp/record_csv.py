"""Many records from a CSV file: its columns, and what is wrong with a line, with its place.

One line is one record: its holder, his decisions, contact channels and one representative. The separator is a comma or a
semicolon, as the first line has it; the text is UTF-8. A wrong line does not stop the others.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TextIO, cast

from dmp.contacts import check_contact
from dmp.record import (
    LONGEST_NAME,
    Channel,
    Contact,
    Ground,
    Holder,
    Oppositions,
    Record,
    Representative,
    Sex,
    read_date,
)
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text

ReadPatient = Callable[[str], PatientKey]
"""A patient as the file names him. Raises ValueError."""

LINKS: Final = (
    *("FTH", "MTH", "STPFTH", "STPMTH", "GRFTH", "GRMTH", "GGRFTH", "GGRMTH", "AUNT", "UNCLE", "BRO", "SIS"),
    "RESPRSN",
)
"""What a representative is to the holder. Source: HL7 RoleCode, as TD1.1 lists them."""

COLUMNS: Final[Mapping[str, str]] = {
    "patient": "INS, or the whole CX",
    "consent": "day on which the patient consented to the opening, YYYY-MM-DD",
    "family": "birth name",
    "used": "used name",
    "given": "given name",
    "birth_date": "YYYY-MM-DD",
    "sex": "M, F or U",
    "opposed_break_glass": "yes or no",
    "opposed_regulation": "yes or no",
    "masked_in_emergency": "yes or no: masked documents are open in emergencies",
    "email": "address for notifications",
    "mobile": "number for notifications, such as +33600000000",
    "documents": "yes or no: notify each added document",
    "language": "fr or en",
    "representative": "INS, or the whole CX",
    "representative_family": "birth name",
    "representative_given": "given name",
    "representative_link": f"one of {', '.join(LINKS)}",
    "representative_ground": "minor, protected or mandate",
}
NEEDED: Final = ("patient", "consent")

_CHANNELS: Final[Mapping[Channel, str]] = {"EMAIL": "email", "SMS": "mobile"}
_YES, _NO = frozenset({"1", "yes", "true", "oui", "y", "o"}), frozenset({"", "0", "no", "false", "non", "n"})
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")


class CsvError(ValueError):
    """The file as a whole cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; `column` is empty where the line as a whole is."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.column}' if self.column else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: its first line number, its cells, and the record with what hangs on it, or its problems."""

    number: int
    cells: Sequence[str]
    record: Record | None = None
    contacts: tuple[Contact, ...] = ()
    representative: Representative | None = None
    problems: tuple[Problem, ...] = ()


class CsvFile:
    """A file opened as UTF-8 with `errors="surrogateescape"` and `newline=""`.

    `header` are the names of its columns, `position` is the number of the line that was read last.
    """

    def __init__(self, file: TextIO, read_patient: ReadPatient, at: int) -> None:
        """`at`: now, in microseconds since 1970 UTC. Raises CsvError for a first line that does not name the columns."""
        self._read_patient = read_patient
        self._at = at
        try:
            first = file.readline()
            self.delimiter = ";" if first.count(";") > first.count(",") else ","
            self.header = [name.strip() for name in next(csv.reader([first], delimiter=self.delimiter), [])]
        except csv.Error as error:
            raise CsvError(f"line 1: {error}") from None
        self._reader = csv.reader(file, delimiter=self.delimiter)
        unknown = [name for name in self.header if name not in COLUMNS]
        missing = [name for name in NEEDED if name not in self.header]
        if unknown or missing or len(set(self.header)) < len(self.header):
            told = [f"unknown: {', '.join(map(ascii, unknown))}"] if unknown else []
            told += [f"missing: {', '.join(missing)}"] if missing else []
            told += ["a column stands there twice"] if not told else []
            raise CsvError(f"line 1 names the columns: {'; '.join(told)}; known are {', '.join(COLUMNS)}")

    @property
    def position(self) -> int:
        """The number of the last line read."""
        return self._reader.line_num + 1

    def lines(self) -> Iterator[Line]:
        """Every line that is not empty."""
        while True:
            number = self.position + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(number, (), problems=(Problem(number, "", str(error)),))
                continue
            if cells:
                yield self._line(number, cells)

    def _line(self, number: int, cells: Sequence[str]) -> Line:
        if len(cells) != len(self.header):
            reason = f"{len(cells)} values, {len(self.header)} are expected as in the first line"
            return Line(number, cells, problems=(Problem(number, "", reason),))
        if not _is_text(cells):
            return Line(number, cells, problems=(Problem(number, "", "the text is not UTF-8"),))
        row = _Row(number, dict(zip(self.header, (cell.strip() for cell in cells), strict=True)), self._read_patient)
        record, contacts, representative = row.record(self._at), row.contacts(), row.representative(self._at)
        if row.problems or record is None:
            return Line(number, cells, problems=tuple(row.problems))
        return Line(number, cells, record, contacts, representative)


def _is_text(cells: Sequence[str]) -> bool:
    """Whether everything was UTF-8: the file is opened so that other bytes come as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for cell in cells for character in cell)


class _Row:
    """The values of one line, read one by one; each that is wrong is noted."""

    def __init__(self, number: int, values: Mapping[str, str], read_patient: ReadPatient) -> None:
        self._number = number
        self._values = values
        self._read_patient = read_patient
        self.problems: list[Problem] = []

    def record(self, at: int) -> Record | None:
        """The record, if the line names a patient and a day."""
        patient, consent = self._patient("patient"), self._consent(at)
        holder = Holder(
            family=self._name("family"),
            used=self._name("used"),
            given=self._name("given"),
            birth_date=self._day("birth_date") or "",
            sex=cast(Sex, self._one_of("sex", ("", "M", "F", "U"))),
        )
        told = ("opposed_break_glass", "opposed_regulation", "masked_in_emergency")
        oppositions = Oppositions(*(self._flag(each) for each in told))
        if patient is None or consent is None:
            return None
        return Record(patient, consent_at=consent, holder=holder, oppositions=oppositions)

    def contacts(self) -> tuple[Contact, ...]:
        """The holder's channels."""
        language = cast(Literal["fr", "en"], self._one_of("language", ("", "fr", "en")) or "fr")
        documents = self._flag("documents")
        found: list[Contact] = []
        for channel, column in _CHANNELS.items():
            value = self._values.get(column, "")
            wrong = check_contact(channel, value) if value else None
            if wrong is not None:
                self._wrong(column, wrong)
            elif value:
                found.append(Contact(channel, value, language=language, documents=documents))
        return tuple(found)

    def representative(self, at: int) -> Representative | None:
        """Who represents the holder; nobody where the column is empty."""
        names = [self._name(f"representative_{each}") for each in ("family", "given")]
        link = self._one_of("representative_link", ("", *LINKS))
        ground = self._one_of("representative_ground", ("", "minor", "protected", "mandate"))
        if not self._values.get("representative"):
            if any((*names, link, ground)):
                self._wrong("representative", "empty, although other columns say something of a representative")
            return None
        patient = self._patient("representative")
        if patient is None:
            return None
        return Representative(key_text(patient), cast(Ground, ground or "minor"), link, names[0], names[1], at)

    def _patient(self, column: str) -> PatientKey | None:
        try:
            return self._read_patient(self._values[column])
        except ValueError as error:
            self._wrong(column, str(error))
            return None

    def _consent(self, at: int) -> int | None:
        text = self._day("consent")
        day = read_date(text or "")
        if day is None:
            if text is not None:
                self._wrong("consent", "empty: a record is opened with consent")
            return None
        moment = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
        if moment > at:
            self._wrong("consent", f"found {self._values['consent']!r}, which is to come")
        return moment

    def _day(self, column: str) -> str | None:
        """YYYYMMDD, empty where the cell is; None where it is wrong."""
        text = self._values.get(column, "")
        found = _DATE.fullmatch(text)
        day = "".join(found.groups()) if found is not None else ""
        if text and read_date(day) is None:
            self._wrong(column, f"found {text!r}, a day such as 1979-03-01 is expected")
            return None
        return day

    def _name(self, column: str) -> str:
        text = self._values.get(column, "")
        if len(text) > LONGEST_NAME or not text.isprintable():
            self._wrong(column, f"{len(text)} characters, at most {LONGEST_NAME} in UTF-8 without controls are expected")
        return text

    def _flag(self, column: str) -> bool:
        text = self._values.get(column, "").lower()
        if text not in _YES | _NO:
            self._wrong(column, f"found {self._values[column]!r}, yes or no is expected")
        return text in _YES

    def _one_of(self, column: str, known: Sequence[str]) -> str:
        text = self._values.get(column, "")
        if text not in known:
            self._wrong(column, f"found {text!r}, one of {', '.join(filter(None, known))} is expected")
        return text

    def _wrong(self, column: str, reason: str) -> None:
        self.problems.append(Problem(self._number, column, reason))
