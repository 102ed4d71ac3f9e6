"""FindDocumentsByReferenceId: the entries of one patient that refer to something. Source: IHE ITI TF-2 3.18.4.1.2.3.7.14."""

from __future__ import annotations

from xds_registry.stored_queries import find_documents
from xds_registry.stored_queries.parameters import Parameter, as_text
from xds_registry.stored_queries.query import StoredQuery

PARAMETERS = (
    *find_documents.PARAMETERS,
    Parameter("$XDSDocumentEntryReferenceIdList", "reference", as_text, required=True, repeats=True),
)

QUERY = StoredQuery(
    "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492", "FindDocumentsByReferenceId", PARAMETERS, find_documents.plan
)
