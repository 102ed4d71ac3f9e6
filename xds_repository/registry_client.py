"""A registry behind a SOAP endpoint (ITI-42), and the resolution of documents whose registration had no answer.

Source: IHE ITI TF-2 3.42, 3.18 (GetDocuments).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, select

from access_control.context import RequestContext
from database.handle import Database
from ebrim.model import AdhocQuery, Slot
from ebrim.read import read_registry_errors, read_status
from ebrim.rs import write_adhoc_query_request, write_submit_objects_request
from soap.client import SoapClient, SoapFault
from soap.connections import ClientError, Timeouts
from soap.transaction import Body
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.registration import Registration
from xds_repository.documents import PENDING, STORED, forget_pending, set_state
from xds_repository.ports import RegistryNotAvailable
from xds_repository.tables import repository_document
from xmlsafe.namespaces import RIM

REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
_GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_TIMEOUTS = Timeouts(connect=1.5, silence=3.0, total=4.0)
_OLD_ENOUGH = 10_000_000
_BATCH = 20


class RemoteRegistry:
    """RegistryPort over ITI-42. Thread-safe. Effects are not its business: `in_process` is false."""

    in_process = False

    def __init__(self, url: str, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._client = SoapClient(url, timeouts)

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

    def patients_of(self, unique_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002
        """Not known here."""
        return {}

    def registered(self, unique_ids: Sequence[str]) -> frozenset[str]:
        """Those of `unique_ids` that the registry has an entry of. Raises ClientError."""
        found: set[str] = set()
        for unique_id in unique_ids:
            quoted = unique_id.replace("'", "''")
            query = AdhocQuery(_GET_DOCUMENTS, "ObjectRef", None, (Slot("$XDSDocumentEntryUniqueId", (f"('{quoted}')",)),))
            with self._client.call(QUERY, Body((write_adhoc_query_request(query),))) as answer:
                if next(answer.body.iter(f"{{{RIM}}}ObjectRef"), None) is not None:
                    found.add(unique_id)
        return frozenset(found)

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()


def resolve_pending(database: Database, registry: RemoteRegistry, clock: Callable[[], int]) -> int:
    """Ask the registry about documents whose registration had no answer; returns how many were decided.

    A document that the registry knows is served from now on; another is forgotten (its bytes are collected later). Only
    rows older than ten seconds are asked about: younger ones may be under way. Raises ClientError, DatabaseError.
    """
    now = clock()
    r = repository_document.c
    with database.read() as connection:
        rows = connection.execute(
            select(r.unique_id).where(r.state == PENDING, r.changed_at < now - _OLD_ENOUGH).limit(_BATCH)
        ).all()
    pending = [row[0] for row in rows]
    if not pending:
        return 0
    known = registry.registered(pending)

    def settle(connection: Connection) -> None:
        if known:
            set_state(connection, sorted(known), STORED, now)
        lost = [unique_id for unique_id in pending if unique_id not in known]
        if lost:
            forget_pending(connection, lost)

    database.write(settle)
    return len(pending)
