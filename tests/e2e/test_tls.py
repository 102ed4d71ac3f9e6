"""Mutual TLS against the real server, built-in and behind nginx with the sample configuration."""

from __future__ import annotations

import re
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from liasse.tls import SUITES
from pki.testca import TestPki
from tests.e2e import wire
from tests.e2e.server import running
from tests.e2e.tls_domain import FRONTS, PATIENT, Front, TlsDomain, ask, server_files, tls_domain

pytestmark = pytest.mark.nginx

ONE_DAY = timedelta(days=1)
QUERY = wire.find_documents(PATIENT)


@pytest.fixture(scope="module", params=FRONTS)
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDomain]:
    with tls_domain(tmp_path_factory.mktemp("tls"), request.param) as made:
        yield made


def s_client(domain: TlsDomain, *options: str, say: bytes = b"Q\n") -> str:
    """What `openssl s_client` reports; it shares nothing with the code under test."""
    done = subprocess.run(
        [
            "openssl", "s_client", "-connect", f"127.0.0.1:{domain.port}",
            "-cert", str(domain.client.certificate), "-key", str(domain.client.key), *options,
        ],
        input=say, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(domain: TlsDomain, version: str) -> None:
    said = s_client(domain, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "New, (NONE), Cipher is (NONE)" in said, said
    assert "alert" in said or "unsupported protocol" in said, said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_versions_of_today_are_agreed(domain: TlsDomain, version: str) -> None:
    said = s_client(domain, version)
    assert re.search(r"New, TLSv1\.[23], Cipher is (ECDHE|TLS_)", said), said
    assert "Compression: NONE" in said
    assert "Secure Renegotiation IS supported" in said or version == "-tls1_3"


def test_each_suite_of_the_dmp_is_agreed_and_no_other(tmp_path: Path) -> None:
    """With an RSA key: the suites that the DMP names, and everything that the library of this machine could offer."""
    offered = subprocess.run(
        ["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True
    ).stdout.strip()
    suites = sorted(
        name for name in offered.split(":") if not name.startswith("TLS_") and "PSK" not in name and "SRP" not in name
    )
    for front in FRONTS:
        with tls_domain(tmp_path / front, front) as domain:
            domain.pki.key_kind = "rsa"
            replace_key(domain, "rsa-server")
            agreed = {
                name
                for name in suites
                if f"Cipher is {name}\n" in s_client(domain, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")
            }
            assert agreed == {name for name in SUITES if "ECDSA" not in name}


def replace_key(domain: TlsDomain, name: str) -> None:
    """Put another key in the place of the server's, and wait until it is used."""
    before = served_certificate(domain)
    server_files(domain.pki, domain.folder, name)
    if domain.nginx is not None:
        domain.nginx.reload()
    assert wire.eventually(lambda: all(served_certificate(domain) != before for _ in range(6)))


def served_certificate(domain: TlsDomain) -> bytes:
    with domain.connect(domain.context(domain.client)) as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_renegotiation_is_refused(domain: TlsDomain) -> None:
    said = s_client(domain, "-tls1_2", say=b"R\nQ\n")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said or "unexpected eof" in said or "closed" in said, said
    assert domain.served(domain.client)


def test_there_is_no_early_data_and_no_ticket(domain: TlsDomain) -> None:
    said = s_client(domain, "-tls1_3", "-ign_eof", say=b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert "200 OK" in said
    # nginx gives out a ticket that it does not take back: see the next test.
    assert domain.nginx is not None or "New Session Ticket" not in said
    assert not re.search(r"Max Early Data: [1-9]", said)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("tickets", [(), ("-no_ticket",)], ids=["tickets", "session ids"])
def test_no_session_is_resumed(domain: TlsDomain, version: str, tickets: tuple[str, ...]) -> None:
    said = s_client(domain, version, "-reconnect", *tickets)
    assert said.count("New, TLS") == 6, said
    assert "Reused" not in said


def test_who_is_not_let_in(domain: TlsDomain, tmp_path: Path) -> None:
    stranger = TestPki.create(tmp_path / "pki", keys="ec").issue("client", "client")
    expired = domain.pki.issue("client", "expired", days=-1)
    early = domain.pki.issue("client", "early", starts=ONE_DAY)
    server = domain.pki.issue("server", "as-client")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert domain.served(domain.client, version=version)
        for who in (None, stranger, expired, early, server):
            assert not domain.served(who, version=version), who
    if domain.nginx is None:
        assert wire.eventually(lambda: len({each["detail"] for each in handshakes_refused(domain)}) >= 4)
        told = {each["detail"] for each in handshakes_refused(domain)}
        assert "certificate: certificate has expired" in told
        assert "peer did not return a certificate" in told
        assert {each["peer"] for each in handshakes_refused(domain)} == {"127.0.0.1"}


def handshakes_refused(domain: TlsDomain) -> list[dict[str, str]]:
    return [each for each in domain.refusals() if each.get("rule") == "tls-handshake"]


def test_a_certificate_revoked_while_its_connection_is_open(domain: TlsDomain) -> None:
    lost = domain.pki.issue("client", "lost")
    context = domain.context(lost)
    with domain.connect(context) as connection:
        assert ask(connection, QUERY).verdict == "Success"
        domain.pki.revoke("lost", "keyCompromise")
        seen = until_refused(lambda: ask(connection, QUERY))
        assert seen.verdict == "fault Sender/FailedAuthentication"
    domain.new_lists()
    assert wire.eventually(lambda: not domain.served(lost))
    assert domain.served(domain.client)


def until_refused(query: Callable[[], wire.Seen]) -> wire.Seen:
    deadline = time.monotonic() + 30
    while True:
        seen = query()
        if seen.verdict != "Success":
            return seen
        assert time.monotonic() < deadline, "it is still served"
        time.sleep(0.2)


def test_an_older_list_does_not_bring_a_certificate_back(domain: TlsDomain) -> None:
    lost = domain.pki.issue("client", "lost-too")
    newest = domain.pki.crls[-1]
    older = newest.read_bytes()
    assert domain.served(lost)
    domain.pki.revoke("lost-too")
    assert wire.eventually(lambda: not any(domain.served(lost) for _ in range(6)))  # every process knows
    told = len(lists_refused(domain))
    saved = newest.read_bytes()
    newest.write_bytes(older)
    try:
        assert wire.eventually(lambda: len(lists_refused(domain)) > told)
        assert not any(domain.served(lost) for _ in range(6))
        assert domain.served(domain.client)
    finally:
        newest.write_bytes(saved)
        domain.new_lists()


def lists_refused(domain: TlsDomain) -> list[dict[str, str]]:
    return [each for each in domain.refusals() if each.get("rule") == "not-newer"]


def test_the_key_is_replaced_while_the_server_runs(domain: TlsDomain) -> None:
    with domain.connect(domain.context(domain.client)) as kept:
        assert ask(kept, QUERY).verdict == "Success"
        replace_key(domain, "server-2")
        if domain.nginx is None:  # nginx ends its connections when it reads its files
            assert ask(kept, QUERY).verdict == "Success"
    if domain.nginx is None:
        right = (domain.folder / "server.key").read_bytes()
        (domain.folder / "server.key").write_bytes(domain.client.key.read_bytes())
        assert wire.eventually(
            lambda: any(each["event"].startswith("the new key of the server is not used") for each in domain.refusals())
        )
        assert domain.served(domain.client)
        (domain.folder / "server.key").write_bytes(right)


@pytest.mark.parametrize("front", FRONTS)
def test_two_authorities_at_once(front: Front, tmp_path: Path) -> None:
    second = TestPki.create(tmp_path / "second", name="Second", keys="ec")
    with tls_domain(tmp_path / "first", front, others=[second]) as domain:
        other = second.issue("client", "of-the-second")
        assert domain.served(domain.client)
        assert domain.served(other)


def test_a_client_cannot_name_a_certificate_in_a_header(domain: TlsDomain, tmp_path: Path) -> None:
    """On the network such a header is refused; nginx puts its own in the place of the client's, or drops it."""
    stranger = TestPki.create(tmp_path / "pki", keys="ec").issue("client", "client").certificate.read_text()
    value = stranger.replace("\n", "%0A").replace(" ", "%20").replace("+", "%2B")
    for name in ("X-Client-Certificate", "x-client-certificate", "X_Client_Certificate", "x-client_certificate"):
        for times in (1, 2):
            message = wire.Message(QUERY.path, QUERY.content_type, QUERY.body, (f"{name}: {value}",) * times)
            seen = domain.send(message)
            assert seen.status == (400 if domain.front == "built-in" else 200), (name, seen.text)


def test_the_front_s_header_counts_on_the_unix_socket_only_if_it_is_one_certificate(tmp_path: Path) -> None:
    """Who writes to the socket is the front; what it could not have written is refused."""
    with tls_domain(tmp_path, "nginx") as domain:
        right = escaped(domain.client.certificate)
        stranger = escaped(TestPki.create(tmp_path / "pki2", keys="ec").issue("client", "client").certificate)
        cases = {
            (right,): "Success",
            (stranger,): "fault Sender/FailedAuthentication",
            (right, stranger): "HTTP 400",
            (stranger, right): "HTTP 400",
            (right + right,): "HTTP 400",
            ("nonsense",): "HTTP 400",
            (right[:-40],): "HTTP 400",
        }
        for values, expected in cases.items():
            headers = tuple(f"X-Client-Certificate: {value}" for value in values)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(domain.folder / "http.sock"))
                connection.sendall(wire.Message(QUERY.path, QUERY.content_type, QUERY.body, headers).as_bytes())
                assert wire.receive(connection).verdict == expected, headers


def escaped(certificate: Path) -> str:
    """As nginx writes it."""
    return (
        certificate.read_text()
        .replace("\n", "%0A")
        .replace(" ", "%20")
        .replace("+", "%2B")
        .replace("/", "%2F")
        .replace("=", "%3D")
    )


def test_a_connection_ends_at_its_age(tmp_path: Path) -> None:
    with (
        tls_domain(tmp_path, "built-in", {"tls": {"connection_age": 1.0}}) as domain,
        domain.connect(domain.context(domain.client)) as connection,
    ):
        asked = 0
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            seen = ask(connection, QUERY)
            asked += 1
            assert seen.verdict == "Success"
            if ("connection", "close") in [(name.lower(), value) for name, value in seen.answer.http.headers]:
                break
            time.sleep(0.1)
        assert asked > 1
        assert connection.recv(1) == b""


def test_a_repository_registers_with_a_registry_over_mutual_tls(tmp_path: Path) -> None:
    with tls_domain(tmp_path / "registry", "built-in") as domain:
        ours = domain.pki.issue("client", "repository")
        remote = {
            "registry": f"https://localhost:{domain.port}/registry",
            "registry_certificate": ours.certificate,
            "registry_key": ours.key,
            "registry_ca": [domain.pki.authorities],
        }
        with running(tmp_path / "repository", {"repository": remote}) as repository:
            sent = wire.deposit(patient_id=PATIENT)
            assert wire.send(repository, sent.message()).verdict == "Success"
        found = domain.send(QUERY)
        assert [each.value("uniqueId") for each in found.answer.objects] == list(sent.unique_ids)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("after", [False, True], ids=["before the handshake", "after the handshake"])
def test_a_thousand_silent_connections(front: Front, after: bool, tmp_path: Path) -> None:
    """They come from several addresses, as none may have so many; others are answered, and they are cut."""
    settings = {"server": {"header_timeout": 5.0}}
    with tls_domain(tmp_path, front, settings) as domain, ExitStack() as stack:
        context = domain.context(domain.client)
        kept = stack.enter_context(domain.connect(context))
        crowd: set[socket.socket] = set()
        for number in range(1000):
            plain = stack.enter_context(domain.tcp(f"127.0.1.{number % 20 + 1}"))
            crowd.add(stack.enter_context(context.wrap_socket(plain, server_hostname="localhost")) if after else plain)
            if number % 50 == 0:
                assert ask(kept, QUERY).verdict == "Success"
        deadline = time.monotonic() + 60
        while crowd:
            assert time.monotonic() < deadline, f"{len(crowd)} connections are still open"
            with domain.connect(context) as fresh:
                assert ask(fresh, QUERY).verdict == "Success"
            crowd -= {each for each in crowd if is_over(each)}
            time.sleep(0.05)


def is_over(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1000) == b""
    except OSError:
        return True
