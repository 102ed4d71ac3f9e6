"""The trust of a running process: authorities from files, revocation lists from the database, kept fresh by looking.

The background process fetches lists and stores them; every process looks for a newer version every few seconds. What a
worker has found it also gives to the context of its TLS handshakes.
"""

from __future__ import annotations

import logging
import ssl
import threading
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from database.errors import DatabaseError
from database.handle import Database
from liasse.settings import Settings
from liasse.tls import ServerKey, load_lists
from pki.errors import RevocationRefused, TrustError
from pki.revocation import MAX_LIST, RevocationList, Revocations
from pki.stored_lists import load_lists as stored_lists
from pki.stored_lists import store_list, stored_version
from pki.trust import Checked, Purpose, Trust, read_anchors

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
"""Seconds between two looks of a process for newer lists and a newer key."""

_FETCH_TIMEOUT: Final = 10.0


def read_files(setting: str, paths: Sequence[Path]) -> tuple[x509.Certificate, ...]:
    """The certificates in the PEM files of a setting. Raises TrustError."""
    try:
        return read_anchors([(f"{setting}: {path}", path.read_bytes()) for path in paths])
    except OSError as error:
        raise TrustError(f"{setting}: {error.filename}: {error.strerror}") from error


@dataclass(frozen=True)
class Authorities:
    """The authorities of the settings, read once before processes are forked."""

    clients: tuple[x509.Certificate, ...] = ()
    assertions: tuple[x509.Certificate, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Authorities:
        """Read them. Raises TrustError naming setting and file."""
        return cls(
            read_files("tls.client_ca", settings.tls.client_ca),
            read_files("assertions.anchors", settings.assertions.anchors),
        )

    @property
    def all(self) -> tuple[x509.Certificate, ...]:
        """Those that may sign revocation lists."""
        return tuple(dict.fromkeys((*self.clients, *self.assertions)))

    def trust(self) -> Trust:
        """What is trusted for which purpose, before anything is known of revocations."""
        return Trust({Purpose.TLS_CLIENT: self.clients, Purpose.ASSERTION: self.assertions, Purpose.STS: self.assertions})


def utc(micros: int) -> datetime:
    """The time of microseconds since 1970."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


@dataclass
class LiveTrust:
    """The trust of one process, as it is now. `clock` gives microseconds since 1970 UTC. Safe for concurrent calls."""

    settings: Settings
    authorities: Authorities
    database: Database
    clock: Callable[[], int]
    _trust: Trust = field(init=False)
    _revocations: Revocations | None = field(init=False, default=None)
    _version: int = field(init=False, default=0)
    _lists: dict[bytes, bytes] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._trust = self.authorities.trust()
        if self.settings.tls.crl:
            self._revocations = Revocations((), timedelta(seconds=self.settings.tls.crl_grace))
            self._trust = self._trust.with_revocations(self._revocations)

    @property
    def asks_clients(self) -> bool:
        """Whether client certificates are judged at all."""
        return bool(self.authorities.clients)

    def check(self, leaf: bytes, others: Sequence[bytes], purpose: Purpose, at: datetime, legacy: bool = False) -> Checked:
        """As `pki.trust.Trust.check`, with the newest revocation lists."""
        return self._trust.check(leaf, others, purpose, at, legacy)

    def refresh(self) -> bool:
        """Take over lists stored since the last look; whether there were any. Raises DatabaseError."""
        if self._revocations is None or stored_version(self.database) == self._version:
            return False
        at = utc(self.clock())
        self._version, found, data = stored_lists(self.database, self.authorities.all, at, self._version)
        self._lists.update(zip((each.authority for each in found), data, strict=True))
        self._revocations = self._revocations.replaced(found)
        self._trust = self._trust.with_revocations(self._revocations)
        return bool(found)

    def give_to(self, context: ssl.SSLContext) -> None:
        """The lists, for the handshakes to come."""
        if self._revocations is not None:
            at = utc(self.clock())
            load_lists(
                context, list(self._lists.values()), ended=any(at > each.next_update for each in self._revocations.lists)
            )


class Watch:
    """A thread of a worker that looks for newer lists and a newer server key, until it is stopped."""

    def __init__(self, trust: LiveTrust, key: ServerKey | None, every: float = LOOK_EVERY) -> None:
        self._trust, self._key, self._every = trust, key, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trust", daemon=True)

    def start(self) -> None:
        """Look once, then go on in the background."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(self._every)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        try:
            self._trust.refresh()
            if self._key is not None and self._key.context is not None:
                self._key.refresh()
                self._trust.give_to(self._key.context)
        except DatabaseError as error:
            _log.warning("revocation lists could not be looked for", extra={"code": error.code})


def fetch_lists(
    settings: Settings,
    authorities: Authorities,
    database: Database,
    clock: Callable[[], int],
    guard: Callable[[Connection], None] = lambda _connection: None,
) -> list[RevocationList]:
    """Fetch every configured list and store those that are newer; what is refused is logged. Raises DatabaseError."""
    stored = []
    for place in settings.tls.crl:
        try:
            data = _fetch(place)
            stored.append(store_list(database, data, authorities.all, utc(clock()), guard))
        except OSError as error:
            _log.warning("a revocation list cannot be fetched: %s: %s", place, error.strerror or type(error).__name__)
        except RevocationRefused as refused:
            if refused.reason != "unchanged":
                _log.warning("a revocation list is refused: %s: %s", place, refused)
    return stored


def _fetch(place: str) -> bytes:
    if place.startswith(("http://", "https://")):
        with urllib.request.urlopen(place, timeout=_FETCH_TIMEOUT) as answer:  # noqa: S310 an address of the settings
            return bytes(answer.read(MAX_LIST + 1))
    with Path(place).open("rb") as file:
        return file.read(MAX_LIST + 1)
