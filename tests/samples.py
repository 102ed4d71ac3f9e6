"""Valid metadata for tests: each function makes a correct value with fresh ids; a test then breaks exactly one thing.

The affinity domain is `any` (no code list), the patients are of one authority.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Iterable
from typing import Any

from lxml import etree

from ebrim import model as rim
from ebrim.rs import write_submit_objects_request
from xds_metadata import associations as types
from xds_metadata.model import Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.registration import Registration, submission_digest
from xds_metadata.to_ebrim import to_ebrim
from xmlsafe import parse

AUTHORITY = "1.2.250.1.999.77"
REPOSITORY = "1.2.250.1.999.1"
SOURCE = "1.2.250.1.999.2"
_numbers = itertools.count(1)
_run = uuid.uuid4().int % 10**12


def patient(number: int | str = 1) -> str:
    """The CX of a patient of the test domain."""
    return f"PAT{number}^^^&{AUTHORITY}&ISO"


PATIENT = patient()


def new_uuid() -> str:
    """A fresh entryUUID."""
    return f"urn:uuid:{uuid.uuid4()}"


def symbolic(kind: str = "id") -> str:
    """A fresh symbolic id."""
    return f"{kind}-{next(_numbers)}"


def oid() -> str:
    """A fresh OID."""
    return f"1.2.250.1.999.{_run}.{next(_numbers)}"


def sha1(text: str) -> str:
    """The hash of a document that holds `text`."""
    return hashlib.sha1(text.encode()).hexdigest()


def code(value: str = "C1", scheme: str = "1.2.250.1.999.5", display: str = "A code") -> Code:
    """A code of a test scheme."""
    return Code(value, scheme, display)


def author(person: str = "801^Martin^Anne^^^^^^&1.2.250.1.999.6&ISO") -> Author:
    """One author with every slot filled."""
    return Author(
        person=person,
        institutions=("Test hospital^^^^^&1.2.250.1.999.7&ISO^^^^4711",),
        roles=("attending",),
        specialties=("S1^^^&1.2.250.1.999.8&ISO",),
        telecommunications=("^^Internet^anne@hospital.example",),
    )


def entry(**changes: Any) -> DocumentEntry:
    """A stable entry with the attributes that ITI-42 requires, and an author."""
    fields: dict[str, Any] = {
        "entry_uuid": symbolic("document"),
        "unique_id": oid(),
        "patient_id": PATIENT,
        "mime_type": "text/xml",
        "authors": (author(),),
        "class_code": code("class"),
        "confidentiality_codes": (code("N"),),
        "creation_time": "20240229101500",
        "format_code": code("urn:ihe:test:format"),
        "healthcare_facility_type_code": code("facility"),
        "language_code": "fr-FR",
        "practice_setting_code": code("practice"),
        "repository_unique_id": REPOSITORY,
        "source_patient_id": f"LOCAL1^^^&{AUTHORITY}.1&ISO",
        "title": "A report",
        "type_code": code("type"),
        **changes,
    }
    fields.setdefault("hash", sha1(fields["unique_id"] or ""))
    fields.setdefault("size", "4096")
    return DocumentEntry(**fields)


def submission_set(**changes: Any) -> SubmissionSet:
    """A submission set with every required attribute."""
    fields: dict[str, Any] = {
        "entry_uuid": symbolic("set"),
        "unique_id": oid(),
        "patient_id": PATIENT,
        "source_id": SOURCE,
        "submission_time": "20240229101600",
        "content_type_code": code("content"),
        "authors": (author(),),
    }
    return SubmissionSet(**(fields | changes))


def folder(**changes: Any) -> Folder:
    """A folder with every required attribute."""
    fields: dict[str, Any] = {
        "entry_uuid": symbolic("folder"),
        "unique_id": oid(),
        "patient_id": PATIENT,
        "codes": (code("folder-code"),),
        "title": "A folder",
    }
    return Folder(**(fields | changes))


def link(type_: str, source: str, target: str, **changes: Any) -> Association:
    """An association."""
    return Association(entry_uuid=symbolic("link"), type=type_, source=source, target=target, **changes)


def member(source: str, target: str, status: str | None = None) -> Association:
    """A HasMember."""
    return link(types.HAS_MEMBER, source, target, submission_set_status=status)


def submission(
    *entries: DocumentEntry,
    folders: Iterable[Folder] = (),
    links: Iterable[Association] = (),
    references: Iterable[str] = (),
    owner: SubmissionSet | None = None,
) -> Submission:
    """A complete submission: its set holds every entry and folder, every folder membership of `links`, and `references`."""
    folders, links = tuple(folders), tuple(links)
    if owner is None:
        owner = submission_set(
            patient_id=entries[0].patient_id if entries else folders[0].patient_id if folders else PATIENT
        )
    own = owner.entry_uuid
    memberships = [member(own, e.entry_uuid, types.ORIGINAL) for e in entries]
    memberships += [member(own, f.entry_uuid) for f in folders]
    memberships += [member(own, a.entry_uuid) for a in links if a.type == types.HAS_MEMBER and a.source != own]
    memberships += [member(own, target, types.REFERENCE) for target in references]
    return Submission((owner,), tuple(entries), folders, (*links, *memberships))


def objects(value: Submission) -> rim.RegistryObjectList:
    """The ebRIM objects of a submission; their parts get fresh symbolic ids."""
    return to_ebrim(value, lambda: symbolic("part"))


def registration(value: Submission, sender: str = SOURCE) -> Registration:
    """A submission as a repository hands it to the registry."""
    made = objects(value)
    return Registration(made, value, submission_digest(made), sender)


def body(value: Submission | rim.RegistryObjectList) -> etree._Element:
    """The lcm:SubmitObjectsRequest of ITI-42."""
    made = objects(value) if isinstance(value, Submission) else value
    return parse(write_submit_objects_request(made))
