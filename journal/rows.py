"""Journal rows: one per access and per refusal, written in the transaction that they report or before the answer leaves.

Rows are inserted only. Their values hold patient identifiers and never go to logs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from sqlalchemy import Connection, insert

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.prepared import Statement
from journal.tables import journal_row

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_INSERT = Statement(lambda _dialect: insert(journal_row))


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What is recorded. `objects` are (kind, id) pairs; `outcome` is Success, PartialSuccess, Failure or Fault.

    `evidence` is not a column: it gives the serialised query to those who also record elsewhere.
    """

    patient: str
    action: str
    objects: Sequence[tuple[str, str]]
    decision: Decision
    outcome: str
    request_digest: str = ""
    detail: str = ""
    evidence: Callable[[], bytes] | None = None


class Record(Protocol):
    """How actors record an access or a refusal: a function of statements for the write that it reports.

    `once` is False where a repeated message is answered as the first time was. What is inserted beside the rows is the
    business of whoever composed the server.
    """

    def __call__(
        self, ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True
    ) -> Callable[[Connection], None]: ...


def row_id(at: int) -> str:
    """A time-ordered id: 16 hexadecimal digits of microseconds, 16 of chance."""
    return f"{at:016x}{os.urandom(8).hex()}"


def row_values(ctx: RequestContext, row: JournalRow) -> dict[str, object]:
    """The column values of one row."""
    return {
        "patient": row.patient,
        "id": row_id(ctx.at),
        "at": ctx.at,
        "subject": ctx.subject.id,
        "proof_level": ctx.subject.proof_level,
        "mode": ctx.subject.mode,
        "purpose": ctx.subject.purpose,
        "action": row.action,
        "objects": _ENCODE(row.objects),
        "decision": "allowed" if row.decision.allowed else "refused",
        "rule": row.decision.rule,
        "outcome": row.outcome,
        "message_id": ctx.message_id,
        "request_digest": row.request_digest,
        "peer": ctx.peer,
        "detail": row.detail or _caller(ctx.subject),
    }


@lru_cache(maxsize=1024)
def _caller(subject: Subject) -> str:
    """What a row says of a proved caller beyond its columns, as JSON; empty for others."""
    if not subject.digest:
        return ""
    told = {
        "name": subject.name,
        "issuer": subject.issuer,
        "roles": [str(role) for role in subject.roles],
        "structure": subject.structure,
        "reason": subject.reason,
        "confidentiality": subject.confidentiality,
        "assertion": subject.digest,
        "certificate": subject.certificate,
    }
    return _ENCODE({key: value for key, value in told.items() if value})


def journal(ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True) -> Callable[[Connection], None]:  # noqa: ARG001
    """The plain Record: a function of statements that inserts `rows` and nothing else."""
    values = [row_values(ctx, row) for row in rows]

    def insert_rows(connection: Connection) -> None:
        _INSERT.write(connection, values)

    return insert_rows
