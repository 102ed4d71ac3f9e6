"""FindSubmissionSets: the submission sets of one patient. Source: IHE ITI TF-2 3.18.4.1.2.3.7.2."""

from __future__ import annotations

from xds_registry.stored_queries.filters import patient, status
from xds_registry.stored_queries.parameters import Bound, Parameter, as_code, as_text, as_time
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import AuthorLike, ColumnIn, Condition, Pick, Selection, TimeRange
from xds_registry.vocabulary import Kind

_S = "$XDSSubmissionSet"
PARAMETERS = (
    patient(f"{_S}PatientId"),
    status(f"{_S}Status"),
    Parameter(f"{_S}SourceId", "source_id", as_text),
    Parameter(f"{_S}SubmissionTimeFrom", "time_from", as_time, many=False),
    Parameter(f"{_S}SubmissionTimeTo", "time_to", as_time, many=False),
    Parameter(f"{_S}AuthorPerson", "author", as_text, many=False),
    Parameter(f"{_S}ContentType", "content_type", as_code),
)


def plan(bound: Bound) -> Plan:
    """Submission sets of the patient meeting every filter."""
    conditions: list[Condition] = [ColumnIn("patient", (bound["patient"],)), ColumnIn("status", bound["status"])]
    conditions += [ColumnIn(column, bound[column]) for column in ("source_id", "content_type") if column in bound]
    if "time_from" in bound or "time_to" in bound:
        conditions.append(TimeRange("submission_time", bound.get("time_from"), bound.get("time_to")))
    if "author" in bound:
        conditions.append(AuthorLike((bound["author"],)))
    return Plan(Selection((Pick("sets", Kind.SUBMISSION_SET, tuple(conditions)),)))


QUERY = StoredQuery("urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9", "FindSubmissionSets", PARAMETERS, plan)
