"""GetAssociations: associations that touch given objects. Source: IHE ITI TF-2 3.18.4.1.2.3.7.7."""

from __future__ import annotations

from xds_registry.stored_queries.parameters import Bound, Parameter, as_uuid
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import Anchor, EndIn, Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = (Parameter("$uuid", "uuid", as_uuid, required=True),)


def plan(bound: Bound) -> Plan:
    """Associations whose source or target is one of the ids."""
    ids = bound["uuid"]
    return Plan(Selection((Pick("associations", Kind.ASSOCIATION, (EndIn("either", ids),)),)), Anchor(ids=ids))


QUERY = StoredQuery("urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", "GetAssociations", PARAMETERS, plan)
