"""What the operator of the demonstration's server sees of its calls: rows of the journal, lines of the security log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from database.engine import open_database
from journal.view import Asked, find_rows
from liasse.logs import SECURITY_LOG
from liasse.settings import Settings

JOURNAL, LOG = "journal", "security log"


@dataclass(frozen=True, slots=True)
class Trace:
    """One row or line. `caller` is a national id, `proof` how it was proved, `detail` a reason. No patient is named."""

    where: str
    rule: str
    caller: str = ""
    proof: str = ""
    action: str = ""
    decision: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Since:
    """From where traces count: microseconds since 1970 UTC for the journal, bytes for the log."""

    at: int
    log: int


def traces(settings: Settings, log: Path, since: Since) -> list[Trace]:
    """What was written since, the journal first, each in its order. Raises DatabaseError, OSError."""
    return [*_rows(settings, since.at), *_lines(log, since.log)]


def _rows(settings: Settings, at: int) -> list[Trace]:
    with open_database(settings.storage.database_place, pool_size=1) as database:
        rows = [row.values for row in find_rows(database, Asked(since=at))]
    return [
        Trace(JOURNAL, row["rule"], row["subject"], row["proof_level"], row["action"], row["decision"])
        for row in reversed(rows)
    ]


def _lines(log: Path, start: int) -> Iterator[Trace]:
    with log.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.startswith(b"{") or not line.endswith(b"}\n"):
                continue
            told = json.loads(line)
            if told.get("logger") == SECURITY_LOG:
                yield Trace(LOG, told.get("rule", ""), decision=told.get("event", ""), detail=told.get("detail", ""))
