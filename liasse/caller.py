"""A card or a structure's kit on the client's side: the TLS client certificate, and a fresh VIHF for each message."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from liasse.client import Sign
from pki.testca import Card
from xmlsafe.namespaces import SOAP12, WSSE
from xua.cards import Told, vihf_of


class CallerError(Exception):
    """A card or an authority that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends: `card`, what it does not know (`told`), and `authorities`, the PEM file of those behind the server."""

    card: Card
    told: Told
    authorities: Path

    def tls(self) -> ssl.SSLContext:
        """The context of the connections. Raises CallerError."""
        return client_context(self.authorities, self.card)

    def sign(self, clock: Callable[[], int]) -> Sign:
        """Makes the header of each message. `clock` gives microseconds since 1970 UTC. Raises CardError, FilesError."""

        def header(patient: str) -> bytes:
            return security_header(vihf_of(self.card, replace(self.told, patient=patient), clock()))

        return header


def client_context(authorities: Path, card: Card | None) -> ssl.SSLContext:
    """TLS to a server under `authorities`, showing the authentication certificate of `card`. Raises CallerError."""
    try:
        context = ssl.create_default_context(cafile=authorities)
        if card is not None:
            context.load_cert_chain(card.authentication.certificate, card.authentication.key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise CallerError(f"TLS with {authorities}: {reason}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def security_header(assertion: bytes) -> bytes:
    """wsse:Security around a serialised assertion."""
    opening = f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:s="{SOAP12}" s:mustUnderstand="true">'.encode()
    return opening + assertion + b"</wsse:Security>"
