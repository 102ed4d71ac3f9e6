"""Journal rows: one per access and per refusal, written in the transaction that they report or before the answer leaves.

Rows are inserted only. Their values hold patient identifiers and never go to logs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from sqlalchemy import Connection, insert

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.prepared import Statement
from journal.bounds import bounded
from journal.tables import journal_row

LONGEST: Final = 256
"""Characters of what a message says, in one column."""

LONGEST_DETAIL: Final = 6000
LONGEST_OBJECTS: Final = 60_000
LONGEST_TOLD: Final = 600
"""Characters of `detail`, of the list of objects, and of each value that `detail` holds."""

_MOST_OBJECTS = 100

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked, as far as it was understood: the row of a refusal without its reason."""

    action: str
    patient: str = ""
    objects: Sequence[tuple[str, str]] = ()
    evidence: Callable[[], bytes] | None = None

    def refused(self, rules: str, request_digest: str) -> JournalRow:
        """The row."""
        decision = Decision(allowed=False, rule=rules)
        return JournalRow(
            self.patient, self.action, self.objects, decision, "Failure", request_digest, evidence=self.evidence
        )


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
    """The column values of one row. What is too long, or cannot be stored, is cut and identified by its digest."""
    subject, digest, objects = ctx.subject, row.request_digest, _ENCODE(row.objects)
    patient, caller, mode, purpose, peer = row.patient, subject.id, subject.mode, subject.purpose, ctx.peer
    rule, message_id, detail = row.decision.rule, ctx.message_id, row.detail
    said = f"{patient}{caller}{mode}{purpose}{rule}{message_id}{digest}{peer}"
    if len(said) > LONGEST or not said.isascii() or "\0" in said:
        patient, caller, mode, purpose = _bounded(patient), _bounded(caller), _bounded(mode), _bounded(purpose)
        rule, message_id, digest, peer = _bounded(rule), _bounded(message_id), _bounded(digest), _bounded(peer)
    return {
        "patient": patient,
        "id": row_id(ctx.at),
        "at": ctx.at,
        "subject": caller,
        "proof_level": subject.proof_level,
        "mode": mode,
        "purpose": purpose,
        "action": row.action,
        "objects": objects if len(objects) <= LONGEST_OBJECTS else _bounded_objects(row.objects),
        "decision": "allowed" if row.decision.allowed else "refused",
        "rule": rule,
        "outcome": row.outcome,
        "message_id": message_id,
        "request_digest": digest,
        "peer": peer,
        "detail": bounded(detail, LONGEST_DETAIL) if detail else _caller(subject),
    }


def _bounded(text: str) -> str:
    return bounded(text, LONGEST)


def _bounded_objects(objects: Sequence[tuple[str, str]]) -> str:
    """The first objects, each bounded, then how many there are in all and the digest of the whole list."""
    digest = hashlib.sha256(_ENCODE(objects).encode()).hexdigest()
    some = [(bounded(kind, 64), bounded(identifier, 256)) for kind, identifier in objects[:_MOST_OBJECTS]]
    return _ENCODE([*some, ("objects", str(len(objects))), ("sha256", digest)])


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
    return _ENCODE({key: _bounded_told(value) for key, value in told.items() if value})


def _bounded_told(value: str | Sequence[str]) -> str | list[str]:
    if isinstance(value, str):
        return bounded(value, LONGEST_TOLD)
    return [bounded(each, LONGEST_TOLD // 4) for each in value[:8]]


def journal(ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True) -> Callable[[Connection], None]:  # noqa: ARG001
    """The plain Record: a function of statements that inserts `rows` and nothing else."""
    values = [row_values(ctx, row) for row in rows]

    def insert_rows(connection: Connection) -> None:
        _INSERT.write(connection, values)

    return insert_rows
