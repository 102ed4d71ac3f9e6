"""Revocation lists in the database: stored by the background process, loaded by every worker when their version grows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, func, insert, select, update

from database.handle import Database
from pki.errors import RevocationRefused
from pki.revocation import RevocationList, judge_list
from pki.tables import revocation_list

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_t = revocation_list.c


def store_list(
    database: Database,
    data: bytes,
    authorities: Sequence[x509.Certificate],
    at: datetime,
    guard: Callable[[Connection], None] = lambda _connection: None,
) -> RevocationList:
    """Judge a list that was fetched and put it in the place of the one before.

    `guard` is run in the same write. Raises RevocationRefused, also (unchanged) for the stored list itself and (not-newer)
    for another that is not newer; DatabaseError.
    """
    found = judge_list(data, authorities, at)
    key = _key(found)
    values = {
        "authority": key,
        "this_update": _micros(found.this_update),
        "next_update": _micros(found.next_update),
        "stored_at": _micros(at),
        "data": data,
    }

    def write(connection: Connection) -> int | None:
        guard(connection)
        before = connection.execute(select(_t.this_update).where(_t.authority == key)).scalar_one_or_none()
        if before is not None and before >= values["this_update"]:
            same = connection.execute(select(_t.data).where(_t.authority == key)).scalar_one()
            return -1 if same == data else int(before)
        version = connection.execute(select(func.coalesce(func.max(_t.version), 0) + 1)).scalar_one()
        row: dict[str, Any] = {**values, "version": version}
        if before is None:
            connection.execute(insert(revocation_list).values(row))
        else:
            connection.execute(update(revocation_list).where(_t.authority == key).values(row))
        return None

    before = database.write(write)
    if before == -1:
        raise RevocationRefused("unchanged", "it is the list in use")
    if before is not None:
        in_use = _EPOCH + timedelta(microseconds=before)
        raise RevocationRefused(
            "not-newer",
            f"thisUpdate {found.this_update:%Y-%m-%dT%H:%M:%SZ} is not after {in_use:%Y-%m-%dT%H:%M:%SZ}, which is in use",
        )
    return found


def stored_version(database: Database) -> int:
    """The version of the newest stored list, 0 without one."""
    with database.read() as connection:
        return int(connection.execute(select(func.coalesce(func.max(_t.version), 0))).scalar_one())


def load_lists(
    database: Database, authorities: Sequence[x509.Certificate], at: datetime, since: int = 0
) -> tuple[int, tuple[RevocationList, ...], tuple[bytes, ...]]:
    """Version reached, lists stored after the version `since`, and their bytes; lists that no longer stand are left out.

    Each is judged again: the database is not what is trusted. Raises DatabaseError.
    """
    with database.read() as connection:
        rows = connection.execute(select(_t.version, _t.data).where(_t.version > since).order_by(_t.version)).all()
    lists, kept = [], []
    for _, data in rows:
        try:
            lists.append(judge_list(data, authorities, at))
        except RevocationRefused:
            continue
        kept.append(data)
    return max([since, *(version for version, _ in rows)]), tuple(lists), tuple(kept)


def _key(found: RevocationList) -> str:
    return hashlib.sha256(found.authority).hexdigest()


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
