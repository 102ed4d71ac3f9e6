"""An operator takes back a wrong deposit (`liasse withdraw`): registry, repository and journal in one transaction.

Source: DESIGN 5; what is journaled: who (the operating system's user), when, which documents, and why.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.handle import Database
from journal.rows import JournalRow, journal
from xds_registry import withdrawal
from xds_registry.vocabulary import Kind
from xds_registry.withdrawal import Deposit, Effect
from xds_repository import documents
from xds_repository.file_store import FileStore
from xds_repository.store import StoreError

LONGEST_REASON = 500


class WithdrawalRefused(Exception):
    """Nothing was changed; the text says why."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was done: numbers of objects by kind, documents that changed state, entries that changed status with them.

    After a purge, `removed` blobs are gone from the disk and `later` ones stay until they are old enough to be collected.
    """

    entries: int
    sets: int
    folders: int
    associations: int
    documents: tuple[str, ...]
    status: int
    removed: int = 0
    later: int = 0


def operator() -> Subject:
    """Who runs this program: the operating system's user, and whom `sudo` names."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return Subject(f"os-user:{name}" + (f" (sudo: {behind})" if behind else ""), proof_level="local")


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, when (microseconds since 1970 UTC) and why."""

    subject: Subject
    at: int
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip() or len(self.reason) > LONGEST_REASON:
            raise WithdrawalRefused(f"a reason of 1 to {LONGEST_REASON} characters is needed: it is journaled")


def withdraw(database: Database, identifier: str, operator: Operator, following: frozenset[str] = frozenset()) -> Withdrawal:
    """Take back the entries of a document's uniqueId or entryUUID, or a whole submission (its entryUUID or uniqueId).

    `following`: as the access policy has it; so below. Raises WithdrawalRefused (unknown, or withdrawn already) and
    DatabaseError.
    """

    def statements(connection: Connection) -> Withdrawal:
        deposit = _find(connection, identifier)
        if deposit and not withdrawal.visible_part(connection, deposit):
            raise WithdrawalRefused(f"{identifier} is withdrawn already")
        effect = withdrawal.withdraw(connection, deposit, following)
        hidden = _ids(deposit, identifier) - withdrawal.visible_unique_ids(connection, deposit.unique_ids)
        changed = documents.withdraw_documents(connection, hidden, operator.at)
        if not deposit and not changed:
            raise WithdrawalRefused(f"{identifier} is not served: nothing to withdraw")
        _record(connection, "withdraw", deposit, identifier, operator)
        return _result(effect, changed)

    return database.write(statements)


def reinstate(
    database: Database, identifier: str, operator: Operator, following: frozenset[str] = frozenset()
) -> Withdrawal:
    """Undo a withdrawal. Raises WithdrawalRefused (unknown, or not withdrawn), DatabaseError."""

    def statements(connection: Connection) -> Withdrawal:
        deposit = _find(connection, identifier)
        effect = withdrawal.reinstate(connection, deposit, following)
        changed = documents.reinstate_documents(connection, _ids(deposit, identifier), operator.at)
        if not effect.changed and not changed:
            raise WithdrawalRefused(f"{identifier} is not withdrawn")
        _record(connection, "reinstate", deposit, identifier, operator)
        return _result(effect, changed)

    return database.write(statements)


def purge(
    database: Database, store: FileStore, identifier: str, operator: Operator, following: frozenset[str] = frozenset()
) -> Withdrawal:
    """Delete a withdrawn deposit for good: rows, identifiers, and the bytes that nothing else needs.

    Bytes stored within the last day stay for now, a deposit of the same bytes may be under way: `liasse fsck --collect`
    takes them later. Raises WithdrawalRefused (unknown, or still visible), DatabaseError.
    """

    def statements(connection: Connection) -> tuple[Withdrawal, tuple[str, ...]]:
        deposit = _find(connection, identifier)
        if withdrawal.visible_part(connection, deposit):
            raise WithdrawalRefused(f"{identifier} is not wholly withdrawn: withdraw it before it is purged")
        _record(connection, "purge", deposit, identifier, operator)
        effect = withdrawal.purge(connection, deposit, following)
        gone = withdrawal.unused_unique_ids(connection, _ids(deposit, identifier))
        states = {d.unique_id: d.state for d in documents.find_documents(connection, sorted(gone))}
        if any(state != documents.WITHDRAWN for state in states.values()):
            raise WithdrawalRefused(f"{identifier} is still served: withdraw it before it is purged")
        blobs = documents.purge_documents(connection, gone)
        return _result(effect, tuple(sorted(states))), blobs

    result, blobs = database.write(statements)
    removed = sum(_delete(store, blob) for blob in blobs)
    return Withdrawal(
        result.entries,
        result.sets,
        result.folders,
        result.associations,
        result.documents,
        result.status,
        removed,
        len(blobs) - removed,
    )


def _delete(store: FileStore, sha256: str) -> bool:
    """Whether the blob could be deleted now; one that stays is an orphan, found by every fsck."""
    try:
        return store.delete(sha256)
    except StoreError:
        return False


def _find(connection: Connection, identifier: str) -> Deposit:
    """The deposit; an empty one for a document whose registry is elsewhere."""
    deposit = withdrawal.find_deposit(connection, identifier)
    if not deposit and not documents.find_documents(connection, [identifier]):
        raise WithdrawalRefused(f"{identifier} names no document and no submission set here")
    documents.lock_documents(connection, _ids(deposit, identifier))
    return deposit


def _ids(deposit: Deposit, identifier: str) -> frozenset[str]:
    return deposit.unique_ids if deposit else frozenset({identifier})


def _result(effect: Effect, changed: Iterable[str]) -> Withdrawal:
    count: Callable[[Kind], int] = effect.count
    return Withdrawal(
        entries=count(Kind.ENTRY),
        sets=count(Kind.SUBMISSION_SET),
        folders=count(Kind.FOLDER),
        associations=count(Kind.ASSOCIATION),
        documents=tuple(changed),
        status=len(effect.status),
    )


def _record(connection: Connection, action: str, deposit: Deposit, identifier: str, operator: Operator) -> None:
    """One journal row for each patient concerned, in the same transaction."""
    ctx = RequestContext(transaction="operator", message_id="", at=operator.at, subject=operator.subject)
    objects = [("document", unique_id) for unique_id in sorted(_ids(deposit, identifier))]
    objects += [("submission-set", set_id) for set_id in sorted(deposit.sets)]
    rows = [
        JournalRow(patient, action, objects, Decision(allowed=True, rule="operator"), "Success", detail=operator.reason)
        for patient in sorted(deposit.patients) or [""]
    ]
    journal(ctx, rows)(connection)
