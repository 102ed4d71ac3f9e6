"""One patient's record as one caller meets it: all that the rules ask of the record store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from access_control.subject import Subject
from xds_metadata.datatypes import PatientKey

State = Literal["missing", "active", "closed", "destroyed"]
Authorisation = Literal["none", "valid", "expired", "removed"]
Relation = Literal["", "holder", "representative", "delegate"]


@dataclass(frozen=True, slots=True)
class RecordView:
    """`attending`: the caller is médecin traitant of this record. `relation`: what he is to the patient, if anything.

    `opposed_break_glass`, `opposed_regulation`: the patient opposes that emergency mode; `masked_in_emergency`: he opens
    masked documents to it.
    """

    state: State = "missing"
    authorisation: Authorisation = "none"
    attending: bool = False
    blocked: bool = False
    opposed_break_glass: bool = False
    opposed_regulation: bool = False
    masked_in_emergency: bool = False
    relation: Relation = ""


class RecordViews(Protocol):
    """The record store, as the policy reads it."""

    def view(self, patient: PatientKey, subject: Subject, at: int) -> RecordView:
        """The record at a time (microseconds since 1970 UTC). One statement. Raises DatabaseError."""
        ...
