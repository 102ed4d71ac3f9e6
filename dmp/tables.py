"""The tables of the access rules, read once and checked as they are read: `dmp/data/*.csv`, comments begin with #."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


class TableError(Exception):
    """A table does not hold what it must: names file and line."""


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A document type (`code` of `scheme`; code "*" stands for any other of its class) and the columns that may read it."""

    code: str
    scheme: str
    class_code: str
    readers: frozenset[str]

    @property
    def pair(self) -> str:
        """As entries are indexed: `code^^scheme`."""
        return f"{self.code}^^{self.scheme}"


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """Who reads by which column: a first role, its code system (empty: that of health professions), a further code."""

    code: str
    system: str
    beside: str
    column: str
    by_role: bool


@dataclass(frozen=True, slots=True)
class Right:
    """Whether a transaction is open; `limit` is 0, or the number of a limit of the table."""

    allowed: bool
    limit: int = 0


DENIED = Right(allowed=False)


@dataclass(frozen=True, slots=True)
class Rights:
    """The functional rights: `cells` by (right, column); `transactions` by right."""

    transactions: Mapping[str, str]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Right]


@cache
def matrix() -> tuple[tuple[str, ...], tuple[TypeRow, ...]]:
    """The columns of the matrix and its rows. Raises TableError."""
    header, rows = _read("matrix.csv")
    columns = tuple(header[3:])
    found = []
    for place, row in rows:
        cells = row[3:]
        if len(row) != len(header) or not set(cells) <= {"y", "n"}:
            raise TableError(f"{place}: expected {len(header)} cells, y or n after the third")
        readers = frozenset(column for column, cell in zip(columns, cells, strict=True) if cell == "y")
        found.append(TypeRow(row[0], row[1], row[2], readers))
    return columns, tuple(found)


@cache
def columns() -> tuple[ColumnRow, ...]:
    """The rows that lead a caller to a column, the first that fits counts. Raises TableError."""
    known = matrix()[0]
    _, rows = _read("columns.csv")
    found = []
    for place, row in rows:
        if len(row) != 5 or row[3] not in known or row[4] not in {"y", "n"}:
            raise TableError(f"{place}: expected code, system, with, a column of the matrix, y or n")
        found.append(ColumnRow(row[0], row[1], row[2], row[3], row[4] == "y"))
    return tuple(found)


@cache
def rights() -> Rights:
    """The functional rights. Raises TableError."""
    header, rows = _read("rights.csv")
    names = tuple(header[2:])
    transactions: dict[str, str] = {}
    cells: dict[tuple[str, str], Right] = {}
    for place, row in rows:
        if len(row) != len(header) or row[1] in transactions:
            raise TableError(f"{place}: expected {len(header)} cells and a right of its own")
        transactions[row[1]] = row[0]
        for name, cell in zip(names, row[2:], strict=True):
            cells[row[1], name] = _right(cell, place)
    return Rights(transactions, names, cells)


def _right(cell: str, place: str) -> Right:
    if cell == "n":
        return DENIED
    if cell[:1] != "y" or not (cell[1:] == "" or cell[1:].isdecimal()):
        raise TableError(f"{place}: expected y, n, or y with the number of a limit, found {cell!r}")
    return Right(allowed=True, limit=int(cell[1:] or 0))


def _read(name: str) -> tuple[Sequence[str], Iterator[tuple[str, list[str]]]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    kept = [(f"{name}, line {number}", line) for number, line in enumerate(lines, 1) if line and line[0] != "#"]
    parsed = list(csv.reader(line for _, line in kept))
    return parsed[0], zip((place for place, _ in kept[1:]), parsed[1:], strict=True)
