"""What goes wrong with certificates, revocation data and the files of a test PKI."""

from __future__ import annotations

from typing import Final

REASONS: Final = (
    "not-a-certificate",
    "unknown-authority",
    "expired",
    "not-yet-valid",
    "revoked",
    "revocation-unknown",
    "key-size",
    "key-type",
    "key-usage",
    "extended-key-usage",
    "policy",
    "path-length",
    "authority-as-leaf",
    "signature-hash",
    "critical-extension",
)
"""All reasons of CertificateRefused."""


class PkiError(Exception):
    """The root of this package's errors."""


class CertificateRefused(PkiError):
    """A certificate that may not be used for the purpose asked.

    `reason` is one of REASONS; `text` says what was found and what is expected. It names certificates by subject: it is for
    the security log, never for the caller.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class RevocationRefused(PkiError):
    """A CRL or an OCSP response that may not be used. `reason` is one stable word, `text` says what was found."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class TrustError(PkiError):
    """A list of trusted authorities or a table of rules that cannot be used: a mistake of configuration."""


class FilesError(PkiError):
    """A file or folder of keys and certificates that cannot be read, or would be written over."""
