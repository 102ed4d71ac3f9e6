"""What a decision may depend on, from the metadata of an entry."""

from __future__ import annotations

from access_control.policy import EntryFacts
from xds_metadata.identities import institutions, persons
from xds_metadata.model import DocumentEntry
from xds_metadata.patients import key_of_text, patient_column


def facts_of(entry: DocumentEntry) -> EntryFacts:
    """The facts of an entry that is to be filed. Its metadata has been judged."""
    return EntryFacts(
        unique_id=entry.unique_id or "",
        patient=key_of_text(patient_column(entry.patient_id)),
        type_code=entry.type_code.pair if entry.type_code else "",
        confidentiality=tuple(code.pair for code in entry.confidentiality_codes),
        persons=tuple(persons(entry.authors)),
        institutions=tuple(institutions(entry.authors)),
    )
