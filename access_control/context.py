"""What travels with one request: who, when, which message. Nothing of it lives on shared objects."""

from __future__ import annotations

from dataclasses import dataclass

from access_control.subject import ANONYMOUS, Subject


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request. `at` in microseconds since 1970 UTC; `peer` the connection's address; `deadline` monotonic seconds."""

    transaction: str
    message_id: str
    at: int
    peer: str = ""
    subject: Subject = ANONYMOUS
    deadline: float | None = None
