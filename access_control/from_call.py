"""The request context of a SOAP exchange."""

from __future__ import annotations

from collections.abc import Callable

from access_control.context import RequestContext
from soap.transaction import Call


def context_of(call: Call, clock: Callable[[], int]) -> RequestContext:
    """Who asks what, now. `clock` gives microseconds since 1970 UTC."""
    return RequestContext(
        transaction=call.transaction.number,
        message_id=call.message_id,
        at=clock(),
        peer=call.incoming.peer,
        deadline=call.deadline,
    )
