"""Which accesses tell the patient something: first access, emergency, added document, in the write that journals them.

The first access of a professional or a structure to a record is told once, whatever he asked for. An emergency is told
once for each caller, record and mode within an hour, the longest life of an assertion: software signs a new one for every
message, so that assertions do not tell sessions apart. Of a document that is hidden from a reader nothing is told to him.
Source: DMP, notifications (first access, document added, emergency access); public health code R.1111-6.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from sqlalchemy import Connection, select

from access_control.context import RequestContext
from access_control.subject import Subject
from dmp.caller import caller_of
from dmp.codes import INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES
from dmp.notices import MODES, Concealed, Event, notify, tell
from dmp.settings import DmpSettings
from dmp.transactions.naming import names_of, party_of
from journal.rows import JournalRow
from xds_metadata.patients import key_of_text
from xds_registry import tables as t

PROFESSIONALS: Final = frozenset({"card", "structure", "structure-strong"})
"""Proof levels of callers who are professionals or act for one."""

READING: Final = frozenset({"query", "retrieve", "authorisation-list"})
"""Actions that are an access to what a record holds."""

ADDING: Final = frozenset({"provide", "register"})
EMERGENCY_WINDOW: Final = 3_600_000_000
"""Microseconds within which further acts of a caller in an emergency are the same one."""

_DONE: Final = frozenset({"Success", "PartialSuccess"})
_FIRST: Final = "first-access"
_REMEMBERED: Final = 65_536
_SECRET: Final = INVISIBLE_REPRESENTATIVES.partition("^^")[0]


@dataclass(frozen=True, slots=True)
class _Access:
    """What one message did with one record. `added`: uniqueIds of documents."""

    patient: str
    read: bool = False
    added: tuple[str, ...] = ()


class Notifier:
    """Queues what accesses tell, beside their journal rows. Shared by the threads of a process.

    Whose first access was told is remembered, so that later accesses cost nothing.
    """

    def __init__(self, settings: DmpSettings) -> None:
        self._settings = settings
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    def __call__(self, ctx: RequestContext, rows: Sequence[JournalRow]) -> Callable[[Connection], None] | None:
        """The statements for the rows of one message; None where they tell nothing new."""
        subject = ctx.subject
        if subject.proof_level not in PROFESSIONALS:
            return None
        emergency, about = subject.mode in MODES, _identity(subject)
        accesses = [
            access
            for access in _accesses(rows)
            if emergency or access.added or (access.read and not self._knows((access.patient, about)))
        ]
        return (lambda connection: self._write(connection, ctx, about, accesses)) if accesses else None

    def _write(self, connection: Connection, ctx: RequestContext, about: str, accesses: list[_Access]) -> None:
        for access in accesses:
            self._tell_access(connection, ctx, about, access)
            if access.added:
                hidden = _concealed(connection, access)
                secret = _SECRET in ctx.subject.confidentiality
                hidden = replace(hidden, from_representatives=hidden.from_representatives or secret)
                self._notify(connection, ctx, access.patient, "document-added", hidden)

    def _tell_access(self, connection: Connection, ctx: RequestContext, about: str, access: _Access) -> None:
        """An emergency that is the first access, too, is told as an emergency alone."""
        first, mode = False, ctx.subject.mode
        if access.read and not self._knows((access.patient, about)):
            first = tell(connection, access.patient, about, _FIRST, ctx.at)
            if not first:
                self._remember((access.patient, about))
        secret = Concealed(from_representatives=_SECRET in ctx.subject.confidentiality)
        if mode in MODES:
            if tell(connection, access.patient, about, f"emergency {mode}", ctx.at, EMERGENCY_WINDOW):
                self._notify(connection, ctx, access.patient, "emergency", secret)
        elif first:
            self._notify(connection, ctx, access.patient, "first-access", secret)

    def _notify(self, connection: Connection, ctx: RequestContext, patient: str, event: Event, concealed: Concealed) -> None:
        facts, key = _facts(ctx.subject), key_of_text(patient)
        notify(connection, key, event, facts, ctx.at, self._settings.adult_age, concealed)

    def _knows(self, key: tuple[str, str]) -> bool:
        with self._lock:
            return key in self._told

    def _remember(self, key: tuple[str, str]) -> None:
        """Only what was found in the database, and so was committed."""
        with self._lock:
            self._told[key] = None
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)


def _identity(subject: Subject) -> str:
    """Whom a record would know: staff and structures stand for the structure."""
    party = party_of(caller_of(subject, role_based=False))
    return party.identity if party is not None else subject.id or subject.structure


def _facts(subject: Subject) -> dict[str, str]:
    """Who it was: name and profession, the structure for those who speak for one."""
    name = " ".join(filter(None, names_of(subject)))
    facts = {"name": name or subject.id or subject.structure, "roles": " ".join(r.code for r in subject.roles)}
    if subject.proof_level != "card" and subject.structure != facts["name"]:
        facts["structure"] = subject.structure
    return facts | ({"mode": subject.mode} if subject.mode in MODES else {})


def _accesses(rows: Iterable[JournalRow]) -> list[_Access]:
    """One for each patient, in the order of their keys: two writers lock what is told in the same order."""
    found: dict[str, _Access] = {}
    for row in rows:
        if not row.patient or not row.decision.allowed or row.outcome not in _DONE:
            continue
        access = found.get(row.patient, _Access(row.patient))
        added = tuple(i for kind, i in row.objects if kind == "document") if row.action in ADDING else ()
        found[row.patient] = replace(access, read=access.read or row.action in READING, added=access.added + added)
    return [found[patient] for patient in sorted(found)]


def _concealed(connection: Connection, access: _Access) -> Concealed:
    """From whom every added document is hidden, by the codes in force."""
    m = t.document_mask.c
    codes: dict[str, set[str]] = {unique_id: set() for unique_id in access.added}
    wanted = select(m.unique_id, m.code).where(m.patient == access.patient, m.unique_id.in_(access.added))
    for unique_id, code in connection.execute(wanted):
        codes[unique_id].add(code)
    from_holder = all(INVISIBLE_PATIENT in each for each in codes.values())
    from_representatives = all({INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES} & each for each in codes.values())
    return Concealed(from_holder, from_representatives)
