"""The URNs, UUIDs and code names of the four transactions, written for the tester alone.

Nothing here is shared with the server: a mistyped constant in one of the two shows as a difference.
Source: ITI TF-3 4.2 (metadata), ITI TF-2 3.18, 3.41, 3.42, 3.43 and Appendix V, ebRIM 3.0, ebRS 3.0.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSA: Final = "http://www.w3.org/2005/08/addressing"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
XDS: Final = "urn:ihe:iti:xds-b:2007"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XML: Final = "http://www.w3.org/XML/1998/namespace"

ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"

ACTIONS: Final = MappingProxyType(
    {
        "ITI-18": "urn:ihe:iti:2007:RegistryStoredQuery",
        "ITI-41": "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        "ITI-42": "urn:ihe:iti:2007:RegisterDocumentSet-b",
        "ITI-43": "urn:ihe:iti:2007:RetrieveDocumentSet",
    }
)
MTOM: Final = frozenset({"ITI-41", "ITI-43"})
ACTORS: Final = MappingProxyType(
    {"ITI-18": "registry", "ITI-42": "registry", "ITI-41": "repository", "ITI-43": "repository"}
)
ROOTS: Final = MappingProxyType(
    {
        "ITI-18": f"{{{QUERY}}}AdhocQueryResponse",
        "ITI-41": f"{{{RS}}}RegistryResponse",
        "ITI-42": f"{{{RS}}}RegistryResponse",
        "ITI-43": f"{{{XDS}}}RetrieveDocumentSetResponse",
    }
)

_RESPONSE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
STATUSES: Final = MappingProxyType(
    {
        "Success": _RESPONSE + "Success",
        "Failure": _RESPONSE + "Failure",
        "PartialSuccess": "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess",
    }
)
PARTIAL_ALLOWED: Final = frozenset({"ITI-18", "ITI-43"})
_SEVERITY: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"
ERROR: Final = _SEVERITY + "Error"
WARNING: Final = _SEVERITY + "Warning"

APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"

STABLE: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND: Final = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
SET_NODE: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE: Final = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"

ENTRY_CODES: Final = MappingProxyType(
    {
        "classCode": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
        "confidentialityCode": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
        "eventCodeList": "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
        "formatCode": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
        "healthcareFacilityTypeCode": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
        "practiceSettingCode": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
        "typeCode": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
    }
)
CONTENT_TYPE_CODE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
FOLDER_CODE_LIST: Final = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"
CODE_SCHEMES: Final = MappingProxyType({**ENTRY_CODES, "contentTypeCode": CONTENT_TYPE_CODE, "codeList": FOLDER_CODE_LIST})
ENTRY_AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"

ENTRY_PATIENT_ID: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_PATIENT_ID: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_SOURCE_ID: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
FOLDER_PATIENT_ID: Final = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
FOLDER_UNIQUE_ID: Final = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"
IDENTIFIERS: Final = MappingProxyType(
    {
        "patientId": frozenset({ENTRY_PATIENT_ID, SET_PATIENT_ID, FOLDER_PATIENT_ID}),
        "uniqueId": frozenset({ENTRY_UNIQUE_ID, SET_UNIQUE_ID, FOLDER_UNIQUE_ID}),
        "sourceId": frozenset({SET_SOURCE_ID}),
    }
)
REFERENCE_IDS: Final = "urn:ihe:iti:xds:2013:referenceIdList"

HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
ASSOCIATIONS: Final = MappingProxyType(
    {
        "HasMember": HAS_MEMBER,
        "RPLC": "urn:ihe:iti:2007:AssociationType:RPLC",
        "XFRM": "urn:ihe:iti:2007:AssociationType:XFRM",
        "APND": "urn:ihe:iti:2007:AssociationType:APND",
        "XFRM_RPLC": "urn:ihe:iti:2007:AssociationType:XFRM_RPLC",
        "signs": "urn:ihe:iti:2007:AssociationType:signs",
    }
)
_OBJECT: Final = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
CLASSIFICATION_TYPE: Final = _OBJECT + "Classification"
IDENTIFIER_TYPE: Final = _OBJECT + "ExternalIdentifier"
PACKAGE_TYPE: Final = _OBJECT + "RegistryPackage"
ASSOCIATION_TYPE: Final = _OBJECT + "Association"

QUERIES: Final = MappingProxyType(
    {
        "FindDocuments": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "FindSubmissionSets": "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
        "FindFolders": "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        "GetAll": "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        "GetDocuments": "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
        "GetFolders": "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4",
        "GetAssociations": "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
        "GetDocumentsAndAssociations": "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
        "GetSubmissionSets": "urn:uuid:51224314-5390-4169-9b91-b1980040715a",
        "GetSubmissionSetAndContents": "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
        "GetFolderAndContents": "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        "GetFoldersForDocument": "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
        "GetRelatedDocuments": "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
        "FindDocumentsByReferenceId": "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
    }
)

_CODES: Final = """DocumentQueued InvalidDocumentContent PartialAppendContentNotProcessed PartialFolderContentNotProcessed
    PartialRelationshipContentNotProcessed PartialReplaceContentNotProcessed PartialTransformNotProcessed
    PartialTransformReplaceNotProcessed UnresolvedReferenceException XDSDocumentUniqueIdError
    XDSDuplicateUniqueIdInRegistry XDSRegistryDuplicateUniqueIdInMessage XDSRepositoryDuplicateUniqueIdInMessage
    XDSNonIdenticalHash XDSNonIdenticalSize XDSExtraMetadataNotSaved XDSMissingDocument XDSMissingDocumentMetadata
    XDSMissingHomeCommunityId XDSUnknownCommunity XDSUnavailableCommunity XDSPatientIdDoesNotMatch XDSUnknownPatientId
    XDSResultNotSinglePatient XDSRegistryBusy XDSRepositoryBusy XDSRegistryError XDSRepositoryError
    XDSRegistryMetadataError XDSRepositoryMetadataError XDSRegistryNotAvailable XDSRegistryOutOfResources
    XDSRepositoryOutOfResources XDSRegistryDeprecatedDocumentError XDSStoredQueryMissingParam XDSStoredQueryParamNumber
    XDSUnknownStoredQuery XDSTooManyResults XDSUnknownRepositoryId"""
ERROR_CODES: Final = frozenset(_CODES.split())
