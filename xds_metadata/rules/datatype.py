"""Which grammar judges a value: from the attribute table's types to the functions of `datatypes`."""

from __future__ import annotations

from xds_metadata import datatypes as dt
from xds_metadata.attributes import Type

CHECKS: dict[Type, dt.Check] = {
    Type.CX: dt.check_cx,
    Type.CXI: dt.check_cxi,
    Type.DTM: dt.check_dtm,
    Type.FIELD: dt.check_patient_field,
    Type.INTEGER: dt.check_integer,
    Type.LANGUAGE: dt.check_language,
    Type.MIME: dt.check_mime_type,
    Type.OID: dt.check_oid,
    Type.RECIPIENT: dt.check_recipient,
    Type.SHA1: dt.check_sha1,
    Type.UNIQUE_ID: dt.check_unique_id,
    Type.URI: dt.check_uri,
    Type.UUID: dt.check_uuid,
    Type.XCN: dt.check_xcn,
}
_AUTHOR_CHECKS: dict[str, dt.Check] = {
    "authorPerson": dt.check_xcn,
    "authorInstitution": dt.check_xon,
    "authorSpecialty": dt.check_coded_string,
    "authorTelecommunication": dt.check_xtn,
}


def check_type(type_: Type, value: str, tolerances: dt.DatatypeTolerances) -> str | None:
    """None when `value` is of the type, else what is wrong with it."""
    check = CHECKS.get(type_)
    return None if check is None else check(value, tolerances)


def check_type_of_author(slot: str, value: str, tolerances: dt.DatatypeTolerances) -> str | None:
    """As `check_type`, for a value of an author's slot; a role is free text."""
    check = _AUTHOR_CHECKS.get(slot)
    return None if check is None else check(value, tolerances)
