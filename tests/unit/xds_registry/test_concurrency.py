"""Registrations that meet: whatever the interleaving, the result is that of some order of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests import samples as s
from tests.registry_side import Answer, Side, find_documents
from xds_metadata import associations as types
from xds_metadata.model import APPROVED, DEPRECATED, Submission

THREADS = 8


def _together(side: Side, submissions: Sequence[Submission]) -> list[Answer]:
    """All at once, each in a thread of its own."""
    gate = threading.Barrier(len(submissions))

    def one(value: Submission) -> Answer:
        gate.wait()
        return side.submit(value)

    with ThreadPoolExecutor(len(submissions)) as pool:
        return list(pool.map(one, submissions))


def test_one_unique_id_with_two_hashes(side: Side) -> None:
    for _ in range(5):
        unique_id = s.oid()
        answers = _together(
            side,
            [
                s.submission(s.entry(unique_id=unique_id, hash=s.sha1(str(i % 2)), patient_id=s.patient(i)))
                for i in range(THREADS)
            ],
        )
        accepted = {i % 2 for i, a in enumerate(answers) if a.status == "Success"}
        assert len(accepted) == 1
        assert {tuple(a.codes) for a in answers if a.status == "Failure"} == {("XDSNonIdenticalHash",)}
        assert len([a for a in answers if a.status == "Success"]) == THREADS // 2
        found = side.find("GetDocuments", [("$XDSDocumentEntryUniqueId", f"('{unique_id}')")], leaves=False)
        assert len(found.ids) == THREADS // 2


def test_one_submission_set_id_with_different_content(side: Side) -> None:
    owner = s.submission_set()
    answers = _together(side, [s.submission(s.entry(), owner=owner) for _ in range(THREADS)])
    assert [a.status for a in answers].count("Success") == 1
    assert {tuple(a.codes) for a in answers if a.status == "Failure"} == {("XDSDuplicateUniqueIdInRegistry",)}
    assert len(side.find("FindDocuments", find_documents()).ids) == 1


def test_one_message_sent_many_times_at_once(side: Side) -> None:
    entry = s.entry()
    made = s.objects(s.submission(entry))
    gate = threading.Barrier(THREADS)

    def one(_: int) -> tuple[str, tuple[str, ...]]:
        gate.wait()
        answer = side.submit(made)
        return answer.status, tuple(answer.codes)

    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(one, range(THREADS))) == {("Success", ())}
    assert len(side.documents(entry.unique_id or "")) == 1


def test_one_uuid_for_many_objects(side: Side) -> None:
    used = s.new_uuid()
    answers = _together(side, [s.submission(s.entry(entry_uuid=used)) for _ in range(THREADS)])
    assert [a.status for a in answers].count("Success") == 1
    assert {tuple(a.codes) for a in answers if a.status == "Failure"} == {("XDSRegistryMetadataError",)}


def test_a_document_is_replaced_once(side: Side) -> None:
    old = s.entry()
    side.accept(s.submission(old))
    target = side.document(old.unique_id or "").id
    new = [s.entry() for _ in range(THREADS)]
    answers = _together(side, [s.submission(e, links=[s.link(types.RPLC, e.entry_uuid, target)]) for e in new])
    assert [a.status for a in answers].count("Success") == 1
    assert {tuple(a.codes) for a in answers if a.status == "Failure"} == {("XDSRegistryDeprecatedDocumentError",)}
    assert len(side.find("FindDocuments", find_documents()).ids) == 1


def test_an_addendum_meets_the_replacement_of_what_stands_above(side: Side) -> None:
    for _ in range(6):
        top, child = s.entry(), s.entry()
        side.accept(s.submission(top))
        top_id = side.document(top.unique_id or "").id
        side.accept(s.submission(child, links=[s.link(types.APND, child.entry_uuid, top_id)]))
        child_id = side.document(child.unique_id or "").id
        new, addendum = s.entry(), s.entry()
        _, added = _together(
            side,
            [
                s.submission(new, links=[s.link(types.RPLC, new.entry_uuid, top_id)]),
                s.submission(addendum, links=[s.link(types.APND, addendum.entry_uuid, child_id)]),
            ],
        )
        assert side.document(child.unique_id or "").status == DEPRECATED
        if added.status == "Success":
            assert side.document(addendum.unique_id or "").status == DEPRECATED
        else:
            assert added.codes == ["XDSRegistryDeprecatedDocumentError"]
        assert side.document(new.unique_id or "").status == APPROVED


def test_a_reader_sees_a_submission_whole_or_not_at_all(side: Side) -> None:
    stop = threading.Event()
    torn: list[tuple[int, ...]] = []

    def read() -> None:
        while not stop.is_set():
            answer = side.find(
                "GetAll",
                [
                    ("$patientId", f"'{s.PATIENT}'"),
                    *((f"$XDS{kind}Status", f"('{APPROVED}')") for kind in ("DocumentEntry", "SubmissionSet", "Folder")),
                ],
            ).objects
            seen = (len(answer.extrinsic_objects), len(answer.packages), len(answer.associations))
            if seen[0] != 2 * seen[1] or seen[2] != 2 * seen[1]:
                torn.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(25):
            side.accept(s.submission(s.entry(), s.entry()))
    finally:
        stop.set()
        reader.join()
    assert torn == []
