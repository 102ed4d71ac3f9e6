"""What OCSP responders say, as one process knows it: asked when it is needed, kept for a while, shared through the database.

The path of a message costs a look into a dictionary while an answer counts. Then the responder is asked in the thread of the
message, which waits for a few seconds at most; a responder that was away a moment ago is not waited for. While it is away
the last answer holds for the time of grace; then its certificates are refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography import x509

from database.errors import DatabaseError
from database.handle import Database
from liasse.logs import SECURITY_LOG
from liasse.ocsp_client import NoAnswer, post
from pki.errors import CertificateRefused, RevocationRefused
from pki.ocsp import ask_about, check_answer, judge_response
from pki.revocation import authority_key
from pki.stored_answers import Stored, load_answer, store_answer
from pki.trust import RevocationView

log = structlog.get_logger()

PAUSE: Final = timedelta(seconds=10)
"""How long a responder that gave no answer is not asked again."""

UNKNOWN_FOR: Final = timedelta(seconds=60)
"""How long a responder is believed that it does not know a certificate: a new one may reach it late."""

_KEPT: Final = 8192
_LOCKS: Final = 64
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a certificate between two times: the last answer, if any, and why it does not count any more."""

    since: datetime
    until: datetime
    last: Stored | None = None
    why: str = ""

    def counts(self, at: datetime) -> bool:
        """Whether nobody has to be asked. A clock that was set back makes nothing last longer."""
        return self.since - _SKEW <= at < self.until


@dataclass(slots=True)
class _Place:
    """A responder: how many are asking it now, and since when and why it gave no answer."""

    url: str
    asking: int = 0
    failed_at: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class Responders:
    """The responders of the settings, by what `pki.revocation.authority_key` gives for their authorities.

    `refresh`: how long an answer is used; `grace`: how much longer while nothing newer can be had.
    Safe for concurrent calls.
    """

    urls: Mapping[bytes, str]
    database: Database
    refresh: timedelta
    grace: timedelta
    ask: Callable[[str, bytes], bytes] = post
    _places: dict[bytes, _Place] = field(init=False)
    _issuers: dict[x509.Certificate, _Place | None] = field(init=False, default_factory=dict)
    _known: dict[x509.Certificate, _Known] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _locks: tuple[threading.Lock, ...] = field(init=False)

    def __post_init__(self) -> None:
        places = {url: _Place(url) for url in self.urls.values()}
        self._places = {key: places[url] for key, url in self.urls.items()}
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def check(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        at: datetime,
        revocations: RevocationView | None = None,
    ) -> bool:
        """False where no responder is set for `issuer`, True where it says that the certificate is good.

        `revocations` is asked about the responder's own certificate. Raises CertificateRefused: revoked, revocation-unknown.
        """
        place = self._place(issuer)
        if place is None:
            return False
        known = self._known.get(certificate)
        if known is None or not known.counts(at):
            with self._locks[hash(certificate) % _LOCKS]:
                known = self._known.get(certificate)
                if known is None or not known.counts(at):
                    known = self._find(place, certificate, issuer, at, revocations)
                    self._keep(certificate, known)
        if known.last is None or known.why:
            name = certificate.subject.rfc4514_string()
            raise CertificateRefused("revocation-unknown", f"nothing newer can be had about {name!r}: {known.why}")
        check_answer(known.last.answer, certificate)
        return True

    def _find(
        self,
        place: _Place,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        at: datetime,
        revocations: RevocationView | None,
    ) -> _Known:
        """1. what another process has asked for; 2. what the responder says now; 3. the last answer, in its grace."""
        before = self._known.get(certificate)
        last = before.last if before is not None else None
        stored = self._load(certificate, issuer, at)
        if stored is not None and (last is None or stored.asked_at > last.asked_at):
            last = stored
        if last is not None:
            known = _Known(last.asked_at, self._ends(last), last)
            if known.counts(at):
                return known
        try:
            found = self._asked(place, certificate, issuer, at, last, revocations)
            return _Known(at, self._ends(found), found)
        except (NoAnswer, RevocationRefused) as error:
            why = str(error)
        until = (place.failed_at or at) + PAUSE
        if last is None or last.answer.status != "good":
            return _Known(at, until, last, "" if last is not None else why)
        ends = self._ends(last) + self.grace
        return _Known(at, min(until, ends), last) if at < ends else _Known(at, until, last, why)

    def _ends(self, found: Stored) -> datetime:
        """When the responder has to be asked again."""
        answer = found.answer
        ends = found.asked_at + (self.refresh if answer.status != "unknown" else min(self.refresh, UNKNOWN_FOR))
        return ends if answer.next_update is None else min(ends, answer.next_update)

    def _asked(
        self,
        place: _Place,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        at: datetime,
        last: Stored | None,
        revocations: RevocationView | None,
    ) -> Stored:
        """Raises NoAnswer, RevocationRefused, and says so in the log."""
        question = ask_about(certificate, issuer)
        data = self._post(place, question.data, at)
        newest = last.answer if last is not None else None
        try:
            answer = judge_response(
                data, certificate, issuer, at, nonce=question.nonce, newest=newest, revocations=revocations
            )
        except RevocationRefused as refused:
            log.warning(
                "an OCSP response is refused", logger=SECURITY_LOG, rule=refused.reason, detail=f"{place.url}: {refused}"
            )
            raise
        found = Stored(answer, at)
        try:
            store_answer(self.database, data, certificate, issuer, found)
        except DatabaseError as error:
            log.warning("an OCSP response could not be stored", logger=SECURITY_LOG, code=error.code)
        return found

    def _post(self, place: _Place, question: bytes, at: datetime) -> bytes:
        """A responder that gave no answer is left alone for a while, then tried by one thread alone. Raises NoAnswer."""
        with self._lock:
            if place.failed_at is not None and (place.asking or place.failed_at <= at < place.failed_at + PAUSE):
                raise NoAnswer(place.why)
            place.asking += 1
        try:
            data = self.ask(place.url, question)
        except NoAnswer as error:
            place.failed_at, place.why = at, str(error)
            log.warning("an OCSP responder gives no answer", logger=SECURITY_LOG, detail=f"{place.url}: {error}")
            raise
        else:
            place.failed_at = None
            return data
        finally:
            with self._lock:
                place.asking -= 1

    def _load(self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> Stored | None:
        try:
            return load_answer(self.database, certificate, issuer, at)
        except DatabaseError as error:
            log.warning("OCSP responses could not be looked for", logger=SECURITY_LOG, code=error.code)
            return None

    def _keep(self, certificate: x509.Certificate, known: _Known) -> None:
        with self._lock:
            self._known[certificate] = known
            while len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]

    def _place(self, issuer: x509.Certificate) -> _Place | None:
        try:
            return self._issuers[issuer]
        except KeyError:
            found = self._issuers[issuer] = self._places.get(authority_key(issuer))
            return found
