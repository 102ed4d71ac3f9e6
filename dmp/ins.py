"""The INS: the national health identity under which a record is kept.

Source: ANS, référentiel INS: 13 characters and a key of two digits, authorities of NIR and NIA and those of tests.
"""

from __future__ import annotations

import re
from typing import Final

from xds_metadata.datatypes import PatientKey

NIR, NIA = "1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9"
TEST, DEMONSTRATION = "1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11"
AUTHORITIES: Final = (NIR, NIA, TEST, DEMONSTRATION)

_FORM = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{8}")
_CORSICA: Final = {"2A": "19", "2B": "18"}


def check_ins(patient: PatientKey) -> str | None:
    """Why a patient key is no INS, without the number; None where it is one. Keys of test numbers are not verified."""
    if patient.authority not in AUTHORITIES:
        return f"the authority of the identifier is {patient.authority}, one of an INS is expected: {', '.join(AUTHORITIES)}"
    if not _FORM.fullmatch(patient.id):
        return "the identifier is no INS: 15 characters are expected, 13 of the number and 2 of its key"
    if patient.authority in (NIR, NIA) and key_of(patient.id[:13]) != patient.id[13:]:
        return "the identifier is no INS: its last two digits are not the key of the number"
    return None


def key_of(number: str) -> str:
    """The key of 13 characters: two digits."""
    digits = number[:5] + _CORSICA.get(number[5:7], number[5:7]) + number[7:]
    return f"{97 - int(digits) % 97:02}"
