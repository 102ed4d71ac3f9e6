"""Fills a registry's store with many documents, fast: the rows of one real submission, copied with other ids.

The rows are those that a registration makes (`identifiers`, `rows`), written through `database.write`; only SOAP, the rules
and the life cycle are left out. Every copy is a submission set with two entries, the second an addendum of the first; some
have a folder with both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import Connection, insert

from database import Database
from xds_metadata import associations as types
from xds_metadata.model import Association, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet
from xds_metadata.patients import patient_column
from xds_metadata.registration import Registration
from xds_metadata.to_ebrim import to_ebrim
from xds_registry import tables as t
from xds_registry.identifiers import assign
from xds_registry.rows import build_rows
from xds_registry.vocabulary import Kind
from xds_registry.write import INSERT_ORDER

AUTHORITY = "1.3.6.1.4.1.21367.13.20.1000"
ROOT = "1.3.6.1.4.1.21367.78"
ENTRIES_EACH = 2
_BATCH = 400
_CODES = "1.3.6.1.4.1.21367.79"
_AT = 1_700_000_000_000_000
_NOW = "20231114221320"
_TOKEN = re.compile("00000000-0000-4000-8000-[0-9]{12}|" + re.escape(ROOT) + r"\.0\.[0-9]|PATIENT0")

Mapping = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row to copy: `fixed` columns, `tokens` by column, the leaf in pieces (a token at each odd place), its order."""

    fixed: dict[str, Any]
    tokens: tuple[tuple[str, tuple[str, ...]], ...]
    leaf: tuple[str, ...] | None
    moment: int | None

    def copy(self, names: Mapping, at: int) -> dict[str, Any]:
        """The row with its tokens replaced."""
        row = dict(self.fixed)
        for column, pieces in self.tokens:
            row[column] = _join(pieces, names)
        if self.leaf is not None:
            row["leaf"] = _join(self.leaf, names).encode()
        if self.moment is not None:
            row["registered_at"] = at + self.moment
        return row


def _split(text: str) -> tuple[str, ...]:
    pieces: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        pieces += (text[end : match.start()], match[0])
        end = match.end()
    return (*pieces, text[end:])


def _join(pieces: tuple[str, ...], names: Mapping) -> str:
    return "".join(names[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _row(row: dict[str, Any]) -> _Row:
    fixed, tokens = {}, []
    for column, value in row.items():
        if column in ("leaf", "registered_at"):
            continue
        pieces = _split(value) if isinstance(value, str) else ()
        if len(pieces) > 1:
            tokens.append((column, pieces))
        else:
            fixed[column] = value
    leaf = _split(row["leaf"].decode()) if "leaf" in row else None
    moment = row["registered_at"] - _AT if "registered_at" in row else None
    return _Row(fixed, tuple(tokens), leaf, moment)


def patient_cx(number: int) -> str:
    """The CX of the n-th patient."""
    return f"BULK{number}^^^&{AUTHORITY}&ISO"


def patient_of(number: int) -> str:
    """The key under which the n-th patient is stored."""
    return patient_column(patient_cx(number))


def document_id(number: int) -> str:
    """The uniqueId of the n-th document."""
    return f"{ROOT}.1.{number}"


def entry_uuid(number: int) -> str:
    """The bare entryUUID of the n-th document."""
    return _uuid(number // ENTRIES_EACH, 1 + number % ENTRIES_EACH)


def set_uuid(number: int) -> str:
    """The bare entryUUID of the n-th submission set."""
    return _uuid(number, 0)


def folder_uuid(number: int) -> str:
    """The bare entryUUID of the folder of submission `number`, a multiple of `folder_every`."""
    return _uuid(number, 3)


def _uuid(number: int, item: int) -> str:
    return f"{number:08x}-{item:04x}-4000-8000-{number:012x}"


def _token(item: int) -> str:
    return f"00000000-0000-4000-8000-{item:012d}"


def _code(value: str, display: str = "A displayed name") -> Code:
    return Code(value, _CODES, display)


def _author() -> Author:
    return Author(
        person="801^Martin^Anne^^^Dr^^^&1.3.6.1.4.1.21367.80&ISO",
        institutions=("Test hospital^^^^^&1.3.6.1.4.1.21367.81&ISO^^^^4711",),
        roles=("attending",),
        specialties=("general medicine",),
    )


def _entry(item: int, cx: str) -> DocumentEntry:
    return DocumentEntry(
        entry_uuid=f"urn:uuid:{_token(item)}",
        unique_id=f"{ROOT}.0.{item}",
        patient_id=cx,
        mime_type="text/xml",
        authors=(_author(),),
        class_code=_code("11488-4"),
        confidentiality_codes=(_code("N"),),
        creation_time="20231114221300",
        event_codes=(_code("event"),),
        format_code=_code("urn:ihe:test:2023"),
        hash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
        healthcare_facility_type_code=_code("facility"),
        language_code="fr-FR",
        practice_setting_code=_code("practice"),
        reference_ids=(f"ORDER{item}^^^&{ROOT}.0.{item}&ISO^urn:ihe:iti:xds:2013:order",),
        repository_unique_id=f"{ROOT}.2",
        service_start_time="20231114",
        size="20480",
        source_patient_id=f"LOCAL^^^&{AUTHORITY}&ISO",
        source_patient_info=("PID-5|Martin^Anne", "PID-7|19800101", "PID-8|F"),
        title="A report",
        type_code=_code("11488-4"),
    )


def _template(with_folder: bool) -> dict[str, list[_Row]]:
    cx = f"PATIENT0^^^&{AUTHORITY}&ISO"
    owner = SubmissionSet(
        entry_uuid=f"urn:uuid:{_token(0)}",
        unique_id=f"{ROOT}.0.0",
        patient_id=cx,
        source_id=f"{ROOT}.3",
        submission_time="20231114221310",
        content_type_code=_code("content"),
        authors=(_author(),),
    )
    entries = (_entry(1, cx), _entry(2, cx))
    folder = Folder(f"urn:uuid:{_token(3)}", f"{ROOT}.0.3", cx, codes=(_code("folder"),), title="A folder")
    numbers = count(4)

    def link(type_: str, source: str, target: str, status: str | None = None) -> Association:
        return Association(f"urn:uuid:{_token(next(numbers))}", type_, source, target, submission_set_status=status)

    one, two = (e.entry_uuid for e in entries)
    links = [link(types.APND, two, one)]
    links += [link(types.HAS_MEMBER, owner.entry_uuid, e.entry_uuid, types.ORIGINAL) for e in entries]
    if with_folder:
        filed = [link(types.HAS_MEMBER, folder.entry_uuid, e.entry_uuid) for e in entries]
        links += [link(types.HAS_MEMBER, owner.entry_uuid, a.entry_uuid) for a in filed] + filed
        links.append(link(types.HAS_MEMBER, owner.entry_uuid, folder.entry_uuid))
    submission = Submission((owner,), entries, (folder,) if with_folder else (), tuple(links))
    parts = count()
    objects = to_ebrim(submission, lambda: f"part{next(parts)}")
    rows = build_rows(assign(Registration(objects, submission, "", "")), _AT, _NOW).tables
    rows["document_identity"] = [{"unique_id": e.unique_id, "hash": e.hash, "size": int(e.size or 0)} for e in entries]
    rows["set_identity"] = [_identity(owner.unique_id or "", Kind.SUBMISSION_SET)]
    if with_folder:
        rows["set_identity"].append(_identity(folder.unique_id or "", Kind.FOLDER))
    return {name: [_row(row) for row in values] for name, values in rows.items()}


def _identity(unique_id: str, kind: Kind) -> dict[str, Any]:
    names = ("sender", "digest", "message_id")
    patient = patient_column(f"PATIENT0^^^&{AUTHORITY}&ISO")
    row: dict[str, Any] = {"unique_id": unique_id, "patient": patient, "kind": int(kind), "answered_at": _AT, "answer": None}
    return row | dict.fromkeys(names, "")


def _names(number: int, per_patient: int) -> Mapping:
    patient = number * ENTRIES_EACH // per_patient
    names = {_token(item): _uuid(number, item) for item in range(12)}
    names |= {f"{ROOT}.0.{item}": document_id(number * ENTRIES_EACH + item - 1) for item in (1, 2)}
    names |= {f"{ROOT}.0.0": f"{ROOT}.4.{number}", f"{ROOT}.0.3": f"{ROOT}.5.{number}", "PATIENT0": f"BULK{patient}"}
    return names


def load(
    database: Database,
    entries: int,
    *,
    per_patient: int = 50,
    folder_every: int = 5,
    first: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Store entries `first` to `first + entries` (both multiples of two), `per_patient` of one patient.

    One submission in `folder_every` has a folder that holds its entries.
    `progress` is told the number stored so far.
    """
    templates = {with_folder: _template(with_folder) for with_folder in (False, True)}
    numbers = range(first // ENTRIES_EACH, (first + entries) // ENTRIES_EACH)
    for start in range(0, len(numbers), _BATCH):
        batch = numbers[start : start + _BATCH]
        rows: dict[str, list[dict[str, Any]]] = {}
        for number in batch:
            names = _names(number, per_patient)
            for name, some in templates[number % folder_every == 0].items():
                rows.setdefault(name, []).extend(row.copy(names, _AT + number * 100) for row in some)

        def statements(connection: Connection, rows: dict[str, list[dict[str, Any]]] = rows) -> None:
            for table in (*INSERT_ORDER, t.document_locator, t.document_mask, t.document_identity, t.set_identity):
                if rows.get(table.name):
                    connection.execute(insert(table), rows[table.name])

        database.write(statements, timeout=60)
        if progress is not None:
            progress(batch[-1] * ENTRIES_EACH + ENTRIES_EACH - first)


def analyse(database: Database) -> None:
    """Let the engine count its rows, as its own housekeeping does in time."""
    database.write(lambda connection: connection.exec_driver_sql("ANALYZE").close(), timeout=60)
