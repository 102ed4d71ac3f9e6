"""The contexts of the server: what settings make of them, and what changes while they live."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from liasse.settings import TlsSettings
from liasse.tls import SUITES, LiveContext, TlsError, server_context
from pki.testca import Credentials, TestPki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki.create(tmp_path_factory.mktemp("made") / "pki", keys="ec")


@pytest.fixture(scope="module")
def server(pki: TestPki) -> Credentials:
    return pki.issue("server", "server", hosts=["localhost"])


@pytest.fixture(scope="module")
def client(pki: TestPki) -> Credentials:
    return pki.issue("client", "client")


@pytest.fixture
def settings(pki: TestPki, server: Credentials, tmp_path: Path) -> TlsSettings:
    """With copies of the server's files, which a test may replace."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(server.certificate.read_bytes() + server.chain.read_bytes())
    key.write_bytes(server.key.read_bytes())
    return TlsSettings(certificate=certificate, key=key, client_ca=(pki.authorities,))


def agree(ours: ssl.SSLContext, theirs: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake in memory; both ends. Raises what the first end that fails raises."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = ssl.SSLContext.wrap_bio(ours, to_us, to_them, server_side=True)
    them = theirs.wrap_bio(to_them, to_us, server_hostname="localhost")
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for end in (them, us):
            if end not in done:
                try:
                    end.do_handshake()
                    done.add(end)
                except ssl.SSLWantReadError:
                    continue
        if len(done) == 2:
            return us, them
    raise AssertionError("the handshake does not end")


def plain(context: ssl.SSLContext) -> ssl.SSLContext:
    """Without the connection that it would send its alert over."""
    context.sslobject_class = ssl.SSLObject
    return context


def customer(pki: TestPki, who: Credentials | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.authorities)
    if who is not None:
        context.load_cert_chain(who.certificate, who.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def test_what_a_context_offers(settings: TlsSettings) -> None:
    context = server_context(settings)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.num_tickets == 0
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
        assert context.options & option
    offered = [each["name"] for each in context.get_ciphers()]
    assert [name for name in offered if not name.startswith("TLS_")] == list(SUITES)


@pytest.mark.parametrize(
    ("setting", "mode"), [("required", ssl.CERT_REQUIRED), ("optional", ssl.CERT_OPTIONAL), ("none", ssl.CERT_NONE)]
)
def test_whether_a_certificate_is_asked_for(settings: TlsSettings, setting: str, mode: ssl.VerifyMode) -> None:
    live = LiveContext(settings.model_copy(update={"client_certificate": setting}))
    assert live().verify_mode is mode


def test_a_client_s_certificate_is_seen(settings: TlsSettings, pki: TestPki, client: Credentials) -> None:
    us, _ = agree(plain(LiveContext(settings)()), customer(pki, client))
    assert us.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(client.certificate.read_text())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_not_resumed_over_the_contexts_of_connections(
    settings: TlsSettings, pki: TestPki, client: Credentials, version: ssl.TLSVersion
) -> None:
    live, theirs = LiveContext(settings), customer(pki, client, version)
    _, first = agree(plain(live()), theirs)
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    again = theirs.wrap_bio(to_them, to_us, server_hostname="localhost", session=first.session)
    us = ssl.SSLContext.wrap_bio(plain(live()), to_us, to_them, server_side=True)
    for _ in range(4):
        for end in (again, us):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert us.version() == again.version() is not None
    assert not us.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_revocation_lists_are_taken_over_and_left_again(
    settings: TlsSettings, pki: TestPki, version: ssl.TLSVersion
) -> None:
    lost = pki.issue("client", f"lost-{version.name}")
    live = LiveContext(settings)
    agree(plain(live()), customer(pki, lost, version))
    pki.revoke(lost.certificate.parent.name)
    lists = tuple(crl.read_bytes() for crl in pki.crls)
    assert live.refresh(lists)
    assert not live.refresh(lists)
    # thisUpdate of lists that follow one another within a second lies ahead by that second
    with pytest.raises(ssl.SSLError):
        agree(plain(live()), customer(pki, lost, version))
    assert live.refresh(())
    agree(plain(live()), customer(pki, lost, version))


def test_another_key_is_taken_over_and_a_wrong_one_is_not(settings: TlsSettings, pki: TestPki, client: Credentials) -> None:
    assert settings.certificate is not None
    assert settings.key is not None
    live = LiveContext(settings)

    def shown() -> bytes:
        return agree(plain(live()), customer(pki, client))[1].getpeercert(binary_form=True) or b""

    first = shown()
    second = pki.issue("server", f"server-{settings.key.parent.name}", hosts=["localhost"])
    settings.certificate.write_bytes(second.certificate.read_bytes() + second.chain.read_bytes())
    assert not live.refresh(()), "half a pair is not used"
    assert shown() == first
    revoked = tuple(crl.read_bytes() for crl in pki.crls)
    assert not live.refresh(revoked)
    assert live().verify_flags & ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF, "lists do not wait for the key"
    settings.key.write_bytes(second.key.read_bytes())
    assert live.refresh(())
    assert shown() == ssl.PEM_cert_to_DER_cert(second.certificate.read_text()) != first
    settings.key.unlink()
    assert not live.refresh(()), "a file that is being replaced is waited for"


def test_what_cannot_be_used_is_named(settings: TlsSettings, pki: TestPki, client: Credentials, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    absent = tmp_path / "absent.pem"
    for changes, words in (
        ({"key": client.key}, ("tls.certificate and tls.key", "key values mismatch")),
        ({"key": empty}, ("tls.certificate and tls.key", str(empty))),
        ({"key": absent}, ("tls.key", str(absent), "No such file")),
        ({"certificate": absent}, ("tls.certificate", str(absent), "No such file")),
        ({"client_ca": (empty,)}, ("tls.client_ca", str(empty))),
        ({"client_ca": (absent,)}, ("tls.client_ca", str(absent), "No such file")),
        ({"client_ca": ()}, ("tls.client_ca", "needed")),
        ({"certificate": None}, ("tls.certificate", "both")),
    ):
        with pytest.raises(TlsError) as error:
            server_context(settings.model_copy(update=changes))
        for word in words:
            assert word in str(error.value), (changes, str(error.value))
