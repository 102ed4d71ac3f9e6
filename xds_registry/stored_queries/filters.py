"""Parameters that several queries share, and the conditions they become.

Source: IHE ITI TF-2 3.18.4.1.2.3.7.
"""

from __future__ import annotations

from xds_registry.stored_queries.parameters import (
    MAX_PATTERNS,
    Bound,
    Parameter,
    as_code,
    as_object_type,
    as_patient,
    as_status,
    as_text,
    as_time,
    as_uuid,
)
from xds_registry.stored_queries.selection import (
    Anchor,
    AuthorLike,
    CodesIn,
    ColumnIn,
    Condition,
    ReferencesIn,
    TimeRange,
)
from xds_registry.vocabulary import CodeKind

_E = "$XDSDocumentEntry"

PATIENT = "patient"
"""The key of the patient parameter in a bound query."""

FORMAT = Parameter(f"{_E}FormatCode", "format_code", as_code)
CONFIDENTIALITY = Parameter(f"{_E}ConfidentialityCode", "confidentiality", as_code, repeats=True)
OBJECT_TYPE = Parameter(f"{_E}Type", "object_type", as_object_type)
ENTRY_FILTERS = (FORMAT, CONFIDENTIALITY, OBJECT_TYPE)
"""The filters that queries over contents take."""

FIND_FILTERS = (
    Parameter(f"{_E}ClassCode", "class_code", as_code),
    Parameter(f"{_E}TypeCode", "type_code", as_code),
    Parameter(f"{_E}PracticeSettingCode", "practice_code", as_code),
    Parameter(f"{_E}HealthcareFacilityTypeCode", "facility_code", as_code),
    Parameter(f"{_E}EventCodeList", "event", as_code, repeats=True),
    Parameter(f"{_E}AuthorPerson", "author", as_text, most=MAX_PATTERNS),
    Parameter(f"{_E}CreationTimeFrom", "creation_from", as_time, many=False),
    Parameter(f"{_E}CreationTimeTo", "creation_to", as_time, many=False),
    Parameter(f"{_E}ServiceStartTimeFrom", "start_from", as_time, many=False),
    Parameter(f"{_E}ServiceStartTimeTo", "start_to", as_time, many=False),
    Parameter(f"{_E}ServiceStopTimeFrom", "stop_from", as_time, many=False),
    Parameter(f"{_E}ServiceStopTimeTo", "stop_to", as_time, many=False),
    *ENTRY_FILTERS,
)
"""The filters of FindDocuments."""

_TIMES = (("creation_time", "creation"), ("service_start", "start"), ("service_stop", "stop"))


def patient(name: str) -> Parameter:
    """The patient parameter of a query."""
    return Parameter(name, PATIENT, as_patient, required=True, many=False)


def status(name: str, key: str = "status") -> Parameter:
    """A status parameter."""
    return Parameter(name, key, as_status, required=True)


def by_uuid(name: str, many: bool) -> Parameter:
    """An entryUUID parameter, one of two alternatives."""
    return Parameter(name, "uuid", as_uuid, many=many)


def by_unique_id(name: str, many: bool) -> Parameter:
    """A uniqueId parameter, one of two alternatives."""
    return Parameter(name, "unique_id", as_text, many=many)


def anchored(bound: Bound, alternative: Parameter) -> tuple[ColumnIn, Anchor]:
    """The condition and the anchor of a query by entryUUID or uniqueId."""
    value = bound[alternative.key]
    values: tuple[str, ...] = value if alternative.many else (value,)
    if alternative.key == "uuid":
        return ColumnIn("id", values), Anchor(ids=values)
    return ColumnIn("unique_id", values), Anchor(unique_ids=values)


def entry_conditions(bound: Bound) -> tuple[Condition, ...]:
    """The conditions that follow from whichever entry filters are bound. Without a type, stable entries only."""
    found: list[Condition] = [ColumnIn("stable", bound.get("object_type", (1,)))]
    found += [
        ColumnIn(column, bound[column])
        for column in ("class_code", "type_code", "practice_code", "facility_code", "format_code")
        if column in bound
    ]
    for column, key in _TIMES:
        start, stop = bound.get(f"{key}_from"), bound.get(f"{key}_to")
        if start is not None or stop is not None:
            found.append(TimeRange(column, start, stop))
    if "event" in bound:
        found.append(CodesIn(CodeKind.EVENT, bound["event"]))
    if "confidentiality" in bound:
        found.append(CodesIn(CodeKind.CONFIDENTIALITY, bound["confidentiality"]))
    if "reference" in bound:
        found.append(ReferencesIn(bound["reference"]))
    if "author" in bound:
        found.append(AuthorLike(bound["author"]))
    return tuple(found)
