"""Entries and documents matched both ways, hash and size compared, the repository's slots filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ebrim import model as rim
from tests import samples
from xds_metadata.errors import Finding
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import DocumentEntry, Submission
from xds_metadata.profile import IHE
from xds_repository.matching import check_parts, check_received, fill_in, match
from xds_repository.messages import ProvidedDocument


@dataclass(frozen=True)
class Bytes:
    sha1: str = "a" * 40
    sha256: str = "b" * 64
    size: int = 12


def entries(*ids: str) -> Submission:
    return samples.submission(*(samples.entry(entry_uuid=each) for each in ids))


def document(document_id: str, content_id: str | None = None) -> ProvidedDocument:
    return ProvidedDocument(document_id, content_id, None if content_id else b"x")


def rules(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.code, finding.rule) for finding in findings]


def test_documents_in_any_order_find_their_entries() -> None:
    matched, findings = match(entries("a", "b"), [document("b"), document("a")], caseless=False)
    assert findings == ()
    assert [(m.entry.entry_uuid, m.document.id) for m in matched] == [("a", "a"), ("b", "b")]


def test_what_has_no_counterpart_is_told_on_both_sides() -> None:
    matched, findings = match(entries("a", "b"), [document("b"), document("c")], caseless=False)
    assert [m.entry.entry_uuid for m in matched] == ["b"]
    assert rules(findings) == [
        ("XDSMissingDocument", "document-present"),
        ("XDSMissingDocumentMetadata", "document-described"),
    ]
    assert ["'a'" in findings[0].context, "'c'" in findings[1].context] == [True, True]


@pytest.mark.parametrize(("caseless", "count"), [(False, 0), (True, 1)])
def test_case_counts_unless_told_otherwise(caseless: bool, count: int) -> None:
    matched, findings = match(entries("Document01"), [document("DOCUMENT01")], caseless=caseless)
    assert (len(matched), len(findings)) == (count, 2 - 2 * count)


def test_an_id_or_a_part_that_is_used_twice() -> None:
    _, findings = match(entries("a", "b"), [document("a", "p"), document("a", "q"), document("b", "q")], caseless=False)
    assert rules(findings) == [("MetadataError", "document-once"), ("MetadataError", "part-once")]


def test_parts_are_matched_both_ways() -> None:
    matched, _ = match(entries("a", "b"), [document("a", "p"), document("b", "q")], caseless=False)
    assert rules(tuple(check_parts(matched, {"p": 0, "q": 0}))) == []
    assert rules(tuple(check_parts(matched, {"p": 0, "r": 0}))) == [
        ("XDSMissingDocument", "part-present"),
        ("XDSMissingDocumentMetadata", "part-described"),
    ]
    inline, _ = match(entries("a"), [document("a")], caseless=False)
    assert rules(tuple(check_parts(inline, {}))) == []


@pytest.mark.parametrize(
    ("hash_", "size", "expected"),
    [
        (None, None, []),
        ("a" * 40, "12", []),
        ("A" * 40, None, []),
        ("b" * 40, "12", ["hash"]),
        ("a" * 40, "13", ["size"]),
        ("b" * 40, "0", ["hash", "size"]),
    ],
)
def test_submitted_hash_and_size_are_compared(hash_: str | None, size: str | None, expected: list[str]) -> None:
    findings = tuple(check_received(samples.entry(hash=hash_, size=size), Bytes()))
    assert [finding.rule for finding in findings] == expected
    for finding in findings:
        assert ("a" * 40 in finding.context) or ("12 bytes" in finding.context)


def filled(entry: DocumentEntry) -> tuple[rim.RegistryObjectList, Submission]:
    submission = samples.submission(entry)
    return fill_in(samples.objects(submission), submission, {entry.entry_uuid: Bytes()}, "1.2.3")


def test_hash_size_and_repository_are_filled_in_both_views() -> None:
    """F84: an entry that came without them is a stable entry with them."""
    objects, submission = filled(samples.entry(hash=None, size=None, repository_unique_id=None))
    (entry,) = submission.entries
    assert (entry.hash, entry.size, entry.repository_unique_id) == ("a" * 40, "12", "1.2.3")
    again, findings = from_ebrim(objects, IHE)
    assert findings == ()
    assert again.entries == (entry,)


def test_sent_values_are_replaced_and_all_else_is_kept() -> None:
    entry = samples.entry(hash="A" * 40, size="12", repository_unique_id="9.9", extra=(("urn:x:note", ("kept",)),))
    objects, submission = filled(entry)
    names = [slot.name for slot in objects.extrinsic_objects[0].slots]
    assert len(names) == len(set(names))
    assert "urn:x:note" in names
    assert submission.entries == (replace(entry, hash="a" * 40, size="12", repository_unique_id="1.2.3"),)
