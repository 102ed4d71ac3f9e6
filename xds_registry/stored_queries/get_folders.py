"""GetFolders: folders by entryUUID or uniqueId. Source: IHE ITI TF-2 3.18.4.1.2.3.7.6."""

from __future__ import annotations

from xds_registry.stored_queries.filters import anchored, by_unique_id, by_uuid
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = (by_uuid("$XDSFolderEntryUUID", many=True), by_unique_id("$XDSFolderUniqueId", many=True))


def plan(bound: Bound) -> Plan:
    """The folders named."""
    condition, anchor = anchored(bound, one_of(bound, PARAMETERS))
    return Plan(Selection((Pick("folders", Kind.FOLDER, (condition,)),)), anchor)


QUERY = StoredQuery("urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4", "GetFolders", PARAMETERS, plan, single_patient=True)
