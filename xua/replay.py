"""Who used an assertion first: kept in the database, so that all workers know it and a restart does not forget it.

An assertion may serve several calls of the client that brought it first; another client's use of it is a replay, and so is
another assertion under its ID. Where an assertion is good for one call, every second use is one.

Source: SAML 2.0 profiles, 4.1.4.5; the DMP, which does not say how often a VIHF may be used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from database.handle import Database
from database.prepared import Statement
from xua.refusal import AssertionRefused
from xua.tables import assertion_use

_u = assertion_use.c
_INSERT: Final = Statement(
    lambda dialect: (postgresql if dialect == "postgresql" else sqlite).insert(assertion_use).on_conflict_do_nothing()
)
_SELECT: Final = Statement(lambda _dialect: select(_u.peer, _u.digest).where(_u.key == bindparam("key")))


@dataclass(frozen=True, slots=True)
class Use:
    """One use: `key` of the assertion, `peer` that brings it, `digest` of what was signed, `expires` in microseconds."""

    key: str
    peer: str
    digest: str
    expires: int


def use_key(issuer: str, assertion_id: str) -> str:
    """The key of an assertion: SHA-256 of its issuer and ID, in hexadecimal."""
    return hashlib.sha256(f"{issuer}\0{assertion_id}".encode()).hexdigest()


class Replay(Protocol):
    """Remembers uses."""

    def record(self, use: Use, *, once: bool) -> None:
        """Remember a use; raises AssertionRefused (replayed, used) where it may not be, and DatabaseError."""
        ...


class ReplayStore:
    """Remembers uses in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, use: Use, *, once: bool) -> None:
        """As in Replay. A use that is known already costs one read; a first one is durable when this returns."""
        if not once and (known := self._known(use)) is not None:
            _compare(use, known)
            return
        held = self._database.write_short(lambda connection: _insert(connection, use))
        if held is None:
            return
        _compare(use, held)
        if once:
            raise AssertionRefused("used", "the assertion may be used once")

    def _known(self, use: Use) -> tuple[str, str] | None:
        statement = _SELECT.on(self._database.dialect)
        with self._database.read_raw() as cursor:
            rows = statement.execute(cursor, {"key": use.key}).fetchall()
        return (rows[0][0], rows[0][1]) if rows else None


def _insert(connection: Connection, use: Use) -> tuple[str, str] | None:
    """None when the row is new, else whose it is."""
    rows = _SELECT.on(connection.dialect).fetch(connection, {"key": use.key})
    if rows:
        return rows[0][0], rows[0][1]
    row = {"key": use.key, "peer": use.peer, "digest": use.digest, "expires": use.expires}
    if connection.dialect.name == "sqlite":
        _INSERT.write(connection, [row])
        return None
    inserted = connection.exec_driver_sql(_INSERT.on(connection.dialect).sql, row).rowcount
    if inserted:
        return None
    rows = _SELECT.on(connection.dialect).fetch(connection, {"key": use.key})
    return (rows[0][0], rows[0][1]) if rows else ("", "")


def _compare(use: Use, held: tuple[str, str]) -> None:
    peer, digest = held
    if peer != use.peer:
        raise AssertionRefused("replayed", "the assertion was first used by another TLS client")
    if digest != use.digest:
        raise AssertionRefused("replayed", "another assertion was used under this issuer and ID")


def forget_expired(database: Database, at: int) -> int:
    """Remove the uses of assertions that ended before `at` (microseconds); how many. For the background process."""
    statement = delete(assertion_use).where(_u.expires < at)
    return database.write(lambda connection: connection.execute(statement).rowcount)
