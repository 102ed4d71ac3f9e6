"""TLS on the clinical port (ITI-19): the server's contexts, and what of them changes while it runs.

TLS 1.2 and 1.3 only, forward secrecy only, no renegotiation, no compression, no early data, and no session is ever resumed:
a resumed session would outlive the revocation of its certificate. Source: IHE ITI TF-2 3.19; DMP, TLS suites of software
access.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Sequence
from typing import Final

import structlog

from liasse.logs import SECURITY_LOG
from liasse.settings import RepositorySettings, TlsSettings
from soap.handshakes import ConnectionContext

log = structlog.get_logger()

SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-SHA384",
)
"""Suites of TLS 1.2, in our order: those of the DMP, and of ITI-19 those with elliptic curves. TLS 1.3 has its own.

The one with CBC is there for software access of the DMP; it is last and is agreed only with a client that has no other.
"""


class TlsError(Exception):
    """Certificate, key or authorities that cannot be used; the text names setting and file."""


def server_context(tls: TlsSettings, lists: Sequence[bytes] = ()) -> ssl.SSLContext:
    """The context of the settings. `lists` are revocation lists (DER or PEM) that handshakes are judged by. Raises TlsError.

    With lists, a client whose authority has none among them is refused, and so is every client once a list has ended.
    """
    if tls.certificate is None or tls.key is None:
        raise TlsError("tls.certificate and tls.key: both are needed")
    context = _bare_context(tls, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    for setting, path in (("tls.certificate", tls.certificate), ("tls.key", tls.key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"{setting}: {path}: {_reason(error)}") from error
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise TlsError(f"tls.certificate and tls.key: {tls.certificate}, {tls.key}: {_reason(error)}") from error
    if tls.client_certificate != "none":
        if not tls.client_ca:
            raise TlsError("tls.client_ca: the authorities of client certificates are needed")
        for path in tls.client_ca:
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:
                raise TlsError(f"tls.client_ca: {path}: {_reason(error)}") from error
        _take_lists(context, lists)
    return context


def _bare_context(tls: TlsSettings, context: ssl.SSLContext) -> ssl.SSLContext:
    """Everything but keys, authorities and lists."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = _VERIFY[tls.client_certificate]
    return context


_VERIFY: Final = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


def _take_lists(context: ssl.SSLContext, lists: Sequence[bytes]) -> None:
    """The library takes lists from a file only; this one is in memory. Raises TlsError."""
    if not lists:
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        return
    pem = b"".join(_pem(data) for data in lists)
    descriptor = os.memfd_create("revocation-lists")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(pem)
        context.load_verify_locations(cafile=f"/proc/self/fd/{descriptor}")
    except OSError as error:
        raise TlsError(f"tls.crl: the lists cannot be used: {_reason(error)}") from error
    finally:
        os.close(descriptor)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


def _pem(data: bytes) -> bytes:
    if data.lstrip().startswith(b"-----BEGIN"):
        return data.strip() + b"\n"
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(data) + b"-----END X509 CRL-----\n"


def _no_password() -> bytes:
    raise ValueError("a key under a password cannot be used")


def registry_context(repository: RepositorySettings) -> ssl.SSLContext | None:
    """How the remote registry is talked to: with our certificate, TLS 1.2 at least. None without https. Raises TlsError."""
    if not repository.registry.startswith("https://"):
        return None
    context = ssl.create_default_context() if not repository.registry_ca else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in repository.registry_ca:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise TlsError(f"repository.registry_ca: {path}: {_reason(error)}") from error
    pair = (repository.registry_certificate, repository.registry_key)
    if pair[0] is not None:
        try:
            context.load_cert_chain(pair[0], pair[1], password=_no_password)
        except (OSError, ValueError) as error:
            names = "repository.registry_certificate and repository.registry_key"
            raise TlsError(f"{names}: {pair[0]}, {pair[1]}: {_reason(error)}") from error
    return context


class LiveContext:
    """Gives the context of each new connection, made of the newest key and revocation lists. Connections keep theirs.

    The library keeps the sessions of TLS 1.2 per context and would resume them, whatever is said about tickets. So each
    connection gets a context of its own, without memory (0.2 ms), that passes it on to the one with keys and authorities as
    soon as the client has spoken. Raises TlsError for settings that cannot be used.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._shared = server_context(tls)
        self._lists: Sequence[bytes] = ()
        self._digest = self._read()
        self._failed = ""

    def __call__(self) -> ssl.SSLContext:
        """The context of one new connection."""
        shared = self._shared
        context = _bare_context(self._tls, ConnectionContext(ssl.PROTOCOL_TLS_SERVER))
        context.verify_flags = shared.verify_flags

        def pass_on(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = shared

        context.sni_callback = pass_on
        return context

    def refresh(self, lists: Sequence[bytes]) -> bool:
        """Look for another certificate and key, and take over `lists`; whether anything is new.

        Files that cannot be used are logged once, and what was loaded before stays in use.
        """
        found = self._read()
        changed = bool(found) and found not in (self._digest, self._failed)
        if not changed and list(lists) == list(self._lists):
            return False
        try:
            self._shared = server_context(self._tls, lists)
        except TlsError as error:
            if changed:
                self._failed = found
                log.error("the new key of the server is not used", logger=SECURITY_LOG, detail=str(error))
            _take_lists(self._shared, lists)  # which must not wait for the key
            self._lists = tuple(lists)
            return False
        self._lists = tuple(lists)
        if changed:
            self._digest, self._failed = found, ""
            log.info("the server's key was loaded again", logger=SECURITY_LOG)
        return True

    def _read(self) -> str:
        """A digest of the files; empty while one cannot be read, as happens when they are being replaced."""
        digest = hashlib.sha256()
        try:
            for path in (self._tls.certificate, self._tls.key):
                digest.update(hashlib.sha256(path.read_bytes() if path else b"").digest())
        except OSError:
            return ""
        return digest.hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM, or the pair does not match").replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or "cannot be read"
