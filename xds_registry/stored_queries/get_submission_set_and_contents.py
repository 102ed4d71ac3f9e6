"""GetSubmissionSetAndContents: one submission set with what it holds. Source: IHE ITI TF-2 3.18.4.1.2.3.7.10."""

from __future__ import annotations

from xds_metadata.associations import HAS_MEMBER
from xds_registry.stored_queries.filters import ENTRY_FILTERS, anchored, by_unique_id, by_uuid, entry_conditions
from xds_registry.stored_queries.parameters import Bound, one_of
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import AtEndOf, ColumnIn, EndInPick, InPick, Pick, Selection
from xds_registry.vocabulary import ASSOCIATION_TYPE, Kind

ALTERNATIVES = (by_uuid("$XDSSubmissionSetEntryUUID", many=False), by_unique_id("$XDSSubmissionSetUniqueId", many=False))
PARAMETERS = (*ALTERNATIVES, *ENTRY_FILTERS)


def plan(bound: Bound) -> Plan:
    """The set, its entries (filtered) and folders, the memberships, and filed associations that join returned objects."""
    condition, anchor = anchored(bound, one_of(bound, ALTERNATIVES))
    has_member = ColumnIn("type", (ASSOCIATION_TYPE[HAS_MEMBER],))
    inside = AtEndOf("memberships", "target")
    objects = ("sets", "entries", "folders")
    picks = (
        Pick("sets", Kind.SUBMISSION_SET, (condition,)),
        Pick("memberships", Kind.ASSOCIATION, (has_member, EndInPick("source", ("sets",))), returned=False),
        Pick("entries", Kind.ENTRY, (inside, *entry_conditions(bound))),
        Pick("folders", Kind.FOLDER, (inside,)),
        Pick("filed", Kind.ASSOCIATION, (inside, EndInPick("source", objects), EndInPick("target", objects))),
        Pick("links", Kind.ASSOCIATION, (InPick("memberships"), EndInPick("target", ("entries", "folders", "filed")))),
    )
    return Plan(Selection(picks), anchor)


QUERY = StoredQuery(
    "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83", "GetSubmissionSetAndContents", PARAMETERS, plan, single_patient=True
)
