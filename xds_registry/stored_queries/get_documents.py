"""GetDocuments: entries by entryUUID or uniqueId. Source: IHE ITI TF-2 3.18.4.1.2.3.7.5."""

from __future__ import annotations

from xds_registry.stored_queries.filters import anchored, by_unique_id, by_uuid
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = (by_uuid("$XDSDocumentEntryEntryUUID", many=True), by_unique_id("$XDSDocumentEntryUniqueId", many=True))


def plan(bound: Bound) -> Plan:
    """The entries named; several may share a uniqueId."""
    condition, anchor = anchored(bound, one_of(bound, PARAMETERS))
    return Plan(Selection((Pick("entries", Kind.ENTRY, (condition,)),)), anchor)


QUERY = StoredQuery("urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", "GetDocuments", PARAMETERS, plan, single_patient=True)
