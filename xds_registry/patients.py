"""Patients that the registry knows: made known by the feed (ITI-8) or by an operator.

Source: IHE ITI TF-2 3.8.4.1.3 (what a registry does with the feed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from database.handle import Database
from xds_metadata.patients import patient_column
from xds_registry.tables import patient

FEED, OPERATOR = "feed", "operator"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """A patient: the CX under which it was made known, by whom, when (microseconds since 1970 UTC)."""

    cx: str
    origin: str
    known_at: int


def add_patients(
    database: Database, identifiers: Sequence[str], origin: str, at: int, effect: Callable[[Connection], None] | None = None
) -> int:
    """Make patients known (CX texts, checked by the caller); returns how many were not known before. All or nothing.

    `effect`: statements of another owner that are run with it.
    """
    rows = list(
        {
            patient_column(cx): {"key": patient_column(cx), "cx": cx, "origin": origin, "known_at": at} for cx in identifiers
        }.values()
    )

    def statements(connection: Connection) -> int:
        before = _count(connection)
        dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        for start in range(0, len(rows), _BATCH):
            connection.execute(dialect(patient).on_conflict_do_nothing(), rows[start : start + _BATCH])
        if effect is not None:
            effect(connection)
        return _count(connection) - before

    return database.write(statements) if rows else 0


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(patient)).scalar_one()


def find_patient(database: Database, cx: str) -> KnownPatient | None:
    """The patient that a CX names, if known."""
    p = patient.c
    with database.read() as connection:
        row = connection.execute(select(p.cx, p.origin, p.known_at).where(p.key == patient_column(cx))).first()
    return None if row is None else KnownPatient(row[0], row[1], row[2])


def list_patients(database: Database, limit: int, after: str = "") -> list[KnownPatient]:
    """Known patients in the order of their keys."""
    p = patient.c
    with database.read() as connection:
        rows = connection.execute(select(p.cx, p.origin, p.known_at).where(p.key > after).order_by(p.key).limit(limit)).all()
    return [KnownPatient(row[0], row[1], row[2]) for row in rows]


def registrar(
    database: Database, clock: Callable[[], int], effect: Callable[[Connection], None] | None = None
) -> Callable[[Sequence[str]], None]:
    """What the feed calls with the identifiers of one message; `effect` is run with their registration."""

    def register(identifiers: Sequence[str], /) -> None:
        add_patients(database, identifiers, FEED, clock(), effect)

    return register
