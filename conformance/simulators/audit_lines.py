"""What IHE wants in the audit message of each transaction, as data.

Source: IHE ITI TF-2, Security Audit Considerations of the transactions named; DICOM PS3.15 A.5.3 for the others. For those
of the DMP nothing is published: they are judged as accesses to a patient record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SOURCE_ROLE: Final = "110153"
DESTINATION_ROLE: Final = "110152"
PATIENT_NUMBER: Final = ("2", "RFC-3881")
REPORT_NUMBER: Final = ("9", "RFC-3881")
SUBMISSION_SET: Final = ("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata")
REPOSITORY_DETAIL: Final = "Repository Unique ID"
ENCODING_DETAIL: Final = "QueryEncoding"


@dataclass(frozen=True, slots=True)
class Line:
    """The event of one transaction.

    `sides`: the EventID and EventActionCode pairs that its two ends may write. `service` is the role of the end that was
    called, whose UserID is the URI of the service. `objects`: which of patient, set, query and document must be there when
    the outcome is a success.
    """

    sides: tuple[tuple[str, str], ...]
    service: str = DESTINATION_ROLE
    objects: tuple[str, ...] = ()
    uri: bool = True


_QUERY = (("110112", "E"),)
_SENT_AND_RECEIVED = (("110106", "R"), ("110107", "C"))
_UPDATED = (("110106", "U"), ("110107", "U"))
_PATIENT = (("110110", "C"), ("110110", "U"), ("110110", "D"))
_DELETED = (("110110", "D"),)

LINES: Final[Mapping[str, Line]] = {
    "ITI-8": Line(_PATIENT, objects=("patient",), uri=False),
    "ITI-18": Line(_QUERY, objects=("query",)),
    "ITI-38": Line(_QUERY, objects=("query",)),
    "ITI-39": Line(_SENT_AND_RECEIVED, service=SOURCE_ROLE, objects=("document",)),
    "ITI-41": Line(_SENT_AND_RECEIVED, objects=("patient", "set")),
    "ITI-42": Line(_SENT_AND_RECEIVED, objects=("patient", "set")),
    "ITI-43": Line(_SENT_AND_RECEIVED, service=SOURCE_ROLE, objects=("document",)),
    "ITI-44": Line(_PATIENT, objects=("patient",)),
    "ITI-51": Line(_QUERY, objects=("query",)),
    "ITI-57": Line(_UPDATED, objects=("patient", "set")),
    "ITI-61": Line(_SENT_AND_RECEIVED, objects=("patient", "set")),
    "ITI-62": Line(_DELETED),
    "ITI-86": Line(_DELETED),
    "ITI-92": Line(_UPDATED, objects=("patient", "set")),
    "TD0.3": Line(_PATIENT, objects=("patient",)),
    "TD1.6": Line((("110110", "R"),), service=SOURCE_ROLE, objects=("patient",)),
}

ACTIVITIES: Final[Mapping[str, tuple[str, str]]] = {
    "110120": ("110100", "Application Start"),
    "110121": ("110100", "Application Stop"),
    "110122": ("110114", "Login"),
    "110123": ("110114", "Logout"),
    "110126": ("110113", "Node Authentication"),
}
"""By EventTypeCode of DCM: the EventID it belongs to, and its name."""
