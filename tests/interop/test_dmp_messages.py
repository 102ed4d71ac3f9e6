"""The published deposit, search and retrieval messages of the DMP against a server of the `dmp` profile.

The deposit was filed as the body of a multipart message with bare line feeds and without HTTP header. Both are put right
here, in delimiters and part headers only; every byte of the parts stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.answer import Answer, read_answer
from conformance.exchange import HttpResponse
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from liasse.wiring import open_actors, prepare, soap_server
from soap.transaction import Incoming
from tests.e2e.conftest import ServerFactory
from tests.e2e.server import RunningServer, running, write_config
from tests.interop.replay import play
from tests.shared_data import shared
from xds_metadata.profile import DMP, IHE, Profile

pytestmark = pytest.mark.corpus

REPOSITORY = "1.2.250.1.213.4.1.1.1.2"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
SETTINGS = {
    "profile": "dmp",
    "access": {"policy": "open"},
    "repository": {"unique_id": REPOSITORY, "content_check": "warn"},
    "affinity_domain": {"codes": "dmp", "patients": "any", "assigning_authorities": ["1.2.250.1.213.1.4.10"]},
}


def filed(name: str) -> bytes:
    return shared("corpus", "dmp-messages", name).read_bytes()


def boundary() -> str:
    """Line 1 of the deposit without its two leading hyphens."""
    return filed("TD2.1_Alimentation_request.xml").split(b"\n", 1)[0].decode("ascii").removeprefix("--")


def parts() -> list[tuple[bytes, bytes]]:
    """(header block, content) of each part as filed."""
    message = filed("TD2.1_Alimentation_request.xml")
    delimiter = b"--" + boundary().encode()
    assert message.startswith(delimiter + b"\n")
    assert message.endswith(b"\n" + delimiter + b"--")
    inside = message[len(delimiter) + 1 : -len(delimiter) - 3].split(b"\n" + delimiter + b"\n")
    return [(head, content) for head, _, content in (part.partition(b"\n\n") for part in inside)]


def deposit() -> bytes:
    """The deposit with CRLF in its delimiters and part headers."""
    delimiter = b"--" + boundary().encode()
    body = b"".join(
        delimiter + b"\r\n" + head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + content + b"\r\n" for head, content in parts()
    )
    return body + delimiter + b"--"


def post(server: RunningServer, path: str, content_type: str, body: bytes) -> Answer:
    fields = {"Host": server.address, "Content-Type": content_type, "Content-Length": str(len(body))}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return play(server, head.encode("ascii") + b"\r\n" + body)


def post_deposit(server: RunningServer, body: bytes) -> Answer:
    content_type = (
        f'multipart/related; type="application/xop+xml"; start="<rootpart@soapui.org>"; '
        f'start-info="application/soap+xml"; boundary="{boundary()}"'
    )
    return post(server, "/repository", content_type, body)


def search(server: RunningServer) -> Answer:
    return post(server, "/registry", "application/soap+xml; charset=UTF-8", filed("TD3.1_Recherche_de_document_request.xml"))


def retrieve(server: RunningServer, repository: str, unique_id: str) -> Answer:
    """The retrieval with its ids adapted."""
    message = filed("TD3.2_Consultation_dun_document_request.xml")
    for element, value in (("RepositoryUniqueId", repository), ("DocumentUniqueId", unique_id)):
        message, count = re.subn(
            f"<{element}>[^<]*</{element}>".encode(), f"<{element}>{value}</{element}>".encode(), message
        )
        assert count == 1
    return post(server, "/repository", "application/soap+xml; charset=UTF-8", message)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("dmp"), SETTINGS) as started:
        yield started


@pytest.fixture(scope="module")
def deposited(server: RunningServer) -> Answer:
    """The answer to the deposit, once."""
    return post_deposit(server, deposit())


def test_the_parts_are_unchanged_by_the_line_ends() -> None:
    assert [len(content) for _, content in parts()] == [
        len(part.split(b"\r\n\r\n", 1)[1]) for part in deposit().split(b"\r\n--" + boundary().encode())[0:3]
    ]


def test_the_deposit_is_refused_as_filed(server: RunningServer) -> None:
    answer = post_deposit(server, filed("TD2.1_Alimentation_request.xml"))
    assert answer.result is None
    assert answer.fault is not None or answer.http.status == 400
    assert search(server).of_kind("document") == ()


def test_the_deposit_is_accepted(deposited: Answer) -> None:
    assert deposited.fault is None
    assert deposited.http.status == 200
    assert deposited.result is not None
    assert [error for error in deposited.result.errors if error.severity.endswith(":Error")] == []
    assert deposited.result.status == SUCCESS
    assert deposited.relates_to == ("urn:uuid:b3745a7c-4d1a-4cfd-a752-536197e4ac7a",)


def test_the_search_finds_document_and_signature(server: RunningServer, deposited: Answer) -> None:
    answer = search(server)
    assert answer.result is not None
    assert answer.result.status == SUCCESS
    found = answer.of_kind("document")
    assert len(found) == 2
    assert "27899-4^^2.16.840.1.113883.6.1" in {document.value("typeCode") for document in found}
    assert {document.value("patientId").partition("^")[0] for document in found} == {"207058575627097"}


def test_both_parts_are_retrieved_as_they_came(server: RunningServer, deposited: Answer) -> None:
    found = {}
    for document in search(server).of_kind("document"):
        answer = retrieve(server, document.value("repositoryUniqueId"), document.value("uniqueId"))
        assert answer.result is not None
        assert answer.result.status == SUCCESS, answer.result.errors
        [one] = answer.documents
        found[one.unique_id] = one.data or b""
    assert sorted(found.values(), key=len) == sorted((content for _, content in parts()[1:]), key=len)


def test_an_unknown_id_is_an_error_of_its_own(server: RunningServer, deposited: Answer) -> None:
    answer = retrieve(server, REPOSITORY, "1.2.250.1.999.1.1.7898.1.995657292")
    assert answer.result is not None
    assert [error.code for error in answer.result.errors] == ["XDSDocumentUniqueIdError"]


def test_plain_ihe_refuses_the_deposit(make_server: ServerFactory) -> None:
    plain = make_server({**SETTINGS, "profile": "ihe", "server": {"workers": 1}})
    answer = post_deposit(plain, deposit())
    assert answer.result is None
    assert answer.fault is not None
    assert search(plain).of_kind("document") == ()


def answer_of(profile: Profile, directory: Path) -> Answer | None:
    """What the deposit's root part is answered before its documents are read; None where they are asked for."""
    settings = load_settings(write_config(directory, SETTINGS))
    init_storage(settings)
    ready = replace(prepare(settings), profile=profile)
    actors = open_actors(ready)
    try:
        incoming = Incoming(path="/repository", mtom=True, peer="127.0.0.1")
        reply = soap_server(actors, ready).open(parts()[0][1], incoming).reply
    finally:
        actors.close()
    if reply is None:
        return None
    headers = (("Content-Type", "application/soap+xml"),)
    return read_answer(HttpResponse(reply.status, "", headers, b"".join(reply.pieces)))


def test_the_root_part_is_accepted_with_all_switches(tmp_path: Path) -> None:
    assert answer_of(DMP, tmp_path) is None


@pytest.mark.parametrize(
    ("profile", "rule"),
    [
        (replace(DMP, wire=replace(DMP.wire, soap11_in_mtom_root=False)), "SOAP"),
        (replace(DMP, wire=replace(DMP.wire, unprefixed_must_understand=False)), "mustUnderstand"),
        (replace(DMP, document_id_caseless=False), "ocumentME2"),
        (replace(DMP, signs_submission_set=False), "signs"),
        (replace(DMP, unlisted_type_code=False), "27899-4"),
        (replace(DMP, author_without_node_representation=False), "nodeRepresentation"),
        (replace(DMP, datatypes=IHE.datatypes), "patientId"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_switch_is_needed(profile: Profile, rule: str, tmp_path: Path) -> None:
    answer = answer_of(profile, tmp_path)
    assert answer is not None
    errors = answer.result.errors if answer.result else ()
    reasons = [answer.fault.reason] if answer.fault else [error.context for error in errors]
    assert any(rule in reason for reason in reasons), reasons
