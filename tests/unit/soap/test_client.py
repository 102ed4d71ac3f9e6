"""The client against peers that answer well, badly, late and never; and against our own server."""

from __future__ import annotations

import contextlib
import datetime
import io
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from soap.client import (
    AddressError,
    BadAnswer,
    ClientError,
    NotConnected,
    SentButNoAnswer,
    SoapClient,
    SoapFault,
    Timeouts,
)
from soap.connections import Connections
from soap.envelope import Frame
from soap.faults import Fault, FaultCode, QName, sender, write_fault
from soap.mime_headers import read_boundary, read_content_id, read_media_type
from soap.mtom import PartBegin, PartData, Splitter, write_package
from soap.transaction import Attachment, Body, Call, Incoming
from tests.unit.soap.peer import Request, peer, response
from tests.unit.soap.samples import (
    NAMES,
    PROVIDE_ACTION,
    PROVIDE_BODY,
    QUERY_ACTION,
    QUERY_BODY,
    Behaviour,
    server,
)
from xmlsafe import parse
from xmlsafe.namespaces import SOAP11, WSA, WSSE

QUERY = Body((QUERY_BODY.encode(),))
SHORT = Timeouts(connect=2, silence=0.3, total=5)


def message_id(request: Request) -> str:
    found = re.search(rb"MessageID>([^<]+)<", request.body)
    assert found is not None
    return found[1].decode()


def answer(request: Request, _: socket.socket) -> bytes:
    pieces = Frame.for_action(f"{QUERY_ACTION}Response").around((b"<answer>\xc3\xa9</answer>",), message_id(request))
    return response(b"".join(pieces))


def attachment(content_id: str, data: bytes, *, size: int | None = None) -> Attachment:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    return Attachment(content_id, "application/pdf", len(data) if size is None else size, chunks)


def test_a_request_carries_what_a_server_needs() -> None:
    with (
        peer(answer) as other,
        SoapClient(other.url) as client,
        client.call(QUERY_ACTION, QUERY, blocks=(b"<own/>",)) as got,
    ):
        assert (got.action, got.body.tag, got.body.text) == (f"{QUERY_ACTION}Response", "answer", "é")
        assert got.parts == {}
    (request,) = other.requests
    assert request.line == "POST /registry HTTP/1.1"
    assert request.headers["content-type"] == f'application/soap+xml; charset=UTF-8; action="{QUERY_ACTION}"'
    assert "accept-encoding" not in request.headers
    header = parse(request.body).find("s:Header", NAMES)
    assert header is not None
    assert header.findtext("a:Action", None, NAMES) == QUERY_ACTION
    assert header.findtext("a:To", None, NAMES) == other.url
    assert header.findtext("a:ReplyTo/a:Address", None, NAMES) == f"{WSA}/anonymous"
    assert header.find("own") is not None
    assert server().open(request.body, Incoming("/registry", mtom=False, peer="")).reply is None


def test_a_connection_is_reused_and_survives_its_end() -> None:
    with peer(answer) as other, SoapClient(other.url) as client:
        for _ in range(5):
            client.call(QUERY_ACTION, QUERY)
        assert other.connections == 1
    with peer(lambda request, on: answer(request, on).replace(b"200 Status", b"200 S\r\nConnection: close")) as other:
        with SoapClient(other.url) as client:
            for _ in range(3):
                assert client.call(QUERY_ACTION, QUERY).body.tag == "answer"
        assert other.connections == 3


def test_a_kept_connection_that_the_peer_closed_is_not_used() -> None:
    closed = threading.Event()

    def once(request: Request, on: socket.socket) -> bytes | None:
        on.sendall(answer(request, on))
        on.shutdown(socket.SHUT_RDWR)
        closed.set()
        return None

    with peer(once) as other, SoapClient(other.url) as client:
        for _ in range(3):
            assert client.call(QUERY_ACTION, QUERY).body.tag == "answer"
            assert closed.wait(5)
            closed.clear()
        assert other.connections == 3


def test_a_connection_idle_for_long_is_not_trusted() -> None:
    with peer(answer) as other, SoapClient(other.url) as client:
        client.call(QUERY_ACTION, QUERY)
        (held,) = client._connections._idle
        held.idle_since -= 10
        client.call(QUERY_ACTION, QUERY)
        assert other.connections == 2


def test_only_a_few_idle_connections_are_kept() -> None:
    together = threading.Barrier(12)

    def wait(request: Request, on: socket.socket) -> bytes:
        together.wait(10)
        return answer(request, on)

    with peer(wait) as other, SoapClient(other.url) as client:
        threads = [threading.Thread(target=client.call, args=(QUERY_ACTION, QUERY)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert other.connections == 12
        assert len(client._connections._idle) == 8


def test_chunked_answers_are_read() -> None:
    def chunked(request: Request, on: socket.socket) -> bytes:
        head, _, body = answer(request, on).partition(b"\r\n\r\n")
        head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
        return head + b"\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"

    with peer(chunked) as other, SoapClient(other.url) as client:
        for _ in range(2):
            assert client.call(QUERY_ACTION, QUERY).body.text == "é"
        assert other.connections == 1


def test_concurrent_calls_get_their_own_answers() -> None:
    def echo(request: Request, on: socket.socket) -> bytes:
        found = re.search(rb"<ask>(\d+)</ask>", request.body)
        assert found is not None
        return answer(request, on).replace(b"\xc3\xa9", found[1].rjust(2))

    wrong: list[int] = []
    with peer(echo) as other, SoapClient(other.url) as client:

        def ask(number: int) -> None:
            for n in range(number, number + 10):
                if (client.call(QUERY_ACTION, Body((b"<ask>%d</ask>" % n,))).body.text or "").strip() != str(n):
                    wrong.append(n)

        threads = [threading.Thread(target=ask, args=(number,)) for number in (10, 30, 50, 70)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(other.requests) == 40


# Faults


@pytest.mark.parametrize(
    ("fault", "code", "subcodes"),
    [
        (sender("why"), "Sender", ()),
        (Fault(FaultCode.RECEIVER, "why"), "Receiver", ()),
        (
            sender("why", QName(WSA, "InvalidAddressingHeader"), QName(WSA, "InvalidCardinality"), detail="<wsa:To/>"),
            "Sender",
            (QName(WSA, "InvalidAddressingHeader"), QName(WSA, "InvalidCardinality")),
        ),
        (sender("why", QName(WSSE, "InvalidSecurity")), "Sender", (QName(WSSE, "InvalidSecurity"),)),
        (sender("why", QName("urn:test:dmp", "Expired")), "Sender", (QName("urn:test:dmp", "Expired"),)),
        (Fault(FaultCode.VERSION_MISMATCH, "why", soap11=True), "VersionMismatch", ()),
    ],
)
@pytest.mark.parametrize("packaged", [False, True])
def test_a_fault_is_read_as_it_was_meant(fault: Fault, code: str, subcodes: tuple[QName, ...], packaged: bool) -> None:
    """F17: a fault may come in a package or as plain SOAP."""

    def refuse(request: Request, _: socket.socket) -> bytes:
        data = write_fault(fault, message_id(request))
        if packaged:
            package = write_package((data,))
            return response(b"".join(package.chunks()), 500, package.content_type)
        return response(data, 500, "text/xml" if fault.soap11 else "application/soap+xml")

    with peer(refuse) as other, SoapClient(other.url) as client, pytest.raises(SoapFault) as raised:
        client.call(QUERY_ACTION, QUERY)
    caught = raised.value
    assert (caught.code, caught.subcodes, caught.reason, caught.status) == (code, subcodes, "why", 500)
    assert "why" in str(caught)


# Packages


def split(content_type: str, body: bytes) -> tuple[bytes, dict[str, bytes]]:
    media_type = read_media_type(content_type)
    splitter = Splitter(read_boundary(media_type), start=read_content_id(media_type.parameters["start"]))
    root, now = bytearray(), bytearray()
    others: dict[str, bytearray] = {}
    for event in splitter.feed(body):
        if isinstance(event, PartBegin):
            now = root if event.root else others.setdefault(event.content_id or "", bytearray())
        elif isinstance(event, PartData):
            now += event.data
    splitter.finish()
    return bytes(root), {name: bytes(data) for name, data in others.items()}


def through_our_server(behaviour: Behaviour, request: Request) -> bytes:
    """What an HTTP side does with a package: split, open, finish, pack."""
    root, others = split(request.headers["content-type"], request.body)
    on = server(behaviour)
    opened = on.open(root, Incoming("/repository", mtom=True, peer="192.0.2.1"))
    reply = on.finish(opened, others)  # type: ignore[arg-type]
    package = write_package(reply.pieces, reply.attachments, action=reply.action)
    return response(b"".join(package.chunks()), reply.status, package.content_type)


def test_documents_go_out_and_come_back_through_our_own_server() -> None:
    first, second = bytes(range(256)) * 2000, b"\r\n--x\r\n" * 100

    def echo(call: Call) -> Body:
        back = tuple(attachment(f"back-{name}", data) for name, data in call.parts.items())  # type: ignore[arg-type]
        return Body((b"<done/>",), back)

    body = Body((PROVIDE_BODY.encode(),), (attachment("d1@x", first), attachment("d2@x", second)))
    with (
        peer(lambda request, _: through_our_server(Behaviour(handle=echo), request)) as other,
        SoapClient(other.url) as client,
    ):
        with client.call(PROVIDE_ACTION, body, mtom=True) as got:
            assert got.body.tag == "done"
            assert {name: part.read() for name, part in got.parts.items()} == {"back-d1@x": first, "back-d2@x": second}
        assert all(part.closed for part in got.parts.values())
        with pytest.raises(SoapFault, match="ActionNotSupported"):
            client.call("urn:x", body, mtom=True)
        assert other.connections == 1


def test_parts_go_to_the_sink_of_the_caller() -> None:
    def packaged(request: Request, _: socket.socket) -> bytes:
        package = write_package(Frame.for_action("urn:a").around((b"<a/>",)), (attachment("d1@x", b"abc"),))
        return response(b"".join(package.chunks()), 200, package.content_type)

    seen: list[tuple[str, str]] = []
    kept = io.BytesIO()

    def sink(content_id: str, media_type: str) -> BinaryIO:
        seen.append((content_id, media_type))
        return kept

    with peer(packaged) as other, SoapClient(other.url) as client:
        got = client.call(QUERY_ACTION, QUERY, mtom=True, sink=sink)
    assert seen == [("d1@x", "application/pdf")]
    assert got.parts["d1@x"] is kept
    assert kept.getvalue() == b"abc"


def test_the_parts_of_a_broken_package_are_closed() -> None:
    def cut(request: Request, _: socket.socket) -> bytes:
        package = write_package(Frame.for_action("urn:a").around((b"<a/>",)), (attachment("d1@x", b"abc" * 1000),))
        return response(b"".join(package.chunks())[:-500], 200, package.content_type)

    kept = io.BytesIO()
    with peer(cut) as other, SoapClient(other.url) as client, pytest.raises(BadAnswer, match="final boundary"):
        client.call(QUERY_ACTION, QUERY, mtom=True, sink=lambda content_id, media_type: kept)
    assert kept.closed


def test_attachments_need_mtom() -> None:
    with SoapClient("http://127.0.0.1:1/") as client, pytest.raises(ValueError, match="mtom"):
        client.call(PROVIDE_ACTION, Body((b"<a/>",), (attachment("a", b""),)))


def test_a_lying_attachment_cuts_the_connection_and_tells_the_caller() -> None:
    with peer(answer) as other, SoapClient(other.url) as client:
        with pytest.raises(ValueError, match="announced"):
            client.call(PROVIDE_ACTION, Body((b"<a/>",), (attachment("a", b"abc", size=4),)), mtom=True)
        assert client.call(QUERY_ACTION, QUERY).body.tag == "answer"
        assert other.connections == 2


# No answer


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with SoapClient(f"http://127.0.0.1:{port}/") as client, pytest.raises(NotConnected) as raised:
        client.call(QUERY_ACTION, QUERY)
    assert raised.value.may_have_been_processed is False
    assert str(port) in str(raised.value)


def test_a_plain_peer_where_tls_is_expected_is_not_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(1000)

        worker = threading.Thread(target=refuse)
        worker.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with SoapClient(url, SHORT) as client, pytest.raises(NotConnected):
            client.call(QUERY_ACTION, QUERY)
        worker.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "peer.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + built.public_bytes(Encoding.PEM))
    return file


def test_tls_is_spoken_with_a_peer_that_is_trusted(certificate: Path) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    with peer(answer, serving) as other, SoapClient(other.url, tls=trusting) as client:
        for _ in range(3):
            assert client.call(QUERY_ACTION, QUERY).body.tag == "answer"
        assert other.connections == 1
        with SoapClient(other.url) as stranger, pytest.raises(NotConnected, match="certificate"):
            stranger.call(QUERY_ACTION, QUERY)
        assert len(other.requests) == 3


@pytest.mark.parametrize("early", [True, False])
def test_a_peer_that_does_not_accept_our_certificate_has_processed_nothing(certificate: Path, early: bool) -> None:
    """With TLS 1.3 the refusal comes when our side of the handshake had ended: while the request is sent, or after it."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    serving.verify_mode = ssl.CERT_REQUIRED
    sent, refused = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = serving.wrap_bio(incoming, outgoing, server_side=True)
            with connection:
                for last in (False, True):
                    incoming.write(connection.recv(65536))
                    if last and not early:
                        assert sent.wait(20)
                    with contextlib.suppress(ssl.SSLError):
                        session.do_handshake()
                    connection.sendall(outgoing.read())
                if not early:
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
            refused.set()

        def chunks() -> Iterator[bytes]:
            if early:
                assert refused.wait(20)
            yield from (b"12", b"34")
            sent.set()

        worker = threading.Thread(target=refuse)
        worker.start()
        trusting = ssl.create_default_context(cafile=certificate)
        connections = Connections(f"https://127.0.0.1:{listener.getsockname()[1]}/", tls=trusting)
        with pytest.raises(NotConnected, match="does not accept our certificate") as raised:
            connections.post("text/plain", 4, chunks())
        worker.join()
    assert raised.value.may_have_been_processed is False
    assert isinstance(raised.value.__cause__, ssl.SSLError)


def test_a_peer_that_closes_after_the_request_leaves_the_outcome_open() -> None:
    with (
        peer(lambda request, on: None) as other,
        SoapClient(other.url) as client,
        pytest.raises(SentButNoAnswer) as raised,
    ):
        client.call(QUERY_ACTION, QUERY)
    assert raised.value.may_have_been_processed is True
    assert len(other.requests) == 1


def silent(request: Request, on: socket.socket) -> bytes | None:
    on.recv(1)
    return None


def test_a_silent_peer_leaves_the_outcome_open() -> None:
    with peer(silent) as other, SoapClient(other.url, SHORT) as client, pytest.raises(SentButNoAnswer):
        client.call(QUERY_ACTION, QUERY)


def test_a_dripping_peer_is_cut_when_the_time_is_over() -> None:
    def drip(request: Request, on: socket.socket) -> bytes | None:
        on.sendall(answer(request, on)[:-20])
        while True:
            on.sendall(b" ")
            threading.Event().wait(0.05)

    with peer(drip) as other, SoapClient(other.url, Timeouts(silence=5, total=0.3)) as client, pytest.raises(ClientError):
        client.call(QUERY_ACTION, QUERY)


def test_an_answer_that_breaks_off_leaves_the_outcome_open() -> None:
    def cut(request: Request, on: socket.socket) -> bytes | None:
        on.sendall(answer(request, on)[:-20])
        return None

    with peer(cut) as other, SoapClient(other.url) as client, pytest.raises(SentButNoAnswer, match="20 bytes"):
        client.call(QUERY_ACTION, QUERY)


def test_a_peer_that_stops_reading_has_processed_nothing() -> None:
    """Its listener never takes the connection: the request fills the buffers of the kernel and no more."""
    body = Body((b"<a/>",), (attachment("a", bytes(30_000_000)),))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with SoapClient(url, Timeouts(silence=0.3, total=1)) as client, pytest.raises(NotConnected, match="of 30000"):
            client.call(PROVIDE_ACTION, body, mtom=True)


def test_an_early_refusal_is_read_although_the_peer_stops_reading() -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(response(write_fault(sender("too large"), None), 413))
                connection.shutdown(socket.SHUT_WR)
                done.wait(10)

        worker = threading.Thread(target=refuse)
        worker.start()
        body = Body((b"<a/>",), (attachment("a", bytes(30_000_000)),))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            with SoapClient(url, Timeouts(silence=0.5)) as client, pytest.raises(SoapFault, match="too large") as raised:
                client.call(PROVIDE_ACTION, body, mtom=True)
        finally:
            done.set()
            worker.join()
    assert raised.value.status == 413


# Answers that are none


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer in HTTP", id="no-http"),
        pytest.param(response(b"", 202, None), "HTTP 202 without a SOAP message", id="accepted"),
        pytest.param(response(b"<html/>", 404, "text/html"), "HTTP 404 with text/html", id="html"),
        pytest.param(response(b"<html/>", 302, "text/html", "Location: http://127.0.0.1:9/"), "HTTP 302", id="redirect"),
        pytest.param(response(b"x" * 10), "XML", id="no-xml"),
        pytest.param(response(b"<!DOCTYPE a><a/>"), "doctype", id="doctype"),
        pytest.param(response(b"<a/>"), "no SOAP envelope", id="no-envelope"),
        pytest.param(response(b"x", 200, "soap"), "Content-Type", id="bad-type"),
        pytest.param(response(b"x", 200, "multipart/related"), "boundary", id="no-boundary"),
        pytest.param(response(b"x", 200, 'multipart/related; boundary="b"'), "no part", id="no-part"),
        pytest.param(response(b"x", 200, "application/soap+xml", "Content-Encoding: gzip"), "compressed", id="gzip"),
        pytest.param(
            response(f'<e:Envelope xmlns:e="{SOAP11}"><e:Body><a/></e:Body></e:Envelope>'.encode()), "SOAP 1.1", id="soap11"
        ),
        pytest.param(response(b"".join(Frame.for_action("a").around((b"<a/>",))), 500), "HTTP 500", id="500-without-fault"),
        pytest.param(
            response(b"".join(Frame.for_action("a").around((b"<a/>",), "urn:other"))), "relates to", id="of-another"
        ),
        pytest.param(response(b"".join(Frame.for_action("a").around((b"<a/><b/>",)))), "exactly one", id="two-children"),
        pytest.param(response(b" " * 16_000_001), "larger than 16000000", id="large-envelope"),
    ],
)
def test_what_is_no_answer_is_told_apart(raw: bytes, found: str) -> None:
    with peer(lambda request, _: raw) as other, SoapClient(other.url) as client, pytest.raises(BadAnswer) as raised:
        client.call(QUERY_ACTION, QUERY)
    assert found in str(raised.value)
    assert raised.value.may_have_been_processed is True


def test_an_answer_is_bounded() -> None:
    with (
        peer(answer) as other,
        SoapClient(other.url, largest_answer=100) as client,
        pytest.raises(BadAnswer, match="100 bytes"),
    ):
        client.call(QUERY_ACTION, QUERY)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://u:p@a/",
        "http://a:port/",
        "http://a/b c",
        "http://a/é",
        "http://[::1/",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AddressError) as raised:
        SoapClient(url)
    assert raised.value.may_have_been_processed is False
