"""sourcePatientInfo: HL7 v2 PID fields as `PID-n|value`.

Source: IHE ITI TF-3 4.2.3.2.23.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xds_metadata.datatypes.dtm import check_dtm
from xds_metadata.datatypes.hl7 import unescape
from xds_metadata.datatypes.support import (
    STRICT,
    DatatypeError,
    DatatypeTolerances,
    checker,
    shown,
    within_length,
    without_controls,
)

_FIELD = re.compile(r"PID-([1-9][0-9]?)\|(.*)", re.DOTALL)
_FORBIDDEN = frozenset({2, 4, 12, 19})
_SEXES = frozenset("AFMNOU")
_HYPHENATED = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_LAST_FIELD = 39
_SINGLE = (7, 8)
"""Birth date and sex: one value at most."""


@dataclass(frozen=True, slots=True)
class PatientField:
    """One PID field: its `number` and its text, HL7 encoded, with ~ between repetitions."""

    number: int
    value: str

    @property
    def repetitions(self) -> tuple[str, ...]:
        """The repetitions of the field."""
        return tuple(self.value.split("~"))


def read_patient_field(text: str, tolerances: DatatypeTolerances = STRICT) -> PatientField:
    """`PID-n|value`. PID-2, 4, 12 and 19 are refused; PID-7 is a DTM, PID-8 one of A F M N O U; others may hold anything
    but escapes that HL7 metadata does not have.
    """
    kind = "a patient field PID-n|value"
    without_controls(within_length(text, kind), kind)
    match = _FIELD.fullmatch(text)
    if match is None or int(match[1]) > _LAST_FIELD:
        raise DatatypeError(f"expected {kind} with n from 1 to {_LAST_FIELD}, found {shown(text)}")
    number, value = int(match[1]), match[2]
    if number in _FORBIDDEN:
        raise DatatypeError(f"expected no PID-{number} in patient fields, found {shown(text)}")
    if not value.strip():
        raise DatatypeError(f"expected {kind}, found PID-{number} without a value")
    unescape(value, f"PID-{number}")
    if "|" in value:
        raise DatatypeError(f"expected {kind} with one field, found a second | in PID-{number}: {shown(text)}")
    if number == 7:
        _check_birth(value, tolerances)
    if number == 8 and value not in _SEXES:
        raise DatatypeError(f"expected PID-8 to be one of A, F, M, N, O, U, found {shown(value)}")
    return PatientField(number, value)


def _check_birth(value: str, tolerances: DatatypeTolerances) -> None:
    digits = "".join(match.groups()) if (match := _HYPHENATED.fullmatch(value)) else value
    if digits != value and not tolerances.hyphenated_birth_date:
        raise DatatypeError(f"expected PID-7 to be a date YYYYMMDD without hyphens, found {shown(value)}")
    if (wrong := check_dtm(digits, tolerances)) is not None:
        raise DatatypeError(f"PID-7: {wrong}")


def write_patient_field(value: PatientField) -> str:
    """The text of `value`."""
    return f"PID-{value.number}|{value.value}"


def single_fields_repeated(texts: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the fields that one sourcePatientInfo may hold once and holds more often: PID-7, PID-8."""
    numbers = [text.partition("|")[0] for text in texts]
    return tuple(number for number in _SINGLE if numbers.count(f"PID-{number}") > 1)


def check_patient_fields(texts: Sequence[str], tolerances: DatatypeTolerances = STRICT) -> tuple[str, ...]:
    """What is wrong with the values of one sourcePatientInfo: each value, and more than one PID-7 or PID-8."""
    wrong = [problem for text in texts if (problem := check_patient_field(text, tolerances)) is not None]
    wrong.extend(f"expected at most one PID-{number}, found several" for number in single_fields_repeated(texts))
    return tuple(wrong)


check_patient_field = checker(read_patient_field)
