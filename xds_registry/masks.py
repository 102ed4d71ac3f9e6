"""The confidentiality codes in force on a document, kept beside the entries so that every select can ask for them.

They are those of the latest version of each entry that a patient has of a uniqueId: twins and older versions of an entry
are no way around a restriction. Restrictions that follow a document (those that the access policy names) are in force on
what amends or transforms it, too, and on what it replaced; and on what replaced it, unless a later version of that says
otherwise. When records of two patients become one, their masks are joined here.
Source: IHE ITI TF-3 4.2.2.2 (relationships).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select

from xds_metadata.associations import APND, REPLACING, XFRM
from xds_registry import tables as t
from xds_registry.vocabulary import ASSOCIATION_TYPE, CodeKind

T = TypeVar("T")
Document = tuple[str, str]
"""A document as (patient key, uniqueId)."""
Documents = Iterable[Document]

_REPLACING = frozenset(ASSOCIATION_TYPE[name] for name in REPLACING)
_FOLLOWING = (*sorted(_REPLACING), ASSOCIATION_TYPE[APND], ASSOCIATION_TYPE[XFRM])
_MANY = 500


@dataclass(slots=True)
class _Given:
    """What the latest versions of a document's entries say, and when the last of them was registered."""

    codes: set[str] = field(default_factory=set)
    at: int = 0


def refresh(connection: Connection, documents: Documents, following: frozenset[str]) -> int:
    """Make the codes in force follow from what is stored now, inside the transaction that changed it.

    Those of related documents are made anew with them. `following`: the codes that follow a document. Returns how many
    documents had others.
    """
    mask = t.document_mask
    wanted = set(documents)
    stale = stale_documents(connection, family(connection, wanted) if following else wanted, following)
    for (patient, unique_id), codes in stale.items():
        connection.execute(delete(mask).where(mask.c.patient == patient, mask.c.unique_id == unique_id))
        if codes:
            rows = [{"patient": patient, "unique_id": unique_id, "code": code} for code in sorted(codes)]
            connection.execute(insert(mask), rows)
    return len(stale)


def stale_documents(
    connection: Connection, documents: Documents, following: frozenset[str]
) -> dict[Document, frozenset[str]]:
    """The documents whose stored codes are not those that follow from the entries, with the codes that do."""
    wanted = sorted(set(documents))
    found: dict[Document, frozenset[str]] = {}
    for some in _portions(wanted):
        stored, given = _stored(connection, some), _in_force(connection, some, following)
        found |= {key: frozenset(given.get(key, ())) for key in some if stored.get(key, set()) != given.get(key, set())}
    return found


def family(connection: Connection, documents: Documents) -> set[Document]:
    """These documents and all that are related to them, directly or through others."""
    found = set(documents)
    layer = found
    while layer:
        around = {end for older, newer, _ in _links(connection, layer) for end in (older, newer)}
        layer = around - found
        found = found | layer
    return found


def _in_force(connection: Connection, documents: Iterable[Document], following: frozenset[str]) -> dict[Document, set[str]]:
    if not following:
        return {key: given.codes for key, given in _given(connection, documents).items()}
    everyone = family(connection, documents)
    given = _given(connection, everyone)
    codes = {key: set(one.codes) for key, one in given.items()}
    links = [link for link in _links(connection, everyone) if link[0] in given and link[1] in given]
    flows = set(_flows(links, given))
    changed = True
    while changed:
        changed = False
        for origin, to in flows:
            passed = following.intersection(codes[origin]) - codes[to]
            if passed:
                codes[to] |= passed
                changed = True
    return codes


def _flows(
    links: Iterable[tuple[Document, Document, int]], given: dict[Document, _Given]
) -> Iterator[tuple[Document, Document]]:
    """From which document restrictions pass to which."""
    for older, newer, type_ in links:
        if type_ not in _REPLACING:
            yield older, newer
            continue
        yield newer, older
        if given[older].at > given[newer].at:
            yield older, newer


def _links(connection: Connection, documents: Iterable[Document]) -> set[tuple[Document, Document, int]]:
    """The relationships of documents: (what was there, what came to it, type). Withdrawn ones are none."""
    e, a = t.entry.c, t.association.c
    wanted = set(documents)
    ids: dict[str, Document] = {}
    for names in _portions(sorted({unique_id for _, unique_id in wanted})):
        rows = connection.execute(select(e.patient, e.id, e.unique_id).where(e.unique_id.in_(names)))
        ids |= {row.id: (row.patient, row.unique_id) for row in rows if (row.patient, row.unique_id) in wanted}
    links: list[Row[Any, Any, Any]] = []
    for portion in _portions(sorted(ids)):
        touching = or_(a.source.in_(portion), a.target.in_(portion))
        asked = select(a.source, a.target, a.type).where(touching, a.type.in_(_FOLLOWING), a.withdrawn == 0)
        links += connection.execute(asked).all()
    strange = sorted({end for row in links for end in (row.source, row.target)} - ids.keys())
    for portion in _portions(strange):
        rows = connection.execute(select(e.patient, e.id, e.unique_id).where(e.id.in_(portion)))
        ids |= {row.id: (row.patient, row.unique_id) for row in rows}
    return {(ids[row.target], ids[row.source], row.type) for row in links if row.source in ids and row.target in ids}


def _portions(values: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(values), _MANY):
        yield values[start : start + _MANY]


def _stored(connection: Connection, documents: list[Document]) -> dict[Document, set[str]]:
    m = t.document_mask.c
    names = sorted({unique_id for _, unique_id in documents})
    found: dict[Document, set[str]] = {}
    for patient, unique_id, code in connection.execute(select(m.patient, m.unique_id, m.code).where(m.unique_id.in_(names))):
        found.setdefault((patient, unique_id), set()).add(code)
    return found


def _given(connection: Connection, documents: Iterable[Document]) -> dict[Document, _Given]:
    e, c, v = t.entry.c, t.entry_code.c, t.object_version.c
    codes = and_(c.patient == e.patient, c.entry == e.id, c.kind == int(CodeKind.CONFIDENTIALITY))
    source = t.entry.join(t.object_version, v.id == e.id).outerjoin(t.entry_code, codes)
    found: dict[Document, _Given] = {}
    for names in _portions(sorted({unique_id for _, unique_id in documents})):
        rows = select(e.patient, e.unique_id, e.registered_at, c.code).select_from(source)
        for patient, unique_id, at, code in connection.execute(rows.where(e.unique_id.in_(names), v.latest == 1)):
            given = found.setdefault((patient, unique_id), _Given())
            given.at = max(given.at, at)
            if code is not None:
                given.codes.add(code)
    return found
