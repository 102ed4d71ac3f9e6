"""The application on a real server: what is accepted, how it is answered, what is refused before the SOAP layer."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import logging
import socket
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from liasse.app import create_app
from liasse.reception import BodyLimits, Quota
from soap.mime_headers import read_boundary, read_content_id, read_media_type
from soap.mtom import PartBegin, PartData, Splitter
from tests.http_side import (
    MULTIPART,
    Folder,
    HttpSide,
    Recorder,
    body_of,
    headers_of,
    http_side,
    package,
    part,
    read_all,
    request,
    status,
)

SMALL = BodyLimits(
    message_size=100_000,
    request_size=2_000_000,
    staged_per_peer=300_000,
    staged_total=400_000,
    held_per_peer=150_000,
    held_total=150_000,
    in_flight=2,
    drain_bytes=200_000,
    drain_seconds=0.5,
    block=65_536,
)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[HttpSide]:
    with http_side(tmp_path) as running:
        yield running


@pytest.fixture
def small(tmp_path: Path) -> Iterator[HttpSide]:
    with http_side(tmp_path, body=SMALL) as running:
        yield running


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _split_answer(response: bytes) -> dict[str | None, bytes]:
    media_type = read_media_type(headers_of(response)["content-type"])
    splitter = Splitter(read_boundary(media_type), start=read_content_id(media_type.parameters["start"]))
    parts: dict[str | None, bytes] = {}
    for event in splitter.feed(body_of(response)):
        if isinstance(event, PartBegin):
            current = event.content_id if not event.root else "root"
            parts[current] = b""
        elif isinstance(event, PartData):
            parts[current] += event.data
    splitter.finish()
    return parts


# simple SOAP


def test_simple_soap_is_answered_as_simple_soap(side: HttpSide) -> None:
    response = side.send(request(b"<Envelope/>"))
    assert status(response) == 200
    assert body_of(response) == b"<Envelope>ok</Envelope>"
    headers = headers_of(response)
    assert headers["content-type"] == 'application/soap+xml; charset=UTF-8; action="urn:test:Response"'
    assert headers["content-length"] == "23"
    assert "server" not in headers
    assert side.soap.roots == [b"<Envelope/>"]


def test_f1_f11_soap_action_is_only_a_hint(side: HttpSide) -> None:
    body = package()
    content_type = 'Multipart/Related; boundary=uuid:b0; type="application/xop+xml"; start-info="text/xml"; start=<root@a>'
    with side.connect() as client:
        client.sendall(
            request(b"", content_type, length=len(body), headers='SOAPAction: "Provide"\r\nExpect: 100-continue\r\n')
        )
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert status(read_all(client)) == 200
    assert status(side.send(request(b"<a/>", headers='SOAPAction: ""\r\n'))) == 200
    assert [each.mtom for each in side.soap.incoming] == [True, False]


def test_f3_no_answer_is_compressed(side: HttpSide) -> None:
    for accept in ("", "Accept-Encoding: gzip;q=0, identity\r\n", "Accept-Encoding: gzip, deflate\r\n"):
        response = side.send(request(b"<a/>", headers=accept))
        assert "content-encoding" not in headers_of(response)
        assert body_of(response).startswith(b"<")


@pytest.mark.parametrize(
    ("content_type", "charset", "action"),
    [
        ('application/soap+xml;charset=UTF8;action="urn:x"', "utf-8", "urn:x"),
        ('APPLICATION/SOAP+XML; ACTION="urn:x"; CHARSET="utf-8"', "utf-8", "urn:x"),
        ("application/soap+xml", None, None),
        ("text/xml; charset=iso-8859-1", "iso-8859-1", None),
    ],
)
def test_f10_media_type_parameters(side: HttpSide, content_type: str, charset: str | None, action: str | None) -> None:
    assert status(side.send(request(b"<a/>", content_type))) == 200
    assert [(each.charset, each.action_hint) for each in side.soap.incoming] == [(charset, action)]


def test_keep_alive_and_chunked_requests(side: HttpSide) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=10)
    for _ in range(3):
        connection.request(
            "POST", "/registry", iter([b"<a", b"/>"]), {"Content-Type": "application/soap+xml"}, encode_chunked=True
        )
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"<Envelope>ok</Envelope>")
    connection.close()
    assert side.soap.roots == [b"<a/>"] * 3
    assert len(side.server.server_state.connections) <= 1


def test_f6_f8_the_interim_answer_is_a_status_line_and_nothing_more(side: HttpSide) -> None:
    with side.connect() as client:
        client.sendall(request(b"", length=4, headers="Expect: 100-continue\r\n"))
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += client.recv(1)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"<a/>")
        final = read_all(client)
    assert final.count(b"HTTP/1.1 ") == 1
    assert status(final) == 200


def test_a_refused_expectation_gets_no_interim_answer(side: HttpSide) -> None:
    response = side.send(request(b"", "text/plain", length=10, headers="Expect: 100-continue\r\n"))
    assert b"100 Continue" not in response
    assert status(response) == 415


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_offer_of_http2_is_ignored(side: HttpSide, method: str) -> None:
    offer = "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    one = request(b"<a/>", headers=offer, close=False) if method == "POST" else f"GET / HTTP/1.1\r\n{offer}\r\n".encode()
    for cut in (len(one), 30, len(one) - 2):
        with side.connect() as client:
            client.sendall(one[:cut])
            time.sleep(0.05)
            client.sendall(one[cut:] + one + request(b"<last/>"))
            response = read_all(client)
        assert response.count(b"HTTP/1.1 200 OK") == 3
        assert b"101 Switching" not in response
    assert side.soap.roots.count(b"<last/>") == 3
    assert side.soap.roots.count(b"<a/>") == (6 if method == "POST" else 0)


def test_an_offer_of_http2_with_close(side: HttpSide) -> None:
    response = side.send(request(b"<a/>", headers="Upgrade: h2c\r\nConnection: Upgrade\r\n") + request(b"<no/>"))
    assert response.count(b"HTTP/1.1 200 OK") == 1
    assert side.soap.roots == [b"<a/>"]


def test_connect_and_websocket_are_not_served(side: HttpSide) -> None:
    assert status(side.send(b"CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n")) == 400
    handshake = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n"
    with side.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + handshake + b"\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert read_all(client).count(b"HTTP/1.1 200 OK") == 2


# pages


def test_pages(side: HttpSide) -> None:
    assert body_of(side.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) == b"<h1>Liasse</h1>"
    assert body_of(side.send(b"GET /registry?wsdl HTTP/1.1\r\nConnection: close\r\n\r\n")) == b"<definitions/>"
    head = side.send(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert (status(head), headers_of(head)["content-length"], body_of(head)) == (200, "15", b"")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("GET /none", 404),
        ("GET /registry", 405),
        ("PUT /registry", 405),
        ("DELETE /", 404),
        ("POST /none", 404),
        ("POST /registry/", 404),
        ("GET /broken", 500),
    ],
)
def test_other_methods_and_paths(side: HttpSide, start: str, expected: int) -> None:
    response = side.send(f"{start} HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc".encode())
    assert status(response) == expected
    assert ("allow" in headers_of(response)) == (expected == 405)
    assert b"KeyError" not in response
    assert not side.soap.roots


# MTOM


def test_a_package_is_staged_and_answered_as_a_package(side: HttpSide) -> None:
    documents = {"d1@a": b"%PDF\r\n" + bytes(range(256)), "d2@a": b""}
    response = side.send(request(package(*documents.items()), MULTIPART))
    assert status(response) == 200
    assert _split_answer(response) == {"root": b"<Envelope>ok</Envelope>"}
    assert side.soap.roots == [b"<Envelope/>"]
    assert side.soap.parts == {cid: ("application/pdf", len(data), _sha256(data)) for cid, data in documents.items()}
    assert side.folder.left() == 0


def test_f23_documents_of_many_sizes_in_one_message_slowly_or_at_once(side: HttpSide) -> None:
    documents = {f"d{size}@a": (bytes(range(251)) * 5000)[: size * 1024] for size in (49, 51, 99, 101, 1023, 1025)}
    body = request(package(*documents.items()), MULTIPART)
    for step in (len(body), 50_000):
        side.soap.parts.clear()
        with side.connect() as client:
            for at in range(0, len(body), step):
                client.sendall(body[at : at + step])
            assert status(read_all(client)) == 200
        assert side.soap.parts == {cid: ("application/pdf", len(data), _sha256(data)) for cid, data in documents.items()}
    assert side.folder.left() == 0


def test_a_root_part_that_comes_last(side: HttpSide) -> None:
    response = side.send(request(package(("d1@a", b"x" * 500_000), root_last=True), MULTIPART))
    assert status(response) == 200
    assert side.soap.parts["d1@a"][1] == 500_000
    assert side.folder.left() == 0


def test_the_root_part_is_judged_before_more_is_read(side: HttpSide) -> None:
    body = request(package(("d1@a", b"x" * 50_000_000), root=b"refuse"), MULTIPART)
    head = body[:2000]
    with side.connect() as client:
        client.sendall(head)
        answer = client.recv(100_000)
        assert status(answer) == 500
        assert headers_of(answer)["connection"] == "close"
    assert side.folder.made <= 1
    assert side.soap.finished == 0
    _wait_for(lambda: len(side.records) == 1)
    assert side.folder.left() == 0
    assert side.records[0].fault == "Sender"


def test_after_an_early_refusal_the_rest_is_drained_only_a_little(small: HttpSide) -> None:
    body = request(package(("d1@a", b"x" * 100_000), root=b"refuse"), MULTIPART, close=False)
    with small.connect() as client:
        client.sendall(body[:1000])
        response = client.recv(100_000)
        client.sendall(body[1000:])
        while data := client.recv(100_000):  # no reset: all was read, the connection ends in order
            response += data
    assert status(response) == 500
    assert _split_answer(response) == {"root": b"<Refused/>"}
    with small.connect() as client:
        client.sendall(body[:1000])
        response = read_all(client)  # the client holds back the rest, the server does not wait for it
    assert status(response) == 500
    assert small.folder.left() == 0


def test_attachments_are_streamed(side: HttpSide) -> None:
    response = side.send(request(package(root=b"give 10 give 3000000 give 0"), MULTIPART))
    assert int(headers_of(response)["content-length"]) == len(body_of(response))
    parts = _split_answer(response)
    assert {cid: len(data) for cid, data in parts.items()} == {"root": 23, "0@test": 10, "1@test": 3_000_000, "2@test": 0}
    assert parts["1@test"][:512] == bytes(range(256)) * 2


def test_an_attachment_that_fails_midway_cuts_the_connection(side: HttpSide) -> None:
    response = side.send(request(package(root=b"break 3000000"), MULTIPART))
    assert status(response) == 200
    assert 0 < len(body_of(response)) < int(headers_of(response)["content-length"])
    assert not response.rstrip().endswith(b"--")
    _wait_for(lambda: len(side.records) == 1)
    assert side.records[0].outcome == "cut"


def test_an_attachment_that_fails_at_once_is_an_error(side: HttpSide) -> None:
    response = side.send(request(package(root=b"break 100"), MULTIPART))
    assert status(response) == 500
    assert body_of(response) == b"internal error\n"


def test_a_client_that_goes_away_ends_the_streaming(side: HttpSide) -> None:
    with side.connect() as client:
        client.sendall(request(package(root=b"give 500000000"), MULTIPART))
        client.recv(10_000)
    _wait_for(lambda: len(side.records) == 1)
    assert side.records[0].outcome == "client-gone"
    assert side.records[0].bytes_out < 100_000_000


def test_storage_that_fails_reaches_the_transaction(tmp_path: Path) -> None:
    with http_side(tmp_path, fail_after=1000) as side:
        response = side.send(request(package(("d1@a", b"x" * 400_000), ("d2@a", b"y")), MULTIPART))
        assert status(response) == 200
        assert side.soap.failed == {"d1@a": "FailedPart"}
        assert set(side.soap.parts) == {"d2@a"}
        assert side.folder.left() == 0


# refusals


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ('application/xop+xml; type="application/soap+xml"', 415),  # F25
        ("application/xml", 415),
        ("text/html", 415),
        ("multipart/form-data; boundary=b", 415),
        ('multipart/related; type="application/pdf"; boundary="uuid:b0"', 415),
        ('multipart/related; type="application/xop+xml"', 400),  # F12
        ("nonsense", 400),
        ("text/xml; charset=a; charset=b", 400),
        ("multipart/related; boundary*0=uuid; boundary*1=b0", 400),
    ],
)
def test_media_types_that_are_refused(side: HttpSide, content_type: str, expected: int) -> None:
    response = side.send(request(package(), content_type))
    assert status(response) == expected
    assert headers_of(response)["content-type"] == "text/plain; charset=utf-8"
    assert not side.soap.roots


def test_headers_that_are_refused(side: HttpSide) -> None:
    assert status(side.send(b"POST /registry HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) == 415
    assert status(side.send(request(b"x", headers="Content-Encoding: gzip\r\n"))) == 415
    assert status(side.send(request(b"x", headers="Content-Type: text/xml\r\n"))) == 400
    assert status(side.send(request(b"x", headers="Transfer-Encoding: chunked\r\n"))) == 400
    assert not side.soap.roots


def test_f19_another_boundary_than_announced(side: HttpSide) -> None:
    response = side.send(request(package().replace(b"uuid:b0", b"uuid:bbb"), MULTIPART))
    assert status(response) == 400
    assert b"no part found" in response


def test_sizes(small: HttpSide) -> None:
    assert status(small.send(request(b"x" * 100_001))) == 413
    assert status(small.send(request(package(root=b"x" * 100_001), MULTIPART))) == 413
    assert status(small.send(request(b"", length=2_000_001))) == 413
    chunked = b"POST /registry HTTP/1.1\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % MULTIPART.encode()
    chunk = b"%x\r\n%b\r\n" % (2_100_000, package(("d1@a", b"x" * 2_100_000))[:2_100_000])
    assert status(small.send(chunked + chunk)) == 413
    assert small.folder.left() == 0
    assert [record.outcome for record in small.records] == ["size"] * 4


def test_a_full_server_says_when_to_come_again(small: HttpSide) -> None:
    gate, entered = Event(), Event()
    finish = small.soap.finish

    def wait(exchange: Any, parts: Any) -> Any:
        entered.set()
        gate.wait(10)
        return finish(exchange, parts)

    small.soap.finish = wait  # type: ignore[method-assign]
    waiting = [Thread(target=small.send, args=(request(b"<a/>"),)) for _ in range(SMALL.in_flight)]
    for thread in waiting:
        thread.start()
    _wait_for(lambda: len(small.soap.roots) == SMALL.in_flight)
    for body in (request(b"<a/>"), request(package(), MULTIPART)):
        response = small.send(body)
        assert status(response) == 503
        assert headers_of(response)["retry-after"] == "2"
    gate.set()
    for thread in waiting:
        thread.join()
    assert status(small.send(request(b"<a/>"))) == 200


def test_envelopes_being_received_share_a_bounded_memory(small: HttpSide) -> None:
    with small.connect() as first:
        first.sendall(request(b"x" * 80_000, length=90_000))
        _wait_for(lambda: small.taken("held") == 80_000)
        assert status(small.send(request(b"x" * 90_000))) == 503
    _wait_for(lambda: small.taken("held") == 0)
    assert status(small.send(request(b"x" * 90_000))) == 200


def test_what_comes_before_the_root_part_is_capped(small: HttpSide) -> None:
    body = package(("d1@a", b"x" * 310_000), root_last=True)
    response = small.send(request(body, MULTIPART))
    assert status(response) == 413
    assert b"send the root part first" in response
    with small.connect() as one:
        one.sendall(request(package(("d1@a", b"x" * 200_000), root_last=True)[:200_000], MULTIPART, length=200_500))
        _wait_for(lambda: small.taken("staged") > 190_000)
        assert status(small.send(request(package(("d1@a", b"x" * 200_000), root_last=True), MULTIPART))) == 413
    _wait_for(lambda: small.taken("staged") == 0)
    assert status(small.send(request(package(("d1@a", b"x" * 200_000), root_last=True), MULTIPART))) == 200
    assert small.taken("staged") == small.taken("held") == small.folder.left() == 0


def test_quota_counts_each_peer_and_all() -> None:
    quota = Quota(10, 15)
    first, second, local = quota.open("a"), quota.open("b"), quota.open(None)
    assert first.take(10)
    assert not first.take(1)
    assert second.take(3)
    assert local.take(2)
    assert not local.take(1)
    first.give_back()
    first.give_back()
    assert quota.taken == 5
    assert quota.open("a").take(10)


# cut connections


def test_f4_d12_a_truncated_upload_leaves_nothing(side: HttpSide) -> None:
    body = package(("d1@a", b"x" * 400_000))
    for sent in (0, 10, 100, 250, 2500, 300_000, len(body) - 1):
        with side.connect() as client:
            client.sendall(request(body[:sent], MULTIPART, length=len(body)))
    with side.connect() as client:
        client.sendall(request(b"<Envel", length=90_000))
    _wait_for(lambda: len(side.records) == 8)
    assert {record.outcome for record in side.records} == {"truncated"}
    assert side.soap.finished == 0
    assert side.folder.left() == 0
    assert side.taken("held") == side.taken("staged") == 0


def test_a_body_without_final_boundary_is_refused(side: HttpSide) -> None:
    response = side.send(request(package(("d1@a", b"x" * 400_000), end=False), MULTIPART))
    assert status(response) == 400
    assert b"without the final boundary" in response
    assert side.soap.finished == 0
    assert side.folder.left() == 0


def test_a_cancelled_request_discards_its_parts(tmp_path: Path) -> None:
    """What happens when the time to drain is over: the task is cancelled in the middle of an upload."""
    folder = Folder(tmp_path)
    chunks = [package(("d1@a", b"x" * 600_000), end=False)[:-2]]

    async def run() -> None:
        async def receive() -> MutableMapping[str, Any]:
            if chunks:
                return {"type": "http.request", "body": chunks.pop(), "more_body": True}
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        async def send(message: MutableMapping[str, Any]) -> None:
            raise AssertionError(message)

        with ThreadPoolExecutor(1) as pool:
            app = create_app(Recorder(), folder, lambda path, query, host: None, BodyLimits(), pool)
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/repository",
                "headers": [(b"content-type", MULTIPART.encode()), (b"content-length", b"10000000")],
                "client": ("127.0.0.1", 1),
            }
            task = asyncio.ensure_future(app(scope, receive, send))
            while not folder.made or chunks:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert folder.made == 1
    assert folder.left() == 0


def test_only_http_is_served(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        app = create_app(Recorder(), Folder(tmp_path), lambda path, query, host: None, BodyLimits(), pool)
        with pytest.raises(ValueError, match="only http is served"):
            asyncio.run(app({"type": "websocket"}, None, None))  # type: ignore[arg-type]


# logs


def test_one_line_for_each_request_and_nothing_of_its_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentinel = b"SENTINELNAME"
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines, http_side(tmp_path) as side:
        side.send(request(b"<a>" + sentinel + b"</a>"))
        side.send(request(package((sentinel.decode() + "@a", sentinel)), MULTIPART))
        side.send(request(sentinel, MULTIPART))
        side.send(request(b"x", "text/" + sentinel.decode()))
        side.send(b"GET /" + sentinel + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
        side.send(sentinel + b"\r\n\r\n")
    assert [line["event"] for line in lines] == ["POST /repository"] * 4 + ["request"]
    assert [line["status"] for line in lines] == [200, 200, 400, 415, 404]
    assert sentinel.decode().lower() not in (repr(lines) + caplog.text).lower()


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def test_a_peer_on_a_unix_socket_is_local(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        folder = tmp_path / "staged"
        folder.mkdir()
        with http_side(folder, listener=listener) as side, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(path))
            client.sendall(request(part("root@a", b"<a/>", "text/xml") + b"--uuid:b0--", MULTIPART))
            assert status(read_all(client)) == 200
            assert side.soap.incoming[0].peer == "local"
