"""People read the access journal of a record: the policy decides, the reading is journaled, then rows are shown in words.

1. the caller before the record, by the rules of every other reading. 2. a row that says who reads. 3. the rows of the
patient, newest first, as many in memory as are shown. 4. titles of the documents that the same caller would find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.policy import Action
from access_control.subject import Subject
from database.handle import Database
from dmp.journal_view import Document, History, Language, Line, Reader, describe, select_acts
from dmp.policy import DmpPolicy, Situation, gate
from dmp.record import By
from dmp.records import reason_text
from dmp.rules import allow, refuse
from ebrim.model import AdhocQuery, Slot
from ebrim.read import read_object_list
from journal.line import row_columns
from journal.rows import JournalRow, journal
from journal.tables import journal_row
from journal.view import READ_JOURNAL
from liasse.client import quoted_list
from xds_metadata.datatypes import PatientKey
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.model import DocumentEntry
from xds_metadata.patients import key_text
from xds_metadata.profile import DMP
from xds_registry.iti18 import bind_query
from xds_registry.select import Selector, serialise
from xds_registry.stored_queries import QUERIES
from xmlsafe import parse
from xmlsafe.namespaces import RIM

_BATCH, _AT_ONCE = 1000, 100
_GET_DOCUMENTS = next(query.id for query in QUERIES.values() if query.name == "GetDocuments")


class ReadingRefused(Exception):
    """The journal is not this caller's to read. `rule` is the id of the rule that decided."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"refused by the rule {rule}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which acts: of a group ("all", "own", "professional", "other"), in a time, how many at most, in which language."""

    group: str = "all"
    since: int | None = None
    until: int | None = None
    limit: int = 100
    language: Language = "fr"

    def words(self) -> str:
        """For the row that tells of the reading."""
        times = [f"{name} {at}" for name, at in (("since", self.since), ("until", self.until)) if at is not None]
        return "; ".join([self.group, *times, f"at most {self.limit}"])


def read_history(
    database: Database, policy: DmpPolicy, subject: Subject, patient: PatientKey, wanted: Wanted, by: By
) -> tuple[History, list[Line]]:
    """The acts that `subject` may see of the record of `patient`, and each in words; `by` looks, as he or for him.

    The reading is journaled before anything is shown, a refused one too. Raises ReadingRefused and DatabaseError.
    """
    ctx = RequestContext("operator", "", by.at, subject=subject)
    situation = policy.situation(ctx)
    broken = next(gate(situation, "web"), None)
    if broken is None and situation.caller.kind in ("unknown", "structure") and not situation.view.relation:
        broken = "dmp-caller"
    decision = allow() if broken is None else refuse(broken)
    _journal(database, by, patient, subject, wanted, decision)
    if broken is not None:
        raise ReadingRefused(broken)
    reader = reader_of(situation, subject, patient)
    history = select_acts(_rows(database, reader.patient, wanted), reader, wanted.group, wanted.limit)
    named = dict.fromkeys(unique_id for act in history.acts for unique_id in act.documents)
    documents = _documents(database, policy, ctx, patient, list(named))
    return history, list(describe(history.acts, reader, documents, wanted.language))


def reader_of(situation: Situation, subject: Subject, patient: PatientKey) -> Reader:
    """As whom the caller reads."""
    text = key_text(patient)
    if situation.view.relation == "holder":
        return Reader("holder", text, subject.id)
    if situation.view.relation:
        return Reader("representative", text, subject.id)
    return Reader("attending" if situation.view.attending else "professional", text, subject.id)


def _journal(database: Database, by: By, patient: PatientKey, subject: Subject, wanted: Wanted, decision: Decision) -> None:
    ctx = RequestContext("operator", "", by.at, subject=by.subject)
    outcome = "Success" if decision.allowed else "Failure"
    objects = [("journal", wanted.words())]
    if subject.id != by.subject.id:
        objects.append(("as", subject.id))
    row = JournalRow(key_text(patient), READ_JOURNAL, objects, decision, outcome, detail=reason_text(by))
    database.write(journal(ctx, [row]))


def _rows(database: Database, patient: str, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    """The rows of the patient, newest first, read in batches."""
    columns, c = row_columns(), journal_row.c
    chosen = select(*columns).where(c.patient == patient).order_by(c.id.desc()).limit(_BATCH)
    if wanted.since is not None:
        chosen = chosen.where(c.id >= f"{max(wanted.since, 0):016x}")
    before = None if wanted.until is None else f"{max(wanted.until, 0):016x}"
    while True:
        with database.read() as connection:
            batch = connection.execute(chosen if before is None else chosen.where(c.id < before)).mappings().all()
        yield from batch  # type: ignore[misc]
        if len(batch) < _BATCH:
            return
        before = batch[-1]["id"]


def _documents(
    database: Database, policy: DmpPolicy, ctx: RequestContext, patient: PatientKey, unique_ids: Sequence[str]
) -> dict[str, Document]:
    """What GetDocuments would give the same caller of these documents."""
    scope = policy.scope(ctx, Action.GET, [patient])
    selector = Selector(database)
    found: dict[str, Document] = {}
    for start in range(0, len(unique_ids), _AT_ONCE):
        some = quoted_list(unique_ids[start : start + _AT_ONCE])
        slots = (Slot("$XDSDocumentEntryUniqueId", (some,)),)
        bound = bind_query(AdhocQuery(_GET_DOCUMENTS, "LeafClass", None, slots))
        with database.read_raw() as cursor:
            rows = selector.run(cursor, bound.plan.selection, scope, 10 * _BATCH)
            pieces = serialise(rows, selector.leaves.fetch(cursor, rows))
        found |= {entry.unique_id or "": _document(entry) for entry in _entries(pieces)}
    return found


def _entries(pieces: Iterable[bytes]) -> Sequence[DocumentEntry]:
    objects = parse(b'<RegistryObjectList xmlns="%s">' % RIM.encode() + b"".join(pieces) + b"</RegistryObjectList>")
    return from_ebrim(read_object_list(objects), DMP)[0].entries


def _document(entry: DocumentEntry) -> Document:
    code = entry.type_code
    return Document("" if code is None else code.display or code.code, entry.title or "")
