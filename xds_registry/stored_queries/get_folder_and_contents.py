"""GetFolderAndContents: one folder with its entries. Source: IHE ITI TF-2 3.18.4.1.2.3.7.11."""

from __future__ import annotations

from xds_metadata.associations import HAS_MEMBER
from xds_registry.stored_queries.filters import ENTRY_FILTERS, anchored, by_unique_id, by_uuid, entry_conditions
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import AtEndOf, ColumnIn, EndInPick, InPick, Pick, Selection
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind

ALTERNATIVES = (by_uuid("$XDSFolderEntryUUID", many=False), by_unique_id("$XDSFolderUniqueId", many=False))
PARAMETERS = (*ALTERNATIVES, *ENTRY_FILTERS)


def plan(bound: Bound) -> Plan:
    """The folder, its entries (filtered), and the memberships that join them."""
    condition, anchor = anchored(bound, one_of(bound, ALTERNATIVES))
    has_member = ColumnIn("type", (ASSOCIATION_TYPE[HAS_MEMBER],))
    picks = (
        Pick("folders", Kind.FOLDER, (condition,)),
        Pick("memberships", Kind.ASSOCIATION, (has_member, EndInPick("source", ("folders",))), returned=False),
        Pick("entries", Kind.ENTRY, (AtEndOf("memberships", "target"), *entry_conditions(bound))),
        Pick("links", Kind.ASSOCIATION, (InPick("memberships"), EndInPick("target", ("entries",)))),
    )
    return Plan(Selection(picks), anchor)


QUERY = StoredQuery(
    "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7", "GetFolderAndContents", PARAMETERS, plan, single_patient=True
)
