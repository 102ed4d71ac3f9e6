"""Callers with signed assertions, built-in and behind nginx: the same answers, the same refusals, the same rows."""

from __future__ import annotations

import contextlib
import sqlite3
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from access_control.subject import Coded
from database.tables import now_micros
from liasse.caller import Caller
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from pki.testca import Card, TestPki
from soap.client import SoapFault
from tests.e2e import wire
from tests.e2e.tls_domain import FRONTS, Front, TlsDomain, tls_domain
from xua.cards import Told

PATIENT = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"


@pytest.fixture(scope="module", params=FRONTS)
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsDomain]:
    front: Front = request.param
    with tls_domain(
        tmp_path_factory.mktemp("callers"), front, {"profile": "dmp", "access": {"policy": "open"}}, assertions=["vihf"]
    ) as made:
        yield made


def client_of(domain: TlsDomain, card: Card, *, sign: Card | None = None, told: Told | None = None) -> DocumentClient:
    """`card` connects; `sign`, the same unless given, signs."""
    base = f"https://localhost:{domain.port}"
    tls = Caller(card, Told(), domain.pki.authorities).tls()
    signs = Caller(sign or card, told or Told(), domain.pki.authorities).sign(now_micros)
    return DocumentClient(Endpoints(f"{base}/registry", f"{base}/repository"), tls=tls, sign=signs)


def last_row(domain: TlsDomain) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(domain.server.data / "liasse.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("select * from journal_row order by rowid desc limit 1").fetchone())


def refusal(client: DocumentClient) -> list[str]:
    """The subcodes of the fault that a query is answered with."""
    with pytest.raises(ExchangeFailed) as refused:
        client.find(PATIENT)
    assert isinstance(refused.value.__cause__, SoapFault)
    return [name.local for name in refused.value.__cause__.subcodes]


def test_a_card(domain: TlsDomain) -> None:
    with client_of(domain, domain.pki.issue_card("fronts-doctor", "899700000011")) as client:
        assert client.find(PATIENT) == ()
    row = last_row(domain)
    assert (row["subject"], row["proof_level"], row["decision"]) == ("899700000011", "card", "allowed")


def test_a_structure(domain: TlsDomain) -> None:
    hospital, doctor = (
        domain.pki.issue_structure("fronts-hospital", "10B0127189"),
        domain.pki.issue_card("fronts-user", "899700000012"),
    )
    told = Told(user="899700000012", name="TEST DOCTOR", roles=tuple(Coded(*role) for role in doctor.roles))
    with client_of(domain, hospital, told=told) as client:
        assert client.find(PATIENT) == ()
    row = last_row(domain)
    assert (row["subject"], row["proof_level"], row["decision"]) == ("899700000012", "structure", "allowed")


def test_a_card_that_signs_for_another_connection(domain: TlsDomain) -> None:
    connects, signs = (domain.pki.issue_card(f"fronts-{name}", f"89970000002{name}") for name in "12")
    with client_of(domain, connects, sign=signs) as client:
        assert refusal(client) == ["DMPInvalidVIHF"]
    row = last_row(domain)
    assert (row["rule"], row["outcome"], row["subject"]) == ("assertion-binding", "Fault", "anonymous")


def test_a_card_revoked_while_its_connection_is_open(domain: TlsDomain) -> None:
    card = domain.pki.issue_card("fronts-lost", "899700000013")
    with client_of(domain, card) as client:
        assert client.find(PATIENT) == ()
        domain.pki.revoke("fronts-lost")

        def is_refused() -> bool:
            try:
                return client.find(PATIENT) != ()
            except ExchangeFailed:
                return True

        assert wire.eventually(is_refused)
    assert last_row(domain)["decision"] == "refused"


def test_cards_of_another_authority_and_expired_ones(domain: TlsDomain, tmp_path: Path) -> None:
    strange = TestPki.create(tmp_path / "pki", keys="ec").issue_card("strange", "899700000014")
    with client_of(domain, strange) as client, pytest.raises(ExchangeFailed):
        client.find(PATIENT)
    late = domain.pki.issue_card("fronts-late", "899700000015", days=-1)
    with client_of(domain, late) as client, pytest.raises(ExchangeFailed):
        client.find(PATIENT)


def test_no_session_is_resumed(domain: TlsDomain) -> None:
    card = domain.pki.issue_card("fronts-again", "899700000016")
    context = domain.context(card.authentication, ssl.TLSVersion.TLSv1_2)
    with domain.connect(context) as first:
        session = first.session
    with domain.connect(context, session) as second:
        assert second.session_reused is False
