"""TLS on the clinical port (ITI-19): the server's context, and what of it changes while it runs.

TLS 1.2 and 1.3 only, forward secrecy only, no renegotiation, no compression, no session is ever resumed: a resumed session
would outlive the revocation of its certificate. Source: IHE ITI TF-2 3.19; DMP, TLS suites of software access.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from liasse.settings import TlsSettings

_log = logging.getLogger(__name__)

SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES128-GCM-SHA256",
)
"""Suites of TLS 1.2, in our order: those of the DMP and of ITI-19. TLS 1.3 has its own."""


class TlsError(Exception):
    """Certificate, key or authorities that cannot be used; the text names setting and file."""


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """The context of the settings. Raises TlsError."""
    if tls.certificate is None or tls.key is None:
        raise TlsError("tls.certificate and tls.key: both are needed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    load_server_key(context, tls)
    if tls.client_certificate != "none":
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificate == "required" else ssl.CERT_OPTIONAL
        if not tls.client_ca:
            raise TlsError("tls.client_ca: the authorities of client certificates are needed")
        for path in tls.client_ca:
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:
                raise TlsError(f"tls.client_ca: {path}: {_reason(error)}") from error
    return context


def load_server_key(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Certificate and key for the handshakes to come. Raises TlsError, and the context keeps what it had."""
    assert tls.certificate is not None
    for setting, path in (("tls.certificate", tls.certificate), ("tls.key", tls.key)):
        try:
            path.read_bytes()  # type: ignore[union-attr]
        except OSError as error:
            raise TlsError(f"{setting}: {path}: {_reason(error)}") from error
    try:
        # A pair that does not match must not leave the context with half of it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError) as error:
        raise TlsError(f"tls.certificate and tls.key: {tls.certificate}, {tls.key}: {_reason(error)}") from error


def load_lists(context: ssl.SSLContext, lists: Sequence[bytes], *, ended: bool) -> None:
    """Revocation lists (DER) for the handshakes to come.

    The library refuses every client when a list has passed its nextUpdate. Within the time of grace the check is left to
    `Trust.check`, which judges every message: `ended` says that some list is in that time, or beyond it.
    """
    pem = b"".join(x509.load_der_x509_crl(data).public_bytes(Encoding.PEM) for data in lists)
    if pem:
        descriptor, name = tempfile.mkstemp(suffix=".crl.pem")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
            context.load_verify_locations(cafile=name)
        finally:
            Path(name).unlink()
    if lists and not ended:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    else:
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


@dataclass(slots=True)
class ServerKey:
    """Certificate and key of the running server, loaded anew when their files change. `context` is None without TLS."""

    tls: TlsSettings
    context: ssl.SSLContext | None
    _loaded: str = field(init=False)
    _failed: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._loaded = self._digest()

    def refresh(self) -> bool:
        """Whether something new was loaded. A pair that cannot be used is logged once and the old one stays."""
        found = self._digest()
        if self.context is None or not found or found in (self._loaded, self._failed):
            return False
        try:
            load_server_key(self.context, self.tls)
        except TlsError as error:
            self._failed = found
            _log.error("the server's new key is not used: %s", error)
            return False
        self._loaded, self._failed = found, ""
        _log.info("the server's key was loaded again")
        return True

    def _digest(self) -> str:
        """Of both files; empty while one cannot be read, as happens when they are being replaced."""
        if self.tls.certificate is None or self.tls.key is None:
            return ""
        try:
            return hashlib.sha256(self.tls.certificate.read_bytes() + b"\0" + self.tls.key.read_bytes()).hexdigest()
        except OSError:
            return ""


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not PEM, or the pair does not match"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "cannot be read"
