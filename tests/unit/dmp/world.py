"""Callers and records for the tests of the rules, without a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from access_control.context import RequestContext
from access_control.policy import EntryFacts
from access_control.subject import Coded, Subject
from dmp.policy import DmpPolicy
from dmp.settings import DmpSettings
from dmp.views import RecordView
from xds_metadata.datatypes import PatientKey

INS = "1.2.250.1.213.1.4.10"
PATIENT, OTHER = PatientKey("207058575627097", INS), PatientKey("279035121518989", INS)
CX = f"{PATIENT.id}^^^&{INS}&ISO^NH"
G15, R01, G05, A00, R85 = (
    "1.2.250.1.71.1.2.7", "1.2.250.1.71.4.2.5", "1.2.250.1.71.4.2.6", "1.2.250.1.213.1.1.4.6", "1.2.250.1.213.1.6.1.107",
)  # fmt: skip
OPEN_RECORD = RecordView("active", "valid")
ME, MY_OFFICE = "899900063480^1.2.250.1.71.4.2.1", "499900063480001^1.2.250.1.71.4.2.2"
N, MASKED, HIDDEN, SECRET = (
    "N^^2.16.840.1.113883.5.25", "MASQUE_PS^^1.2.250.1.213.1.1.4.13", "INVISIBLE_PATIENT^^1.2.250.1.213.1.1.4.13",
    "INVISIBLE_REPRESENTANTS_LEGAUX^^1.2.250.1.213.1.1.4.13",
)  # fmt: skip


def subject(*roles: Coded, **changes: Any) -> Subject:
    """A doctor with his own card, with changes."""
    values: dict[str, Any] = {
        "roles": roles or (Coded("10", G15), Coded("SM26", R01)),
        "structure": MY_OFFICE.partition("^")[0],
        "mode": "normal",
        "authentication": "DIRECTE",
        "patient": CX,
        "proof_level": "card",
        "digest": "d",
    }
    return Subject("899900063480", **values | changes)


def entry(**changes: Any) -> EntryFacts:
    """A report of somebody else, with changes."""
    values: dict[str, Any] = {
        "unique_id": "1.2.3", "patient": PATIENT, "type_code": "34133-9^^2.16.840.1.113883.6.1", "confidentiality": (N,),
        "persons": ("801^1.2.250.1.71.4.2.1",), "institutions": ("802^1.2.250.1.71.4.2.2",),
    }  # fmt: skip
    return EntryFacts(**values | changes)


@dataclass
class Store:
    """A record store that holds one record; `asked` counts the looks at it."""

    known: RecordView
    asked: int = 0

    def view(self, patient: PatientKey, subject: Subject, at: int) -> RecordView:
        self.asked += 1
        return self.known if patient == PATIENT else RecordView()


def policy(view: RecordView = OPEN_RECORD, **settings: Any) -> DmpPolicy:
    """The policy over one record."""
    return DmpPolicy(Store(view), DmpSettings(**settings))


def request(who: Subject | None = None, transaction: str = "ITI-41") -> RequestContext:
    """A fresh request."""
    return RequestContext(transaction, "urn:uuid:1", 0, subject=who or subject())
