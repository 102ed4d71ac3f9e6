"""What a national access policy serves beside the transactions of IHE. Only this place knows which policy brings what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from access_control.policy import AccessPolicy
from dmp.notifier import Notifier
from dmp.policy import DmpPolicy
from dmp.transactions import ASKED, Host, transactions
from journal.rows import Attempt
from liasse.recording import Notices
from schemas.paths import HABILITATIONS, schema_files
from soap.transaction import Call, Transaction
from xds_registry.actor import Registry
from xmlsafe.schema import Schema

NATIONAL_ASKED: Final[Mapping[str, Callable[[Call], Sequence[Attempt]]]] = ASKED
"""What a message asked for, by the number of its transaction."""


def national_notices(policy: AccessPolicy) -> Notices | None:
    """Who is told of an access under the DMP's policy; nobody under another one."""
    return Notifier(policy.settings) if isinstance(policy, DmpPolicy) else None


def national_transactions(policy: AccessPolicy, registry: Registry) -> tuple[Transaction, ...]:
    """Those of the DMP under its policy; none under another one."""
    if not isinstance(policy, DmpPolicy):
        return ()
    schema = Schema(schema_files(HABILITATIONS))
    return transactions(Host(registry.database, policy, policy.settings, schema, registry.clock, registry.record))
