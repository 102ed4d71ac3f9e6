"""The stored queries of ITI-18, one module each, by query id.

Source: IHE ITI TF-2 3.18.4.1.2.4 (ids).
"""

from xds_registry.stored_queries import (
    find_documents,
    find_documents_by_reference_id,
    find_folders,
    find_submission_sets,
    get_all,
    get_associations,
    get_documents,
    get_documents_and_associations,
    get_folder_and_contents,
    get_folders,
    get_folders_for_document,
    get_related_documents,
    get_submission_set_and_contents,
    get_submission_sets,
)
from xds_registry.stored_queries.query import Plan, StoredQuery

QUERIES: dict[str, StoredQuery] = {
    module.QUERY.id: module.QUERY
    for module in (
        find_documents,
        find_submission_sets,
        find_folders,
        get_all,
        get_documents,
        get_folders,
        get_associations,
        get_documents_and_associations,
        get_submission_sets,
        get_submission_set_and_contents,
        get_folder_and_contents,
        get_folders_for_document,
        get_related_documents,
        find_documents_by_reference_id,
    )
}

__all__ = ["QUERIES", "Plan", "StoredQuery"]
