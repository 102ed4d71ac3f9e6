"""The Document Repository: what its transactions share.

Source: IHE ITI TF-2 3.41, 3.43.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from access_control.from_call import context_of
from access_control.policy import AccessPolicy
from database.errors import DatabaseBusy, DatabaseError, DatabaseFull
from database.handle import Database
from database.prepared import Prepared
from journal.rows import Attempt, Record, journal
from soap.transaction import Call
from xds_metadata.codes import CodeSets
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.profile import Profile
from xds_repository.file_store import FileStore
from xds_repository.ports import ContentCheck, RegistryNotAvailable, RegistryPort
from xds_repository.store import StoreError, StoreFull
from xmlsafe.schema import Schema

_log = logging.getLogger("liasse.repository")


@dataclass(frozen=True)
class Repository:
    """The actor: its store, its registry, its dialect. `clock` gives microseconds since 1970 UTC.

    `unique_id` is the repositoryUniqueId. `content_check` is None where documents are not judged. `most_documents` limits
    one retrieval. `record` writes down what was done for whom.
    """

    unique_id: str
    database: Database
    store: FileStore
    registry: RegistryPort
    policy: AccessPolicy
    profile: Profile
    codes: CodeSets
    schema: Schema
    clock: Callable[[], int]
    find_one: Prepared
    content_check: ContentCheck | None = None
    most_documents: int = 1000
    record: Record = journal


def failure_findings(error: Exception) -> Sequence[Finding] | None:
    """The findings that stand for what a transaction raised; None when it is not one of ours to answer."""
    if isinstance(error, XdsFailure):
        return error.findings
    if isinstance(error, RegistryNotAvailable):
        text = "the registry's answer is missing; send the same message again" if error.sent else str(error)
        return (Finding("XDSRegistryNotAvailable", text, rule="registry"),)
    if isinstance(error, DatabaseBusy):
        return (Finding("Busy", "the repository is busy; the message may be sent again", rule="database-busy"),)
    if isinstance(error, (DatabaseFull, StoreFull)):
        return (Finding("OutOfResources", "the repository has no space left", rule="space"),)
    if isinstance(error, (DatabaseError, StoreError)):
        text = "the repository's storage is not available; the message may be sent again"
        return (Finding("Error", text, rule="storage"),)
    return None


def refusal(repository: Repository, call: Call, error: Exception, *attempts: Attempt) -> Sequence[Finding] | None:
    """As `failure_findings`, after a journal row for each attempt. A refusal is answered without them if need be."""
    findings = failure_findings(error)
    if findings is None:
        return None
    rules = ",".join(dict.fromkeys(f.rule or f.code for f in findings))[:200]
    if not isinstance(error, DatabaseError):
        rows = [attempt.refused(rules, call.digest) for attempt in attempts]
        try:
            repository.database.write(repository.record(context_of(call, repository.clock), rows, once=False))
        except DatabaseError as failure:
            _log.warning("refusal not journaled", extra={"transaction": call.transaction.number, "code": failure.code})
    _log.info("refused", extra={"transaction": call.transaction.number, "message_id": call.message_id, "rule": rules})
    return findings
