"""What a check reports: one line that says what was expected, by which clause, and what came."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding counts: `must` fails the case, `should` is a warning."""

    MUST = "must"
    SHOULD = "should"


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation: `check` is the name of the check, `clause` the place in the standard, the other two are for people."""

    check: str
    clause: str
    expected: str
    found: str
    level: Level = Level.MUST

    def __str__(self) -> str:
        return f"{self.check}: expected {self.expected} [{self.clause}]; found {self.found}"


def shown(value: object, limit: int = 200) -> str:
    """A value for a message: quoted, cut after `limit` characters with the number of characters left out."""
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"


def listed(values: object) -> str:
    """Several values for a message, sorted; `none` when there are none."""
    texts = sorted(str(value) for value in values) if isinstance(values, list | tuple | set | frozenset) else [str(values)]
    return ", ".join(texts) if texts else "none"
