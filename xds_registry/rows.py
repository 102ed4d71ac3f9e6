"""From assigned objects to table rows: leaves serialised once, index columns from the metadata. No database here.

Source: IHE ITI TF-3 4.2.3; the query parameters of TF-2 3.18.4.1.2.3.7 decide what is indexed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ebrim import model as rim
from ebrim.write import Leaf, write_leaf, write_slot
from xds_metadata.associations import HAS_MEMBER, ORIGINAL, REFERENCE
from xds_metadata.datatypes import instant
from xds_metadata.identities import institutions, persons
from xds_metadata.model import STABLE, Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.patients import patient_column
from xds_registry.identifiers import Assigned
from xds_registry.vocabulary import ASSOCIATION_TYPE, LEAF_FORMAT, ActorKind, CodeKind, Kind, Membership, Status, bare

Row = dict[str, Any]
_FIRST: Mapping[str, tuple[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one submission by table name, in an order that foreign keys allow."""

    tables: dict[str, list[Row]]

    def add(self, table: str, row: Row) -> None:
        """Append a row of a table."""
        self.tables.setdefault(table, []).append(row)


def _nfc(value: str) -> str:
    """As queries compare it."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _pair(code: Code | None) -> str | None:
    return None if code is None else _nfc(code.pair)


def _pairs(codes: tuple[Code, ...]) -> list[str]:
    return sorted({_nfc(code.pair) for code in codes})


def _persons(authors: tuple[Author, ...]) -> list[str]:
    return sorted({_nfc(author.person) for author in authors if author.person})


def _time(value: str | None) -> str | None:
    return None if value is None else instant(value)


def last_update_slot(time: str) -> bytes:
    """The Slot that is spliced into a folder's leaf."""
    return write_slot(rim.Slot("lastUpdateTime", (time,))).encode()


def build_rows(assigned: Assigned, at: int, now: str, versions: Mapping[str, tuple[str, int]] = _FIRST) -> Rows:
    """All rows of a submission. `at` in microseconds orders them, `now` is the DTM of this registration.

    `versions`: by bare id, the logical id (bare) and the version number of entries that are no first versions.
    """
    rows = Rows({})
    submission = assigned.submission
    leaves = _leaves(assigned.objects)
    owner = submission.submission_sets[0]
    patient, submission_id = patient_column(owner.patient_id), bare(owner.entry_uuid)
    moment = at
    _add_set(rows, owner, leaves[owner.entry_uuid], patient, moment)
    for entry in submission.entries:
        moment += 1
        _add_entry(rows, entry, leaves[entry.entry_uuid], submission_id, moment, versions)
    for folder in submission.folders:
        moment += 1
        _add_folder(rows, folder, leaves[folder.entry_uuid], submission_id, moment, now)
    for link in submission.associations:
        moment += 1
        _add_association(rows, link, leaves[link.entry_uuid], patient, submission_id, moment)
    for part, part_owner in assigned.part_uuids:
        rows.add("part_key", {"id": bare(part), "owner": bare(part_owner)})
    return rows


def _leaves(objects: rim.RegistryObjectList) -> dict[str, Leaf]:
    found = {item.id: write_leaf(item) for item in (*objects.extrinsic_objects, *objects.associations)}
    found.update({item.id: write_leaf(item, spliced_slot=True) for item in objects.packages})
    return found


def _key(rows: Rows, object_id: str, patient: str, kind: Kind) -> None:
    rows.add("object_key", {"id": object_id, "patient": patient, "kind": int(kind)})


def _add_set(rows: Rows, item: SubmissionSet, leaf: Leaf, patient: str, moment: int) -> None:
    object_id = bare(item.entry_uuid)
    _key(rows, object_id, patient, Kind.SUBMISSION_SET)
    rows.add("submission_set", set_columns(item) | {
        "patient": patient,
        "id": object_id,
        "status": int(Status.APPROVED),
        "withdrawn": 0,
        "registered_at": moment,
        "leaf_format": LEAF_FORMAT,
        "leaf": leaf.data,
    })  # fmt: skip
    for table, row in set_details(item):
        rows.add(table, {"patient": patient, "set_id": object_id} | row)


def set_columns(item: SubmissionSet) -> Row:
    """The index columns that follow from a submission set's metadata."""
    return {
        "unique_id": item.unique_id,
        "source_id": item.source_id,
        "content_type": _pair(item.content_type_code),
        "submission_time": _time(item.submission_time),
    }


def set_details(item: SubmissionSet) -> list[tuple[str, Row]]:
    """The rows of a submission set's repeated attributes, without patient and set: (table, row)."""
    return [("set_author", {"person": person}) for person in _persons(item.authors)]


def _add_entry(
    rows: Rows,
    entry: DocumentEntry,
    leaf: Leaf,
    submission_id: str,
    moment: int,
    versions: Mapping[str, tuple[str, int]],
) -> None:
    object_id, patient = bare(entry.entry_uuid), patient_column(entry.patient_id)
    lid, version = versions.get(object_id, (object_id, 1))
    _key(rows, object_id, patient, Kind.ENTRY)
    rows.add("object_version", {"lid": lid, "version": version, "id": object_id, "latest": 1})
    rows.add("entry", entry_columns(entry) | {
        "patient": patient,
        "id": object_id,
        "lid": lid,
        "version": version,
        "status": int(Status.APPROVED),
        "withdrawn": 0,
        "submission": submission_id,
        "registered_at": moment,
        "leaf_format": LEAF_FORMAT,
        "leaf": leaf.data,
    })  # fmt: skip
    for table, row in entry_details(entry):
        rows.add(table, {"patient": patient, "entry": object_id} | row)
    rows.add("document_locator", {"unique_id": entry.unique_id, "patient": patient})
    for code in _pairs(entry.confidentiality_codes):
        rows.add("document_mask", {"patient": patient, "unique_id": entry.unique_id, "code": code})


def entry_columns(entry: DocumentEntry) -> Row:
    """The index columns that follow from an entry's metadata."""
    return {
        "stable": 1 if entry.object_type == STABLE else 2,
        "unique_id": entry.unique_id,
        "repository": entry.repository_unique_id,
        "hash": entry.hash.lower() if entry.hash else None,
        "size": int(entry.size) if entry.size else None,
        "mime_type": entry.mime_type,
        "class_code": _pair(entry.class_code),
        "type_code": _pair(entry.type_code),
        "format_code": _pair(entry.format_code),
        "facility_code": _pair(entry.healthcare_facility_type_code),
        "practice_code": _pair(entry.practice_setting_code),
        "creation_time": _time(entry.creation_time),
        "service_start": _time(entry.service_start_time),
        "service_stop": _time(entry.service_stop_time),
    }


def entry_details(entry: DocumentEntry) -> list[tuple[str, Row]]:
    """The rows of an entry's repeated attributes, without patient and entry: (table, row)."""
    found: list[tuple[str, Row]] = []
    for kind, codes in ((CodeKind.EVENT, entry.event_codes), (CodeKind.CONFIDENTIALITY, entry.confidentiality_codes)):
        found += [("entry_code", {"kind": int(kind), "code": pair}) for pair in _pairs(codes)]
    found += [("entry_author", {"person": person}) for person in _persons(entry.authors)]
    for actor, identities in (
        (ActorKind.PERSON, persons(entry.authors)),
        (ActorKind.INSTITUTION, institutions(entry.authors)),
    ):
        found += [("entry_actor", {"kind": int(actor), "identity": _nfc(identity)}) for identity in identities]
    found += [("entry_reference", {"reference": r}) for r in sorted(set(entry.reference_ids))]
    return found


def _add_folder(rows: Rows, folder: Folder, leaf: Leaf, submission_id: str, moment: int, now: str) -> None:
    object_id, patient = bare(folder.entry_uuid), patient_column(folder.patient_id)
    _key(rows, object_id, patient, Kind.FOLDER)
    rows.add("object_version", {"lid": object_id, "version": 1, "id": object_id, "latest": 1})
    rows.add(
        "folder",
        {
            "patient": patient,
            "id": object_id,
            "lid": object_id,
            "version": 1,
            "status": int(Status.APPROVED),
            "withdrawn": 0,
            "submission": submission_id,
            "registered_at": moment,
            "unique_id": folder.unique_id,
            "last_update": now,
            "splice": leaf.splice,
            "leaf_format": LEAF_FORMAT,
            "leaf": leaf.data,
        },
    )
    for table, row in folder_details(folder):
        rows.add(table, {"patient": patient, "folder": object_id} | row)


def folder_details(folder: Folder) -> list[tuple[str, Row]]:
    """The rows of a folder's codes, without patient and folder: (table, row)."""
    return [("folder_code", {"code": pair}) for pair in _pairs(folder.codes)]


def _membership(link: Association) -> Membership:
    if link.type != HAS_MEMBER:
        return Membership.NONE
    return {ORIGINAL: Membership.ORIGINAL, REFERENCE: Membership.REFERENCE}.get(
        link.submission_set_status or "", Membership.NONE
    )


def _add_association(rows: Rows, link: Association, leaf: Leaf, patient: str, submission_id: str, moment: int) -> None:
    object_id = bare(link.entry_uuid)
    _key(rows, object_id, patient, Kind.ASSOCIATION)
    rows.add("association", association_columns(link) | {
        "patient": patient,
        "id": object_id,
        "status": int(Status.APPROVED),
        "withdrawn": 0,
        "submission": submission_id,
        "registered_at": moment,
        "leaf_format": LEAF_FORMAT,
        "leaf": leaf.data,
    })  # fmt: skip


def association_columns(link: Association) -> Row:
    """The index columns that follow from an association. Raises KeyError for a type that is not registered."""
    return {
        "type": ASSOCIATION_TYPE[link.type],
        "membership": int(_membership(link)),
        "source": bare(link.source),
        "target": bare(link.target),
    }


def has_member(source: str, target: str, new_id: str) -> tuple[Association, rim.Association]:
    """A HasMember association that the registry itself makes; ids with `urn:uuid:`."""
    return (
        Association(entry_uuid=new_id, type=HAS_MEMBER, source=source, target=target),
        rim.Association(id=new_id, lid=new_id, version="1", association_type=HAS_MEMBER, source=source, target=target),
    )


def membership_rows(rows: Rows, submission: Submission, folder: str, entry: str, ids: tuple[str, str], moment: int) -> None:
    """Add a folder membership and the submission set's membership of it. `folder`, `entry` bare; `ids` two entryUUIDs."""
    first = has_member(f"urn:uuid:{folder}", f"urn:uuid:{entry}", ids[0])
    second = has_member(submission.submission_sets[0].entry_uuid, ids[0], ids[1])
    for offset, (link, item) in enumerate((first, second)):
        association_rows(rows, submission, link, item, moment + offset)


def association_rows(rows: Rows, submission: Submission, link: Association, item: rim.Association, moment: int) -> None:
    """Add an association that the registry itself makes, in both its forms, for a submission."""
    owner = submission.submission_sets[0]
    patient, submission_id = patient_column(owner.patient_id), bare(owner.entry_uuid)
    _add_association(rows, link, write_leaf(item), patient, submission_id, moment)
