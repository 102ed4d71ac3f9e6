"""The confidentiality codes in force on a document, kept beside the entries so that every select can ask for them.

They are those of the latest version of each entry that a patient has of a uniqueId: twins and older versions of an entry
are no way around a restriction. When records of two patients become one, their masks are joined here.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, delete, insert, select

from xds_registry import tables as t
from xds_registry.vocabulary import CodeKind

Documents = Iterable[tuple[str, str]]
"""Documents as (patient key, uniqueId)."""

_MANY = 500


def refresh(connection: Connection, documents: Documents) -> int:
    """Make the codes in force follow from the entries as they are stored now, inside the transaction that changed them.

    Returns how many documents had others.
    """
    mask = t.document_mask
    stale = stale_documents(connection, documents)
    for (patient, unique_id), codes in stale.items():
        connection.execute(delete(mask).where(mask.c.patient == patient, mask.c.unique_id == unique_id))
        if codes:
            rows = [{"patient": patient, "unique_id": unique_id, "code": code} for code in sorted(codes)]
            connection.execute(insert(mask), rows)
    return len(stale)


def stale_documents(connection: Connection, documents: Documents) -> dict[tuple[str, str], frozenset[str]]:
    """The documents whose stored codes are not those that their entries give, with the codes that these give."""
    wanted = sorted(set(documents))
    found: dict[tuple[str, str], frozenset[str]] = {}
    for start in range(0, len(wanted), _MANY):
        some = wanted[start : start + _MANY]
        names = sorted({unique_id for _, unique_id in some})
        stored, given = _stored(connection, names), _given(connection, names)
        found |= {key: frozenset(given.get(key, ())) for key in some if stored.get(key, set()) != given.get(key, set())}
    return found


def _stored(connection: Connection, unique_ids: list[str]) -> dict[tuple[str, str], set[str]]:
    m = t.document_mask.c
    rows = connection.execute(select(m.patient, m.unique_id, m.code).where(m.unique_id.in_(unique_ids)))
    return _by_document(rows)


def _given(connection: Connection, unique_ids: list[str]) -> dict[tuple[str, str], set[str]]:
    e, c, v = t.entry.c, t.entry_code.c, t.object_version.c
    codes = and_(c.patient == e.patient, c.entry == e.id, c.kind == int(CodeKind.CONFIDENTIALITY))
    source = t.entry.join(t.object_version, v.id == e.id).join(t.entry_code, codes)
    rows = select(e.patient, e.unique_id, c.code).select_from(source).where(e.unique_id.in_(unique_ids), v.latest == 1)
    return _by_document(connection.execute(rows))


def _by_document(rows: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for patient, unique_id, code in rows:
        found.setdefault((patient, unique_id), set()).add(code)
    return found
