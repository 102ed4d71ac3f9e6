"""FindFolders: the folders of one patient. Source: IHE ITI TF-2 3.18.4.1.2.3.7.3."""

from __future__ import annotations

from xds_registry.stored_queries.filters import patient, status
from xds_registry.stored_queries.parameters import Bound, Parameter, as_code, as_time
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import ColumnIn, Condition, FolderCodesIn, Pick, Selection, TimeRange
from xds_registry.vocabulary import Kind

PARAMETERS = (
    patient("$XDSFolderPatientId"),
    status("$XDSFolderStatus"),
    Parameter("$XDSFolderLastUpdateTimeFrom", "time_from", as_time, many=False),
    Parameter("$XDSFolderLastUpdateTimeTo", "time_to", as_time, many=False),
    Parameter("$XDSFolderCodeList", "codes", as_code, repeats=True),
)


def plan(bound: Bound) -> Plan:
    """Folders of the patient meeting every filter."""
    conditions: list[Condition] = [ColumnIn("patient", (bound["patient"],)), ColumnIn("status", bound["status"])]
    if "time_from" in bound or "time_to" in bound:
        conditions.append(TimeRange("last_update", bound.get("time_from"), bound.get("time_to")))
    if "codes" in bound:
        conditions.append(FolderCodesIn(bound["codes"]))
    return Plan(Selection((Pick("folders", Kind.FOLDER, tuple(conditions)),)))


QUERY = StoredQuery("urn:uuid:958f3006-baad-4929-a4de-ff1114824431", "FindFolders", PARAMETERS, plan)
