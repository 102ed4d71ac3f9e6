"""Notices: who is told of an event, the outbox that they wait in, and each as a message in the reader's language.

The holder of age is told at his own addresses; of a minor those who represent him are, at theirs. A message names no
patient, no document, no type and no motive: who has access to a mailbox learns that something happened, not what.
Source: DMP, notifications; public health code L.1111-17, R.1111-6.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from dmp import tables
from dmp.journal_view import profession_text
from dmp.notice_tables import dmp_notice, dmp_told
from dmp.record import Contact, is_minor
from dmp.record_rows import find_contacts, find_people, find_record
from journal.rows import row_id
from xds_metadata.datatypes import PatientKey
from xds_metadata.patients import key_text

Event = Literal["created", "first-access", "document-added", "emergency", "reminder"]
WAITING, DEAD, UNADDRESSED = "waiting", "dead", "unaddressed"
"""States of a row of the outbox."""

MODES: Final = {
    "bris_de_glace": {"fr": "bris de glace", "en": "break-glass"},
    "centre_15": {"fr": "régulation médicale", "en": "medical regulation"},
}
"""Emergency modes in words."""

_LONGEST_FACT: Final = 120


class UnreadableNotice(ValueError):
    """A row of the outbox that no message can be made of."""


@dataclass(frozen=True, slots=True)
class Text:
    """Subject and text of a message, with facts in braces."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Concealed:
    """Whom an event must not be told to: the holder and all who act for him, or the representatives alone."""

    from_holder: bool = False
    from_representatives: bool = False


NOTHING: Final = Concealed()


@cache
def texts() -> Mapping[tuple[str, str], Text]:
    """The messages, by event and language."""
    return {(row["event"], row["language"]): Text(row["subject"], row["text"]) for row in _rows("notices.csv")}


@cache
def _professions() -> Mapping[str, str]:
    return {row["code"]: row["en"] for row in _rows("professions.csv")}


def _rows(name: str) -> Iterable[dict[str, str]]:
    lines = (tables.DATA / name).read_text(encoding="utf-8").splitlines()
    return csv.DictReader(line for line in lines if not line.startswith("#"))


def notify(
    connection: Connection,
    patient: PatientKey,
    event: Event,
    facts: Mapping[str, str],
    at: int,
    adult_age: int,
    concealed: Concealed = NOTHING,
) -> int:
    """Queue the event for everybody who is told of it; returns for how many.

    Where somebody should be told and no address is known, a row without one counts it; none is left where the patient has no
    record, where he does not want to be told, or where the event is concealed from him.
    """
    record = find_record(connection, patient)
    if record is None or concealed.from_holder:
        return 0
    minor = is_minor(record.holder.birth_date, at, adult_age)
    if minor and concealed.from_representatives:
        return 0
    told = _readers(connection, patient, at, minor=minor, representatives=not concealed.from_representatives)
    if event == "document-added":
        told = [contact for contact in told if contact.documents]
        if not told:
            return 0
    return enqueue(connection, patient, event, facts, at, [(contact.value, contact.language) for contact in told])


def _readers(connection: Connection, patient: PatientKey, at: int, *, minor: bool, representatives: bool) -> list[Contact]:
    """The addresses that notices about a record go to. A minor's own is read by his parents where they gave no other."""
    people, _ = find_people(connection, patient)
    acting = {each.identity for each in people if each.acts(at, minor=minor)} if representatives else set()
    addresses = [contact for contact in find_contacts(connection, patient) if contact.channel == "EMAIL"]
    own = [contact for contact in addresses if not contact.owner]
    theirs = [contact for contact in addresses if contact.owner in acting]
    return (theirs or own) if minor else [*own, *theirs]


def enqueue(
    connection: Connection,
    patient: PatientKey,
    event: Event,
    facts: Mapping[str, str],
    at: int,
    addresses: Iterable[tuple[str, str]],
) -> int:
    """Queue the event for addresses with their languages; returns for how many. Of none a row without address is left."""
    told = dict(addresses)
    values = [
        {
            "id": row_id(at),
            "patient": key_text(patient),
            "event": event,
            "address": address,
            "language": language,
            "facts": json.dumps({name: _plain(text) for name, text in facts.items()}, ensure_ascii=False),
            "state": WAITING if address else UNADDRESSED,
            "error": "",
            "at": at,
            "due": at,
            "attempts": 0,
        }
        for address, language in (told or {"": "fr"}).items()
    ]
    connection.execute(insert(dmp_notice), values)
    return len(told)


def _plain(text: str) -> str:
    """What a caller says of himself, fit for a line of a message."""
    return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_FACT]


def tell(connection: Connection, patient: str, about: str, what: str, at: int, again_after: int = 0) -> bool:
    """Whether it is to be told now: for the first time, or again after so many microseconds. From now on it was told."""
    dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insertion = dialect(dmp_told).values(patient=patient, about=about, what=what, at=at)
    if again_after:
        insertion = insertion.on_conflict_do_update(
            index_elements=["patient", "about", "what"], set_={"at": at}, where=dmp_told.c.at <= at - again_after
        )
    else:
        insertion = insertion.on_conflict_do_nothing()
    return connection.execute(insertion.returning(dmp_told.c.at)).first() is not None


def waiting(connection: Connection, at: int, limit: int) -> Sequence[Row[Any]]:
    """What is to be delivered now, the oldest first."""
    n = dmp_notice.c
    wanted = select(dmp_notice).where(n.state == WAITING, n.due <= at).order_by(n.due, n.id).limit(limit)
    return connection.execute(wanted).all()


def message_of(row: Row[Any], sender: str) -> EmailMessage:
    """The message of a row. Its Message-ID is that of the row, so that what comes twice is known as one.

    Raises UnreadableNotice.
    """
    try:
        text, facts = texts()[row.event, row.language], json.loads(row.facts)
        shown = {"when": moment(row.at, row.language), **_words(facts, row.language)}
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, row.address, text.subject
        message["Message-ID"] = f"<{row.id}@{sender.rpartition('@')[2]}>"
        message["Date"] = datetime.fromtimestamp(row.at / 1_000_000, UTC)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text.text.format_map(shown) + "\n", cte="quoted-printable")
        message["Content-Language"] = row.language
    except (KeyError, ValueError, TypeError) as error:
        raise UnreadableNotice(type(error).__name__) from None
    return message


def _words(facts: Mapping[str, str], language: str) -> dict[str, str]:
    """The facts of an event for people."""
    words = {name: moment(int(facts[name]), language) for name in ("since", "until") if name in facts}
    if "name" in facts:
        words["who"] = _who(facts, language)
    if "mode" in facts:
        words["mode"] = MODES.get(facts["mode"], {}).get(language, facts["mode"])
    return words


def _who(facts: Mapping[str, str], language: str) -> str:
    roles = facts.get("roles", "").split()
    english = _professions().get(roles[0] if roles else "", "")
    profession = english if language == "en" and english else profession_text(roles)
    known = ", ".join(text for text in (profession, facts.get("structure", "")) if text)
    return f"{facts['name']} ({known})" if known else facts["name"]


def moment(at: int, language: str) -> str:
    """A time for people, UTC."""
    when = datetime.fromtimestamp(at / 1_000_000, UTC)
    return when.strftime("%d/%m/%Y à %H:%M UTC" if language == "fr" else "%d %B %Y at %H:%M UTC")
