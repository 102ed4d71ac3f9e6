"""The functional rights: may this caller call this transaction at all, before any document is looked at.

Limits: 1 to the structure; 2 of the same structure; 3 new ones, by date; 4 imputed to the structure; 5 to find a reference;
6 and 8 documents of his own; 7 where the patient opened masked documents in emergency; 9 documents of the structure.
Source: GIE SESAM-Vitale PDT-INF-526 v1.8; for the reinforced indirect mode PDT-INF-606 v1.3.
"""

from __future__ import annotations

from typing import Final

from dmp import tables
from dmp.caller import Caller
from dmp.tables import DENIED, Right

_STAFF_MEMBER: Final = {
    "authorise": Right(allowed=True, limit=1),
    "authorised-list": Right(allowed=True, limit=2),
    "find-reference": Right(allowed=True, limit=5),
    "delete": Right(allowed=True, limit=9),
}
_UNLIMITED: Final = Right(allowed=True)


def functional_right(right: str, caller: Caller, *, attending: bool) -> Right:
    """The right of a caller; unknown callers have none. Raises KeyError for a right that is not in the table."""
    table = tables.rights()
    transaction = table.transactions[right]
    column = caller.rights_column(attending=attending)
    if not column:
        return DENIED
    if caller.reinforced:
        if column == "staff_member":
            return _STAFF_MEMBER.get(right, DENIED)
        if column == "occupational_doctor" or transaction in ("TD2.1", "TD2.2") or right == "leave-attending":
            return DENIED
        if right in ("archive", "unarchive") and caller.kind == "doctor":
            return _UNLIMITED
    return table.cells[right, column]
