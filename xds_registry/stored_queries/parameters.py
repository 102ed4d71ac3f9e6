"""Parameters of stored queries: a row each, and one function that binds a request's slots to them, all errors at once.

Source: IHE ITI TF-2 3.18.4.1.2.3.5 (encoding), 3.18.4.1.2.3.7 (parameters), 3.18.4.1.3 (errors).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ebrim.model import Slot
from xds_metadata.datatypes import DatatypeError, check_dtm, instant, patient_key
from xds_metadata.errors import Finding, XdsFailure
from xds_metadata.from_ebrim import shown
from xds_metadata.model import ON_DEMAND, STABLE, Code
from xds_metadata.patients import key_text
from xds_registry.stored_queries.literals import MAX_VALUES, LiteralError, read_values
from xds_registry.vocabulary import ASSOCIATION_TYPE, STATUS_OF_URN, UUID_PREFIX, bare

MAX_GROUPS = 20
"""Repetitions of one slot: each is a condition of its own."""
MAX_PATTERNS = 100
"""Patterns of one parameter: each is tried on each author."""

Convert = Callable[[str], "str | int | None"]


class ParameterError(Exception):
    """One value is not of the parameter's form."""


def as_text(value: str) -> str:
    """Any string, in NFC."""
    return unicodedata.normalize("NFC", value)


def as_patient(value: str) -> str:
    """A CX as key text."""
    try:
        return key_text(patient_key(value))
    except DatatypeError as error:
        raise ParameterError(error.reason) from None


def as_status(value: str) -> int | None:
    """A status URN; None for one that is not known (it is left out)."""
    status = STATUS_OF_URN.get(value)
    return None if status is None else int(status)


def as_code(value: str) -> str:
    """`code^^scheme`, an OID with or without `urn:oid:`; a display name between the carets is ignored."""
    parts = value.split("^")
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise ParameterError("expected 'code^^codingScheme'")
    return as_text(Code(parts[0], parts[2]).pair)


def as_time(value: str) -> str:
    """A DTM as the 14 digits of its first second."""
    problem = check_dtm(value)
    if problem is not None:
        raise ParameterError(problem)
    return instant(value)


def as_object_type(value: str) -> int | None:
    """Stable or on-demand; anything else selects nothing."""
    return {STABLE: 1, ON_DEMAND: 2}.get(value)


def as_uuid(value: str) -> str:
    """An entryUUID as stored; a value that is none finds nothing."""
    return bare(value) if value.startswith(UUID_PREFIX) else f"not-a-uuid:{value}"


def as_association_type(value: str) -> int | None:
    """An association type; an unknown one selects nothing."""
    return ASSOCIATION_TYPE.get(value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row: wire name, key in the bound result, form of a value.

    `many`: a list is allowed (OR). `repeats`: the slot itself may be repeated (AND); the bound value is then a tuple of
    tuples. A single value binds as itself, a list as a tuple. A required list whose values are all unknown counts as
    missing. `most`: values allowed over all occurrences.
    """

    name: str
    key: str
    convert: Convert
    required: bool = False
    many: bool = True
    repeats: bool = False
    most: int = MAX_VALUES


Bound = dict[str, Any]


def _missing(name: str) -> Finding:
    return Finding("XDSStoredQueryMissingParam", f"{name} is required", rule="parameter-required")


def bind(slots: Sequence[Slot], rows: Iterable[Parameter]) -> Bound:
    """The values of `rows` in `slots` by key; absent ones are absent. Unknown slots are ignored.

    Raises XdsFailure with every finding.
    """
    bound: Bound = {}
    findings: list[Finding] = []
    by_name: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.values:  # a slot without a value says nothing
            by_name.setdefault(slot.name, []).append(slot)
    for row in rows:
        found = by_name.get(row.name, [])
        if not found:
            if row.required:
                findings.append(_missing(row.name))
            continue
        if len(found) > 1 and not row.repeats:
            findings.append(
                Finding(
                    "XDSStoredQueryParamNumber",
                    f"{row.name} occurs {len(found)} times, once is allowed",
                    rule="parameter-once",
                )
            )
            continue
        _bind_row(row, found, bound, findings)
    if findings:
        raise XdsFailure(findings)
    return bound


def _bind_row(row: Parameter, slots: Sequence[Slot], bound: Bound, findings: list[Finding]) -> None:
    groups: list[tuple[str | int, ...]] = []
    total = 0
    for slot in slots[: MAX_GROUPS + 1]:
        try:
            raw = [value for text in slot.values[: MAX_VALUES + 1] for value in read_values(text)]
            total += len(raw)
            if total > row.most:
                raise LiteralError(f"more than {row.most} values")
            if len(groups) == MAX_GROUPS:
                raise LiteralError(f"the slot occurs {len(slots)} times, at most {MAX_GROUPS} are allowed")
            values = [row.convert(value) for value in raw]
        except (LiteralError, ParameterError) as error:
            reason = error.reason if isinstance(error, LiteralError) else str(error)
            findings.append(Finding("Error", f"{row.name} {shown(slot.values[0])}: {reason}", rule="parameter-value"))
            return
        if not row.many and len(raw) > 1:
            findings.append(
                Finding(
                    "XDSStoredQueryParamNumber", f"{row.name} has {len(raw)} values, one is allowed", rule="parameter-single"
                )
            )
            return
        groups.append(_padded([value for value in values if value is not None]))
    if row.required and not any(groups):
        findings.append(_missing(row.name))
    elif row.repeats:
        bound[row.key] = tuple(groups)
    elif row.many:
        bound[row.key] = groups[0]
    elif groups[0]:
        bound[row.key] = groups[0][0]


def _padded(values: list[str | int]) -> tuple[str | int, ...]:
    """The distinct values, the last one repeated up to a power of two: few lengths, so few different statements."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        distinct += distinct[-1:] * ((1 << (len(distinct) - 1).bit_length()) - len(distinct))
    return tuple(distinct)


def one_of(bound: Bound, rows: Sequence[Parameter]) -> Parameter:
    """The one of alternative parameters that is present. Raises XdsFailure when none is, or several are."""
    present = [row for row in rows if row.key in bound]
    names = " or ".join(row.name for row in rows)
    if not present:
        raise XdsFailure(Finding("XDSStoredQueryMissingParam", f"{names} is required", rule="parameter-alternative"))
    if len(present) > 1:
        raise XdsFailure(
            Finding("XDSStoredQueryParamNumber", f"only one of {names} is allowed", rule="parameter-alternative")
        )
    return present[0]
