"""Notices are delivered by e-mail (SMTP, RFC 5321): in the order in which they are due, each until the server took it.

A server that is away, or lets nobody in, loses nothing: all wait, ever longer up to a limit. A notice that is refused for
now is tried again later; one that is refused for good, too often or for too long is given up, and kept. A crash after a
message was taken and before that is noted sends it twice, under the same Message-ID.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, delete, func, select, update

from database.errors import DatabaseError
from database.handle import Database
from dmp.notice_tables import dmp_notice
from dmp.notices import DEAD, UNADDRESSED, WAITING, UnreadableNotice, message_of, waiting
from liasse.notification_settings import NotificationTable

log = structlog.get_logger()

Guard = Callable[[Connection], None]
"""Called in each write: raises where another process has taken over."""

MICROSECONDS: Final = 1_000_000
FIRST_PAUSE, LONGEST_PAUSE = 60 * MICROSECONDS, 6 * 3600 * MICROSECONDS
"""Microseconds before the second attempt, which double with each one, and at most. Of one notice."""

AWAY_FIRST, AWAY_LONGEST = 15 * MICROSECONDS, 600 * MICROSECONDS
"""The same for a server that is away, for all."""

_CLOSING, _LASTING = 421, 500
"""SMTP reply codes: of a server that shuts down; from the second on a refusal is for good."""

_MOST_ATTEMPTS: Final = 30_000
_AGAIN: Final = -1
"""Attempts of a notice that an operator lets wait anew: it is tried once, however old."""
_LONGEST_ERROR: Final = 200


@dataclass(slots=True)
class Delivered:
    """How many messages were taken, put off and given up; `failure` says why the server took nothing more."""

    sent: int = 0
    put_off: int = 0
    given_up: int = 0
    failure: str = ""


class _ServerFailed(Exception):
    """Nothing can be sent now, whatever the message. The text names no address."""


@dataclass
class NoticeDelivery:
    """The delivery of one process. `clock` gives microseconds since 1970 UTC."""

    database: Database
    settings: NotificationTable
    clock: Callable[[], int]
    guard: Guard = lambda _connection: None
    failure: str = field(default="", init=False)
    _pause: int = field(default=0, init=False)
    _again_at: int = field(default=0, init=False)

    def run(self) -> Delivered:
        """Send what is due. Raises DatabaseError and what `guard` raises; a server that is away is no error here."""
        done, at = Delivered(), self.clock()
        if not self.settings.host or at < self._again_at:
            return done
        while not done.failure:
            with self.database.read() as connection:
                rows = waiting(connection, at, self.settings.batch)
            if not rows:
                break
            try:
                self._send(rows, at, done)
            except _ServerFailed as error:
                done.failure = str(error)
        self._note(done.failure, at)
        return done

    def _send(self, rows: Sequence[Row[Any]], at: int, done: Delivered) -> None:
        """Some notices over one connection. Raises _ServerFailed."""
        most = self.settings.give_up_after * MICROSECONDS
        late = [row for row in rows if at - row.at > most and row.attempts != _AGAIN]
        for row in late:
            self._give_up(row, row.error or "too old", done)
        rest = [row for row in rows if row not in late]
        if not rest:
            return
        with _session(self.settings) as session:
            for row in rest:
                self._send_one(session, row, at, done)

    def _send_one(self, session: smtplib.SMTP, row: Row[Any], at: int, done: Delivered) -> None:
        try:
            message = message_of(row, self.settings.sender)
        except UnreadableNotice as error:
            self._give_up(row, f"unreadable: {error}", done)
            return
        try:
            session.send_message(message, self.settings.sender, [row.address])
        except smtplib.SMTPRecipientsRefused as error:
            self._refused(row, at, *next(iter(error.recipients.values())), done)
        except smtplib.SMTPDataError as error:
            self._refused(row, at, error.smtp_code, error.smtp_error, done)
        except (OSError, smtplib.SMTPServerDisconnected):
            self._put_off(row, at, "the connection broke")  # others go before it at the next time, should it be the cause
            raise
        else:
            self._write(delete(dmp_notice).where(dmp_notice.c.id == row.id))
            done.sent += 1

    def _refused(self, row: Row[Any], at: int, code: int, text: bytes | str, done: Delivered) -> None:
        """The server does not take this one: for good, or for now."""
        said = f"{code} {text.decode('ascii', 'replace') if isinstance(text, bytes) else text}"[:_LONGEST_ERROR]
        if code == _CLOSING:
            raise _ServerFailed(f"SMTP {code}")
        if code >= _LASTING or row.attempts + 1 >= self.settings.attempts:
            self._give_up(row, said, done)
        else:
            self._put_off(row, at, said)
            done.put_off += 1

    def _put_off(self, row: Row[Any], at: int, why: str) -> None:
        pause = min(FIRST_PAUSE << min(max(row.attempts, 0), 20), LONGEST_PAUSE)
        self._change(row, due=at + pause, error=why, attempts=min(row.attempts + 1, _MOST_ATTEMPTS))

    def _give_up(self, row: Row[Any], why: str, done: Delivered) -> None:
        self._change(row, state=DEAD, error=why, attempts=row.attempts + 1)
        done.given_up += 1
        log.warning("a notice was given up", code=why[:3] if why[:3].isdigit() else why, count=row.attempts + 1)

    def _change(self, row: Row[Any], **values: object) -> None:
        self._write(update(dmp_notice).where(dmp_notice.c.id == row.id).values(values))

    def _write(self, statement: Any) -> None:
        def statements(connection: Connection) -> None:
            self.guard(connection)
            connection.execute(statement)

        self.database.write(statements)

    def _note(self, failure: str, at: int) -> None:
        """Wait longer each time that the server fails, and say so once."""
        if failure:
            self._pause = min(self._pause * 2 or AWAY_FIRST, AWAY_LONGEST)
            self._again_at = at + self._pause
            if failure != self.failure:
                log.warning("notices cannot be delivered, they wait", code=failure)
        elif self.failure:
            self._pause = self._again_at = 0
            log.info("notices are delivered again")
        self.failure = failure


@contextmanager
def _session(settings: NotificationTable) -> Iterator[smtplib.SMTP]:
    """A session with the server, ready for messages. Raises _ServerFailed for what is not about one message."""
    try:
        session = _connected(settings)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise _ServerFailed(_reason(error)) from None
    try:
        yield session
        with suppress(OSError, smtplib.SMTPException):
            session.quit()
    except (OSError, smtplib.SMTPException) as error:
        raise _ServerFailed(_reason(error)) from None
    finally:
        session.close()


def _connected(settings: NotificationTable) -> smtplib.SMTP:
    host, port, timeout = settings.host, settings.port, settings.timeout
    context = (
        ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None) if settings.tls != "none" else None
    )
    session: smtplib.SMTP
    if settings.tls == "tls":
        session = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    else:
        session = smtplib.SMTP(host, port, timeout=timeout)
    try:
        if settings.tls == "starttls":
            session.starttls(context=context)
        if settings.username and settings.password_file is not None:
            session.login(settings.username, settings.password_file.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, smtplib.SMTPException, UnicodeError):
        session.close()
        raise
    return session


def _reason(error: Exception) -> str:
    """What failed, without a word of the server's: that may name an address."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    return getattr(error, "strerror", None) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Outbox:
    """What the outbox holds, by state; `oldest`: time of the oldest notice that waits, None for none."""

    waiting: int = 0
    dead: int = 0
    unaddressed: int = 0
    oldest: int | None = None


def outbox(database: Database) -> Outbox:
    """Count it. Raises DatabaseError."""
    n = dmp_notice.c
    with database.read() as connection:
        found = {
            row[0]: row[1:] for row in connection.execute(select(n.state, func.count(), func.min(n.at)).group_by(n.state))
        }
    none = (0, None)
    waits = found.get(WAITING, none)
    return Outbox(waits[0], found.get(DEAD, none)[0], found.get(UNADDRESSED, none)[0], waits[1])


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice that is not sent any more, or never was."""

    at: int
    event: str
    patient: str
    address: str
    state: str
    attempts: int
    error: str


def kept(database: Database) -> list[Kept]:
    """What was given up and what had no address, the oldest first. Raises DatabaseError."""
    n = dmp_notice.c
    columns = (n.at, n.event, n.patient, n.address, n.state, n.attempts, n.error)
    with database.read() as connection:
        rows = connection.execute(select(*columns).where(n.state.in_((DEAD, UNADDRESSED))).order_by(n.at, n.id))
        return [Kept(*row) for row in rows]


def try_again(database: Database, at: int) -> int:
    """Let what was given up wait anew, from now on; returns how many. Raises DatabaseError."""
    n = dmp_notice.c
    again = update(dmp_notice).where(n.state == DEAD).values(state=WAITING, due=at, attempts=_AGAIN)
    return database.write(lambda connection: connection.execute(again).rowcount)


def gauges(database: Database, now: int) -> Mapping[str, tuple[str, float]]:
    """For the metrics; nothing when the database does not answer."""
    try:
        state = outbox(database)
    except DatabaseError:
        return {}
    age = 0.0 if state.oldest is None else max(0.0, (now - state.oldest) / MICROSECONDS)
    return {
        "liasse_notices_waiting": ("Notices that wait for the mail server.", float(state.waiting)),
        "liasse_notices_age_seconds": ("Seconds that the oldest of them has waited.", age),
        "liasse_notices_given_up": ("Notices that were given up.", float(state.dead)),
        "liasse_notices_unaddressed": (
            "Notices that had no address to go to.",
            float(state.unaddressed),
        ),
    }
