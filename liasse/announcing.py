"""What is due about documents hidden from their patients: reminders, then the release, each a journaled act of the system.

A release is a metadata update like any other (ITI-57): a new version of each entry, without the code. No policy is asked,
since nobody calls. Each document is one transaction: what was interrupted is done at the next time, and nothing twice.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection, select

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.open import OpenPolicy
from access_control.subject import Subject
from database.handle import Database
from dmp.announcements import RELEASE, REMINDER, Announcement, find_waiting, may_remind, remind
from dmp.codes import INVISIBLE_PATIENT
from dmp.record import DAY
from dmp.settings import DmpSettings
from ebrim import model as rim
from ebrim.read import read_object_list
from ebrim.rs import write_submit_objects_request
from ebrim.write import leaf_prefix
from journal.rows import JournalRow, Record, journal
from liasse.submission import new_oid, update_of
from soap.faults import Fault
from soap.transaction import Call, Incoming
from xds_metadata.codes import load_codes
from xds_metadata.errors import XdsFailure
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import APPROVED, Author, Code, DocumentEntry
from xds_metadata.profile import IHE
from xds_metadata.to_ebrim import to_ebrim
from xds_registry import iti57
from xds_registry import tables as t
from xds_registry.actor import Registry
from xds_registry.vocabulary import UUID_PREFIX, Status
from xmlsafe.namespaces import RIM
from xmlsafe.parse import parse

SYSTEM: Final = Subject("system:liasse", "Liasse", proof_level="local")
_BY_DELAY: Final = Decision(allowed=True, rule="dmp-announcement")
"""What decides in the journal: the delays of the settings."""

_OPEN: Final = f'<RegistryObjectList xmlns="{RIM}">'.encode() + leaf_prefix(rim.ExtrinsicObject, APPROVED)
_CLOSE: Final = b"</RegistryObjectList>"


@dataclass(slots=True)
class Announced:
    """How many documents were recalled and released, how many addresses the reminders go to, and why releases failed."""

    reminders: int = 0
    addresses: int = 0
    releases: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Moment:
    """`at`: when things are due; `now`: when they are done, as the journal dates them. Both in microseconds since 1970 UTC.

    `reason`: why the two are not one time, for the journal.
    """

    at: int
    now: int
    reason: str = ""


def announce(
    database: Database, settings: DmpSettings, moment: Moment, registry: Callable[[], Registry], record: Record = journal
) -> Announced:
    """Do what is due. `registry` is made only if something is released.

    A document that cannot be released does not stop the others. Raises DatabaseError.
    """
    done = Announced()
    with database.read() as connection:
        recalled = find_waiting(connection, moment.at - settings.reminder_days * DAY)
        released = find_waiting(connection, moment.at - settings.release_days * DAY)
    for waiting in recalled:
        if waiting not in released:
            addresses = database.write(_reminding(waiting, settings, moment, record))
            done.reminders += addresses is not None
            done.addresses += addresses or 0
    if released:
        actor = registry()
        for waiting in released:
            try:
                done.releases += _release(actor, waiting, moment)
            except XdsFailure as failure:
                done.failures.append(", ".join(dict.fromkeys(each.rule or each.code for each in failure.findings)))
            except Fault as fault:
                done.failures.append(fault.rule)
    return done


def _reminding(
    waiting: Announcement, settings: DmpSettings, moment: Moment, record: Record
) -> Callable[[Connection], int | None]:
    """The statements of one reminder: for how many addresses; None where it is not recalled now."""

    def statements(connection: Connection) -> int | None:
        entries = [entry for entry in _entries(connection, waiting) if INVISIBLE_PATIENT in _codes(entry)]
        if not entries or not may_remind(connection, waiting, moment.now):
            return None
        authors = {identity: addresses for entry in entries for identity, addresses in _authors(entry)}
        count = remind(connection, waiting, authors, settings, moment.now)
        objects = (("document", waiting.unique_id), ("addresses", str(count)))
        row = JournalRow(waiting.patient, REMINDER, objects, _BY_DELAY, "Success", detail=_detail(moment))
        record(RequestContext("system", "", moment.now, subject=SYSTEM), [row], once=False)(connection)
        return count

    return statements


def _authors(entry: DocumentEntry) -> Sequence[tuple[str, list[str]]]:
    """The persons among the authors by identity, with the addresses that the entry tells (XTN)."""
    found = []
    for author in entry.authors:
        components = (author.person or "").split("^")
        authority = components[8].split("&")[1] if len(components) > 8 and components[8].count("&") > 1 else ""
        addresses = [each.split("^")[3] for each in author.telecommunications if _is_mail(each)]
        if authority:
            found.append((f"{components[0]}^{authority}", addresses))
    return found


def _is_mail(xtn: str) -> bool:
    components = xtn.split("^")
    return len(components) > 3 and components[2] == "Internet"


def _release(registry: Registry, waiting: Announcement, moment: Moment) -> bool:
    """One update that makes every entry of the document visible; whether there was one to make visible."""
    with registry.database.read() as connection:
        hidden = [each for each in _entries(connection, waiting) if INVISIBLE_PATIENT in _codes(each)]
    if not hidden:
        return False

    def record(ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True) -> Callable[[Connection], None]:  # noqa: ARG001
        ctx = replace(ctx, transaction="system", subject=SYSTEM)
        told = [replace(row, action=RELEASE, decision=_BY_DELAY, detail=_detail(moment)) for row in rows]
        return registry.record(ctx, told, once=False)

    # What the registry holds was judged with the codes of its time.
    actor = replace(registry, policy=OpenPolicy(), codes=load_codes("any"), clock=lambda: moment.now, record=record)
    transaction = iti57.transaction(actor)
    numbers = itertools.count(1)
    versions = [replace(each, confidentiality_codes=_without(each)) for each in hidden]
    by, title = Author(person="^Liasse"), "Document rendu visible au patient"
    submission = update_of(versions, source_id=new_oid(), at=moment.now, author=by, title=title)
    objects = to_ebrim(submission, lambda: f"part-{next(numbers)}")
    body = parse(write_submit_objects_request(objects))
    incoming = Incoming(path=transaction.endpoint, mtom=False, peer="")
    call = Call(transaction, incoming, f"{UUID_PREFIX}{uuid.uuid4()}", iti57.ACTION, None, body)
    call.request = transaction.decode(call)
    transaction.handle(call)
    return True


def _detail(moment: Moment) -> str:
    return json.dumps({"reason": moment.reason}, ensure_ascii=False) if moment.reason else ""


def _without(entry: DocumentEntry) -> tuple[Code, ...]:
    return tuple(code for code in entry.confidentiality_codes if code.pair != INVISIBLE_PATIENT)


def _codes(entry: DocumentEntry) -> set[str]:
    return {code.pair for code in entry.confidentiality_codes}


def _entries(connection: Connection, waiting: Announcement) -> Sequence[DocumentEntry]:
    """The latest version of each entry of the document, as stored, with its version and logical id."""
    e, v = t.entry.c, t.object_version.c
    wanted = (
        select(e.leaf, v.lid, v.version)
        .select_from(t.entry.join(t.object_version, v.id == e.id))
        .where(
            e.patient == waiting.patient,
            e.unique_id == waiting.unique_id,
            e.withdrawn == 0,
            v.latest == 1,
            e.status != int(Status.DELETED),
        )
        .order_by(v.lid)
    )
    found = []
    for leaf, lid, version in connection.execute(wanted):
        [entry] = from_ebrim(read_object_list(parse(b"".join((_OPEN, leaf, _CLOSE)))), IHE)[0].entries
        found.append(replace(entry, logical_id=UUID_PREFIX + lid, version=str(version), availability_status=None))
    return found
