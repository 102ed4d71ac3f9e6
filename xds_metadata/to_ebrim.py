"""Metadata to ebRIM objects: the inverse of `from_ebrim`, driven by the same table. Used by senders and by the registry.

Source: IHE ITI TF-3 4.2.3.1 (encodings).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ebrim import model as rim
from xds_metadata import attributes as table
from xds_metadata.attributes import AUTHOR_SLOTS, IDENTIFIER_PREFIX, Attribute, ObjectTable, Place
from xds_metadata.model import Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet

NewId = Callable[[], str]


def _localized(value: str) -> tuple[rim.LocalizedString, ...]:
    return (rim.LocalizedString(value, "fr-FR"),)


def code_classification(row: Attribute, code: Code, owner: str, new_id: NewId) -> rim.Classification:
    """A code of the attribute `row` on the object with id `owner`."""
    return rim.Classification(
        id=new_id(),
        classified_object=owner,
        scheme=row.key,
        node_representation=code.code,
        slots=(rim.Slot("codingScheme", (code.scheme,)),),
        name=_localized(code.display or code.code),
    )


def _author(row: Attribute, author: Author, owner: str, new_id: NewId) -> rim.Classification:
    slots = []
    for name, field in AUTHOR_SLOTS.items():
        value = getattr(author, field)
        if value:
            slots.append(rim.Slot(name, (value,) if isinstance(value, str) else value))
    return rim.Classification(
        id=new_id(), classified_object=owner, scheme=row.key, node_representation="", slots=tuple(slots)
    )


def _parts(rows: ObjectTable, item: Any, new_id: NewId) -> dict[str, Any]:
    slots: list[rim.Slot] = []
    classifications: list[rim.Classification] = []
    identifiers: list[rim.ExternalIdentifier] = []
    fields: dict[str, Any] = {"id": item.entry_uuid}
    for row in rows.rows:
        value = getattr(item, row.field)
        if value is None or value == () or value is False:
            continue
        values = value if row.many else (value,)
        if row.place is Place.SLOT:
            slots.append(rim.Slot(row.key, tuple(values)))
        elif row.place is Place.CODE:
            classifications.extend(code_classification(row, code, item.entry_uuid, new_id) for code in values)
        elif row.place is Place.AUTHOR:
            classifications.extend(_author(row, author, item.entry_uuid, new_id) for author in values)
        elif row.place is Place.IDENTIFIER:
            name = f"{IDENTIFIER_PREFIX[rows.kind]}.{row.name}"
            identifiers.append(rim.ExternalIdentifier(new_id(), item.entry_uuid, row.key, value, _localized(name)))
        elif row.place is Place.NAME:
            fields["name"] = _localized(value)
        elif row.place is Place.DESCRIPTION:
            fields["description"] = _localized(value)
        elif row.place is Place.VERSION:
            fields["version"] = value
    for name, extra in item.extra:
        slots.append(rim.Slot(name, extra))
    for field, attribute in (("lid", "logical_id"), ("home", "home_community_id"), ("status", "availability_status")):
        value = getattr(item, attribute, None)
        if value is not None:
            fields[field] = value
    fields |= {
        "slots": tuple(slots),
        "classifications": tuple(classifications),
        "external_identifiers": tuple(identifiers),
    }
    return fields


def entry_to_ebrim(entry: DocumentEntry, new_id: NewId) -> rim.ExtrinsicObject:
    """A DocumentEntry as ExtrinsicObject; `new_id` gives ids for its parts."""
    return rim.ExtrinsicObject(
        object_type=entry.object_type,
        mime_type=entry.mime_type or "application/octet-stream",
        **_parts(table.DOCUMENT_ENTRY, entry, new_id),
    )


def _package(rows: ObjectTable, item: SubmissionSet | Folder, node: str, new_id: NewId) -> rim.RegistryPackage:
    fields = _parts(rows, item, new_id)
    marker = rim.Classification(new_id(), item.entry_uuid, node=node)
    fields["classifications"] = (marker, *fields["classifications"])
    return rim.RegistryPackage(**fields)


def set_to_ebrim(item: SubmissionSet, new_id: NewId) -> rim.RegistryPackage:
    """A SubmissionSet as RegistryPackage with its marker inside."""
    return _package(table.SUBMISSION_SET, item, table.SUBMISSION_SET_NODE, new_id)


def folder_to_ebrim(item: Folder, new_id: NewId) -> rim.RegistryPackage:
    """A Folder as RegistryPackage with its marker inside."""
    return _package(table.FOLDER, item, table.FOLDER_NODE, new_id)


def association_to_ebrim(item: Association, new_id: NewId) -> rim.Association:
    """An Association."""
    return rim.Association(
        association_type=item.type,
        source=item.source,
        target=item.target,
        **_parts(table.ASSOCIATION, item, new_id),
    )


def to_ebrim(submission: Submission, new_id: NewId) -> rim.RegistryObjectList:
    """All objects of a submission."""
    return rim.RegistryObjectList(
        extrinsic_objects=tuple(entry_to_ebrim(e, new_id) for e in submission.entries),
        packages=(
            *(set_to_ebrim(s, new_id) for s in submission.submission_sets),
            *(folder_to_ebrim(f, new_id) for f in submission.folders),
        ),
        associations=tuple(association_to_ebrim(a, new_id) for a in submission.associations),
    )
