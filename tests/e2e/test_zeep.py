"""A client that nobody here wrote: zeep, unmodified and strict, without its WS-Addressing plug-in, from the served WSDLs."""

from __future__ import annotations

from typing import Any

import pytest
import zeep

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer
from tests.e2e.wire import PDF

DOCUMENT = PDF + bytes(range(256)) * 40 + b"%%EOF"
"""zeep strips line ends off the end of a part that says binary, which this therefore does not end with."""

FIND_DOCUMENTS = wire.IDS["FindDocuments"]
APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
AUTHOR_SCHEME = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
PERSON = "899700000001^Lef\u00e8vre & fils^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO"


def client_of(url: str) -> Any:
    """A client of the WSDL that the server gives."""
    make: Any = zeep.Client
    return make(f"{url}?wsdl")


@pytest.fixture(scope="module")
def deposit(server: RunningServer) -> wire.Deposit:
    """A deposit of one patient, with an author of its own."""
    sent = wire.deposit(DOCUMENT, patient_id=samples.patient("ZEEP"), authors=(samples.author(PERSON),))
    assert wire.send(server, sent.message()).verdict == "Success"
    return sent


def asked(patient: str, return_type: str) -> dict[str, Any]:
    slots = {"$XDSDocumentEntryPatientId": f"'{patient}'", "$XDSDocumentEntryStatus": APPROVED}
    return {
        "ResponseOption": {"returnType": return_type, "returnComposedObjects": True},
        "AdhocQuery": {
            "id": FIND_DOCUMENTS,
            "Slot": [{"name": name, "ValueList": {"Value": [value]}} for name, value in slots.items()],
        },
    }


def only(item: Any) -> Any:
    """A member of an xs:choice as zeep gives it: one name, one value."""
    (value,) = [item[name] for name in item if item[name] is not None]
    return value


def test_zeep_finds_a_document_and_reads_its_author(server: RunningServer, deposit: wire.Deposit) -> None:
    client = client_of(server.registry_url)
    answer = client.service.DocumentRegistry_RegistryStoredQuery(**asked(samples.patient("ZEEP"), "LeafClass"))
    assert answer.status.endswith(":Success")
    (entry,) = [only(item) for item in answer.RegistryObjectList._value_1]
    assert type(entry).__name__ == "ExtrinsicObjectType"
    (author,) = [part for part in entry.Classification if part.classificationScheme == AUTHOR_SCHEME]
    slots = {slot.name: slot.ValueList.Value for slot in author.Slot}
    assert slots["authorPerson"] == [PERSON]
    assert deposit.unique_ids[0] in [identifier.value for identifier in entry.ExternalIdentifier]


def test_zeep_reads_references(server: RunningServer, deposit: wire.Deposit) -> None:
    client = client_of(server.registry_url)
    answer = client.service.DocumentRegistry_RegistryStoredQuery(**asked(samples.patient("ZEEP"), "ObjectRef"))
    (reference,) = [only(item) for item in answer.RegistryObjectList._value_1]
    assert reference.id.startswith("urn:uuid:")


def test_zeep_reads_a_refusal(server: RunningServer) -> None:
    client = client_of(server.registry_url)
    question = asked("no patient", "LeafClass")
    answer = client.service.DocumentRegistry_RegistryStoredQuery(**question)
    assert answer.status.endswith(":Failure")
    (error,) = answer.RegistryErrorList.RegistryError
    assert error.errorCode == "XDSRegistryError"


def test_zeep_retrieves_the_bytes(server: RunningServer, deposit: wire.Deposit) -> None:
    """It asks in simple SOAP and reads the MTOM answer."""
    client = client_of(server.repository_url)
    request = {"RepositoryUniqueId": DEFAULT_REPOSITORY_ID, "DocumentUniqueId": deposit.unique_ids[0]}
    answer = client.service.DocumentRepository_RetrieveDocumentSet(DocumentRequest=[request])
    (document,) = answer.DocumentResponse
    assert document.Document == DOCUMENT
    assert document.mimeType == "application/pdf"
    assert answer.RegistryResponse.status.endswith(":Success")


def test_zeep_reads_a_fault(server: RunningServer) -> None:
    """A message that breaks WS-Addressing: the plug-in doubles the headers that zeep writes by itself."""
    client = client_of(server.registry_url)
    action = "{http://www.w3.org/2005/08/addressing}Action"
    doubled = client.create_message(
        client.service, "DocumentRegistry_RegistryStoredQuery", **asked(samples.patient("ZEEP"), "LeafClass")
    )
    header = next(doubled.iter(action)).getparent()
    again = header.makeelement(action)
    again.text = next(doubled.iter(action)).text
    header.append(again)
    operation = client.service._binding.get("DocumentRegistry_RegistryStoredQuery")
    response = client.transport.post_xml(server.registry_url, doubled, {"Content-Type": "application/soap+xml"})
    with pytest.raises(zeep.exceptions.Fault, match="Action"):
        client.service._binding.process_reply(client, operation, response)


def test_the_served_address_is_the_one_asked(server: RunningServer) -> None:
    for url in (server.registry_url, server.repository_url):
        assert client_of(url).service._binding_options["address"] == url
