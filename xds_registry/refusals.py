"""What the registry's transactions do when they refuse: the findings of an answer, and its journal rows.

A refusal discloses nothing, so it is answered even when its row cannot be written.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from access_control.from_call import context_of
from database.errors import DatabaseError
from journal.rows import Attempt
from soap.transaction import Call
from xds_metadata.errors import Finding, XdsFailure
from xds_registry.actor import Registry, store_failure

_log = logging.getLogger("liasse.registry")


def refusal(registry: Registry, call: Call, error: Exception, *attempts: Attempt) -> Sequence[Finding] | None:
    """The findings that stand for `error`, after a journal row for each attempt; None when it is not ours to answer."""
    if isinstance(error, XdsFailure):
        findings: Sequence[Finding] = error.findings
    elif isinstance(error, DatabaseError):
        findings = (store_failure(error),)
    else:
        return None
    rules = ",".join(dict.fromkeys(f.rule or f.code for f in findings))[:200]
    rows = [attempt.refused(rules, call.digest) for attempt in attempts]
    if not isinstance(error, DatabaseError):
        try:
            registry.database.write(registry.record(context_of(call, registry.clock), rows, once=False))
        except DatabaseError as failure:
            _log.warning("refusal not journaled", extra={"transaction": call.transaction.number, "code": failure.code})
    _log.info("refused", extra={"transaction": call.transaction.number, "message_id": call.message_id, "rule": rules})
    return findings
