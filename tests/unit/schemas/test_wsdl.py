"""The served WSDL: an unmodified client loads it, and its object model is the validated one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree

from schemas import wsdl
from schemas.paths import MESSAGES, schema_files
from tests.shared_data import shared
from tests.unit.schemas.mutants import every_small_change
from tests.unit.schemas.samples import samples
from tests.wire_bodies import bodies_below
from xmlsafe.namespaces import LCM, QUERY, RS, SOAP12, WSDL_SOAP12, XDS, XOP
from xmlsafe.schema import Schema

QUERY_OPERATION = "DocumentRegistry_RegistryStoredQuery"
RETRIEVE_OPERATION = "DocumentRepository_RetrieveDocumentSet"
AUTHOR = "801234567890^DUPONT^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO"

LEAF_CLASS_ANSWER = f"""
<q:AdhocQueryResponse xmlns:q="{QUERY}" xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
  status="urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success">
  <r:RegistryObjectList>
    <r:ExtrinsicObject id="urn:uuid:00000000-0000-4000-8000-000000000001" mimeType="text/xml" isOpaque="false">
      <r:Slot name="creationTime"><r:ValueList><r:Value>20261125101112</r:Value></r:ValueList></r:Slot>
      <r:Name><r:LocalizedString xml:lang="fr-FR" value="Synthèse"/></r:Name>
      <r:Classification id="c1" classifiedObject="o" classificationScheme="urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
        nodeRepresentation="">
        <r:Slot name="authorPerson"><r:ValueList><r:Value>{AUTHOR.replace("&", "&amp;")}</r:Value></r:ValueList></r:Slot>
      </r:Classification>
      <r:ExternalIdentifier id="e1" registryObject="o" value="1.2.3"
        identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab">
        <r:Name><r:LocalizedString value="XDSDocumentEntry.uniqueId"/></r:Name>
      </r:ExternalIdentifier>
    </r:ExtrinsicObject>
    <r:Association id="a1" associationType="urn:a" sourceObject="s" targetObject="t"/>
    <r:ObjectRef id="urn:uuid:00000000-0000-4000-8000-000000000002"/>
  </r:RegistryObjectList>
</q:AdhocQueryResponse>"""


class Answer:
    """What zeep sees of an HTTP answer."""

    status_code = 200
    encoding = "utf-8"

    def __init__(self, body: str) -> None:
        self.headers = {"Content-Type": "application/soap+xml; charset=UTF-8"}
        self.content = f'<s:Envelope xmlns:s="{SOAP12}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


def client_of(location: str) -> Any:
    """An unmodified client of the WSDL at `location`, strict as by default."""
    make: Any = zeep.Client
    return make(location)


def reply(client: Any, operation: str, body: str) -> Any:
    binding = client.service._binding
    return binding.process_reply(client, binding.get(operation), Answer(body))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wsdl")
    for service in (wsdl.REGISTRY, wsdl.REPOSITORY, wsdl.HABILITATIONS):
        for name, content in wsdl.bundle(service, "http://127.0.0.1:9/x").items():
            (path / name).write_bytes(content)
    return path


@pytest.fixture(scope="module")
def client_view(folder: Path) -> Schema:
    return Schema([folder / name for name in ("rim.xsd", "rs.xsd", "lcm.xsd", "query.xsd", "xdsb.xsd")])


@contextmanager
def served() -> Iterator[str]:
    """The WSDLs and schemas behind HTTP, as the server offers them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            service, base = path.strip("/"), f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            if query == "wsdl":
                content: bytes | None = wsdl.render(service, f"{base}/{service}")
            else:
                content = wsdl.schema_file(query.removeprefix("xsd="))
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_zeep_reads_a_leaf_class_answer(folder: Path) -> None:
    client = client_of(str(folder / "registry.wsdl"))
    answer = reply(client, QUERY_OPERATION, LEAF_CLASS_ANSWER)
    entry, association, reference = (next(iter(item.values())) for item in map(dict_of, answer.RegistryObjectList._value_1))
    slot = entry.Classification[0].Slot[0]
    assert (slot.name, slot.ValueList.Value) == ("authorPerson", [AUTHOR])
    assert entry.Name.LocalizedString[0].value == "Synthèse"
    assert entry.ExternalIdentifier[0].Name.LocalizedString[0].value == "XDSDocumentEntry.uniqueId"
    assert association.targetObject == "t"
    assert reference.id.endswith("2")


def dict_of(item: Any) -> dict[str, Any]:
    """A member of an xs:choice as zeep gives it: one name, one value."""
    return {name: item[name] for name in item if item[name] is not None}


def test_zeep_builds_a_stored_query_with_addressing(folder: Path) -> None:
    client = client_of(str(folder / "registry.wsdl"))
    query = {
        "id": "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "Slot": [{"name": "$s", "ValueList": {"Value": ["('x')"]}}],
    }
    message = client.create_message(
        client.service, QUERY_OPERATION, ResponseOption={"returnType": "LeafClass"}, AdhocQuery=query
    )
    assert [e.text for e in message.iter("{http://www.w3.org/2005/08/addressing}Action")] == [
        "urn:ihe:iti:2007:RegistryStoredQuery"
    ]
    body = message.find(f"{{{SOAP12}}}Body")[0]
    assert Schema(schema_files(MESSAGES)).findings(body) == ()


def test_zeep_retrieves_over_the_served_schemas() -> None:
    with served() as base:
        client = client_of(f"{base}/repository?wsdl")
        request = {"RepositoryUniqueId": "1.2", "DocumentUniqueId": "1.3"}
        message = client.create_message(client.service, RETRIEVE_OPERATION, DocumentRequest=[request, request])
        address = client.service._binding_options["address"]
    assert address == f"{base}/repository"
    body = message.find(f"{{{SOAP12}}}Body")[0]
    assert len(body) == 2
    assert Schema(schema_files(MESSAGES)).findings(body) == ()


def test_zeep_reads_a_retrieved_document(folder: Path) -> None:
    client = client_of(str(folder / "repository.wsdl"))
    body = etree.tostring(samples("shared")["retrieve_response"], encoding="unicode")
    answer = reply(client, RETRIEVE_OPERATION, body)
    assert answer.DocumentResponse[0].Document == b"ABCD"
    assert answer.RegistryResponse.RegistryErrorList.RegistryError[0].errorCode == "E"


def test_zeep_asks_for_an_authorisation_and_a_list(folder: Path) -> None:
    client = client_of(str(folder / "habilitations.wsdl"))
    sent = client.create_message(client.service, "setAuthorization", action="AJOUT", role="MEDECIN_TRAITANT")
    assert sent.findtext(".//{*}setAuthorization/{*}role") == "MEDECIN_TRAITANT"
    answer = reply(
        client,
        "listAuthorizationByPatient",
        '<h:listAuthorizationByPatientResponse xmlns:h="urn:si-dmp-habilitations"><h:output><h:listOfAuthorizationByPatient>'
        "<h:nationalId>899700000001</h:nationalId><h:mode>ACTIVE</h:mode></h:listOfAuthorizationByPatient>"
        "<h:status>DMPOk</h:status><h:context/></h:output></h:listAuthorizationByPatientResponse>",
    )
    assert (answer.status, answer.listOfAuthorizationByPatient[0].nationalId) == ("DMPOk", "899700000001")


def test_a_profile_may_answer_under_its_own_action() -> None:
    published, ours = "urn:ihe:iti:2010:UpdateDocumentSetResponse", "urn:ihe:iti:2010:UpdateDocumentSet-Response"
    text = wsdl.render(wsdl.REGISTRY, "http://h.example/registry", {published: ours})
    assert (text.count(ours.encode()), text.count(published.encode())) == (1, 0)


def test_handmade_messages_are_accepted_by_both_views(client_view: Schema) -> None:
    for name, message in samples("shared").items():
        assert client_view.findings(message) == (), name


def test_the_views_judge_every_small_change_alike(client_view: Schema) -> None:
    strict = Schema(schema_files(MESSAGES))
    judged = {True: 0, False: 0}
    for name, message in samples("shared").items():
        for number, changed in enumerate(every_small_change(message)):
            if number % 7 == 0:
                verdict = strict.is_valid(changed)
                judged[verdict] += 1
                assert client_view.is_valid(changed) == verdict, f"{name}: {etree.tostring(changed)[:2000]!r}"
    assert min(judged.values()) > 500


@pytest.mark.corpus
def test_captured_messages_are_judged_alike_by_both_views(client_view: Schema) -> None:
    strict, accepted = Schema(schema_files(MESSAGES)), 0
    for folder in (shared("corpus", "wire"), shared("corpus", "dmp-messages")):
        for path, body in bodies_below(folder, ".http", ".xml"):
            if etree.QName(body).namespace in (LCM, QUERY, RS, XDS):
                verdict = strict.is_valid(body)
                assert client_view.is_valid(body) == verdict, path
                accepted += verdict
    assert accepted >= 40


@pytest.mark.parametrize("service", [wsdl.REGISTRY, wsdl.REPOSITORY])
def test_the_address_is_escaped(service: str) -> None:
    address = 'https://example.org/a?b=1&c="<x>"'
    root = etree.fromstring(wsdl.render(service, address))
    assert [e.get("location") for e in root.iter(f"{{{WSDL_SOAP12}}}address")] == [address]


@pytest.mark.parametrize("name", ["rim.xsd", "rs.xsd", "lcm.xsd", "query.xsd", "xdsb.xsd", "xml.xsd"])
def test_every_reference_of_a_served_schema_is_served(name: str) -> None:
    content = wsdl.schema_file(name)
    assert content is not None
    for element in etree.fromstring(content).iter("{http://www.w3.org/2001/XMLSchema}import"):
        location = element.get("schemaLocation")
        assert location is not None
        assert location.startswith("?xsd=")
        assert wsdl.schema_file(location.removeprefix("?xsd=")) is not None


@pytest.mark.parametrize("name", ["", "registry.wsdl", "../paths.py", "ebrim/rs.xsd", "/etc/passwd", "RIM.XSD", "rim.xsd\0"])
def test_nothing_else_is_served(name: str) -> None:
    assert wsdl.schema_file(name) is None


def test_another_service_is_unknown() -> None:
    with pytest.raises(KeyError):
        wsdl.render("other", "http://127.0.0.1/")


def test_an_include_is_no_part_of_the_view(client_view: Schema) -> None:
    """Both views leave the package to others: a Document is base64, included or not."""
    message = samples("shared")["provide"]
    document = message[-1]
    etree.SubElement(document, f"{{{XOP}}}Include", href="cid:1")
    assert client_view.is_valid(message)
