"""GetRelatedDocuments: what one entry is linked with. Source: IHE ITI TF-2 3.18.4.1.2.3.7.13."""

from __future__ import annotations

from xds_registry.stored_queries.filters import OBJECT_TYPE, anchored, by_unique_id, by_uuid
from xds_registry.stored_queries.parameters import Bound, Parameter, as_association_type, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import AtEndOf, ColumnIn, EndInPick, InPick, Pick, Selection
from xds_registry.vocabulary import Kind

ALTERNATIVES = (
    by_uuid("$XDSDocumentEntryEntryUUID", many=False),
    by_unique_id("$XDSDocumentEntryUniqueId", many=False),
)
PARAMETERS = (
    *ALTERNATIVES,
    Parameter("$AssociationTypes", "types", as_association_type, required=True),
    OBJECT_TYPE,
)


def plan(bound: Bound) -> Plan:
    """Associations of the types that touch the entry, both ends documents, and these documents."""
    condition, anchor = anchored(bound, one_of(bound, ALTERNATIVES))
    of_type = ColumnIn("stable", bound.get("object_type", (1,)))
    touching = (ColumnIn("type", bound["types"]), EndInPick("either", ("given",)))
    joined = (InPick("touching"), EndInPick("source", ("ends",)), EndInPick("target", ("ends",)))
    picks = (
        Pick("given", Kind.ENTRY, (condition,), returned=False),
        Pick("touching", Kind.ASSOCIATION, touching, returned=False),
        Pick("ends", Kind.ENTRY, (AtEndOf("touching", "either"), of_type), returned=False),
        Pick("associations", Kind.ASSOCIATION, joined),
        Pick("entries", Kind.ENTRY, (InPick("ends"), AtEndOf("associations", "either"))),
    )
    return Plan(Selection(picks), anchor)


QUERY = StoredQuery("urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6", "GetRelatedDocuments", PARAMETERS, plan)
