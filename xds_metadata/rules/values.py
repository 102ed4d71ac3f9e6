"""Rules on the attributes of one object: present, of the right form, of a known code, in the right order in time.

Each is a row of the attribute table; the few rules between two attributes of one object follow.
Source: IHE ITI TF-3 4.2.3.1.7 (data types), 4.2.3.2 to 4.2.3.4, 4.3.1 (optionality).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from xds_metadata import attributes as table
from xds_metadata.attributes import Attribute, ObjectTable, Place, R, Type, X
from xds_metadata.codes import CodeSets
from xds_metadata.datatypes import (
    STRICT,
    Check,
    DatatypeTolerances,
    check_dtm,
    check_not_future,
    check_uuid,
    is_later,
    single_fields_repeated,
)
from xds_metadata.errors import Finding
from xds_metadata.from_ebrim import finding, shown
from xds_metadata.model import Author, Code, DocumentEntry, Submission
from xds_metadata.profile import Profile
from xds_metadata.rules.datatype import CHECKS, check_type, check_type_of_author

PROVIDE, REGISTER, UPDATE = "provide", "register", "update"
LONG_NAME = 256
_SIGNATURE_FORMATS = frozenset({"http://www.w3.org/2000/09/xmldsig#", "urn:ihe:iti:dsg:detached:2014"})
_URN_OF_ID = {"entry_uuid": "urn:", "source": "urn:uuid:", "target": "urn:uuid:"}
"""How an id begins that is no symbolic one and must be a UUID; a reference to any other URN is merely unresolved."""
_PAST = frozenset({"creation_time", "submission_time"})
"""Times that have been. A service, by contrast, may last into the future: a treatment, a care plan."""
_AVAILABILITY = frozenset({"urn:ihe:iti:2010:DocumentAvailability:Online", "urn:ihe:iti:2010:DocumentAvailability:Offline"})


def _anything(text: str, tolerances: DatatypeTolerances = STRICT) -> str | None:  # noqa: ARG001
    return None


def _symbolic_or_uuid(text: str, tolerances: DatatypeTolerances = STRICT) -> str | None:
    return check_uuid(text, tolerances) if text[:4].lower() == "urn:" else None


def _plain_check(row: Attribute) -> Check | None:
    """The grammar of a row that nothing but length and grammar judges."""
    if row.place is Place.XML:
        return _symbolic_or_uuid if row.field in _URN_OF_ID else _anything if row.field == "type" else None
    if row.place in (Place.SLOT, Place.IDENTIFIER) and row.field not in _PAST and row.codes is None:
        return CHECKS.get(row.type, _anything)
    return None


_TABLES = {rows.kind: rows for rows in (table.DOCUMENT_ENTRY, table.SUBMISSION_SET, table.FOLDER, table.ASSOCIATION)}
_PLAIN = {
    rows.kind: {row.field: check for row in rows.rows if (check := _plain_check(row)) is not None}
    for rows in _TABLES.values()
}
"""By kind of object and field."""


def check_values(submission: Submission, actor: str, profile: Profile, codes: CodeSets, now: datetime) -> Iterator[Finding]:
    """All findings on single objects. `actor` is PROVIDE (ITI-41), REGISTER (ITI-42) or UPDATE (ITI-57)."""
    groups: tuple[tuple[ObjectTable, Sequence[Any]], ...] = (
        (table.DOCUMENT_ENTRY, submission.entries),
        (table.SUBMISSION_SET, submission.submission_sets),
        (table.FOLDER, submission.folders),
        (table.ASSOCIATION, submission.associations),
    )
    for rows, items in groups:
        for item in items:
            yield from _check_object(rows, item, actor, profile, codes, now)
    for entry in submission.entries:
        yield from _check_entry(entry)


class _Row(NamedTuple):
    """A row of the attribute table as one actor needs it."""

    row: Attribute
    missing: bool
    """Whether it must have a value."""
    forbidden: bool
    judged: bool
    is_field: bool
    many: bool
    longest: int
    plain: Check | None


@cache
def _rows_of(kind: str, actor: str) -> tuple[_Row, ...]:
    def of(row: Attribute) -> _Row:
        need = row.provide if actor == PROVIDE else row.register
        if actor == UPDATE and row.update is not None:
            need = row.update
        return _Row(
            row,
            missing=need == R and (row.place is not Place.XML or row.field == "entry_uuid"),
            forbidden=need == X,
            judged=need != table.REGISTRY,
            is_field=row.type is Type.FIELD,
            many=row.many,
            longest=row.longest or LONG_NAME,
            plain=_PLAIN[kind].get(row.field),
        )

    return tuple(of(row) for row in _TABLES[kind].rows)


def _check_object(
    rows: ObjectTable, item: Any, actor: str, profile: Profile, codes: CodeSets, now: datetime
) -> Iterator[Finding]:
    lenient_codes = profile.unlisted_signature_codes and _is_signature(item)
    label, grammar = "", profile.datatypes
    for (row, missing, forbidden, judged, is_field, many, longest, plain), value in zip(
        _rows_of(rows.kind, actor), rows.values(item), strict=True
    ):
        if not value:
            if missing:
                yield finding("required", _label(rows, item), f"{row.name} is required and missing")
            continue
        if forbidden:
            hint = "; it belongs to a metadata update (ITI-57)" if rows is table.ASSOCIATION else ""
            yield finding("forbidden", _label(rows, item), f"{row.name} is not allowed here{hint}")
            continue
        if not judged:
            continue
        if is_field:
            yield from _check_patient_info(row, value, _label(rows, item))
        for single in value if many else (value,):
            # Most values are right by the commonest rules, which are cheaper than to look closely.
            if plain is not None and isinstance(single, str):
                if len(single) <= longest and plain(single, grammar) is None:
                    continue
            elif isinstance(single, Code) and (row.codes is None or codes.allows(row.codes, single.code, single.scheme)):
                continue
            label = label or _label(rows, item)
            yield from _check_value(row, single, label, profile, codes, now, lenient_codes)


def _label(rows: ObjectTable, item: Any) -> str:
    return f"{rows.kind} {shown(item.entry_uuid)}"


def _check_patient_info(row: Attribute, values: Sequence[str], label: str) -> Iterator[Finding]:
    """One birth date, one sex; the fields themselves are judged one by one."""
    for number in single_fields_repeated(values):
        yield finding("patient-field-once", label, f"{row.name} holds PID-{number} more than once, one value is allowed")


def _is_signature(item: object) -> bool:
    return isinstance(item, DocumentEntry) and item.format_code is not None and item.format_code.code in _SIGNATURE_FORMATS


def _check_value(
    row: Attribute, value: Any, label: str, profile: Profile, codes: CodeSets, now: datetime, lenient_codes: bool
) -> Iterator[Finding]:
    if isinstance(value, Code):
        if not lenient_codes:
            yield from _check_code(row, value, label, profile, codes)
        return
    if isinstance(value, Author):
        yield from _check_author(value, label, profile)
        return
    if row.place is Place.XML and row.field in ("source", "target", "type", "entry_uuid"):
        urn = _URN_OF_ID.get(row.field)
        if urn is not None and value[: len(urn)].lower() == urn:
            yield from _problem(row, check_type(Type.UUID, value, profile.datatypes), value, label)
        return
    if row.longest is not None and len(value) > row.longest:
        yield finding("length", label, f"{row.name} has {len(value)} characters, at most {row.longest} are allowed")
        return
    if row.place in (Place.SLOT, Place.IDENTIFIER) and len(value) > LONG_NAME:
        yield finding("length", label, f"a value of {row.name} has {len(value)} characters, at most {LONG_NAME} are allowed")
        return
    if row.codes == "mime_type":
        problem = check_type(row.type, value, profile.datatypes)
        yield from _problem(row, problem, value, label)
        if problem is None and not codes.allows("mime_type", value, ""):
            yield finding("code", label, codes.explain("mime_type", value, ""))
        return
    problem = check_type(row.type, value, profile.datatypes)
    yield from _problem(row, problem, value, label)
    if problem is None and row.field in _PAST:
        problem = check_not_future(value, now)
        if problem is not None:
            yield finding("not-future", label, f"{row.name}: {problem}")


def _problem(row: Attribute, problem: str | None, value: str, label: str) -> Iterator[Finding]:
    if problem is not None:
        yield finding("type-" + row.type.name.lower(), label, f"{row.name} {shown(value)}: {problem}")


def _check_code(row: Attribute, value: Code, label: str, profile: Profile, codes: CodeSets) -> Iterator[Finding]:
    name = row.codes
    if name is None or codes.allows(name, value.code, value.scheme):
        return
    if name == "type_code" and profile.unlisted_type_code and codes.knows_scheme(name, value.scheme):
        return
    yield finding("code", label, codes.explain(name, value.code, value.scheme))


def _check_author(author: Author, label: str, profile: Profile) -> Iterator[Finding]:
    if author.person is None and not author.institutions and not author.telecommunications:
        yield finding(
            "author-identified", label, "author has neither authorPerson nor authorInstitution nor authorTelecommunication"
        )
    values = [("authorPerson", author.person)] if author.person is not None else []
    values += [("authorInstitution", v) for v in author.institutions]
    values += [("authorRole", v) for v in author.roles]
    values += [("authorSpecialty", v) for v in author.specialties]
    values += [("authorTelecommunication", v) for v in author.telecommunications]
    for name, value in values:
        problem = (
            f"has {len(value)} characters, at most {LONG_NAME} are allowed"
            if len(value) > LONG_NAME
            else check_type_of_author(name, value, profile.datatypes)
        )
        if problem is not None:
            yield finding("type-author", label, f"{name} {shown(value)}: {problem}")


def _after(start: str, stop: str) -> bool:
    return check_dtm(start) is None and check_dtm(stop) is None and is_later(start, stop)


def _check_entry(entry: DocumentEntry) -> Iterator[Finding]:
    label = f"DocumentEntry {shown(entry.entry_uuid)}"
    start, stop = entry.service_start_time, entry.service_stop_time
    if start is not None and stop is not None and _after(start, stop):
        yield finding("service-times", label, f"serviceStartTime {shown(start)} is after serviceStopTime {shown(stop)}")
    if entry.document_availability is not None and entry.document_availability not in _AVAILABILITY:
        yield finding(
            "document-availability", label, f"documentAvailability {shown(entry.document_availability)} is unknown"
        )
