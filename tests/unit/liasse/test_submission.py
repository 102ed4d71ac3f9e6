"""From files to a submission."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ebrim.model import RegistryObjectList
from liasse.demo_documents import DEMO_PATIENT, health_summary
from liasse.submission import (
    UNDIFFERENTIATED,
    FileRefused,
    Given,
    Prepared,
    content_type,
    new_oid,
    prepare,
    read_code,
    submission_of,
)
from xds_metadata.codes import Row, code_sets, load_codes
from xds_metadata.datatypes import check_oid
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import Author, Code, Submission
from xds_metadata.profile import DMP, IHE
from xds_metadata.rules import check_submission
from xds_metadata.rules.values import PROVIDE
from xds_metadata.to_ebrim import to_ebrim

NOW = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
CODES = load_codes("dmp")
COMPLETE = Given(
    patient=DEMO_PATIENT,
    type_code=Code("11488-4", "2.16.840.1.113883.6.1", "CR"),
    format_code=Code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF"),
    healthcare_facility_type_code=Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement"),
    practice_setting_code=Code("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire"),
    confidentiality=(Code("N", "2.16.840.1.113883.5.25", "Normal"),),
    language="fr-FR",
)


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    path = tmp_path / "summary.xml"
    path.write_bytes(health_summary("1.2.3.4", "1.2.3.5", NOW))
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"%PDF-1.4 nothing")
    return path


def one(prepared: Prepared) -> Submission:
    return submission_of([prepared], source_id="1.2.3", content=UNDIFFERENTIATED, now=NOW)


def problems(submission: Submission) -> list[str]:
    now = datetime.now(UTC)
    return [finding.context for finding in check_submission(submission, PROVIDE, DMP, CODES, now)]


def test_a_cda_document_needs_nothing_more(summary: Path) -> None:
    prepared = prepare(summary, Given(), CODES, DMP)
    assert problems(one(prepared)) == []
    assert prepared.entry.unique_id == "1.2.3.4"
    assert b"".join(prepared.deposit.chunks()) == summary.read_bytes()
    assert prepared.deposit.size == summary.stat().st_size


def test_a_byte_order_mark_does_not_hide_a_cda_document(summary: Path) -> None:
    summary.write_bytes(b"\xef\xbb\xbf" + summary.read_bytes())
    assert prepare(summary, Given(), CODES, DMP).entry.size == str(summary.stat().st_size)


def test_what_is_given_goes_before_the_header_and_silences_its_warnings(summary: Path) -> None:
    summary.write_bytes(summary.read_bytes().replace(b"<title>Volet de synth\xc3\xa8se m\xc3\xa9dicale</title>", b""))
    assert any(line.startswith("title:") for line in prepare(summary, Given(), CODES, DMP).warnings)
    code = Code("10", "1.2.250.1.213.1.1.4.1", "Compte rendu")
    given = Given(title="T", language="en", mime_type="text/plain", created="2024", author="^A", class_code=code)
    prepared = prepare(summary, given, CODES, DMP)
    assert not any(line.startswith("title:") for line in prepared.warnings)
    entry = prepared.entry
    assert (entry.title, entry.language_code, entry.mime_type, entry.creation_time) == ("T", "en", "text/plain", "2024")
    assert (entry.class_code, entry.authors) == (code, (Author("^A"),))
    assert prepared.deposit.mime_type == "text/plain"


def test_another_document_is_described_by_what_is_given(scan: Path) -> None:
    prepared = prepare(scan, replace(COMPLETE, mime_type="text/xml"), CODES, DMP)
    assert problems(one(prepared)) == []
    entry = prepared.entry
    assert entry.title == "scan"
    assert entry.hash == hashlib.sha1(scan.read_bytes()).hexdigest()
    assert entry.class_code is not None
    assert entry.class_code.code == "10"
    assert entry.source_patient_id == entry.patient_id == DEMO_PATIENT
    changed = datetime.fromtimestamp(scan.stat().st_mtime, UTC)
    assert entry.creation_time == changed.strftime("%Y%m%d%H%M%S")
    assert [line.partition(":")[0] for line in prepared.warnings] == ["creationTime"]
    assert prepare(scan, replace(COMPLETE, created="2024"), CODES, DMP).warnings == ()
    assert prepare(scan, COMPLETE, CODES, DMP).entry.mime_type == "application/pdf"
    assert b"".join(prepared.deposit.chunks()) == scan.read_bytes()


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("patient", "--patient"),
        ("type_code", "--class, --type"),
        ("format_code", "--format"),
        ("healthcare_facility_type_code", "--facility"),
        ("practice_setting_code", "--practice"),
        ("confidentiality", "--confidentiality"),
        ("language", "--language"),
    ],
)
def test_each_missing_code_is_asked_for(scan: Path, field: str, option: str) -> None:
    nothing: Any = () if field == "confidentiality" else None
    with pytest.raises(FileRefused, match=rf"not a CDA document \(it is no XML\).*: give {option} as well"):
        prepare(scan, replace(COMPLETE, **{field: nothing}), CODES, DMP)


def test_a_type_that_no_name_tells_is_asked_for(scan: Path) -> None:
    unnamed = scan.rename(scan.with_name("scan"))
    with pytest.raises(FileRefused, match="give --mime as well"):
        prepare(unnamed, COMPLETE, CODES, DMP)


def test_a_file_that_cannot_be_read_and_a_patient_that_is_none_are_told(tmp_path: Path, summary: Path) -> None:
    with pytest.raises(FileRefused, match="cannot be read: No such file"):
        prepare(tmp_path / "absent", Given(), CODES, DMP)
    with pytest.raises(FileRefused, match="the patient: expected a patient identifier"):
        prepare(summary, Given(patient="X"), CODES, DMP)


def test_extra_components_go_to_those_who_take_them(summary: Path) -> None:
    institution = prepare(summary, Given(), CODES, IHE).entry.authors[0].institutions[0]
    assert "IDNST" not in institution
    assert "IDNST" in prepare(summary, Given(), CODES, DMP).entry.authors[0].institutions[0]


def test_a_submission_of_two_links_each_and_replaces_one(summary: Path, scan: Path) -> None:
    first = prepare(summary, Given(), CODES, DMP, "Document01")
    second = replace(prepare(scan, COMPLETE, CODES, DMP, "Document02"), replaces="1.2.9")
    old = "urn:uuid:0a000000-0000-4000-8000-000000000001"
    east = NOW.astimezone(timezone(timedelta(hours=2)))
    submission = submission_of(
        [first, second], source_id="1.2.3", content=UNDIFFERENTIATED, now=east, replaced={"1.2.9": old}
    )
    [submission_set] = submission.submission_sets
    assert (submission_set.submission_time, submission_set.source_id) == ("20250301090000", "1.2.3")
    assert submission_set.authors == first.entry.authors[:1]
    links = [(link.type.rpartition(":")[2], link.source, link.target) for link in submission.associations]
    assert links == [
        ("HasMember", "SubmissionSet01", "Document01"),
        ("HasMember", "SubmissionSet01", "Document02"),
        ("RPLC", "Document02", old),
    ]
    back, findings = from_ebrim(written(submission), DMP)
    assert findings == ()
    assert back == submission


def written(submission: Submission) -> RegistryObjectList:
    numbers = iter(range(1000))
    return to_ebrim(submission, lambda: f"part{next(numbers)}")


def test_documents_of_two_patients_are_not_one_submission(summary: Path, scan: Path) -> None:
    other = prepare(scan, replace(COMPLETE, patient="2^^^&1.2.3&ISO"), CODES, DMP, "Document02")
    with pytest.raises(FileRefused, match="2 patients"):
        submission_of([prepare(summary, Given(), CODES, DMP), other], source_id="1.2.3", content=UNDIFFERENTIATED, now=NOW)


def test_a_code_is_read_with_its_scheme_or_found_by_the_domain() -> None:
    assert read_code("a^^1.2", "type_code", load_codes("any")) == Code("a", "1.2", "a")
    assert read_code("SA07", "healthcare_facility_type_code", CODES).scheme == "1.2.250.1.71.4.2.4"
    with pytest.raises(ValueError, match=r"typeCode 'zz': expected CODE\^\^SCHEME \(the codes dmp do not list it\)"):
        read_code("zz", "type_code", CODES)
    with pytest.raises(ValueError, match=r"the schemes 1\.2\.250\.1\.213\.2\.2, 1\.2\.250\.1\.213\.1\.6\.1\.128 have it"):
        read_code("11", "content_type_code", CODES)


def test_the_content_type_has_a_default_where_the_domain_allows_one() -> None:
    assert content_type(None, CODES) == UNDIFFERENTIATED
    assert content_type(None, load_codes("any")) == UNDIFFERENTIATED
    assert content_type("04", CODES).code == "04"
    with pytest.raises(ValueError, match="give --content-type"):
        content_type(None, load_codes("connectathon"))
    only = code_sets("one", [Row("content_type_code", "x", "1.2", "X")])
    assert content_type(None, only) == Code("x", "1.2", "X")


def test_new_oids_are_oids_and_differ() -> None:
    made = {new_oid() for _ in range(50)}
    assert len(made) == 50
    assert all(check_oid(oid) is None for oid in made)
