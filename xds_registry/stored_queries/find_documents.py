"""FindDocuments: the entries of one patient. Source: IHE ITI TF-2 3.18.4.1.2.3.7.1."""

from __future__ import annotations

from xds_registry.stored_queries.filters import FIND_FILTERS, entry_conditions, patient, status
from xds_registry.stored_queries.parameters import Bound
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import ColumnIn, Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = (patient("$XDSDocumentEntryPatientId"), status("$XDSDocumentEntryStatus"), *FIND_FILTERS)


def plan(bound: Bound) -> Plan:
    """Entries of the patient, of the statuses, meeting every filter."""
    conditions = (
        ColumnIn("patient", (bound["patient"],)),
        ColumnIn("status", bound["status"]),
        *entry_conditions(bound),
    )
    return Plan(Selection((Pick("entries", Kind.ENTRY, conditions),)))


QUERY = StoredQuery("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "FindDocuments", PARAMETERS, plan)
