"""THE attribute table: every metadata attribute, how it travels, what it must look like, who must send it.

It drives reading (`from_ebrim`), writing (`to_ebrim`), validation (`rules.attributes`) and the documentation page. A new
attribute is one row here and one field in `model`.
Source: IHE ITI TF-3 4.2.3.2 to 4.2.3.4, tables 4.2.3.2-1, 4.2.3.3-1, 4.2.3.4-1; 4.3.1 (optionality by actor).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import Any


class Place(Enum):
    """Where an attribute stands in its ebRIM object."""

    SLOT = "Slot"
    CODE = "Classification"
    AUTHOR = "author Classification"
    IDENTIFIER = "ExternalIdentifier"
    XML = "attribute"
    NAME = "Name"
    DESCRIPTION = "Description"
    VERSION = "VersionInfo"
    MARKER = "classificationNode"


class Type(Enum):
    """The data type of one value (TF-3 4.2.3.1.7); CODE and AUTHOR have rules of their own."""

    AUTHOR = "author"
    CODE = "code"
    CX = "CX"
    CXI = "CXi"
    DTM = "DTM"
    FIELD = "HL7 Field"
    FLAG = "flag"
    INTEGER = "integer"
    LANGUAGE = "language tag"
    MIME = "MIME type"
    OID = "OID"
    RECIPIENT = "XON|XCN|XTN"
    SHA1 = "SHA1"
    TEXT = "text"
    UNIQUE_ID = "identifier"
    URI = "URI"
    URN = "URN"
    UUID = "UUID"
    XCN = "XCN"


R, R2, O, X, REGISTRY = "R", "R2", "O", "X", "registry"  # noqa: E741 the standard's own letters


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row. `key`: slot name, scheme or node UUID, or XML attribute name. `many`: more than one value allowed.

    `provide` and `register` say what ITI-41 and ITI-42 ask of a stable object: R, R2, O, X (forbidden) or `registry` (set
    by the registry, a submitted value is ignored); `on_demand` what an on-demand entry does; `update` what ITI-57 asks where
    that is not what ITI-42 does. `longest` in characters.
    `codes` names the affinity domain's code set.
    """

    field: str
    name: str
    place: Place
    key: str
    type: Type
    provide: str
    register: str
    on_demand: str = O
    many: bool = False
    longest: int | None = None
    codes: str | None = None
    update: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTable:
    """The attributes of one kind of object, with lookups by place.

    `by_slot`: rows by slot name; `by_scheme`: codes and authors by classification scheme; `by_identifier`: by
    identification scheme; `by_field`: by the field of `model`; `name` and `description`: the rows of these texts, if any;
    `values`: the values of all rows of an object of `model`, in order.
    """

    kind: str
    rows: tuple[Attribute, ...]
    by_slot: dict[str, Attribute] = field(init=False)
    by_scheme: dict[str, Attribute] = field(init=False)
    by_identifier: dict[str, Attribute] = field(init=False)
    by_field: dict[str, Attribute] = field(init=False)
    name: Attribute | None = field(init=False)
    description: Attribute | None = field(init=False)
    values: Callable[[object], tuple[Any, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the rows."""
        for name, places in (
            ("by_slot", {Place.SLOT}),
            ("by_scheme", {Place.CODE, Place.AUTHOR}),
            ("by_identifier", {Place.IDENTIFIER}),
        ):
            object.__setattr__(self, name, {row.key: row for row in self.rows if row.place in places})
        object.__setattr__(self, "by_field", {row.field: row for row in self.rows})
        object.__setattr__(self, "values", attrgetter(*(row.field for row in self.rows)))
        for name, place in (("name", Place.NAME), ("description", Place.DESCRIPTION)):
            object.__setattr__(self, name, next((row for row in self.rows if row.place is place), None))


def _uuid(tail: str) -> str:
    return f"urn:uuid:{tail}"


REFERENCE_ID_LIST = "urn:ihe:iti:xds:2013:referenceIdList"
SUBMISSION_SET_NODE = _uuid("a54d6aa5-d40d-43f9-88c5-b4633d873bdd")
FOLDER_NODE = _uuid("d9d542f3-6cc4-48b6-8870-ea235fbc94c2")
DOCUMENTATION_SCHEME = _uuid("abd807a3-4432-4053-87b4-fd82c643d1f3")
LIMITED_METADATA_NODES = {
    _uuid("ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"): "DocumentEntry",
    _uuid("5003a9db-8d8d-49e6-bf0c-990e34ac7707"): "SubmissionSet",
    _uuid("2c144a76-29a9-4b7c-af54-b25409fe7d03"): "Folder",
}

_S, _C, _I, _A = Place.SLOT, Place.CODE, Place.IDENTIFIER, Place.XML
_T = Type

DOCUMENT_ENTRY = ObjectTable(
    "DocumentEntry",
    (
        Attribute("entry_uuid", "entryUUID", _A, "id", _T.UUID, R, R, R),
        Attribute("logical_id", "logicalID", _A, "lid", _T.UUID, O, O),
        Attribute("home_community_id", "homeCommunityId", _A, "home", _T.URN, O, O),
        Attribute("availability_status", "availabilityStatus", _A, "status", _T.URN, REGISTRY, REGISTRY, REGISTRY),
        Attribute("object_type", "objectType", _A, "objectType", _T.UUID, R, R, R),
        Attribute("mime_type", "mimeType", _A, "mimeType", _T.MIME, R, R, R, codes="mime_type"),
        Attribute("creation_time", "creationTime", _S, "creationTime", _T.DTM, R, R, X),
        Attribute("document_availability", "documentAvailability", _S, "documentAvailability", _T.URN, O, O),
        Attribute("hash", "hash", _S, "hash", _T.SHA1, O, R, X),
        Attribute("language_code", "languageCode", _S, "languageCode", _T.LANGUAGE, R, R, R),
        Attribute("legal_authenticator", "legalAuthenticator", _S, "legalAuthenticator", _T.XCN, O, O),
        Attribute("reference_ids", "referenceIdList", _S, REFERENCE_ID_LIST, _T.CXI, O, O, many=True),
        Attribute("repository_unique_id", "repositoryUniqueId", _S, "repositoryUniqueId", _T.OID, O, R, R, longest=64),
        Attribute("service_start_time", "serviceStartTime", _S, "serviceStartTime", _T.DTM, R2, R2),
        Attribute("service_stop_time", "serviceStopTime", _S, "serviceStopTime", _T.DTM, R2, R2),
        Attribute("size", "size", _S, "size", _T.INTEGER, O, R, X),
        Attribute("source_patient_id", "sourcePatientId", _S, "sourcePatientId", _T.CX, R, R, R),
        Attribute("source_patient_info", "sourcePatientInfo", _S, "sourcePatientInfo", _T.FIELD, O, O, many=True),
        Attribute("uri", "URI", _S, "URI", _T.URI, O, O, longest=256),
        Attribute("title", "title", Place.NAME, "", _T.TEXT, O, O, longest=127),
        Attribute("comments", "comments", Place.DESCRIPTION, "", _T.TEXT, O, O),
        Attribute("version", "version", Place.VERSION, "", _T.INTEGER, REGISTRY, REGISTRY, REGISTRY),
        Attribute("authors", "author", Place.AUTHOR, _uuid("93606bcf-9494-43ec-9b4e-a7748d1a838d"), _T.AUTHOR, R2, R2, R2, True),
        Attribute(
            "class_code", "classCode", _C, _uuid("41a5887f-8865-4c09-adf7-e362475b143a"), _T.CODE, R, R, R, codes="class_code"
        ),
        Attribute(
            "confidentiality_codes", "confidentialityCode", _C, _uuid("f4f85eac-e6cb-4883-b524-f2705394840f"), _T.CODE, R, R, R,
            many=True, codes="confidentiality_code",
        ),
        Attribute(
            "event_codes", "eventCodeList", _C, _uuid("2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"), _T.CODE, O, O,
            many=True, codes="event_code",
        ),
        Attribute(
            "format_code", "formatCode", _C, _uuid("a09d5840-386c-46f2-b5ad-9c3699a4309d"), _T.CODE, R, R, R, codes="format_code"
        ),
        Attribute(
            "healthcare_facility_type_code", "healthcareFacilityTypeCode", _C, _uuid("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"),
            _T.CODE, R, R, R, codes="healthcare_facility_type_code",
        ),
        Attribute(
            "practice_setting_code", "practiceSettingCode", _C, _uuid("cccf5598-8b07-4b77-a05e-ae952c785ead"), _T.CODE, R, R, R,
            codes="practice_setting_code",
        ),
        Attribute(
            "type_code", "typeCode", _C, _uuid("f0306f51-975f-434e-a61c-c59651d33983"), _T.CODE, R, R, R, codes="type_code"
        ),
        Attribute("patient_id", "patientId", _I, _uuid("58a6f841-87b3-4a3e-92fd-a8ffeff98427"), _T.CX, R, R, R),
        Attribute("unique_id", "uniqueId", _I, _uuid("2e82c1f6-a085-4c72-9da3-8640a32e42ab"), _T.UNIQUE_ID, R, R, R, longest=256),
        Attribute("limited_metadata", "limitedMetadata", Place.MARKER, "", _T.FLAG, X, X, X),
    ),
)  # fmt: skip

SUBMISSION_SET = ObjectTable(
    "SubmissionSet",
    (
        Attribute("entry_uuid", "entryUUID", _A, "id", _T.UUID, R, R, R),
        Attribute("home_community_id", "homeCommunityId", _A, "home", _T.URN, O, O),
        Attribute("availability_status", "availabilityStatus", _A, "status", _T.URN, REGISTRY, REGISTRY, REGISTRY),
        Attribute("intended_recipients", "intendedRecipient", _S, "intendedRecipient", _T.RECIPIENT, O, O, many=True),
        Attribute("submission_time", "submissionTime", _S, "submissionTime", _T.DTM, R, R, R),
        Attribute("title", "title", Place.NAME, "", _T.TEXT, O, O, longest=255),
        Attribute("comments", "comments", Place.DESCRIPTION, "", _T.TEXT, O, O),
        Attribute("authors", "author", Place.AUTHOR, _uuid("a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"), _T.AUTHOR, R2, R2, R2, True),
        Attribute(
            "content_type_code", "contentTypeCode", _C, _uuid("aa543740-bdda-424e-8c96-df4873be8500"), _T.CODE, R, R, R,
            codes="content_type_code",
        ),
        Attribute("patient_id", "patientId", _I, _uuid("6b5aea1a-874d-4603-a4bc-96a0a7b38446"), _T.CX, R, R, R),
        Attribute("source_id", "sourceId", _I, _uuid("554ac39e-e3fe-47fe-b233-965d2a147832"), _T.OID, R, R, R, longest=64),
        Attribute("unique_id", "uniqueId", _I, _uuid("96fdda7c-d067-4183-912e-bf5ee74998a8"), _T.OID, R, R, R, longest=64),
        Attribute("limited_metadata", "limitedMetadata", Place.MARKER, "", _T.FLAG, X, X, X),
    ),
)  # fmt: skip

FOLDER = ObjectTable(
    "Folder",
    (
        Attribute("entry_uuid", "entryUUID", _A, "id", _T.UUID, R, R, R),
        Attribute("logical_id", "logicalID", _A, "lid", _T.UUID, O, O),
        Attribute("home_community_id", "homeCommunityId", _A, "home", _T.URN, O, O),
        Attribute("availability_status", "availabilityStatus", _A, "status", _T.URN, REGISTRY, REGISTRY, REGISTRY),
        Attribute("last_update_time", "lastUpdateTime", _S, "lastUpdateTime", _T.DTM, REGISTRY, REGISTRY, REGISTRY),
        Attribute("title", "title", Place.NAME, "", _T.TEXT, R, R, R, longest=256),
        Attribute("comments", "comments", Place.DESCRIPTION, "", _T.TEXT, O, O),
        Attribute("version", "version", Place.VERSION, "", _T.INTEGER, REGISTRY, REGISTRY, REGISTRY),
        Attribute(
            "codes", "codeList", _C, _uuid("1ba97051-7806-41a8-a48b-8fce7af683c5"), _T.CODE, R, R, R, many=True, codes="folder_code"
        ),
        Attribute("patient_id", "patientId", _I, _uuid("f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"), _T.CX, R, R, R),
        Attribute("unique_id", "uniqueId", _I, _uuid("75df8f67-9973-4fbe-a900-df66cefecc5a"), _T.OID, R, R, R, longest=64),
        Attribute("limited_metadata", "limitedMetadata", Place.MARKER, "", _T.FLAG, X, X, X),
    ),
)  # fmt: skip

ASSOCIATION = ObjectTable(
    "Association",
    (
        Attribute("entry_uuid", "entryUUID", _A, "id", _T.UUID, R, R, R),
        Attribute("type", "associationType", _A, "associationType", _T.URN, R, R, R),
        Attribute("source", "sourceObject", _A, "sourceObject", _T.UUID, R, R, R),
        Attribute("target", "targetObject", _A, "targetObject", _T.UUID, R, R, R),
        Attribute("availability_status", "availabilityStatus", _A, "status", _T.URN, REGISTRY, REGISTRY, REGISTRY),
        Attribute("submission_set_status", "SubmissionSetStatus", _S, "SubmissionSetStatus", _T.TEXT, O, O),
        Attribute("previous_version", "PreviousVersion", _S, "PreviousVersion", _T.INTEGER, X, X, X, update=O),
        Attribute("association_propagation", "AssociationPropagation", _S, "AssociationPropagation", _T.TEXT, X, X, X, update=O),
        Attribute("new_status", "NewStatus", _S, "NewStatus", _T.URN, X, X, X, update=O),
        Attribute("original_status", "OriginalStatus", _S, "OriginalStatus", _T.URN, X, X, X, update=O),
        Attribute("documentation", "documentation", _C, DOCUMENTATION_SCHEME, _T.CODE, O, O, codes="association_documentation"),
    ),
)  # fmt: skip

TABLES = (DOCUMENT_ENTRY, SUBMISSION_SET, FOLDER, ASSOCIATION)

IDENTIFIER_PREFIX = {"DocumentEntry": "XDSDocumentEntry", "SubmissionSet": "XDSSubmissionSet", "Folder": "XDSFolder"}
"""ExternalIdentifiers carry a fixed readable name: this, a dot, and the attribute's name."""

AUTHOR_SLOTS = {
    "authorPerson": "person",
    "authorInstitution": "institutions",
    "authorRole": "roles",
    "authorSpecialty": "specialties",
    "authorTelecommunication": "telecommunications",
}
"""Slots of an author Classification and the fields of `model.Author`."""
