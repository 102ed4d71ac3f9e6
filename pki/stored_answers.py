"""Answers of OCSP responders in the database: asked for by one process, used by all, kept over a restart."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, delete, insert, select, update

from database.errors import ConstraintViolated
from database.handle import Database
from pki.errors import RevocationRefused
from pki.ocsp import Answer, judge_response
from pki.revocation import authority_key
from pki.tables import certificate_status

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SKEW: Final = timedelta(minutes=5)
_t = certificate_status.c


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer, and when it was given (UTC)."""

    answer: Answer
    asked_at: datetime


def store_answer(
    database: Database, data: bytes, certificate: x509.Certificate, issuer: x509.Certificate, found: Stored
) -> None:
    """Keep the response `data`, unless a newer one is there. Raises DatabaseError."""
    key = _key(certificate, issuer)
    values: dict[str, Any] = {
        "key": key,
        "asked_at": _micros(found.asked_at),
        "this_update": _micros(found.answer.this_update),
        "produced_at": _micros(found.answer.produced_at),
        "data": data,
    }

    def write(connection: Connection) -> None:
        before = connection.execute(select(_t.this_update, _t.produced_at).where(_t.key == key)).one_or_none()
        if before is None:
            connection.execute(insert(certificate_status).values(values))
        elif tuple(before) <= (values["this_update"], values["produced_at"]):
            connection.execute(update(certificate_status).where(_t.key == key).values(values))

    with suppress(ConstraintViolated):  # another process has just stored the first one
        database.write(write)


def load_answer(database: Database, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> Stored | None:
    """The answer that is stored, None where none is there that could count.

    It is judged again as when it was given, but for the nonce: the database is not what is trusted. Raises DatabaseError.
    """
    with database.read() as connection:
        row = connection.execute(select(_t.asked_at, _t.data).where(_t.key == _key(certificate, issuer))).one_or_none()
    if row is None:
        return None
    asked_at = _EPOCH + timedelta(microseconds=row[0])
    if asked_at > at + _SKEW:
        return None
    try:
        return Stored(judge_response(row[1], certificate, issuer, asked_at, max_age=timedelta.max), asked_at)
    except RevocationRefused:
        return None


def forget_answers(database: Database, before: datetime) -> int:
    """Remove what was asked before a time; how many. Raises DatabaseError."""
    statement = delete(certificate_status).where(_t.asked_at < _micros(before))
    return database.write(lambda connection: int(connection.execute(statement).rowcount))


def _key(certificate: x509.Certificate, issuer: x509.Certificate) -> str:
    digest = hashlib.sha256(authority_key(issuer))
    digest.update(b"%x" % certificate.serial_number)
    return digest.hexdigest()


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
