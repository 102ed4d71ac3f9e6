"""What travels with one request: who, when, which message. Nothing of it lives on shared objects."""

from __future__ import annotations

from dataclasses import dataclass, field

from access_control.subject import ANONYMOUS, Subject


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request. `at` in microseconds since 1970 UTC; `peer` the connection's address; `deadline` monotonic seconds.

    `evidence` are the signed bytes that proved `subject`, to be kept with the first row that names their digest; empty where
    nothing proved it or they are kept already. `memo` is the policy's own: what it looked up for this request.
    """

    transaction: str
    message_id: str
    at: int
    peer: str = ""
    subject: Subject = ANONYMOUS
    deadline: float | None = None
    evidence: bytes = field(default=b"", repr=False)
    memo: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
