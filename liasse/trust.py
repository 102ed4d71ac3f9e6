"""The trust of a running process: authorities from files, revocation lists from the database, kept fresh by looking.

The background process fetches lists and stores them; every process looks for a newer version every few seconds. What a
worker has found it also gives to its TLS handshakes.
"""

from __future__ import annotations

import http.client
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from sqlalchemy import Connection

from database.errors import DatabaseError
from database.handle import Database
from liasse.logs import SECURITY_LOG
from liasse.ocsp import Responders
from liasse.settings import Settings
from liasse.tls import LiveContext
from pki.errors import RevocationRefused, TrustError
from pki.revocation import MAX_LIST, Listed, RevocationList, Revocations, authority_key, is_authority
from pki.rules import RULES
from pki.stored_lists import load_lists as stored_lists
from pki.stored_lists import store_list, stored_version
from pki.trust import Checked, Purpose, Trust, read_anchors

log = structlog.get_logger()

LOOK_EVERY: Final = 5.0
"""Seconds between two looks of a process for newer lists and a newer key."""

_FETCH_SILENCE, _FETCH_TIME = 10.0, 60.0
_FETCH_BLOCK: Final = 262_144


def read_files(setting: str, paths: Sequence[Path]) -> tuple[x509.Certificate, ...]:
    """The certificates in the PEM files of a setting. Raises TrustError."""
    try:
        return read_anchors([(f"{setting}: {path}", path.read_bytes()) for path in paths])
    except OSError as error:
        raise TrustError(f"{setting}: {error.filename}: {error.strerror}") from error


def _read_issuers(path: Path) -> tuple[x509.Certificate, ...]:
    """With another file nobody would be asked, and all would be served. Raises TrustError."""
    found = read_files("tls.ocsp", (path,))
    for each in found:
        if not is_authority(each):
            name = each.subject.rfc4514_string()
            raise TrustError(f"tls.ocsp: {path}: {name!r} is not an authority, the issuer of the certificates is expected")
    return found


@dataclass(frozen=True)
class Authorities:
    """The authorities of the settings, read once before processes are forked.

    `responders`: authorities with the URL at which OCSP says what became of their certificates.
    """

    clients: tuple[x509.Certificate, ...] = ()
    assertions: tuple[x509.Certificate, ...] = ()
    responders: tuple[tuple[x509.Certificate, str], ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Authorities:
        """Read them. Raises TrustError naming setting and file."""
        return cls(
            read_files("tls.client_ca", settings.tls.client_ca),
            read_files("assertions.anchors", settings.assertions.anchors),
            tuple((issuer, each.url) for each in settings.tls.ocsp for issuer in _read_issuers(each.issuer)),
        )

    @property
    def all(self) -> tuple[x509.Certificate, ...]:
        """Those that may sign revocation lists."""
        return tuple(dict.fromkeys((*self.clients, *self.assertions)))

    def trust(self, kinds: Collection[str]) -> Trust:
        """What is trusted for which purpose, before anything is known of revocations.

        Where several kinds of assertions share their authorities, a certificate that was issued for something else must not
        speak as an identity provider: one of no special kind does so only when it is itself in the settings.
        """
        rules = RULES
        if len(kinds) > 1:
            rules = replace(RULES, uses={use: rule for use, rule in RULES.uses.items() if use != (Purpose.STS, "other")})
        anchors = {Purpose.TLS_CLIENT: self.clients, Purpose.ASSERTION: self.assertions, Purpose.STS: self.assertions}
        return Trust(anchors, rules=rules)


@dataclass(frozen=True)
class _Known:
    """What is known of revocations: where a responder is set, its word and that of a list; elsewhere a list is needed."""

    lists: Revocations | None
    responders: Responders | None

    def check(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> None:
        """Raises CertificateRefused: revoked, revocation-unknown."""
        if self.responders is not None:
            listed = Listed(self.lists or Revocations())
            if self.responders.check(certificate, issuer, at, listed):
                listed.check(certificate, issuer, at)
                return
        if self.lists is not None:
            self.lists.check(certificate, issuer, at)


def utc(micros: int) -> datetime:
    """The time of microseconds since 1970."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a trust let pass in one second."""

    trust: Trust
    second: datetime | None = None
    passed: dict[tuple[bytes, Purpose, bool], Checked] = field(default_factory=dict)


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
    _responders: Responders | None = field(init=False, default=None)
    _judged: _Judged = field(init=False)

    def __post_init__(self) -> None:
        tls = self.settings.tls
        self._trust = self.authorities.trust(self.settings.assertions.kinds)
        if tls.crl:
            self._revocations = Revocations((), timedelta(seconds=tls.crl_grace))
        if self.authorities.responders:
            urls = {authority_key(issuer): url for issuer, url in self.authorities.responders}
            refresh, grace = timedelta(seconds=tls.ocsp_refresh), timedelta(seconds=tls.ocsp_grace)
            self._responders = Responders(urls, self.database, refresh, grace)
        self._know()

    def _know(self) -> None:
        if self._revocations is not None or self._responders is not None:
            self._trust = self._trust.with_revocations(_Known(self._revocations, self._responders))
        self._judged = _Judged(self._trust)

    @property
    def asks_clients(self) -> bool:
        """Whether client certificates are judged at all."""
        return bool(self.authorities.clients)

    def check(self, leaf: bytes, others: Sequence[bytes], purpose: Purpose, at: datetime, legacy: bool = False) -> Checked:
        """As `pki.trust.Trust.check`, with the newest lists. What passed in a second is not judged again in it."""
        judged = self._judged
        if judged.second != (second := at.replace(microsecond=0)):
            judged = self._judged = _Judged(judged.trust, second)
        found = judged.passed.get((leaf, purpose, legacy))
        if found is None:
            found = judged.passed[leaf, purpose, legacy] = judged.trust.check(leaf, others, purpose, at, legacy)
        return found

    def refresh(self) -> bool:
        """Take over lists stored since the last look; whether there were any. Raises DatabaseError."""
        if self._revocations is None or stored_version(self.database) == self._version:
            return False
        at = utc(self.clock())
        self._version, found, data = stored_lists(self.database, self.authorities.all, at, self._version)
        self._lists.update(zip((each.authority for each in found), data, strict=True))
        self._revocations = self._revocations.replaced(found)
        self._know()
        return bool(found)

    def lists_for_handshakes(self) -> tuple[bytes, ...]:
        """The lists by which handshakes are judged, none while one of them is not in force.

        The TLS library then refuses every client; in the time of grace the judgement is left to `check`, message by message.
        So it is where an authority has a responder and no list.
        """
        at = utc(self.clock())
        soon = at + timedelta(seconds=3 * LOOK_EVERY)
        if self._revocations is not None and any(not self._revocations.of(each) for each, _ in self.authorities.responders):
            return ()
        if self._revocations is None or any(
            not each.this_update <= at <= soon <= each.next_update for each in self._revocations.lists
        ):
            return ()
        return tuple(self._lists.values())


class Watch:
    """A thread of a worker that looks for newer lists and a newer server key, until it is stopped."""

    def __init__(self, trust: LiveTrust, context: LiveContext | None, every: float = LOOK_EVERY) -> None:
        self._trust, self._context, self._every = trust, context, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trust", daemon=True)

    def start(self) -> None:
        """Look once, then go on in the background."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._every)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        """Whatever goes wrong, the next look must come: lists that are not renewed end, and then nobody is served."""
        try:
            self._trust.refresh()
        except DatabaseError as error:
            log.warning("revocation lists could not be looked for", logger=SECURITY_LOG, code=error.code)
        except Exception:
            log.exception("revocation lists could not be looked for", logger=SECURITY_LOG)
        try:
            if self._context is not None:
                self._context.refresh(self._trust.lists_for_handshakes())
        except Exception:
            log.exception("the context of TLS could not be renewed", logger=SECURITY_LOG)


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
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.warning("a revocation list cannot be fetched", logger=SECURITY_LOG, detail=f"{place}: {_cause(error)}")
        except RevocationRefused as refused:
            if refused.reason != "unchanged":
                log.warning(
                    "a revocation list is refused", logger=SECURITY_LOG, rule=refused.reason, detail=f"{place}: {refused}"
                )
    return stored


def _fetch(place: str) -> bytes:
    """At most one byte more than a list may have, which is then refused. Raises OSError, HTTPException, ValueError."""
    if not place.startswith(("http://", "https://")):
        with Path(place).open("rb") as file:
            return file.read(MAX_LIST + 1)
    deadline = time.monotonic() + _FETCH_TIME
    data = bytearray()
    with _opener().open(place, timeout=_FETCH_SILENCE) as answer:
        while len(data) <= MAX_LIST and (block := answer.read1(_FETCH_BLOCK)):
            data += block
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete after {_FETCH_TIME:g} s")
    return bytes(data[: MAX_LIST + 1])


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS only, where a redirection leads too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _cause(error: Exception) -> str:
    return str(getattr(error, "reason", "") or getattr(error, "strerror", "") or error or type(error).__name__)
