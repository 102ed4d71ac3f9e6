"""GetDocumentsAndAssociations: entries and what touches them. Source: IHE ITI TF-2 3.18.4.1.2.3.7.8."""

from __future__ import annotations

from xds_registry.stored_queries import get_documents
from xds_registry.stored_queries.filters import anchored
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import EndInPick, Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = get_documents.PARAMETERS


def plan(bound: Bound) -> Plan:
    """The entries named and every association with one of them at either end."""
    condition, anchor = anchored(bound, one_of(bound, PARAMETERS))
    picks = (
        Pick("entries", Kind.ENTRY, (condition,)),
        Pick("associations", Kind.ASSOCIATION, (EndInPick("either", ("entries",)),)),
    )
    return Plan(Selection(picks), anchor)


QUERY = StoredQuery(
    "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a", "GetDocumentsAndAssociations", PARAMETERS, plan, single_patient=True
)
