"""GetSubmissionSets: the sets that hold given entries or folders. Source: IHE ITI TF-2 3.18.4.1.2.3.7.9."""

from __future__ import annotations

from xds_metadata.associations import HAS_MEMBER
from xds_registry.stored_queries.parameters import Bound, Parameter, as_uuid
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import Anchor, AtEndOf, ColumnIn, EndIn, EndInPick, InPick, Pick, Selection
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind

PARAMETERS = (Parameter("$uuid", "uuid", as_uuid, required=True),)


def plan(bound: Bound) -> Plan:
    """Submission sets and the HasMember associations from them to the given objects."""
    ids = bound["uuid"]
    memberships = (ColumnIn("type", (ASSOCIATION_TYPE[HAS_MEMBER],)), EndIn("target", ids))
    picks = (
        Pick("memberships", Kind.ASSOCIATION, memberships, returned=False),
        Pick("sets", Kind.SUBMISSION_SET, (AtEndOf("memberships", "source"),)),
        Pick("associations", Kind.ASSOCIATION, (InPick("memberships"), EndInPick("source", ("sets",)))),
    )
    return Plan(Selection(picks), Anchor(ids=ids))


QUERY = StoredQuery(
    "urn:uuid:51224314-5390-4169-9b91-b1980040715a", "GetSubmissionSets", PARAMETERS, plan, single_patient=True
)
