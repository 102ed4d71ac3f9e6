"""What the repository needs of others, as protocols: a registry shaped like ITI-42, and a judge of document content.

`liasse.wiring` decides whether the registry is in this process or behind a SOAP endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Holders:
    """By uniqueId, the key texts of the patients who have an entry of it.

    `restricted`: the caller sees no other document than these. `asked`: the patients who were looked at, where that was so.
    """

    of: Mapping[str, tuple[str, ...]]
    restricted: bool = False
    asked: tuple[str, ...] = ()


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

    def holders(self, ctx: RequestContext, unique_ids: Sequence[str]) -> Holders:
        """Who has these documents, as far as this port knows and the caller may see. Raises DatabaseError."""
        ...


class ContentCheck(Protocol):
    """Judges a document's bytes against its metadata, before it is stored."""

    def check(self, entry: DocumentEntry, size: int, head: bytes, whole: Iterable[bytes]) -> tuple[Finding, ...]:
        """Findings with code InvalidDocumentContent. `head` is the first kilobytes; `whole` reads all bytes once."""
        ...
