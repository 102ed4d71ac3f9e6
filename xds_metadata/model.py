"""Document-sharing metadata in IHE terms: DocumentEntry, SubmissionSet, Folder, Association as frozen values.

Texts are kept exactly as submitted; `datatypes` reads their inner structure on demand.
Source: IHE ITI TF-3 section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: `code` of the system `scheme`, with a display name that is never compared."""

    code: str
    scheme: str
    display: str = ""

    @property
    def pair(self) -> str:
        """The form used in stored queries and index columns: code^^scheme, an OID without its `urn:oid:`."""
        return f"{self.code}^^{self.scheme.removeprefix('urn:oid:')}"


@dataclass(frozen=True, slots=True)
class Author:
    """One author: person (XCN), institutions (XON), roles, specialties, telecommunications (XTN)."""

    person: str | None = None
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """The metadata of one document. Fields are None (or empty) where the attribute is absent."""

    entry_uuid: str
    unique_id: str | None = None
    patient_id: str | None = None
    mime_type: str | None = None
    object_type: str = STABLE
    authors: tuple[Author, ...] = ()
    availability_status: str | None = None
    class_code: Code | None = None
    comments: str | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    creation_time: str | None = None
    document_availability: str | None = None
    event_codes: tuple[Code, ...] = ()
    format_code: Code | None = None
    hash: str | None = None
    healthcare_facility_type_code: Code | None = None
    home_community_id: str | None = None
    language_code: str | None = None
    legal_authenticator: str | None = None
    limited_metadata: bool = False
    logical_id: str | None = None
    practice_setting_code: Code | None = None
    reference_ids: tuple[str, ...] = ()
    repository_unique_id: str | None = None
    service_start_time: str | None = None
    service_stop_time: str | None = None
    size: str | None = None
    source_patient_id: str | None = None
    source_patient_info: tuple[str, ...] = ()
    title: str | None = None
    type_code: Code | None = None
    uri: str | None = None
    version: str | None = None
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """The metadata of one submission."""

    entry_uuid: str
    unique_id: str | None = None
    patient_id: str | None = None
    source_id: str | None = None
    submission_time: str | None = None
    content_type_code: Code | None = None
    authors: tuple[Author, ...] = ()
    availability_status: str | None = None
    comments: str | None = None
    home_community_id: str | None = None
    intended_recipients: tuple[str, ...] = ()
    limited_metadata: bool = False
    title: str | None = None
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Folder:
    """The metadata of one folder."""

    entry_uuid: str
    unique_id: str | None = None
    patient_id: str | None = None
    codes: tuple[Code, ...] = ()
    title: str | None = None
    availability_status: str | None = None
    comments: str | None = None
    home_community_id: str | None = None
    last_update_time: str | None = None
    limited_metadata: bool = False
    logical_id: str | None = None
    version: str | None = None
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Association:
    """A typed link between two objects (entryUUIDs or symbolic ids)."""

    entry_uuid: str
    type: str
    source: str
    target: str
    availability_status: str | None = None
    submission_set_status: str | None = None
    previous_version: str | None = None
    association_propagation: str | None = None
    new_status: str | None = None
    original_status: str | None = None
    documentation: Code | None = None
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Submission:
    """The objects of one SubmitObjectsRequest. A valid one has exactly one submission set.

    `unmarked`: ids of packages that are neither a submission set nor a folder, or both; a valid one has none.
    """

    submission_sets: tuple[SubmissionSet, ...]
    entries: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    unmarked: tuple[str, ...] = ()
