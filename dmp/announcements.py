"""Documents hidden from the patient until they are announced: which ones are due, and who is reminded.

A document waits as long as the codes in force hide it from its patient, since the first version that hides it was
registered; nothing is kept beside the entries but that it was recalled. Made visible (TD3.3b) or deleted, it waits no
longer. Nobody can hide a document that was visible, so that only deposits begin an announcement.
Source: DMP, sensitive documents: consultation within 15 days, visible after 21; both are settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, func, select

from dmp.codes import INVISIBLE_PATIENT
from dmp.contacts import check_contact
from dmp.notices import enqueue, tell
from dmp.record import DAY, Contact
from dmp.record_rows import find_contacts, find_record, find_standings
from dmp.settings import DmpSettings
from xds_metadata.patients import key_of_text
from xds_registry import tables as t
from xds_registry.vocabulary import CodeKind, Status

REMINDER: Final = "announcement-reminder"
RELEASE: Final = "announcement-release"
"""Actions of the journal."""

_REMINDED: Final = "reminder"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A document that waits: patient (key text), uniqueId, and since when (microseconds since 1970 UTC)."""

    patient: str
    unique_id: str
    since: int


def find_waiting(connection: Connection, before: int) -> Sequence[Announcement]:
    """The documents that are hidden from their patient, and have been since a time, or longer; the oldest first."""
    m, e, c = t.document_mask.c, t.entry.c, t.entry_code.c
    since = func.min(e.registered_at)
    entries = and_(e.patient == m.patient, e.unique_id == m.unique_id)
    hiding = and_(
        c.patient == e.patient, c.entry == e.id, c.kind == int(CodeKind.CONFIDENTIALITY), c.code == INVISIBLE_PATIENT
    )
    wanted = (
        select(m.patient, m.unique_id, since)
        .select_from(t.document_mask.join(t.entry, entries).join(t.entry_code, hiding))
        .where(m.code == INVISIBLE_PATIENT, e.withdrawn == 0, e.status != int(Status.DELETED))
        .group_by(m.patient, m.unique_id)
        .having(since <= before)
        .order_by(since, m.unique_id)
    )
    return [Announcement(*row) for row in connection.execute(wanted)]


def may_remind(connection: Connection, waiting: Announcement, at: int) -> bool:
    """Whether it is to be recalled now, once: not where nobody may open the record. From now on it was."""
    record = find_record(connection, key_of_text(waiting.patient))
    active = record is not None and record.state == "active"
    return active and tell(connection, waiting.patient, waiting.unique_id, _REMINDED, at)


def remind(
    connection: Connection, waiting: Announcement, authors: Mapping[str, Iterable[str]], settings: DmpSettings, at: int
) -> int:
    """Queue the reminder for attending doctors and authors; returns for how many addresses.

    `authors`: addresses by identity, as the document tells them; an address that the record has goes before them. An
    attending doctor is reached only where the record has an address of his, or where he is an author.
    """
    patient = key_of_text(waiting.patient)
    attending = [each.party.identity for each in find_standings(connection, patient) if each.attends(at)]
    known = {c.owner: c for c in find_contacts(connection, patient) if c.channel == "EMAIL" and c.owner}
    addresses: dict[str, str] = {}
    for identity in dict.fromkeys([*attending, *authors]):
        contact = known.get(identity)
        told = [contact] if contact is not None else [Contact("EMAIL", each) for each in authors.get(identity, ())]
        addresses |= {each.value: each.language for each in told if check_contact("EMAIL", each.value) is None}
    facts = {"since": str(waiting.since), "until": str(waiting.since + settings.release_days * DAY)}
    return enqueue(connection, patient, "reminder", facts, at, addresses.items())
