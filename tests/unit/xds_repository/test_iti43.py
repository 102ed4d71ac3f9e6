"""ITI-43 on a real store and database: the stored bytes in order, an error for each that cannot be given."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from access_control.decision import Decision
from access_control.scope import AllOf, AnyOf, CodesWithin, Scope
from database import Database
from journal.tables import journal_row
from soap.faults import Fault
from soap.transaction import Call, Incoming
from tests import samples
from tests.e2e import wire
from tests.e2e.wire import PDF
from tests.repository_side import RepositorySide, repository_side
from xds_metadata.patients import patient_column
from xds_repository import iti43
from xds_repository.documents import reinstate_documents, withdraw_documents
from xds_repository.file_store import SMALL
from xds_repository.iti43 import _media_type
from xds_repository.messages import DocumentRequest, write_retrieve_request
from xds_repository.store import BlobCorrupt
from xmlsafe import parse

LARGE = PDF + bytes(SMALL)


def test_documents_come_in_the_order_asked_for(side: RepositorySide) -> None:
    one, two, three = side.accept(wire.deposit(b"one", b"two", b"three")).unique_ids
    answer = side.retrieve(three, one, two)
    assert (answer.status, answer.outcome, answer.errors) == ("Success", "success", ())
    assert [(d.unique_id, d.data) for d in answer.documents] == [(three, b"three"), (one, b"one"), (two, b"two")]
    assert {d.repository for d in answer.documents} == {samples.REPOSITORY}


def test_bytes_are_those_that_were_sent(side: RepositorySide) -> None:
    """F23, F35, F121: any bytes, small and large; nothing is decoded, edited or given a charset."""
    documents = (bytes(range(256)), "é è ç".encode(), b"\r\n\r\nabc\r\n\r\n", LARGE, b'<?xml-stylesheet href="x"?><a/>')
    entries = [
        wire.entry(mime_type=mime) for mime in ("application/pdf", "text/plain", "text/plain", "image/tiff", "text/xml")
    ]
    sent = side.accept(wire.Deposit(samples.submission(*entries), documents))
    found = side.retrieve(*sent.unique_ids).documents
    assert [d.data for d in found] == list(documents)
    assert [d.mime_type for d in found] == [e.mime_type for e in entries]
    assert [d.attachment.media_type for d in found] == [e.mime_type for e in entries]
    assert [d.attachment.size for d in found] == [len(data) for data in documents]


def test_a_document_asked_for_twice_comes_twice(side: RepositorySide) -> None:
    (one,) = side.accept(wire.deposit(PDF)).unique_ids
    answer = side.retrieve(one, one)
    assert [d.data for d in answer.documents] == [PDF, PDF]
    assert len({d.attachment.content_id for d in answer.documents}) == 2


def test_an_unknown_document_beside_a_known_one(side: RepositorySide) -> None:
    """F83."""
    (known,) = side.accept(wire.deposit(PDF)).unique_ids
    answer = side.retrieve("1.2.3.4", known)
    assert (answer.status, answer.outcome) == ("PartialSuccess", "partial")
    assert [(e.code, e.location, e.severity) for e in answer.errors] == [("XDSDocumentUniqueIdError", "1.2.3.4", "Error")]
    assert [d.unique_id for d in answer.documents] == [known]


def test_an_unknown_document_alone(side: RepositorySide) -> None:
    """F83."""
    answer = side.retrieve("1.2.3.4", "1.2.3.5")
    assert (answer.status, answer.outcome, answer.documents) == ("Failure", "failure", ())
    assert [(e.code, e.location) for e in answer.errors] == [
        ("XDSDocumentUniqueIdError", "1.2.3.4"),
        ("XDSDocumentUniqueIdError", "1.2.3.5"),
    ]
    assert [e.context.partition(": ")[0] for e in answer.errors] == ["1.2.3.4", "1.2.3.5"]


@pytest.mark.parametrize("repository", [f"urn:oid:{samples.REPOSITORY}", "1.2.250.1.999.111", f" {samples.REPOSITORY}"])
def test_another_repository_is_not_ours(side: RepositorySide, repository: str) -> None:
    """F82: the identifier is compared exactly; the prefix urn:oid: is not ours to drop."""
    (known,) = side.accept(wire.deposit(PDF)).unique_ids
    answer = side.retrieve(known, repository=repository)
    assert (answer.status, answer.codes) == ("Failure", ["XDSUnknownRepositoryId"])
    assert answer.text.startswith(f"{known}: repositoryUniqueId '{repository}' is not")
    assert answer.text.endswith(samples.REPOSITORY)


def test_one_wrong_repository_does_not_spoil_the_rest(side: RepositorySide) -> None:
    (known,) = side.accept(wire.deposit(PDF)).unique_ids
    answer = side.ask([DocumentRequest("1.2.3", known), DocumentRequest(samples.REPOSITORY, known)])
    assert (answer.status, answer.codes) == ("PartialSuccess", ["XDSUnknownRepositoryId"])
    assert len(answer.documents) == 1


@pytest.mark.parametrize("home", ["urn:oid:1.2.250.1.999.55", "1.2.3"])
def test_the_home_community_is_echoed_and_never_blocks(side: RepositorySide, home: str) -> None:
    """F82."""
    (known,) = side.accept(wire.deposit(PDF)).unique_ids
    (document,) = side.retrieve(known, home=home).documents
    assert (document.home, document.data) == (home, PDF)
    (document,) = side.retrieve(known).documents
    assert document.home is None


def test_unique_ids_are_compared_exactly(side: RepositorySide) -> None:
    """F45."""
    ids = ("urn:uuid:5c1f0000-0000-4000-8000-000000000001", "https://h.example/doc/1", "1.2.3^ABC-2024", "1.2.3^abc-2024")
    for unique_id in ids:
        side.accept(wire.deposit(unique_id.encode(), unique_id=unique_id))
    assert [d.data for d in side.retrieve(*ids).documents] == [unique_id.encode() for unique_id in ids]
    assert side.retrieve("HTTPS://h.example/doc/1").codes == ["XDSDocumentUniqueIdError"]


def test_more_documents_than_are_given_at_once(side: RepositorySide) -> None:
    answer = side.retrieve(*(f"1.2.{n}" for n in range(6)))
    assert answer.codes == ["XDSTooManyResults"]
    assert len(side.retrieve(*(f"1.2.{n}" for n in range(5))).errors) == 5


def test_a_body_that_breaks_its_schema(side: RepositorySide) -> None:
    answer = side.send(
        side.iti43, f'<x:RetrieveDocumentSetRequest xmlns:x="{wire.XDS}"><x:Wrong/></x:RetrieveDocumentSetRequest>'.encode()
    )
    assert (answer.status, answer.outcome) == ("Failure", "failure")
    assert set(answer.codes) == {"XDSRepositoryError"}


@pytest.mark.parametrize("data", [PDF, LARGE])
def test_damaged_bytes_are_never_given(side: RepositorySide, data: bytes) -> None:
    sent = side.accept(wire.deposit(data))
    (sha256,) = side.blobs()
    path = side.blob(sha256)
    path.write_bytes(b"x" + data[1:])
    if len(data) <= SMALL:
        answer = side.retrieve(*sent.unique_ids)
        assert (answer.status, answer.codes) == ("Failure", ["XDSRepositoryError"])
        assert answer.errors[0].location == sent.unique_ids[0]
    else:
        with pytest.raises(BlobCorrupt):
            side.retrieve(*sent.unique_ids)
    assert not path.exists()
    assert len(side.store.quarantined()) == 1
    assert side.retrieve(*sent.unique_ids).codes == ["XDSRepositoryError"]


@pytest.mark.parametrize("data", [PDF, LARGE])
def test_bytes_that_are_too_few_are_never_given(side: RepositorySide, data: bytes) -> None:
    sent = side.accept(wire.deposit(data))
    (sha256,) = side.blobs()
    side.blob(sha256).write_bytes(data[:-1])
    assert side.retrieve(*sent.unique_ids).codes == ["XDSRepositoryError"]


def test_a_lost_blob_beside_a_sound_one(side: RepositorySide) -> None:
    lost, sound = side.accept(wire.deposit(b"lost", b"sound")).unique_ids
    side.blob(side.rows(lost)[lost].sha256).unlink()
    answer = side.retrieve(lost, sound)
    assert (answer.status, answer.codes) == ("PartialSuccess", ["XDSRepositoryError"])
    assert [d.data for d in answer.documents] == [b"sound"]


def test_a_withdrawn_document_is_unknown(side: RepositorySide) -> None:
    (one,) = side.accept(wire.deposit(PDF)).unique_ids
    side.database.write(lambda c: withdraw_documents(c, [one], 1))
    assert side.retrieve(one).codes == ["XDSDocumentUniqueIdError"]
    side.database.write(lambda c: reinstate_documents(c, [one], 2))
    assert side.retrieve(one).status == "Success"


def test_the_journal_names_patient_and_document(side: RepositorySide) -> None:
    (one,) = side.accept(wire.deposit(PDF)).unique_ids
    side.retrieve(one, "1.2.3.4")
    assert set(side.journal()[1:]) == {
        ("retrieve", "Success", "allowed", f'[["document","{one}"]]'),
        ("retrieve", "Failure", "allowed", '[["document","1.2.3.4"]]'),
    }


def test_the_journal_is_committed_before_a_byte_is_given(side: RepositorySide) -> None:
    """No row, no document: the answer is a failure."""
    (one,) = side.accept(wire.deposit(PDF)).unique_ids
    side.database.write(lambda c: c.exec_driver_sql("DROP TABLE journal_row"))
    answer = side.retrieve(one)
    assert (answer.status, answer.codes, answer.documents) == ("Failure", ["XDSRepositoryError"], ())


def test_a_refused_reader_gets_a_fault(side: RepositorySide) -> None:
    (one,) = side.accept(wire.deposit(PDF)).unique_ids
    side.registry.policy.decision = Decision(allowed=False, rule="no")
    with pytest.raises(Fault, match="access denied"):
        side.retrieve(one)


def test_a_refusal_names_the_documents_and_whose_they_are(side: RepositorySide) -> None:
    """By patient where that is known; a message that was not decoded says only what stands in it."""
    one, two = side.accept(wire.deposit(PDF, b"two")).unique_ids
    requests = [DocumentRequest(samples.REPOSITORY, unique_id) for unique_id in (one, "1.2.3", two, "1.2.4")]
    body = parse(write_retrieve_request(requests))
    transaction = iti43.transaction(side.repository)
    incoming = Incoming("/repository", mtom=False, peer="192.0.2.1")
    call = Call(transaction, incoming, "urn:uuid:m", iti43.ACTION, None, body)
    claimed = tuple(("document", request.unique_id) for request in requests)
    assert [(a.patient, a.objects) for a in iti43.asked(side.repository, call)] == [("", claimed)]
    call.request = transaction.decode(call)
    whose = patient_column(samples.PATIENT)
    assert [(a.action, a.patient, a.objects) for a in iti43.asked(side.repository, call)] == [
        ("retrieve", whose, (("document", one),)),
        ("retrieve", whose, (("document", two),)),
        ("retrieve", "", (("document", "1.2.3"), ("document", "1.2.4"))),
    ]


@pytest.mark.parametrize(
    ("mime_type", "header"),
    [
        ("application/pdf", "application/pdf"),
        ("text/plain; charset=utf-8", "application/octet-stream"),
        ("text/xml\r\nX-Evil: 1", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_what_could_not_stand_in_a_header_does_not(mime_type: str, header: str) -> None:
    """F26."""
    assert _media_type(mime_type) == header


def test_a_document_survives_its_repository(database: Database, tmp_path: Path) -> None:
    with repository_side(database, tmp_path) as side:
        sent = side.accept(wire.deposit(PDF))
    with repository_side(database, tmp_path) as side:
        assert side.retrieve(*sent.unique_ids).documents[0].data == PDF


def patients(side: RepositorySide) -> set[str]:
    """Under whom the last two rows of the journal stand."""
    with side.database.read() as connection:
        rows = connection.execute(select(journal_row.c.patient).order_by(journal_row.c.at.desc()).limit(2))
        return set(rows.scalars())


def test_a_hidden_document_is_as_unknown_as_none(side: RepositorySide) -> None:
    """The answer differs by the identifier alone, whoever has the document; the row is under the patients looked at."""
    (known,) = side.accept(wire.deposit(PDF)).unique_ids
    unknown = known[:-1] + ("1" if known[-1] != "1" else "2")
    hidden, other = Scope(AnyOf(()), patients=("x^1.2",)), Scope(AllOf(()), patients=("x^1.2",))
    own = Scope(AllOf(()), patients=(patient_column(samples.PATIENT),))
    for scope in (hidden, other):
        side.registry.policy.shown = scope
        refused, nothing = side.retrieve(known), side.retrieve(unknown)
        assert refused.codes == ["XDSDocumentUniqueIdError"]
        assert refused.text == nothing.text.replace(unknown, known)
        assert patients(side) == {"x^1.2"}
    side.registry.policy.shown = own
    assert [d.data for d in side.retrieve(known).documents] == [PDF]
    assert side.retrieve(known, unknown).status == "PartialSuccess"


def test_restrictions_of_a_twin_count_and_those_of_another_patient_do_not(side: RepositorySide) -> None:
    secret, plain = samples.code("S"), samples.code("N")
    first = wire.entry(confidentiality_codes=(plain,))
    side.accept(wire.Deposit(samples.submission(first), (PDF,)))
    shown = Scope(CodesWithin((plain.pair,)), patients=(patient_column(samples.PATIENT),))
    side.registry.policy.shown = shown
    unique_id = first.unique_id or ""
    assert side.retrieve(unique_id).status == "Success"
    foreign = wire.entry(unique_id=unique_id, confidentiality_codes=(plain, secret), patient_id=samples.patient(2))
    side.registry.policy.shown = Scope(AllOf(()))
    side.accept(wire.Deposit(samples.submission(foreign), (PDF,)))
    side.registry.policy.shown = shown
    assert side.retrieve(unique_id).status == "Success"
    twin = wire.entry(unique_id=unique_id, confidentiality_codes=(plain, secret))
    side.accept(wire.Deposit(samples.submission(twin), (PDF,)))
    assert side.retrieve(unique_id).codes == ["XDSDocumentUniqueIdError"]
