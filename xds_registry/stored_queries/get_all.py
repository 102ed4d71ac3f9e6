"""GetAll: everything of one patient. Source: IHE ITI TF-2 3.18.4.1.2.3.7.4."""

from __future__ import annotations

from xds_registry.stored_queries.filters import ENTRY_FILTERS, entry_conditions, patient, status
from xds_registry.stored_queries.parameters import Bound
from xds_registry.stored_queries.query import Plan, StoredQuery
from xds_registry.stored_queries.selection import ColumnIn, EndInPick, Pick, Selection
from xds_registry.vocabulary import Kind

PARAMETERS = (
    patient("$patientId"),
    status("$XDSDocumentEntryStatus"),
    status("$XDSSubmissionSetStatus", "set_status"),
    status("$XDSFolderStatus", "folder_status"),
    *ENTRY_FILTERS,
)


def plan(bound: Bound) -> Plan:
    """Entries, submission sets and folders of the patient, and every association that touches one of them."""
    of_patient = ColumnIn("patient", (bound["patient"],))
    entries = (of_patient, ColumnIn("status", bound["status"]), *entry_conditions(bound))
    return Plan(
        Selection(
            (
                Pick("sets", Kind.SUBMISSION_SET, (of_patient, ColumnIn("status", bound["set_status"]))),
                Pick("entries", Kind.ENTRY, entries),
                Pick("folders", Kind.FOLDER, (of_patient, ColumnIn("status", bound["folder_status"]))),
                Pick("associations", Kind.ASSOCIATION, (EndInPick("either", ("sets", "entries", "folders")),)),
            )
        )
    )


QUERY = StoredQuery("urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3", "GetAll", PARAMETERS, plan)
