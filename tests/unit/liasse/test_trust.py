"""Revocation lists: fetched, stored, and found by a process that looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.simulators.ocsp_responder import OcspResponder, answers_of
from database.engine import open_database
from database.handle import Database
from database.tables import now_micros
from liasse.responder_settings import ResponderTable
from liasse.settings import Settings, StorageSettings, TlsSettings
from liasse.storage import init_storage
from liasse.trust import Authorities, LiveTrust, Watch, fetch_lists, utc
from pki.errors import CertificateRefused, TrustError
from pki.testca import TestPki
from pki.trust import Purpose

_DER = Encoding.DER


@pytest.fixture
def pki(tmp_path: Path) -> TestPki:
    return TestPki.create(tmp_path / "pki", keys="ec")


def settings(pki: TestPki, folder: Path, *places: str) -> Settings:
    crl = places or tuple(str(each) for each in pki.crls)
    tls = TlsSettings(client_ca=(pki.authorities,), crl=crl, crl_grace=60.0)
    return Settings(tls=tls, storage=StorageSettings(directory=folder / "data"))


@contextmanager
def opened(given: Settings) -> Iterator[Database]:
    init_storage(given)
    with open_database(given.storage.database_place) as database:
        yield database


def test_lists_reach_a_process_that_looks(pki: TestPki, tmp_path: Path) -> None:
    given = settings(pki, tmp_path)
    leaf = pki.issue("client", "client").load()[0].public_bytes(_DER)
    authorities = Authorities.of(given)
    with opened(given) as database:
        trust = LiveTrust(given, authorities, database, now_micros)

        def check(ahead: float = 0.0) -> None:
            trust.check(leaf, (), Purpose.TLS_CLIENT, utc(now_micros()) + timedelta(seconds=ahead))

        with pytest.raises(CertificateRefused) as refused:
            check()
        assert refused.value.reason == "revocation-unknown", "without lists nobody is served"
        assert trust.lists_for_handshakes() == ()
        assert len(fetch_lists(given, authorities, database, now_micros)) == 3
        assert fetch_lists(given, authorities, database, now_micros) == [], "the same again"
        assert trust.refresh()
        assert not trust.refresh()
        check()
        pki.revoke("client")
        fetch_lists(given, authorities, database, now_micros)
        watch = Watch(trust, None, every=3600)
        watch.start()
        watch.stop()
        with pytest.raises(CertificateRefused) as refused:
            check()
        assert refused.value.reason == "revoked"


def test_after_its_grace_a_list_refuses_everybody(pki: TestPki, tmp_path: Path) -> None:
    given = settings(pki, tmp_path)
    leaf = pki.issue("client", "client").load()[0].public_bytes(_DER)
    clock = [now_micros()]
    with opened(given) as database:
        fetch_lists(given, Authorities.of(given), database, now_micros)
        trust = LiveTrust(given, Authorities.of(given), database, lambda: clock[0])
        trust.refresh()
        clock[0] += 10_000_000
        assert len(trust.lists_for_handshakes()) == 3
        clock[0] += 7 * 86_400_000_000
        assert trust.lists_for_handshakes() == (), "the library has no time of grace"
        trust.check(leaf, (), Purpose.TLS_CLIENT, utc(clock[0]))
        clock[0] += 60_000_000
        with pytest.raises(CertificateRefused) as refused:
            trust.check(leaf, (), Purpose.TLS_CLIENT, utc(clock[0]))
        assert refused.value.reason == "revocation-unknown"


def with_responder(pki: TestPki, folder: Path, url: str, **changes: Any) -> Settings:
    issuer = pki.directory / "authorities" / "structures.pem"
    tls = TlsSettings(client_ca=(pki.authorities,), ocsp=(ResponderTable(issuer=issuer, url=url),), **changes)
    return Settings(tls=tls, storage=StorageSettings(directory=folder / "data"))


def test_where_a_responder_is_set_its_word_is_needed_and_a_list_may_revoke_too(pki: TestPki, tmp_path: Path) -> None:
    leaf, other = (pki.issue("client", name).load()[0].public_bytes(_DER) for name in ("client", "other"))
    card = pki.issue_card("dupont", "899700000001").authentication.load()[0].public_bytes(_DER)

    def verdict(trust: LiveTrust, der: bytes, later: float = 0) -> str:
        try:
            trust.check(der, (), Purpose.TLS_CLIENT, utc(now_micros()) + timedelta(seconds=later))
        except CertificateRefused as refused:
            return refused.reason
        return "accepted"

    with OcspResponder(answers_of(pki.directory)) as responder:
        given = with_responder(pki, tmp_path, responder.url)
        with opened(given) as database:
            trust = LiveTrust(given, Authorities.of(given), database, now_micros)
            assert verdict(trust, leaf) == "accepted"
            assert verdict(trust, card) == "accepted", "nothing is configured for its authority"
            assert responder.asked == 1
            pki.revoke("client")
            assert verdict(trust, leaf, later=600) == "revoked"
            assert not trust.refresh()
            assert trust.lists_for_handshakes() == ()
            lists = with_responder(pki, tmp_path, responder.url, crl=(str(pki.crls[0]), str(pki.crls[1])))
            fetch_lists(lists, Authorities.of(lists), database, now_micros)
            trust = LiveTrust(lists, Authorities.of(lists), database, now_micros)
            assert trust.refresh()
            assert verdict(trust, other) == "accepted", "no list of its authority is needed"
            assert verdict(trust, card) == "accepted"
            assert trust.lists_for_handshakes() == (), "the handshake would need a list of each authority"
            pki.revoke("other")
            full = with_responder(pki, tmp_path, responder.url, crl=tuple(str(each) for each in pki.crls))
            fetch_lists(full, Authorities.of(full), database, now_micros)
            trust = LiveTrust(full, Authorities.of(full), database, lambda: now_micros() + 10_000_000)
            trust.refresh()
            assert verdict(trust, other) == "revoked", "the list says so, whatever the responder said before"
            assert len(trust.lists_for_handshakes()) == 3


def test_an_issuer_that_is_no_authority_is_named(pki: TestPki, tmp_path: Path) -> None:
    """Nobody would be asked, and everybody served."""
    leaf = pki.issue("client", "client")
    tls = TlsSettings(ocsp=(ResponderTable(issuer=leaf.certificate, url="http://ocsp.example/"),))
    with pytest.raises(TrustError, match=r"tls\.ocsp: .*client\.pem: 'CN=client.*' is not an authority"):
        Authorities.of(Settings(tls=tls))


@contextmanager
def web(pages: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """A web server on loopback."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_lists_from_the_web_and_what_goes_wrong(pki: TestPki, tmp_path: Path) -> None:
    """A place that fails does not stop the others."""
    data = pki.crls[1].read_bytes()
    pages = {
        "/list.crl": (200, {}, data),
        "/moved": (302, {"Location": "/list.crl"}, b""),
        "/away": (302, {"Location": f"file://{pki.crls[0]}"}, b""),
        "/html": (200, {}, b"<html>sign in</html>"),
    }
    with web(pages) as base, opened(settings(pki, tmp_path)) as database:
        places = (f"{base}/absent", f"{base}/away", f"{base}/html", "http://127.0.0.1:9/x", "http://[/x", f"{base}/moved")
        given = settings(pki, tmp_path, *places, str(tmp_path / "absent.crl"))
        found = fetch_lists(given, Authorities.of(given), database, now_micros)
        assert len(found) == 1
        given = settings(pki, tmp_path, f"{base}/list.crl", str(pki.crls[0]))
        assert len(fetch_lists(given, Authorities.of(given), database, now_micros)) == 1, "the first is in use already"


def test_authorities_that_cannot_be_read_are_named(pki: TestPki, tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    given = Settings(tls=TlsSettings(client_ca=(pki.authorities, absent)))
    with pytest.raises(TrustError, match=r"tls\.client_ca: .*absent\.pem: No such file"):
        Authorities.of(given)
