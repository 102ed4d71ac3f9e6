"""Requests of foreign clients, recorded byte for byte, are answered as a correct server answers them.

All are played in their order against a fresh server; each test then looks at one answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

import pytest
from typer.testing import CliRunner

from conformance.answer import Answer
from liasse.commands import patient
from tests.e2e.server import running
from tests.interop.replay import play, readdressed
from tests.shared_data import shared

pytestmark = pytest.mark.corpus

PATIENT = "WIRE01^^^&1.2.250.1.213.1.4.10&ISO"
REPOSITORY = "1.2.250.1.999.8"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
STATUS = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
NOT_SUPPORTED = "{http://www.w3.org/2005/08/addressing}ActionNotSupported"

ORDER = {
    "ipf/iti41_one_document": "/repository",
    "ipf/iti41_two_documents_folder_replace": "/repository",
    "ipf/iti41_content_length": "/repository",
    "ipf/iti42_register": "/registry",
    "ipf/iti61_on_demand": "/registry",
    "ipf/iti18_find_documents": "/registry",
    "ipf/iti18_get_all": "/registry",
    "ipf/iti18_get_documents_uuid": "/registry",
    "ipf/iti18_get_documents_unique_id": "/registry",
    "ipf/iti18_find_by_reference_id": "/registry",
    "ipf/iti43_one_document": "/repository",
    "ipf/iti43_two_documents": "/repository",
    "ipf/iti57_new_version": "/registry",
    "ipf/iti57_status": "/registry",
    "ipf/iti86_remove_documents": "/repository",
    "ipf/iti18_get_documents_and_associations": "/registry",
    "ipf/iti62_remove_metadata": "/registry",
    "zeep/iti18_find_documents": "/registry",
    "zeep/iti43_one_document": "/repository",
}
LATER = (
    "ipf/iti61_on_demand",
    "ipf/iti86_remove_documents",
    "ipf/iti62_remove_metadata",
)
Answers = Mapping[str, Answer]


def request(name: str) -> bytes:
    return shared("corpus", "wire", *name.split("/"), "request.http").read_bytes()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """The answers to all requests, played in order against one server that was fresh."""
    settings = {
        "repository": {"unique_id": REPOSITORY, "content_check": "off"},
        "affinity_domain": {
            "codes": str(shared("corpus", "wire", "codes.json")),
            "patients": "known",
            "assigning_authorities": ["1.2.250.1.213.1.4.10"],
        },
    }
    with running(tmp_path_factory.mktemp("wire"), settings) as server:
        added = CliRunner().invoke(patient.app, ["add", "--config", str(server.config), PATIENT])
        assert added.exit_code == 0, added.output
        yield {name: play(server, readdressed(request(name), server, path)) for name, path in ORDER.items()}


def uid(number: int) -> str:
    return f"1.2.250.1.999.9.77.{number}"


def documents(answer: Answer) -> set[str]:
    return {item.value("uniqueId") for item in answer.of_kind("document")}


def succeeded(answer: Answer) -> bool:
    assert answer.result is not None, answer.fault
    assert answer.result.errors == ()
    return answer.result.status == SUCCESS


def stated(name: str, slot: str) -> list[str]:
    """The values of a slot in a request, in order."""
    return re.findall(rf'<Slot name="{slot}"><ValueList><Value>([^<]*)<', request(name).decode("utf-8", "replace"))


@pytest.mark.parametrize("name", ORDER)
def test_every_answer_is_well_formed_and_related(answers: Answers, name: str) -> None:
    answer = answers[name]
    assert answer.problems == ()
    sent = re.search(rb"(urn:uuid:[0-9a-f-]+)</(?:wsa:)?MessageID>", request(name))
    assert sent is not None
    assert answer.relates_to == (sent[1].decode(),)
    assert answer.soap == "1.2"


@pytest.mark.parametrize("name", [name for name in ORDER if name not in LATER])
def test_every_message_of_these_transactions_succeeds(answers: Answers, name: str) -> None:
    assert answers[name].http.status == 200
    assert succeeded(answers[name])


@pytest.mark.parametrize("name", LATER)
def test_actions_of_later_transactions_are_faults(answers: Answers, name: str) -> None:
    fault = answers[name].fault
    assert fault is not None
    assert fault.subcodes == (NOT_SUPPORTED,)


def test_deposits_are_answered_in_mtom(answers: Answers) -> None:
    for name in ORDER:
        assert (answers[name].package is not None) is ("iti41" in name or "iti43" in name), name


def test_the_first_deposit_keeps_its_ids_and_its_reference(answers: Answers) -> None:
    [found] = answers["ipf/iti18_find_by_reference_id"].of_kind("document")
    assert found.id == "urn:uuid:0a000000-0000-4000-8000-000000000001"
    assert found.value("uniqueId") == uid(1)
    [reference] = found.values("referenceIdList")
    assert reference.endswith("^urn:ihe:iti:xds:2013:accession")


def test_find_documents_gives_the_approved_stable_entries(answers: Answers) -> None:
    assert documents(answers["ipf/iti18_find_documents"]) == {uid(2), uid(3), uid(4), uid(7)}


def test_get_all_gives_sets_folder_and_associations_too(answers: Answers) -> None:
    answer = answers["ipf/iti18_get_all"]
    assert documents(answer) == {uid(1), uid(2), uid(3), uid(4), uid(7)}
    assert len(answer.of_kind("set")) == 4
    assert len(answer.of_kind("folder")) == 1
    kinds = [item.value("associationType").rpartition(":")[2] for item in answer.of_kind("association")]
    assert kinds.count("RPLC") == 1
    assert kinds.count("HasMember") >= 5 + 1


def test_the_replaced_entry_is_deprecated_and_the_new_one_is_xml(answers: Answers) -> None:
    found = {item.value("uniqueId"): item for item in answers["ipf/iti18_get_documents_uuid"].of_kind("document")}
    assert {key: item.value("status") for key, item in found.items()} == {
        uid(1): f"{STATUS}Deprecated",
        uid(2): f"{STATUS}Approved",
    }
    assert found[uid(2)].value("mimeType") == "text/xml"


def test_entries_are_found_by_unique_id(answers: Answers) -> None:
    found = {item.value("uniqueId"): item for item in answers["ipf/iti18_get_documents_unique_id"].of_kind("document")}
    assert set(found) == {uid(1), uid(3)}
    assert found[uid(3)].value("mimeType") == "application/pdf"
    assert found[uid(3)].value("size") == "3000"


def test_the_entry_says_xml_although_its_part_does_not(answers: Answers) -> None:
    found = {item.value("uniqueId"): item for item in answers["ipf/iti18_find_documents"].of_kind("document")}
    assert b"Content-Type: application/octet-stream" in request("ipf/iti41_content_length")
    assert found[uid(4)].value("mimeType") == "text/xml"


def test_a_deprecated_document_stays_retrievable(answers: Answers) -> None:
    [document] = answers["ipf/iti43_one_document"].documents
    assert document.unique_id == uid(1)
    assert len(document.data or b"") == 278
    assert hashlib.sha1(document.data or b"").hexdigest() == stated("ipf/iti41_one_document", "hash")[0]


def test_two_documents_come_back_with_the_hashes_they_were_sent_with(answers: Answers) -> None:
    found = answers["ipf/iti43_two_documents"].documents
    assert [document.unique_id for document in found] == [uid(2), uid(3)]
    hashes = stated("ipf/iti41_two_documents_folder_replace", "hash")
    assert [hashlib.sha1(document.data or b"").hexdigest() for document in found] == hashes
    assert set(found[1].data or b"") == set(range(256))


def test_both_versions_of_the_updated_entry_come_with_their_associations(answers: Answers) -> None:
    answer = answers["ipf/iti18_get_documents_and_associations"]
    old, new = sorted(answer.of_kind("document"), key=lambda item: item.value("version"))
    assert {old.value("uniqueId"), new.value("uniqueId")} == {uid(7)}
    assert (old.value("version"), old.value("status")) == ("1", f"{STATUS}Deprecated")
    assert (new.value("version"), new.value("status")) == ("2", f"{STATUS}Approved")
    assert old.value("lid") == new.value("lid") == old.id
    kinds = [item.value("associationType").rpartition(":")[2] for item in answer.of_kind("association")]
    assert kinds == ["HasMember", "HasMember"]


def test_a_generated_client_finds_and_retrieves(answers: Answers) -> None:
    assert documents(answers["zeep/iti18_find_documents"]) == {uid(3), uid(4), uid(7)}, "the update deprecated the second"
    [document] = answers["zeep/iti43_one_document"].documents
    assert document.unique_id == uid(2)
    assert document.included
    assert hashlib.sha1(document.data or b"").hexdigest() == stated("ipf/iti41_two_documents_folder_replace", "hash")[0]
