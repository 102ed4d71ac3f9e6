"""Metadata becomes ebRIM and ebRIM metadata without loss: any values, for every row of the attribute table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebrim import model as rim
from ebrim.read import read_submit_objects_request
from ebrim.rs import write_submit_objects_request
from tests import samples as s
from xds_metadata import attributes as table
from xds_metadata.attributes import Attribute, ObjectTable, Place
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.profile import IHE
from xds_metadata.to_ebrim import to_ebrim
from xmlsafe import parse

_CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="￾￿")
_TEXT = st.text(_CHARACTERS, min_size=1, max_size=10)
_TEXTS = st.lists(_TEXT, min_size=1, max_size=3).map(tuple)
_CODE = st.builds(Code, _TEXT, _TEXT, _TEXT)
_AUTHOR = st.builds(
    Author,
    st.none() | _TEXT,
    *(st.just(()) | _TEXTS for _ in ("institutions", "roles", "specialties", "telecommunications")),
)
_EXTRA = st.dictionaries(_TEXT.map(lambda name: f"urn:example:{name}"), _TEXTS, max_size=2).map(lambda d: tuple(d.items()))
MODELS: dict[str, type[Any]] = {
    "DocumentEntry": DocumentEntry,
    "SubmissionSet": SubmissionSet,
    "Folder": Folder,
    "Association": Association,
}


def _values(row: Attribute) -> st.SearchStrategy[Any]:
    """Any value of an attribute, or none."""
    if row.place is Place.MARKER:
        return st.booleans()
    one: st.SearchStrategy[Any] = {Place.CODE: _CODE, Place.AUTHOR: _AUTHOR}.get(row.place, _TEXT)
    if row.many:
        return st.just(()) | st.lists(one, min_size=1, max_size=3).map(tuple)
    required = row.place is Place.XML and row.field in ("entry_uuid", "object_type", "mime_type", "type", "source", "target")
    return one if required else st.none() | one


def _objects(rows: ObjectTable) -> st.SearchStrategy[Any]:
    values = {row.field: _values(row) for row in rows.rows if row.place is not Place.MARKER}
    values["entry_uuid"] = st.uuids().map(lambda value: f"urn:uuid:{value}")
    return st.builds(MODELS[rows.kind], **values, extra=_EXTRA)


_SUBMISSIONS = st.builds(
    Submission,
    st.lists(_objects(table.SUBMISSION_SET), min_size=1, max_size=2).map(tuple),
    st.lists(_objects(table.DOCUMENT_ENTRY), max_size=2).map(tuple),
    st.lists(_objects(table.FOLDER), max_size=2).map(tuple),
    st.lists(_objects(table.ASSOCIATION), max_size=2).map(tuple),
)


@given(_SUBMISSIONS)
def test_from_ebrim_is_the_inverse_of_to_ebrim(value: Submission) -> None:
    found, findings = from_ebrim(to_ebrim(value, s.new_uuid), IHE)
    assert findings == ()
    assert found == value


@given(_SUBMISSIONS)
def test_also_over_the_wire(value: Submission) -> None:
    text = write_submit_objects_request(to_ebrim(value, s.new_uuid))
    assert from_ebrim(read_submit_objects_request(parse(text)), IHE) == (value, ())


@pytest.mark.parametrize("rows", table.TABLES, ids=lambda rows: rows.kind)
def test_every_field_of_the_model_has_a_row_and_every_row_a_field(rows: ObjectTable) -> None:
    fields = set(MODELS[rows.kind].__dataclass_fields__) - {"extra"}
    assert {row.field for row in rows.rows} == fields
    assert len(rows.by_field) == len(rows.rows)


def test_keys_are_used_once_in_their_place() -> None:
    for rows in table.TABLES:
        keys = [(row.place, row.key) for row in rows.rows if row.key]
        assert len(keys) == len(set(keys))
    schemes = [row.key for rows in table.TABLES for row in rows.rows if row.key.startswith("urn:uuid:")]
    assert len(schemes) == len(set(schemes))
    assert all(len(scheme) == 45 for scheme in schemes)


def test_literal_schemes_of_a_document_entry() -> None:
    """Constants that a round trip cannot check."""
    by_name = {row.name: row.key for row in table.DOCUMENT_ENTRY.rows}
    assert by_name["typeCode"] == "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
    assert by_name["uniqueId"] == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    assert by_name["author"] == "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
    assert by_name["referenceIdList"] == "urn:ihe:iti:xds:2013:referenceIdList"
    made = to_ebrim(s.submission(s.entry(), folders=[s.folder()]), s.new_uuid)
    names = [e.name[0].value for e in made.extrinsic_objects[0].external_identifiers]
    assert names == ["XDSDocumentEntry.patientId", "XDSDocumentEntry.uniqueId"]
    nodes = [p.classifications[0].node for p in made.packages]
    assert nodes == ["urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"]


def test_a_code_without_display_is_shown_by_its_code() -> None:
    made = to_ebrim(s.submission(s.entry(type_code=s.code("T", display=""))), s.new_uuid)
    named = {c.node_representation: c.name[0].value for c in made.extrinsic_objects[0].classifications if c.name}
    assert named["T"] == "T"


def test_limited_metadata_is_read_from_its_node() -> None:
    made = to_ebrim(s.submission(s.entry()), s.new_uuid)
    entry = made.extrinsic_objects[0]
    node = next(node for node, kind in table.LIMITED_METADATA_NODES.items() if kind == "DocumentEntry")
    marked = rim.Classification(s.new_uuid(), entry.id, node=node)
    changed = replace(made, extrinsic_objects=(replace(entry, classifications=(*entry.classifications, marked)),))
    found, findings = from_ebrim(changed, IHE)
    assert findings == ()
    assert found.entries[0].limited_metadata
