"""The transactions of the DMP beside those of IHE, one module each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dmp.transactions import td0_3, td1_6
from dmp.transactions.host import Host
from journal.rows import Attempt
from soap.transaction import Call, Transaction

__all__ = ["ASKED", "Host", "transactions"]

ASKED: Final[Mapping[str, Callable[[Call], Sequence[Attempt]]]] = {
    td0_3.NUMBER: lambda call: [td0_3.asked(call)],
    td1_6.NUMBER: lambda call: [td1_6.asked(call)],
}
"""What a message asked for, by the number of its transaction: for the journal rows of faults."""


def transactions(host: Host) -> tuple[Transaction, ...]:
    """Every one, over a host."""
    return td0_3.transaction(host), td1_6.transaction(host)
