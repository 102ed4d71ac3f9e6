"""What the repository needs of others, as protocols: a registry shaped like ITI-42, and a judge of document content.

`liasse.wiring` decides whether the registry is in this process or behind a SOAP endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from access_control.context import RequestContext
from xds_metadata.errors import Finding
from xds_metadata.model import DocumentEntry
from xds_metadata.registration import Registration


class RegistryNotAvailable(Exception):
    """The registry could not be asked. `sent`: the message may have arrived, its outcome is unknown."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the registry did not answer" if sent else "the registry cannot be reached")
        self.sent = sent


class RegistryPort(Protocol):
    """A registry. `in_process`: effects of a registration run in its own transaction; otherwise they are ignored."""

    @property
    def in_process(self) -> bool:
        """Whether effects are carried out with the registration."""
        ...

    def register(self, ctx: RequestContext, request: Registration) -> tuple[Finding, ...]:
        """Register, or recognise a retry; returns warnings.

        Raises XdsFailure (the registry's findings, worded as its own), RegistryNotAvailable, DatabaseError.
        """
        ...

    def patients_of(self, unique_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The key texts of the patients who have an entry of each uniqueId, as far as this port knows."""
        ...


class ContentCheck(Protocol):
    """Judges a document's bytes against its metadata, before it is stored."""

    def check(self, entry: DocumentEntry, size: int, head: bytes, whole: Iterable[bytes]) -> tuple[Finding, ...]:
        """Findings with code InvalidDocumentContent. `head` is the first kilobytes; `whole` reads all bytes once."""
        ...
