"""The patient key as text, the form under which stores index a patient."""

from __future__ import annotations

from functools import lru_cache

from xds_metadata.datatypes import DatatypeError, PatientKey, patient_key


def key_text(key: PatientKey) -> str:
    """`CX.1^CX.4.2`; an authority holds no ^, so the last one separates."""
    return f"{key.id}^{key.authority}"


def key_of_text(text: str) -> PatientKey:
    """The inverse of `key_text`."""
    identifier, _, authority = text.rpartition("^")
    return PatientKey(identifier, authority)


@lru_cache(maxsize=1024)
def patient_column(cx: str | None) -> str:
    """The key text of a CX; empty when there is none or it cannot be read."""
    if cx is None:
        return ""
    try:
        return key_text(patient_key(cx))
    except DatatypeError:
        return ""
