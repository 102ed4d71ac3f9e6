"""Stored leaves read again: what the index columns and detail rows of an object must say.

The leaf is the truth, everything here follows from it. Not in a leaf, and not judged here: status, submission, time of
registration, a folder's lastUpdateTime, and the patient of an association.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, select

from ebrim import model as rim
from ebrim.read import read_object_list
from ebrim.write import leaf_prefix
from xds_metadata.datatypes import DatatypeError
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import APPROVED, Association, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.patients import patient_column
from xds_metadata.profile import IHE
from xds_registry import tables as t
from xds_registry.rows import (
    Row,
    association_columns,
    entry_columns,
    entry_details,
    folder_details,
    set_columns,
    set_details,
)
from xds_registry.vocabulary import Kind, bare
from xmlsafe.errors import XmlError
from xmlsafe.namespaces import RIM
from xmlsafe.parse import parse

Detail = tuple[str, tuple[int | str, ...]]
"""A detail row: its table, and its values after patient and owner in the order of the columns."""

OBJECT_TABLES: dict[Kind, Table] = {
    Kind.ENTRY: t.entry,
    Kind.SUBMISSION_SET: t.submission_set,
    Kind.FOLDER: t.folder,
    Kind.ASSOCIATION: t.association,
}
DETAIL_TABLES: dict[Kind, tuple[Table, ...]] = {
    Kind.ENTRY: (t.entry_code, t.entry_author, t.entry_actor, t.entry_reference),
    Kind.SUBMISSION_SET: (t.set_author,),
    Kind.FOLDER: (t.folder_code,),
    Kind.ASSOCIATION: (),
}
_PREFIX = {
    Kind.ENTRY: leaf_prefix(rim.ExtrinsicObject, APPROVED),
    Kind.SUBMISSION_SET: leaf_prefix(rim.RegistryPackage, APPROVED),
    Kind.FOLDER: leaf_prefix(rim.RegistryPackage, APPROVED),
    Kind.ASSOCIATION: leaf_prefix(rim.Association, APPROVED),
}
_OPEN, _CLOSE = f'<RegistryObjectList xmlns="{RIM}">'.encode(), b"</RegistryObjectList>"
_TOGETHER = 50
"""Leaves that are parsed as one document."""

_Item = DocumentEntry | SubmissionSet | Folder | Association


@dataclass(frozen=True, slots=True)
class LeafIndex:
    """What a leaf says: columns of the object's row by name, and its detail rows."""

    columns: Row
    details: frozenset[Detail]


def read_indexes(kind: Kind, leaves: Sequence[bytes]) -> list[LeafIndex | None]:
    """The index of each leaf, in order; None for a leaf that cannot be read as one object of its kind."""
    found: list[LeafIndex | None] = []
    for start in range(0, len(leaves), _TOGETHER):
        some = leaves[start : start + _TOGETHER]
        found += _read(kind, some) or [one[0] if (one := _read(kind, [leaf])) else None for leaf in some]
    return found


def _read(kind: Kind, leaves: Sequence[bytes]) -> list[LeafIndex]:
    """The index of every leaf; empty where one of them is damaged."""
    document = b"".join((_OPEN, *(_PREFIX[kind] + leaf for leaf in leaves), _CLOSE))
    try:
        root = parse(document)
        if len(root) != len(leaves):
            return []
        submission, _ = from_ebrim(read_object_list(root), IHE)  # findings depend on the profile, values do not
        return [_index(item, leaf) for item, leaf in zip(_of_kind(kind, submission), leaves, strict=True)]
    except (XmlError, DatatypeError, KeyError, ValueError):
        return []


def _of_kind(kind: Kind, submission: Submission) -> Sequence[_Item]:
    match kind:
        case Kind.ENTRY:
            return submission.entries
        case Kind.SUBMISSION_SET:
            return submission.submission_sets
        case Kind.FOLDER:
            return submission.folders
        case Kind.ASSOCIATION:
            return submission.associations


def _index(item: _Item, leaf: bytes) -> LeafIndex:
    own: Row = {"id": bare(item.entry_uuid)}
    details: list[tuple[str, Row]] = []
    if isinstance(item, DocumentEntry):
        details = entry_details(item)
        own |= entry_columns(item) | _version(item)
    elif isinstance(item, SubmissionSet):
        details = set_details(item)
        own |= set_columns(item)
    elif isinstance(item, Folder):
        details = folder_details(item)
        own |= {"unique_id": item.unique_id, "splice": leaf.index(b">") + 1} | _version(item)
    else:
        return LeafIndex(own | association_columns(item), frozenset())
    own["patient"] = patient_column(item.patient_id)
    return LeafIndex(own, frozenset((table, tuple(row.values())) for table, row in details))


def _version(item: DocumentEntry | Folder) -> Row:
    return {"lid": bare(item.logical_id or item.entry_uuid), "version": int(item.version or 1)}


def load_details(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, frozenset[Detail]]:
    """The stored detail rows of objects; an object without any is absent."""
    found: dict[str, set[Detail]] = {}
    for table in DETAIL_TABLES[kind]:
        _, owner, *values = table.c
        for row in connection.execute(select(owner, *values).where(owner.in_(ids))):
            found.setdefault(row[0], set()).add((table.name, tuple(row[1:])))
    return {object_id: frozenset(details) for object_id, details in found.items()}
