"""How this server records what it did, in one write: the journal row with the signed assertion behind it, the use of a
MessageID, the audit event and what people are told of it.

The actors know one port, `journal.rows.Record`; what is written beside the row is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection

from access_control.context import RequestContext
from journal.assertions import keep_assertion
from journal.message_ids import RepeatedMessage, insert_or_repeat
from journal.rows import JournalRow, journal
from soap.faults import Fault, invalid_header
from xds_metadata.errors import Finding, XdsFailure

DISCLOSING: Final = frozenset({"query", "retrieve"})
"""Actions whose answers show what is stored."""

MESSAGE_ID_REPEATED: Final = "message-id-unused"


class AuditTrail(Protocol):
    """Makes the statements that queue the audit events of an access."""

    def __call__(self, ctx: RequestContext, rows: Sequence[JournalRow]) -> Callable[[Connection], None]: ...


class Notices(Protocol):
    """Makes the statements that queue what people are told of an access; None where nobody is."""

    def __call__(self, ctx: RequestContext, rows: Sequence[JournalRow]) -> Callable[[Connection], None] | None: ...


@dataclass(frozen=True)
class Recorder:
    """The Record of a composed server.

    `audit` queues events for the audit record repository, None where there is none. `message_ids_kept` is how long a proved
    caller must not use a MessageID again, in microseconds; 0 where it may. `sealing_is_late` says that the journal has not
    been sealed for too long to disclose anything. `notices` queues what people are told, None where nobody is.
    """

    audit: AuditTrail | None = None
    message_ids_kept: int = 0
    sealing_is_late: Callable[[], bool] = lambda: False
    notices: Notices | None = None

    def __call__(
        self, ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True
    ) -> Callable[[Connection], None]:
        """Raises XdsFailure where nothing may be disclosed; the statements raise Fault for a MessageID used before."""
        allowed = all(row.decision.allowed for row in rows)
        if allowed and any(row.action in DISCLOSING for row in rows) and self.sealing_is_late():
            text = "the journal has not been sealed in time; the message may be sent again"
            raise XdsFailure(Finding("Busy", text, rule="journal-seal-late"))
        insert = journal(ctx, rows)
        queue = self.audit(ctx, rows) if self.audit is not None else None
        guarded = once and allowed and self.message_ids_kept and ctx.subject.digest
        evidence = ctx.evidence if ctx.subject.digest else b""
        tell = self.notices(ctx, rows) if self.notices is not None and once else None
        if queue is None and tell is None and not guarded and not evidence:
            return insert

        def statements(connection: Connection) -> None:
            if evidence:
                keep_assertion(connection, ctx.subject.digest, evidence, ctx.at)
            if guarded:
                self._use_message_id(connection, ctx)
            insert(connection)
            if queue is not None:
                queue(connection)
            if tell is not None:
                tell(connection)

        return statements

    def _use_message_id(self, connection: Connection, ctx: RequestContext) -> None:
        try:
            insert_or_repeat(connection, ctx.subject.id, ctx.message_id, ctx.at, self.message_ids_kept)
        except RepeatedMessage:
            raise repeated_message_id() from None


def repeated_message_id() -> Fault:
    """The fault for a MessageID that its sender used before. Source: WS-Addressing 1.0 SOAP Binding, section 6.4.1."""
    fault = invalid_header("MessageID", "it was used before, an identifier of its own is expected", "DuplicateMessageID")
    fault.rule = MESSAGE_ID_REPEATED
    return fault
