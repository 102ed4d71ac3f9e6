"""Who a client of the server is: the TLS certificate that it shows, and a fresh VIHF of a card for each message."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from liasse.client import Sign
from pki.testca import Card
from xmlsafe.namespaces import SOAP12, WSSE
from xua.cards import Told, vihf_of


class CallerError(Exception):
    """A certificate, card or authority that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Shown:
    """PEM files of the certificate that a client shows, its chain behind it, and of its key; None: in the same file."""

    certificate: Path
    key: Path | None = None

    @classmethod
    def of(cls, card: Card) -> Shown:
        """What a card connects with."""
        return cls(card.authentication.certificate, card.authentication.key)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends. `card` signs, with what it does not know (`told`); without one nothing is signed.

    `authorities`: the PEM file of those behind the server; None: those of this machine. `shown`: the certificate that
    connects; None: that of the card, where there is one.
    """

    card: Card | None
    told: Told = field(default_factory=Told)
    authorities: Path | None = None
    shown: Shown | None = None

    def tls(self) -> ssl.SSLContext:
        """The context of the connections. Raises CallerError."""
        return client_context(self.authorities, self.card, self.shown)

    def sign(self, clock: Callable[[], int]) -> Sign | None:
        """Makes the header of each message. `clock` gives microseconds since 1970 UTC. Raises CardError, FilesError."""
        card = self.card
        if card is None:
            return None

        def header(patient: str) -> bytes:
            return security_header(vihf_of(card, replace(self.told, patient=patient), clock()))

        return header


def client_context(authorities: Path | None, card: Card | None, shown: Shown | None = None) -> ssl.SSLContext:
    """TLS to a server under `authorities` (this machine's if None), showing `shown`, else the card's. Raises CallerError."""
    if shown is None and card is not None:
        shown = Shown.of(card)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError) as error:
        raise CallerError(f"{authorities}: authorities cannot be read: {_reason(error)}") from error
    if shown is not None:
        try:
            context.load_cert_chain(shown.certificate, shown.key, password=_no_password)
        except (OSError, ValueError) as error:
            files = f"{shown.certificate}, {shown.key}" if shown.key is not None else f"{shown.certificate}"
            raise CallerError(f"{files}: no certificate with its key: {_reason(error)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__)


def _no_password() -> bytes:
    raise ValueError("a key under a password cannot be used")


def security_header(assertion: bytes) -> bytes:
    """wsse:Security around a serialised assertion."""
    opening = f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:s="{SOAP12}" s:mustUnderstand="true">'.encode()
    return opening + assertion + b"</wsse:Security>"
