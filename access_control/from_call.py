"""The request context of a SOAP exchange."""

from __future__ import annotations

from collections.abc import Callable

from access_control.context import RequestContext
from access_control.subject import ANONYMOUS, Subject
from soap.transaction import Call


def sender_of(call: Call, source_id: str) -> str:
    """Whose retries a submission may be: the proved caller's, otherwise those of the source it names."""
    return call.caller.id if isinstance(call.caller, Subject) and call.caller.digest else source_id


def context_of(call: Call, clock: Callable[[], int]) -> RequestContext:
    """Who asks what, now. `clock` gives microseconds since 1970 UTC. A call that nobody vouched for is anonymous."""
    return RequestContext(
        transaction=call.transaction.number,
        message_id=call.message_id,
        at=clock(),
        peer=call.incoming.peer,
        subject=call.caller if isinstance(call.caller, Subject) else ANONYMOUS,
        deadline=call.deadline,
        evidence=call.evidence,
    )
