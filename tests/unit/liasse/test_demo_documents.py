"""The documents of the demonstration: valid, deterministic, about nobody."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from cda.metadata import document_entry
from liasse.demo_documents import DEMO_PATIENT, PATIENT_NUMBER, health_summary, minimal_pdf, pdf_report
from tests.shared_data import shared
from xds_metadata.codes import load_codes
from xds_metadata.datatypes import STRICT, check_cx, patient_key

Builder = Callable[[str, str, datetime], bytes]
TIME = datetime(2025, 3, 1, 10, 15, tzinfo=timezone(timedelta(hours=1)))
BUILDERS: list[Builder] = [health_summary, pdf_report]


def build(builder: Builder, unique_id: str = "1.2.250.1.999.9.1") -> bytes:
    return builder(unique_id, "1.2.250.1.999.9.2", TIME)


@pytest.mark.corpus
@pytest.mark.parametrize("builder", BUILDERS)
def test_valid_by_the_french_schema(builder: Builder) -> None:
    schema = etree.XMLSchema(etree.parse(str(shared("standards", "cda-fr", "CDA_extended.xsd"))))
    schema.assertValid(etree.fromstring(build(builder)))


@pytest.mark.parametrize("builder", BUILDERS)
def test_same_arguments_same_bytes_other_id_other_bytes(builder: Builder) -> None:
    assert build(builder) == build(builder)
    assert build(builder) != build(builder, "1.2.250.1.999.9.3")


@pytest.mark.parametrize(
    ("builder", "type_code", "class_code", "format_code"),
    [
        (health_summary, "SYNTH", "11", "urn:asip:ci-sis:vsm:2012"),
        (pdf_report, "11488-4", "10", "urn:ihe:iti:xds-sd:pdf:2008"),
    ],
)
def test_metadata_are_complete_in_the_dmp_domain(
    builder: Builder, type_code: str, class_code: str, format_code: str
) -> None:
    derived = document_entry(build(builder), load_codes("dmp"))
    entry = derived.entry
    assert derived.warnings == ()
    assert entry.type_code is not None
    assert entry.class_code is not None
    assert entry.format_code is not None
    assert (entry.type_code.code, entry.class_code.code, entry.format_code.code) == (type_code, class_code, format_code)
    assert entry.unique_id == "1.2.250.1.999.9.1"
    assert entry.creation_time == TIME.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    assert entry.patient_id is not None
    assert patient_key(entry.patient_id) == patient_key(DEMO_PATIENT)


def test_patient_number_has_a_right_key() -> None:
    assert check_cx(DEMO_PATIENT, STRICT) is None
    assert re.fullmatch(r"[0-9]{15}", PATIENT_NUMBER)
    assert (int(PATIENT_NUMBER[:13]) + int(PATIENT_NUMBER[13:])) % 97 == 0


def test_narrative_references_resolve() -> None:
    root = etree.fromstring(build(health_summary))
    names = root.xpath("//@ID")
    references = root.xpath("//@value[starts-with(., '#')]")
    assert isinstance(names, list)
    assert isinstance(references, list)
    assert {f"#{name!s}" for name in names} == {str(reference) for reference in references}
    assert len(set(names)) == len(names) > 3


def test_report_holds_the_pdf() -> None:
    text = etree.fromstring(build(pdf_report)).findtext(".//{urn:hl7-org:v3}nonXMLBody/{urn:hl7-org:v3}text")
    assert base64.b64decode(text or "").startswith(b"%PDF-1.4\n")


def test_pdf_cross_references_point_to_its_objects() -> None:
    pdf = minimal_pdf(["one (1)", "back\\slash"])
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[0])
    assert pdf[start:].startswith(b"xref\n0 6\n")
    offsets = [int(offset) for offset in re.findall(rb"(\d{10}) 00000 n ", pdf[start:])]
    assert [pdf[offset : offset + 7] for offset in offsets] == [b"%d 0 obj" % number for number in range(1, 6)]
    length = int(re.findall(rb"/Length (\d+)", pdf)[0])
    assert re.search(rb"stream\n.{%d}\nendstream" % length, pdf, re.DOTALL)
    assert rb"(one \(1\)) Tj" in pdf
    assert rb"(back\\slash) Tj" in pdf
