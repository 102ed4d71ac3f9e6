"""ITI-41 on a real store and database: documents stored and registered, or neither, and an answer that says which."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from access_control.decision import Decision
from database import Database
from database.errors import DatabaseBusy, DatabaseFull, DatabaseUnavailable
from soap.faults import Fault
from soap.staging import FailedPart
from soap.transaction import Part
from tests import samples
from tests.e2e import wire
from tests.e2e.wire import PDF
from tests.repository_side import RepositorySide, repository_side
from xds_metadata import associations as types
from xds_metadata.profile import DMP, IHE
from xds_registry.actor import RegistrySettings
from xds_repository.actor import failure_findings
from xds_repository.file_store import FileStore
from xds_repository.store import StoreFull, StoreUnavailable


def inline(side: RepositorySide, sent: wire.Deposit, content: str) -> tuple[str, list[str]]:
    """Provide one document inside the message; (status, codes)."""
    answer = side.send(side.iti41, wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, content)))
    return answer.status, answer.codes


def test_a_document_is_stored_registered_and_journaled(side: RepositorySide) -> None:
    sent = side.accept(wire.deposit(PDF))
    (unique_id,) = sent.unique_ids
    row = side.rows(unique_id)[unique_id]
    assert (row.sha256, row.sha1, row.size) == (hashlib.sha256(PDF).hexdigest(), wire.sha1(PDF), len(PDF))
    assert (row.mime_type, row.state) == ("application/pdf", "stored")
    entry = side.registry.document(unique_id)
    slots = {slot.name: slot.values for slot in entry.slots}
    assert slots["hash"] == (wire.sha1(PDF),)
    assert slots["size"] == (str(len(PDF)),)
    assert slots["repositoryUniqueId"] == (samples.REPOSITORY,)
    assert side.blobs() == [row.sha256]
    assert side.left() == []
    set_id = sent.submission.submission_sets[0].unique_id
    objects = f'[["submission-set","{set_id}"],["document","{unique_id}"]]'
    assert side.journal()[0] == ("provide", "Success", "allowed", objects)


def test_success_tells_counters_so(side: RepositorySide) -> None:
    assert side.provide(wire.deposit()).outcome == "success"
    assert side.provide(wire.deposit(language_code="?")).outcome == "failure"


def test_warnings_are_a_success_of_their_own_kind(database: Database, tmp_path: Path) -> None:
    with repository_side(database, tmp_path, content="warn") as side:
        answer = side.provide(wire.deposit(b"no PDF"))
        assert (answer.status, answer.outcome) == ("Success", "warning")
        assert [(e.code, e.severity) for e in answer.errors] == [("InvalidDocumentContent", "Warning")]
        assert len(side.blobs()) == 1


def test_content_that_contradicts_its_type_is_refused(database: Database, tmp_path: Path) -> None:
    """D11."""
    with repository_side(database, tmp_path, content="refuse") as side:
        sent = wire.deposit(b"no PDF", PDF)
        answer = side.provide(sent)
        assert (answer.status, answer.codes) == ("Failure", ["InvalidDocumentContent"])
        assert answer.errors[0].location == sent.unique_ids[0]
        assert (side.blobs(), side.rows(*sent.unique_ids), side.left()) == ([], {}, [])


def test_inline_base64_in_lines_is_decoded(side: RepositorySide) -> None:
    """F20: hash and size are those of the decoded bytes."""
    sent = wire.deposit(hash=wire.sha1(PDF * 5), size=str(len(PDF * 5)))
    text = base64.encodebytes(PDF * 5).decode()
    assert inline(side, sent, text) == ("Success", [])
    assert side.retrieve(*sent.unique_ids).documents[0].data == PDF * 5
    assert side.left() == []


def test_inline_content_that_is_no_base64_is_refused(side: RepositorySide) -> None:
    assert inline(side, wire.deposit(), "%PDF-1.4") == ("Failure", ["XDSRepositoryMetadataError"])
    assert inline(side, wire.deposit(), "AAAA=AAA") == ("Failure", ["XDSRepositoryMetadataError"])
    assert (side.blobs(), side.left()) == ([], [])


def test_an_empty_document_may_be_kept(side: RepositorySide) -> None:
    """Without a content check nothing forbids it; it comes back as no bytes."""
    sent = side.accept(wire.deposit(b""))
    (document,) = side.retrieve(*sent.unique_ids).documents
    assert (document.data, document.attachment.size) == (b"", 0)


def test_hash_and_size_in_any_case_may_be_sent_along(side: RepositorySide) -> None:
    sent = wire.deposit(hash=wire.sha1(PDF).upper(), size=str(len(PDF)))
    side.accept(sent)
    slots = {slot.name: slot.values for slot in side.registry.document(sent.unique_ids[0]).slots}
    assert slots["hash"] == (wire.sha1(PDF),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hash": "0" * 40}, ["hash"]),
        ({"size": "1"}, ["size"]),
        ({"hash": "0" * 40, "size": "1"}, ["hash", "size"]),
        ({"size": str(2**62)}, ["size"]),
    ],
)
def test_a_wrong_hash_or_size_is_refused(side: RepositorySide, changes: dict[str, str], words: list[str]) -> None:
    """D10: every difference is told at once, and nothing is stored."""
    sent = wire.deposit(**changes)
    answer = side.provide(sent)
    assert answer.codes == ["XDSRepositoryMetadataError"] * len(words)
    assert all(any(f"{word} is" in error.context for error in answer.errors) for word in words)
    assert (side.blobs(), side.rows(*sent.unique_ids), side.left()) == ([], {}, [])
    assert side.registry.documents(sent.unique_ids[0]) == ()


@pytest.mark.parametrize("namespace", ["http://www.w3.org/2004/11/xmlmime", "http://www.w3.org/2005/05/xmlmime"])
def test_a_hint_of_the_content_type_is_ignored(side: RepositorySide, namespace: str) -> None:
    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:document1@wire")))
    hinted = body.replace(b"<x:Document ", f'<x:Document xmlns:m="{namespace}" m:contentType="image/png" '.encode())
    assert hinted != body
    answer = side.send(side.iti41, hinted, {"document1@wire": side.staged(PDF, "document1@wire")})
    assert (answer.status, answer.codes) == ("Success", [])
    other = body.replace(b"<x:Document ", f'<x:Document xmlns:m="{namespace}" m:other="image/png" '.encode())
    assert side.send(side.iti41, other).codes == ["XDSRepositoryMetadataError"]


def test_an_entry_without_a_document_is_named(side: RepositorySide) -> None:
    sent = wire.deposit(PDF, PDF)
    first = sent.submission.entries[0].entry_uuid
    body = wire.provide_body(sent.submission, (first, wire.include("cid:document1@wire")))
    answer = side.send(side.iti41, body, {"document1@wire": side.staged(PDF, "document1@wire")})
    assert answer.codes == ["XDSMissingDocument"]
    assert sent.submission.entries[1].entry_uuid in answer.text


def test_a_document_without_an_entry_is_named(side: RepositorySide) -> None:
    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, "AAAA"), ("stranger", "AAAA"))
    answer = side.send(side.iti41, body)
    assert answer.codes == ["XDSMissingDocumentMetadata"]
    assert "'stranger'" in answer.text


def test_a_part_that_did_not_come_is_named(side: RepositorySide) -> None:
    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:absent@wire")))
    assert side.send(side.iti41, body, {"other@wire": side.staged(PDF, "other@wire")}).codes == [
        "XDSMissingDocument",
        "XDSMissingDocumentMetadata",
    ]
    assert side.left() == []


def test_one_part_for_two_documents_is_refused(side: RepositorySide) -> None:
    """D1."""
    sent = wire.deposit(PDF, PDF)
    documents = [(entry.entry_uuid, wire.include("cid:document1@wire")) for entry in sent.submission.entries]
    body = wire.provide_body(sent.submission, *documents)
    answer = side.send(side.iti41, body, {"document1@wire": side.staged(PDF, "document1@wire")})
    assert answer.codes == ["XDSRepositoryMetadataError"]
    assert "2 Documents include the part" in answer.text


def test_two_documents_of_one_id_are_refused(side: RepositorySide) -> None:
    sent = wire.deposit()
    own = sent.submission.entries[0].entry_uuid
    answer = side.send(side.iti41, wire.provide_body(sent.submission, (own, "AAAA"), (own, "AAAA")))
    assert answer.codes == ["XDSRepositoryMetadataError"]


def test_ids_are_compared_by_case_unless_the_profile_says_otherwise(database: Database, tmp_path: Path) -> None:
    sent = wire.deposit(entry_uuid="document01")
    body = wire.provide_body(sent.submission, ("DOCUMENT01", base64.b64encode(PDF).decode()))
    with repository_side(database, tmp_path / "ihe", profile=IHE) as side:
        assert side.send(side.iti41, body).codes == ["XDSMissingDocument", "XDSMissingDocumentMetadata"]
    with repository_side(database, tmp_path / "dmp", profile=DMP) as side:
        assert "XDSMissingDocument" not in side.send(side.iti41, body).codes


def test_every_finding_of_metadata_is_told_at_once(side: RepositorySide) -> None:
    """F41: six attributes are missing in six entries."""
    names = {
        "creation_time": "creationTime",
        "language_code": "languageCode",
        "type_code": "typeCode",
        "practice_setting_code": "practiceSettingCode",
        "healthcare_facility_type_code": "healthcareFacilityTypeCode",
        "source_patient_id": "sourcePatientId",
    }
    entries = [wire.entry(**{field: None}) for field in names]
    sent = wire.Deposit(samples.submission(*entries), (PDF,) * len(entries))
    answer = side.provide(sent)
    assert answer.codes == ["XDSRepositoryMetadataError"] * len(names)
    told = [
        (entry.entry_uuid, name)
        for entry, name in zip(entries, names.values(), strict=True)
        if any(entry.entry_uuid in e.context and name in e.context for e in answer.errors)
    ]
    assert len(told) == len(names)


def test_a_body_that_breaks_its_schema_is_a_failure_of_the_repository(side: RepositorySide) -> None:
    body = wire.provide_body(wire.deposit().submission).replace(b"<x:Document", b"<x:Dokument")
    broken = body.replace(b'id="', b'ident="', 1)
    answer = side.send(side.iti41, broken)
    assert answer.status == "Failure"
    assert set(answer.codes) == {"XDSRepositoryMetadataError"}
    assert "schema:" in answer.text


def test_what_the_registry_refuses_leaves_no_row(side: RepositorySide) -> None:
    entry = wire.entry()
    link = samples.link(types.RPLC, entry.entry_uuid, samples.new_uuid())
    sent = wire.Deposit(samples.submission(entry, links=[link]), (PDF,))
    answer = side.provide(sent)
    assert answer.codes == ["UnresolvedReferenceException"]
    assert (side.rows(*sent.unique_ids), side.left()) == ({}, [])
    ((action, outcome, decision, objects),) = side.journal()
    assert (action, outcome, decision) == ("provide", "Failure", "refused")
    assert json.loads(objects) == [
        ["submission-set", sent.submission.submission_sets[0].unique_id],
        ["document", entry.unique_id],
    ]


def test_an_unknown_patient_is_refused(database: Database, tmp_path: Path) -> None:
    with repository_side(database, tmp_path, settings=RegistrySettings(known_patients_only=True)) as side:
        assert side.provide(wire.deposit()).codes == ["XDSUnknownPatientId"]


def test_twins_of_one_content_are_one_blob(side: RepositorySide) -> None:
    """Two documents of a message hold the same bytes."""
    sent = side.accept(wire.deposit(PDF, PDF, b"other"))
    assert len(side.blobs()) == 2
    assert [document.data for document in side.retrieve(*sent.unique_ids).documents] == [PDF, PDF, b"other"]
    assert side.left() == []


def test_the_same_bytes_again_under_another_id_are_the_same_blob(side: RepositorySide) -> None:
    side.accept(wire.deposit(PDF))
    side.accept(wire.deposit(PDF))
    assert len(side.blobs()) == 1


def test_the_same_document_may_be_provided_twice(side: RepositorySide) -> None:
    """Same uniqueId, same bytes, another submission."""
    first = side.accept(wire.deposit(PDF))
    side.accept(wire.deposit(PDF, unique_id=first.unique_ids[0]))
    assert len(side.registry.documents(first.unique_ids[0])) == 2


def test_other_bytes_under_a_known_id_are_refused(side: RepositorySide) -> None:
    first = side.accept(wire.deposit(PDF))
    answer = side.provide(wire.deposit(PDF[::-1], unique_id=first.unique_ids[0]))
    assert answer.codes == ["XDSNonIdenticalHash"]
    assert side.rows(*first.unique_ids)[first.unique_ids[0]].sha1 == wire.sha1(PDF)
    assert len(side.registry.documents(first.unique_ids[0])) == 1


def test_bytes_of_one_hash_are_told_apart(side: RepositorySide, database: Database) -> None:
    """The repository compares SHA-256: another content of equal SHA-1 and size is another content."""
    first = side.accept(wire.deposit(PDF))
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM repository_document").scalar() == 1
    database.write(lambda c: c.exec_driver_sql(f"UPDATE repository_document SET sha256 = '{'0' * 64}'"))
    answer = side.provide(wire.deposit(PDF, unique_id=first.unique_ids[0]))
    assert answer.codes == ["XDSNonIdenticalHash"]


def test_a_retry_is_answered_as_the_first_time_and_stores_nothing_twice(side: RepositorySide) -> None:
    sent = wire.deposit(PDF)
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:a@wire")))
    for message_id in ("urn:uuid:one", "urn:uuid:two"):
        answer = side.send(side.iti41, body, {"a@wire": side.staged(PDF, "a@wire")}, message_id)
        assert answer.status == "Success", answer.text
    assert len(side.registry.documents(sent.unique_ids[0])) == 1
    assert len(side.blobs()) == 1
    assert [row[:2] for row in side.journal() if row[0] == "provide"] == [("provide", "Success")] * 2


def test_a_retry_with_other_bytes_is_a_duplicate(side: RepositorySide) -> None:
    sent = wire.deposit(PDF)
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:a@wire")))
    assert side.send(side.iti41, body, {"a@wire": side.staged(PDF, "a@wire")}).status == "Success"
    answer = side.send(side.iti41, body, {"a@wire": side.staged(PDF[::-1], "a@wire")})
    assert answer.status == "Failure"
    assert "XDSDuplicateUniqueIdInRegistry" in answer.codes
    assert side.retrieve(*sent.unique_ids).documents[0].data == PDF


def test_a_refused_sender_gets_a_fault_and_nothing_is_stored(side: RepositorySide) -> None:
    side.registry.policy.decision = Decision(allowed=False, rule="no")
    with pytest.raises(Fault, match="access denied"):
        side.provide(wire.deposit())
    assert (side.blobs(), side.left()) == ([], [])


def test_the_sender_is_judged_before_stored_data_is_read(side: RepositorySide) -> None:
    """The target names the patient and every document."""
    sent = side.accept(wire.deposit(PDF, PDF))
    action, target = side.registry.policy.asked[0]
    assert str(action).lower().endswith("submit")
    assert target.objects == sent.unique_ids
    assert [patient.authority for patient in target.patients] == [samples.AUTHORITY]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreFull("full"), "XDSRepositoryOutOfResources"),
        (StoreUnavailable("gone"), "XDSRepositoryError"),
    ],
)
def test_a_part_that_could_not_be_written_fails_the_message(side: RepositorySide, error: Exception, code: str) -> None:
    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:a@wire")))
    answer = side.send(side.iti41, body, {"a@wire": Part("a@wire", "application/pdf", FailedPart(error))})
    assert answer.codes == [code]
    assert side.registry.documents(sent.unique_ids[0]) == ()


def test_a_part_of_another_store_is_not_taken(side: RepositorySide) -> None:
    class Foreign:
        def write(self, data: bytes) -> None: ...

        def close(self) -> None: ...

        def discard(self) -> None: ...

    sent = wire.deposit()
    body = wire.provide_body(sent.submission, (sent.submission.entries[0].entry_uuid, wire.include("cid:a@wire")))
    assert side.send(side.iti41, body, {"a@wire": Part("a@wire", "application/pdf", Foreign())}).codes == [
        "XDSRepositoryError"
    ]


def test_a_full_disk_refuses_deposits_and_not_retrieval(database: Database, tmp_path: Path) -> None:
    with repository_side(database, tmp_path) as side:
        sent = side.accept(wire.deposit())
    full = FileStore(tmp_path / "documents", free_space=2**62)
    with repository_side(database, tmp_path, store=full) as side:
        refused = wire.deposit()
        assert inline(side, refused, "AAAA") == ("Failure", ["XDSRepositoryOutOfResources"])
        assert side.retrieve(*sent.unique_ids).status == "Success"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseBusy("x"), "Busy"),
        (DatabaseFull("x"), "OutOfResources"),
        (DatabaseUnavailable("x"), "Error"),
        (StoreFull("x"), "OutOfResources"),
        (StoreUnavailable("x"), "Error"),
    ],
)
def test_failures_of_storage_have_their_codes(error: Exception, code: str) -> None:
    findings = failure_findings(error)
    assert findings is not None
    assert [finding.code for finding in findings] == [code]


def test_an_unknown_error_is_not_answered_as_ours() -> None:
    assert failure_findings(ZeroDivisionError()) is None


def test_a_submission_without_documents_is_one_too(side: RepositorySide) -> None:
    """A folder alone."""
    answer = side.send(side.iti41, wire.provide_body(samples.submission(folders=[samples.folder()])))
    assert answer.status == "Success"
    assert side.blobs() == []


def test_replacing_a_document_deprecates_it(side: RepositorySide) -> None:
    first = side.accept(wire.deposit(PDF))
    old = side.registry.document(first.unique_ids[0])
    entry = wire.entry()
    link = samples.link(types.RPLC, entry.entry_uuid, old.id)
    side.accept(wire.Deposit(samples.submission(entry, links=[link]), (b"new",)))
    assert (side.registry.document(first.unique_ids[0]).status or "").endswith("Deprecated")
    assert side.retrieve(*first.unique_ids).documents[0].data == PDF


def test_a_refusal_is_answered_even_where_it_cannot_be_journaled(side: RepositorySide) -> None:
    side.database.write(lambda c: c.exec_driver_sql("DROP TABLE journal_row"))
    assert side.provide(wire.deposit(hash="0" * 40)).codes == ["XDSRepositoryMetadataError"]


def test_a_deposit_that_cannot_be_journaled_is_none(side: RepositorySide) -> None:
    """The row is part of the registration's own transaction."""
    side.database.write(lambda c: c.exec_driver_sql("DROP TABLE journal_row"))
    sent = wire.deposit()
    assert side.provide(sent).codes == ["XDSRepositoryError"]
    assert side.rows(*sent.unique_ids) == {}
    with side.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM entry").scalar() == 0
