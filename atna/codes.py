"""The codes of audit messages: one row for each kind of event and each kind of object.

Source: IHE ITI TF-2, the Security Audit Considerations of each transaction; DICOM PS3.15 A.5.3 and PS3.16 CID 400 to 402.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

DCM: Final = "DCM"
IHE: Final = "IHE Transactions"
RFC_3881: Final = "RFC-3881"
XDS_METADATA: Final = "IHE XDS Metadata"
DMP: Final = "DMP Transactions"
"""Ours: the DMP names no code system for its own transactions."""


@dataclass(frozen=True, slots=True)
class Code:
    """A code, the name of its system and its meaning."""

    code: str
    system: str
    text: str


QUERY: Final = Code("110112", DCM, "Query")
EXPORT: Final = Code("110106", DCM, "Export")
IMPORT: Final = Code("110107", DCM, "Import")
PATIENT_RECORD: Final = Code("110110", DCM, "Patient Record")
APPLICATION_ACTIVITY: Final = Code("110100", DCM, "Application Activity")
SECURITY_ALERT: Final = Code("110113", DCM, "Security Alert")

SOURCE_ROLE: Final = Code("110153", DCM, "Source Role ID")
DESTINATION_ROLE: Final = Code("110152", DCM, "Destination Role ID")
APPLICATION_ROLE: Final = Code("110150", DCM, "Application")

Side = Literal["source", "destination", "alone"]


@dataclass(frozen=True, slots=True)
class EventLine:
    """One kind of event: EventID, EventActionCode, EventTypeCode, and which end of the exchange this system is.

    `we_ask` says that this system began the exchange; "alone" that there was no exchange.
    """

    event: Code
    action: Literal["C", "R", "U", "D", "E"]
    type: Code
    we_are: Side
    we_ask: bool = False


def _ihe(number: str, title: str) -> Code:
    return Code(number, IHE, title)


def _dmp(number: str, title: str) -> Code:
    return Code(number, DMP, title)


_REGISTER: Final = _ihe("ITI-42", "Register Document Set-b")
_FEED: Final = _ihe("ITI-8", "Patient Identity Feed")

EVENTS: Final[Mapping[str, EventLine]] = {
    "ITI-18": EventLine(QUERY, "E", _ihe("ITI-18", "Registry Stored Query"), "destination"),
    "ITI-41": EventLine(IMPORT, "C", _ihe("ITI-41", "Provide and Register Document Set-b"), "destination"),
    "ITI-42": EventLine(IMPORT, "C", _REGISTER, "destination"),
    "ITI-42 repository": EventLine(EXPORT, "R", _REGISTER, "source", we_ask=True),
    "ITI-43": EventLine(EXPORT, "R", _ihe("ITI-43", "Retrieve Document Set"), "source"),
    "ITI-57": EventLine(IMPORT, "U", _ihe("ITI-57", "Update Document Set"), "destination"),
    "TD0.3": EventLine(PATIENT_RECORD, "U", _dmp("TD0.3", "Authorisation on a record"), "destination"),
    "TD1.6": EventLine(PATIENT_RECORD, "R", _dmp("TD1.6", "Authorised and blocked professionals"), "source"),
    "ITI-8": EventLine(PATIENT_RECORD, "C", _FEED, "destination"),
    "ITI-8 update": EventLine(PATIENT_RECORD, "U", _FEED, "destination"),
    "start": EventLine(APPLICATION_ACTIVITY, "E", Code("110120", DCM, "Application Start"), "alone"),
    "stop": EventLine(APPLICATION_ACTIVITY, "E", Code("110121", DCM, "Application Stop"), "alone"),
    "node authentication": EventLine(SECURITY_ALERT, "E", Code("110126", DCM, "Node Authentication"), "destination"),
}
"""By the name that an `AuditEvent` carries: the transaction's number, with the side where one transaction has two."""


@dataclass(frozen=True, slots=True)
class ObjectLine:
    """One kind of participant object: its type, its role, and the code of its identifier's kind."""

    type: str
    role: str
    id_type: Code


OBJECTS: Final[Mapping[str, ObjectLine]] = {
    "patient": ObjectLine("1", "1", Code("2", RFC_3881, "Patient Number")),
    "submission set": ObjectLine(
        "2",
        "20",
        Code("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", XDS_METADATA, "submission set classificationNode"),
    ),
    "query": ObjectLine("2", "24", _ihe("ITI-18", "Registry Stored Query")),
    "document": ObjectLine("2", "3", Code("9", RFC_3881, "Report Number")),
    "node": ObjectLine("2", "13", Code("110182", DCM, "Node ID")),
}

REPOSITORY_DETAIL: Final = "Repository Unique ID"
HOME_OF_DOCUMENT_DETAIL: Final = "ihe:homeCommunityID"
HOME_OF_QUERY_DETAIL: Final = "urn:ihe:iti:xca:2010:homeCommunityId"
ENCODING_DETAIL: Final = "QueryEncoding"
ALERT_DETAIL: Final = "Alert Description"
MESSAGE_ID_DETAIL: Final = "MSH-10"
OMITTED_DETAIL: Final = "QueryOmitted"
"""Ours: says what the query was when a datagram cannot hold it."""
