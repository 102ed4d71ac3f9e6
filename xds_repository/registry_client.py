"""A registry behind a SOAP endpoint (ITI-42), and the resolution of documents whose registration had no answer.

Source: IHE ITI TF-2 3.42, 3.18 (GetDocuments).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Subject
from database.handle import Database
from database.problem import batches
from ebrim.model import AdhocQuery, Slot
from ebrim.read import REGISTRY_OBJECT_LIST, read_object_list, read_registry_errors, read_status
from ebrim.rs import write_adhoc_query_request, write_submit_objects_request
from journal.rows import JournalRow, journal
from soap.client import SoapClient, SoapFault
from soap.connections import BadAnswer, ClientError, Timeouts
from soap.transaction import Body
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.profile import IHE
from xds_metadata.registration import Registration
from xds_repository.documents import PENDING, STORED, forget_pending, set_state
from xds_repository.ports import Holders, RegistryNotAvailable
from xds_repository.tables import repository_document

REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
_GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_TIMEOUTS = Timeouts(connect=1.5, silence=3.0, total=4.0)
_OLD_ENOUGH = 10_000_000
_GIVEN_UP = 3_600_000_000
_BATCH = 20
_UNIQUE_ID = "$XDSDocumentEntryUniqueId"
_OURSELVES = Subject("liasse", proof_level="local")


class RemoteRegistry:
    """RegistryPort over ITI-42. Thread-safe. Effects are not its business: `in_process` is false.

    `tls` is used for https, with our certificate for its registry; the platform's trust store without it.
    """

    in_process = False

    def __init__(self, url: str, timeouts: Timeouts = _TIMEOUTS, *, tls: ssl.SSLContext | None = None) -> None:
        self._client = SoapClient(url, timeouts, tls=tls)

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:  # noqa: ARG002
        """Send the registration. Raises XdsFailure with the registry's errors, RegistryNotAvailable."""
        body = Body((write_submit_objects_request(request.objects),))
        try:
            with self._client.call(REGISTER, body) as answer:
                findings = tuple(
                    Finding(e.code, e.context, e.location, rule="remote-registry", severity=e.severity)
                    for e in read_registry_errors(answer.body)
                )
                status = read_status(answer.body)
        except SoapFault as fault:
            if fault.code == "Receiver":  # it failed on its side, perhaps after it had registered
                raise RegistryNotAvailable(sent=True) from fault
            raise XdsFailure(
                Finding("Error", f"the registry refused the message: {fault}", rule="remote-registry")
            ) from fault
        except ClientError as error:
            raise RegistryNotAvailable(sent=error.may_have_been_processed) from error
        if status == "Success":
            return findings
        raise XdsFailure(
            findings or (Finding("Error", "the registry answered Failure without an error", rule="remote-registry"),)
        )

    def holders(self, ctx: RequestContext, unique_ids: Sequence[str]) -> Holders:  # noqa: ARG002
        """Not known here."""
        return Holders({})

    def registered(self, unique_ids: Sequence[str], repository: str) -> Mapping[str, str]:
        """Those of `unique_ids` that the registry has an entry of in `repository`, with its hash. Raises ClientError."""
        query = AdhocQuery(_GET_DOCUMENTS, "LeafClass", None, (_slot(unique_ids),))
        found: dict[str, str] = {}
        with self._client.call(QUERY, Body((write_adhoc_query_request(query),))) as answer:
            status = read_status(answer.body)
            held = answer.body.find(REGISTRY_OBJECT_LIST)
            if status != "Success" or held is None:
                raise BadAnswer(f"the registry answered {status or 'nothing'} to a query of documents by uniqueId")
            for entry in from_ebrim(read_object_list(held), IHE)[0].entries:
                if entry.repository_unique_id == repository:
                    found[entry.unique_id or ""] = (entry.hash or "").lower()
        return found

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()


def _slot(unique_ids: Sequence[str]) -> Slot:
    """The parameter, one Value for each id: a Value holds at most 256 characters."""
    return Slot(_UNIQUE_ID, tuple("('" + unique_id.replace("'", "''") + "')" for unique_id in unique_ids))


def resolve_pending(
    database: Database,
    registry: RemoteRegistry,
    repository: str,
    clock: Callable[[], int],
    guard: Callable[[Connection], None] = lambda _connection: None,
) -> int:
    """Ask the registry about documents whose registration had no answer; returns how many were decided.

    A document that the registry knows as one of `repository` is served from now on, and journaled. One that it still does
    not know after an hour, a time by which no message can be under way any more, is forgotten; its bytes are collected
    later. Documents younger than ten seconds are not asked about. `guard` is called first in each write.
    Raises ClientError, DatabaseError.
    """
    now = clock()
    r = repository_document.c
    decided = 0
    old_enough = (r.state == PENDING) & (r.changed_at < now - _OLD_ENOUGH)
    columns, key = [r.unique_id, r.sha1, r.changed_at], [r.changed_at, r.unique_id]
    for rows in [rows for _, rows in batches(database, columns, key, old_enough, size=_BATCH)]:
        known = registry.registered([row.unique_id for row in rows], repository)
        stored = [row.unique_id for row in rows if known.get(row.unique_id) == row.sha1]
        lost = [row.unique_id for row in rows if row.unique_id not in stored and row.changed_at < now - _GIVEN_UP]
        if stored or lost:
            database.write(_settle(stored, lost, now, guard))
        decided += len(stored) + len(lost)
    return decided


def _settle(
    stored: list[str], lost: list[str], now: int, guard: Callable[[Connection], None]
) -> Callable[[Connection], None]:
    ctx = RequestContext(transaction="background", message_id="", at=now, subject=_OURSELVES)
    decision = Decision(allowed=True, rule="registration-confirmed")
    rows = [JournalRow("", "provide", (("document", unique_id),), decision, "Success") for unique_id in stored]

    def settle(connection: Connection) -> None:
        guard(connection)
        if stored:
            set_state(connection, stored, STORED, now)
            journal(ctx, rows)(connection)
        if lost:
            forget_pending(connection, lost, now - _GIVEN_UP)

    return settle
