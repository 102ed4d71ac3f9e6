"""The confidentiality codes in force on a document, kept beside the entries so that every select can ask for them.

They are those of the latest version of each entry that a patient has of a uniqueId: twins and older versions of an entry
are no way around a restriction. When records of two patients become one, their masks are joined here.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, insert, literal, select

from xds_registry import tables as t
from xds_registry.vocabulary import CodeKind


def in_force(connection: Connection, patient: str, unique_id: str) -> frozenset[str]:
    """The codes (`code^^scheme`) in force on a document of a patient."""
    m = t.document_mask.c
    return frozenset(connection.execute(select(m.code).where(m.patient == patient, m.unique_id == unique_id)).scalars())


def refresh(connection: Connection, patient: str, unique_id: str) -> None:
    """Make the codes in force follow from the entries as they are stored now, inside the transaction that changed them."""
    mask, e, c, v = t.document_mask, t.entry.c, t.entry_code.c, t.object_version.c
    connection.execute(delete(mask).where(mask.c.patient == patient, mask.c.unique_id == unique_id))
    codes = (
        select(literal(patient), literal(unique_id), c.code)
        .select_from(
            t.entry.join(t.object_version, v.id == e.id).join(
                t.entry_code, and_(c.patient == e.patient, c.entry == e.id, c.kind == int(CodeKind.CONFIDENTIALITY))
            )
        )
        .where(e.patient == patient, e.unique_id == unique_id, v.latest == 1)
        .distinct()
    )
    connection.execute(insert(mask).from_select(["patient", "unique_id", "code"], codes))
