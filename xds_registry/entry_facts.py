"""What a decision about stored entries may depend on, read inside the transaction that would change them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, select, tuple_

from access_control.policy import EntryFacts
from xds_metadata.patients import key_of_text
from xds_registry import tables as t
from xds_registry.vocabulary import ActorKind, Status


def load_entry_facts(connection: Connection, entries: Iterable[tuple[str, str]]) -> dict[str, EntryFacts]:
    """By id, the facts of entries given as (patient key, id without `urn:uuid:`); their codes are those in force."""
    keys = sorted(set(entries))
    if not keys:
        return {}
    e, m, a = t.entry.c, t.document_mask.c, t.entry_actor.c
    rows = connection.execute(
        select(e.id, e.patient, e.unique_id, e.type_code, e.status).where(tuple_(e.patient, e.id).in_(keys))
    ).all()
    codes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    documents = sorted({(row.patient, row.unique_id) for row in rows})
    for row in connection.execute(
        select(m.patient, m.unique_id, m.code).where(tuple_(m.patient, m.unique_id).in_(documents))
    ):
        codes[row.patient, row.unique_id].append(row.code)
    actors: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for row in connection.execute(select(a.entry, a.kind, a.identity).where(tuple_(a.patient, a.entry).in_(keys))):
        actors[row.entry, row.kind].append(row.identity)
    return {
        row.id: EntryFacts(
            unique_id=row.unique_id,
            patient=key_of_text(row.patient),
            type_code=row.type_code or "",
            confidentiality=tuple(sorted(codes[row.patient, row.unique_id])),
            persons=tuple(sorted(actors[row.id, ActorKind.PERSON])),
            institutions=tuple(sorted(actors[row.id, ActorKind.INSTITUTION])),
            status=Status(row.status).name.capitalize(),
        )
        for row in rows
    }
