"""GetFoldersForDocument: the folders that hold one entry. Source: IHE ITI TF-2 3.18.4.1.2.3.7.12."""

from __future__ import annotations

from xds_metadata.associations import HAS_MEMBER
from xds_registry.stored_queries.filters import anchored, by_unique_id, by_uuid
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import AtEndOf, ColumnIn, EndInPick, Pick, Selection
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind

PARAMETERS = (by_uuid("$XDSDocumentEntryEntryUUID", many=False), by_unique_id("$XDSDocumentEntryUniqueId", many=False))


def plan(bound: Bound) -> Plan:
    """Folders with a membership of the entry."""
    condition, anchor = anchored(bound, one_of(bound, PARAMETERS))
    has_member = ColumnIn("type", (ASSOCIATION_TYPE[HAS_MEMBER],))
    picks = (
        Pick("entries", Kind.ENTRY, (condition,), returned=False),
        Pick("memberships", Kind.ASSOCIATION, (has_member, EndInPick("target", ("entries",))), returned=False),
        Pick("folders", Kind.FOLDER, (AtEndOf("memberships", "source"),)),
    )
    return Plan(Selection(picks), anchor)


QUERY = StoredQuery("urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578", "GetFoldersForDocument", PARAMETERS, plan)
