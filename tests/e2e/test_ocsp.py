"""OCSP against the real server: what a responder says counts on open connections, and what happens while it is away."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.simulators.ocsp_responder import OcspResponder
from database.tables import now_micros
from liasse.caller import security_header
from pki.testca import TestPki
from pki.testocsp import answer
from tests.e2e import wire
from tests.e2e.server import ROOT, command, running, start
from tests.e2e.tls_domain import FRONTS, PATIENT, Front, TlsDomain, ask, tls_domain
from xua.issue import SigningKey, XuaRequest, issue_xua

QUERY = wire.find_documents(PATIENT)
REFUSED = "fault Sender/FailedAuthentication"
AUDIENCE = "urn:test:liasse"
PATIENCE = 90


def answers_of(folder: Path, forgotten: str = "") -> Callable[[bytes], bytes]:
    """From a PKI that need not be there yet. `forgotten` is a name that it does not know to have issued."""

    def answers(question: bytes) -> bytes:
        pki = TestPki.open(folder)
        pki.issued = [row for row in pki.issued if row.name != forgotten]
        return answer(pki, question)

    return answers


@contextmanager
def asking(folder: Path, front: Front = "built-in", **tls: Any) -> Iterator[tuple[TlsDomain, OcspResponder]]:
    """A server without revocation lists that asks about certificates every second."""
    with OcspResponder(answers_of(folder / "pki")) as responder:
        issuer = folder / "pki" / "authorities" / "structures.pem"
        table = {"crl": [], "ocsp": [{"issuer": issuer, "url": responder.url}], "ocsp_refresh": 1, **tls}
        with tls_domain(folder, front, {"tls": table}) as domain:
            yield domain, responder


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def told(domain: TlsDomain, event: str) -> list[str]:
    return [each["detail"] for each in domain.refusals() if each["event"] == event]


@pytest.mark.nginx
@pytest.mark.parametrize("front", FRONTS)
def test_a_certificate_revoked_while_its_connection_is_open(front: Front, tmp_path: Path) -> None:
    with asking(tmp_path, front) as (domain, responder):
        lost = domain.pki.issue("client", "lost")
        with domain.connect(domain.context(lost)) as connection:
            assert ask(connection, QUERY).verdict == "Success"
            assert responder.asked
            domain.pki.revoke("lost", "keyCompromise")
            until(lambda: ask(connection, QUERY).verdict != "Success", "it is still served")
            assert ask(connection, QUERY).verdict == REFUSED
        assert not domain.served(lost)
        assert domain.served(domain.client)
        assert any(each.get("rule") == "certificate-revoked" for each in domain.refusals())


def test_while_the_responder_is_away_the_last_answer_holds(tmp_path: Path) -> None:
    with asking(tmp_path) as (domain, responder):
        never = domain.pki.issue("client", "never-asked-about")
        with domain.connect(domain.context(domain.client)) as connection:
            assert ask(connection, QUERY).verdict == "Success"
            responder.close()

            def missed() -> bool:
                assert ask(connection, QUERY).verdict == "Success"
                return bool(told(domain, "an OCSP responder gives no answer"))

            until(missed, "nobody misses the responder")
            assert ask(connection, QUERY).verdict == "Success"
        assert not domain.served(never)


def test_after_the_grace_everybody_is_refused_until_the_responder_is_back(tmp_path: Path) -> None:
    with asking(tmp_path, ocsp_grace=1) as (domain, responder):
        assert domain.served(domain.client)
        port = responder.port
        responder.close()
        until(lambda: not domain.served(domain.client), "it is still served")
        assert any(each.get("rule") == "certificate-revocation-unknown" for each in domain.refusals())
        with OcspResponder(responder.answers, port=port):
            until(lambda: domain.served(domain.client), "it is not served again")


def test_a_certificate_that_the_responder_does_not_know(tmp_path: Path) -> None:
    with asking(tmp_path) as (domain, responder):
        ghost = domain.pki.issue("client", "forgotten")
        responder.answers = answers_of(domain.pki.directory, "forgotten")
        with domain.connect(domain.context(ghost)) as connection:
            assert ask(connection, QUERY).verdict == REFUSED
            assert ask(connection, QUERY).verdict == REFUSED
        assert domain.served(domain.client)


def test_an_answer_of_somebody_else_does_not_count(tmp_path: Path) -> None:
    with asking(tmp_path) as (domain, responder):
        server = domain.pki.issue("server", "no-responder")
        responder.answers = lambda question: answer(domain.pki, question, responder=server)
        assert not domain.served(domain.client)
        (said, *_) = told(domain, "an OCSP response is refused")
        assert "responder-extended-key-usage" in said


def test_what_was_asked_is_known_after_a_restart(tmp_path: Path) -> None:
    with asking(tmp_path, ocsp_refresh=900) as (domain, responder):
        assert domain.served(domain.client)
        assert responder.asked == 1
        domain.server.stop()
        responder.answers = lambda _: b""
        again = start(domain.server.config, tls=domain.context(domain.client))
        try:
            domain.port = again.port
            assert domain.served(domain.client)
            assert not domain.served(domain.pki.issue("client", "another"))
        finally:
            again.stop()
        assert responder.asked == 2


def test_the_signer_of_an_assertion_is_asked_about_too(tmp_path: Path) -> None:
    """Also where the assertion is known already."""
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    certificate, key, _ = pki.issue("sts", "sts").load()
    request = XuaRequest("doctor", "http://sts.example.org", AUDIENCE, {})
    token = security_header(issue_xua(request, SigningKey(key, certificate), now_micros()))
    with OcspResponder(answers_of(pki.directory)) as responder:
        settings = {
            "assertions": {"required": True, "kinds": ["xua"], "anchors": [pki.authorities], "audience": [AUDIENCE]},
            "tls": {
                "ocsp": [{"issuer": pki.directory / "authorities" / "structures.pem", "url": responder.url}],
                "ocsp_refresh": 1,
            },
        }
        with running(tmp_path / "server", settings) as server, wire.connect(server) as connection:

            def verdict() -> str:
                message = wire.find_documents(PATIENT).replaced(b"</s:Header>", token + b"</s:Header>", 1)
                connection.sendall(message.as_bytes())
                return wire.receive(connection).verdict

            assert verdict() == "Success"
            assert responder.asked
            pki.revoke("sts", "keyCompromise")
            until(lambda: verdict() != "Success", "it is still accepted")
            assert verdict() == "fault Sender/InvalidSecurityToken"
            assert "certificate-revoked" in server.log_text()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_the_responder_of_the_command_line_as_openssl_sees_it(tmp_path: Path, ends: signal.Signals) -> None:
    """Started as a shell starts a job in the background: with SIGINT ignored."""
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    good, lost = pki.issue("client", "good"), pki.issue("client", "lost")
    pki.revoke("lost", "keyCompromise")
    with subprocess.Popen(
        [*command("pki"), "ocsp", "--dir", str(pki.directory), "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:[0-9]+/", process.stdout.readline())
            assert found
            for certificate, status in ((good, "good"), (lost, "revoked")):
                said = subprocess.run(
                    [
                        "openssl", "ocsp", "-issuer", str(pki.directory / "authorities" / "structures.pem"),
                        "-cert", str(certificate.certificate), "-url", found[0], "-CAfile", str(pki.authorities),
                    ],
                    capture_output=True, text=True, timeout=60, check=False,
                )  # fmt: skip
                assert "Response verify OK" in said.stderr, said
                assert f"{certificate.certificate}: {status}\n" in said.stdout
        finally:
            process.send_signal(ends)
            try:
                assert process.wait(60) == 0
            finally:
                process.kill()
