"""Which version of an entry or a folder is the latest: kept as a column, so that a select need not count.

Source: IHE XDS Metadata Update supplement, ITI-57 (logicalID, version).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select, update

from xds_registry import tables as t

_MANY = 500


def mark_latest(connection: Connection, lids: Iterable[str]) -> int:
    """Mark the highest version of each logical object as its latest, and no other. Returns how many marks were wrong."""
    wrong = wrong_marks(connection, lids)
    v = t.object_version
    for lid, version, latest in wrong:
        connection.execute(update(v).where(v.c.lid == lid, v.c.version == version).values(latest=latest))
    return len(wrong)


def wrong_marks(connection: Connection, lids: Iterable[str]) -> list[tuple[str, int, int]]:
    """(logical id, version, the mark it should have) of versions among these logical objects whose mark is another."""
    wanted = sorted(set(lids))
    v = t.object_version.c
    found: dict[str, list[tuple[int, int]]] = {}
    for start in range(0, len(wanted), _MANY):
        rows = connection.execute(select(v.lid, v.version, v.latest).where(v.lid.in_(wanted[start : start + _MANY])))
        for lid, version, latest in rows:
            found.setdefault(lid, []).append((version, latest))
    return [
        (lid, version, int(version == max(versions)[0]))
        for lid, versions in found.items()
        for version, latest in sorted(versions)
        if latest != int(version == max(versions)[0])
    ]
