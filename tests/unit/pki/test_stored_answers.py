"""Answers of OCSP responders in the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp
from sqlalchemy import select, update

from database.engine import open_database
from database.handle import Database
from database.migrate import migrate
from pki.ocsp import judge_response
from pki.stored_answers import Stored, forget_answers, load_answer, store_answer
from pki.tables import certificate_status
from tests.unit.pki.test_ocsp import AT, DAY, LEAF, MINUTE, RESPONDER, REVOKED, Draft
from tests.unit.pki.world import ISSUING, Holder, card


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "answers.sqlite"), create=True) as made:
        migrate(made)
        yield made


def keep(database: Database, draft: Draft, at: datetime = AT) -> Stored:
    data = draft.der()
    found = Stored(judge_response(data, LEAF.certificate, ISSUING.certificate, at, max_age=10 * DAY), at)
    store_answer(database, data, LEAF.certificate, ISSUING.certificate, found)
    return found


def kept(database: Database, at: datetime = AT, leaf: Holder = LEAF, issuer: Holder = ISSUING) -> Stored | None:
    return load_answer(database, leaf.certificate, issuer.certificate, at)


def test_an_answer_is_found_for_its_certificate_alone(database: Database) -> None:
    assert kept(database) is None
    found = keep(database, Draft())
    assert kept(database) == found
    assert kept(database, leaf=card()) is None
    assert kept(database, issuer=Holder("Issuing")) is None


def test_an_answer_is_found_after_its_end_too(database: Database) -> None:
    """Whether it still counts is for the time of grace to say."""
    found = keep(database, Draft())
    assert kept(database, AT + DAY) == found


def test_an_older_answer_does_not_take_the_place_of_a_newer_one(database: Database) -> None:
    newer = keep(database, Draft(status=REVOKED))
    keep(database, Draft(this=AT - 2 * MINUTE), AT + MINUTE)
    assert kept(database) == newer
    again = keep(database, Draft(status=REVOKED), AT + MINUTE)
    assert kept(database) == again
    latest = keep(database, Draft(this=AT))
    assert kept(database) == latest


@pytest.mark.parametrize(
    "other",
    [
        Draft(leaf=card()).der(),
        Draft(signer=Holder("Issuing"), encoding=ocsp.OCSPResponderEncoding.NAME).der(),
        Draft(this=AT + DAY, following=None).der(),
        b"",
    ],
)
def test_what_was_put_into_the_database_is_not_believed(database: Database, other: bytes) -> None:
    keep(database, Draft())
    database.write(lambda connection: connection.execute(update(certificate_status).values(data=other)) and None)
    assert kept(database) is None


def test_an_answer_from_the_future_is_not_believed(database: Database) -> None:
    """The clock was wrong, and would make it last."""
    keep(database, Draft(this=AT + DAY, following=None), AT + DAY)
    assert kept(database) is None


def test_what_was_not_asked_for_long_is_forgotten(database: Database) -> None:
    keep(database, Draft())
    assert forget_answers(database, AT - timedelta(seconds=1)) == 0
    assert kept(database)
    assert forget_answers(database, AT + timedelta(seconds=1)) == 1
    with database.read() as connection:
        assert connection.execute(select(certificate_status)).all() == []


def test_a_responder_whose_certificate_has_ended_since_is_no_matter(database: Database) -> None:
    """It was valid when it answered."""
    found = keep(database, Draft(signer=RESPONDER, following=AT + DAY))
    assert kept(database, AT + 400 * DAY) == found
