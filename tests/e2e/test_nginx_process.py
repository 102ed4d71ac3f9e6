"""The server itself on a Unix socket behind nginx with the sample configuration: the same answers as without."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.hostile_metadata import metadata_attacks
from tests.e2e.hostile_mime import mime_attacks
from tests.e2e.hostile_xml import Attack, xml_attacks
from tests.e2e.server import RunningServer, running
from tests.e2e.wire import PDF, Message, Seen
from tests.nginx import nginx

pytestmark = pytest.mark.nginx

LARGER_HEADERS = ("D6 boundary of 20000",)
"""nginx answers these itself: its own cap on a header comes first."""


@dataclass
class Front:
    """nginx, and the server behind it."""

    port: int
    tls: ssl.SSLContext
    server: RunningServer

    @contextlib.contextmanager
    def connect(self) -> Iterator[ssl.SSLSocket]:
        """A connection over TLS."""
        with (
            wire.connect_to(self.port) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            yield connection

    def send(self, message: Message) -> Seen:
        """Send, and read the answer."""
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
                connection.sendall(message.as_bytes())
            return wire.receive(connection)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder: Path = tmp_path_factory.mktemp("behind")
    path = folder / "http.sock"
    settings = {"server": {"unix_socket": path, "workers": 2}, "repository": {"content_check": "refuse"}}
    with running(folder, settings) as server, nginx(folder, path) as (port, tls):
        front = Front(port, tls, server)
        assert wire.eventually(lambda: healthy(front))
        yield front


def healthy(front: Front) -> bool:
    with front.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_document_goes_in_is_found_and_comes_back(front: Front) -> None:
    data = PDF + bytes(range(256)) * 8000
    sent = wire.deposit(data, patient_id=samples.patient("NGINX"))
    assert front.send(sent.message()).verdict == "Success"
    found = front.send(wire.find_documents(samples.patient("NGINX")))
    assert [each.value("uniqueId") for each in found.answer.objects] == list(sent.unique_ids)
    back = front.send(wire.retrieve(DEFAULT_REPOSITORY_ID, *sent.unique_ids))
    assert [document.data for document in back.answer.documents] == [data]
    assert back.answer.problems == ()


def test_wsdl_and_page_pass(front: Front) -> None:
    for path, word in (("/registry?wsdl", b"definitions"), ("/", b"Liasse"), ("/repository?xsd=rim.xsd", b"schema")):
        with front.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert data.startswith(b"HTTP/1.1 200"), path
        assert word in data


@pytest.fixture(scope="module")
def attacks() -> dict[str, Attack]:
    return {**xml_attacks("127.0.0.1:9"), **mime_attacks(), **metadata_attacks()}


def test_attacks_are_refused_as_without_nginx(front: Front, attacks: dict[str, Attack]) -> None:
    before = wire.stored(front.server)
    differing = {}
    for name, attack in attacks.items():
        seen = front.send(attack.message)
        if (seen.verdict, attack.word in seen.text) != (attack.verdict, True):
            differing[name] = seen.verdict
    assert {name: verdict for name, verdict in differing.items() if name not in LARGER_HEADERS} == {}
    assert wire.stored(front.server) == before
    assert wire.eventually(lambda: not wire.staged(front.server))


def test_a_cut_upload_leaves_nothing(front: Front) -> None:
    message = wire.deposit(PDF + bytes(2_000_000)).message().as_bytes()
    before = wire.stored(front.server)
    with front.connect() as connection:
        connection.sendall(message[:1_500_000])
        assert wire.eventually(lambda: bool(wire.staged(front.server)))
    assert wire.eventually(lambda: not wire.staged(front.server))
    assert wire.stored(front.server) == before
