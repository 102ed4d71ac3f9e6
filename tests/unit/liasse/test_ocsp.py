"""What a process knows from OCSP responders: asked when needed, kept, shared, and what happens while they are away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from database.engine import open_database
from database.handle import Database
from database.migrate import migrate
from liasse.ocsp import PAUSE, UNKNOWN_FOR, Responders
from liasse.ocsp_client import NoAnswer
from pki.errors import CertificateRefused
from pki.revocation import Listed, Revocations, authority_key, judge_list
from pki.testca import TestPki
from pki.testocsp import answer

URL = "http://ocsp.example/"
REFRESH, GRACE = timedelta(minutes=10), timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass
class World:
    """A test PKI, its responder that can be away, a database, and a clock."""

    pki: TestPki
    database: Database
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    away: str = ""
    how: dict[str, Any] = field(default_factory=dict)
    asked: int = 0

    def process(self, database: Database | None = None, **changes: Any) -> Responders:
        issuer = self.pki.authority("structures")[0]
        values = {"refresh": REFRESH, "grace": GRACE, "ask": self.ask, **changes}
        return Responders({authority_key(issuer): URL}, database or self.database, **values)

    def ask(self, url: str, question: bytes) -> bytes:
        assert url == URL
        self.asked += 1
        if self.away:
            raise NoAnswer(self.away)
        return answer(self.pki, question, **{"at": self.now, "lasts": timedelta(days=2), **self.how})

    def certificates(self, name: str = "client") -> tuple[x509.Certificate, x509.Certificate]:
        row = next((row for row in self.pki.issued if row.name == name), None)
        if row is None:
            self.pki.issue("client", name)
            return self.certificates(name)
        leaf = x509.load_pem_x509_certificate((self.pki.directory / row.path).read_bytes())
        return leaf, self.pki.authority("structures")[0]

    def verdict(self, process: Responders, name: str = "client") -> str:
        try:
            assert process.check(*self.certificates(name), self.now)
        except CertificateRefused as refused:
            return refused.reason
        return "good"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_database(str(tmp_path / "answers.sqlite"), create=True) as database:
        migrate(database)
        yield World(TestPki.create(tmp_path / "pki", keys="ec"), database)


def test_an_answer_is_kept_until_it_has_to_be_asked_again(world: World) -> None:
    process = world.process()
    for _ in range(3):
        assert world.verdict(process) == "good"
    assert world.asked == 1
    world.now += REFRESH - SECOND
    assert world.verdict(process) == "good"
    assert world.asked == 1
    world.now += SECOND
    assert world.verdict(process) == "good"
    assert world.asked == 2


def test_an_answer_is_not_kept_after_its_next_update(world: World) -> None:
    world.how = {"lasts": timedelta(minutes=2)}
    process = world.process()
    assert world.verdict(process) == "good"
    world.now += timedelta(minutes=2)
    assert world.verdict(process) == "good"
    assert world.asked == 2


def test_a_revoked_certificate_is_refused_when_the_answer_is_renewed(world: World) -> None:
    process = world.process()
    assert world.verdict(process) == "good"
    world.pki.revoke("client")
    world.now += REFRESH
    assert world.verdict(process) == "revoked"
    assert world.verdict(process, "another") == "good"


def test_processes_share_what_they_have_asked_for(world: World) -> None:
    assert world.verdict(world.process()) == "good"
    assert world.verdict(world.process()) == "good"
    assert world.asked == 1
    world.pki.revoke("client")
    first, second = world.process(), world.process()
    assert world.verdict(second) == "good"
    world.now += REFRESH
    assert (world.verdict(first), world.verdict(second)) == ("revoked", "revoked")
    assert world.asked == 2


def test_while_the_responder_is_away_the_last_answer_holds_for_the_grace(world: World) -> None:
    process = world.process()
    assert world.verdict(process) == "good"
    world.away = "refused"
    world.now += REFRESH + GRACE - SECOND
    assert world.verdict(process) == "good"
    assert world.verdict(world.process()) == "good", "also for a process that starts now"
    world.now += SECOND
    for each in (process, world.process()):
        assert world.verdict(each) == "revocation-unknown"
    with pytest.raises(CertificateRefused, match=r"can be had about 'CN=client.*: refused"):
        process.check(*world.certificates(), world.now)
    world.away = ""
    world.now += PAUSE
    assert world.verdict(process) == "good", "and it serves again when the responder is back"


def test_without_any_answer_there_is_no_grace(world: World) -> None:
    world.away = "refused"
    assert world.verdict(world.process()) == "revocation-unknown"


def test_a_revoked_certificate_stays_refused_while_the_responder_is_away(world: World) -> None:
    world.certificates()
    world.pki.revoke("client")
    process = world.process()
    assert world.verdict(process) == "revoked"
    world.away = "refused"
    for _ in range(3):
        world.now += GRACE
        assert world.verdict(process) == "revoked"


def test_a_responder_that_is_away_is_left_alone_for_a_while(world: World) -> None:
    process = world.process()
    assert world.verdict(process) == "good"
    world.away = "refused"
    world.now += REFRESH
    for name in ("client", "client", "another", "third"):
        world.verdict(process, name)
    assert world.asked == 2
    world.now += PAUSE
    assert world.verdict(process) == "good"
    assert world.asked == 3


def test_a_certificate_that_is_unknown_is_refused_and_asked_about_again_soon(world: World) -> None:
    world.certificates()
    row = world.pki.issued.pop()
    process = world.process()
    leaf = x509.load_pem_x509_certificate((world.pki.directory / row.path).read_bytes())
    issuer = world.pki.authority("structures")[0]

    def refused() -> None:
        with pytest.raises(CertificateRefused) as found:
            process.check(leaf, issuer, world.now)
        assert found.value.reason == "revocation-unknown"

    refused()
    refused()
    assert world.asked == 1
    world.pki.issued.append(row)
    world.now += UNKNOWN_FOR
    assert process.check(leaf, issuer, world.now)


def test_unknown_ends_the_last_good_answer_at_once(world: World) -> None:
    """There is a responder and it has answered: no grace."""
    process = world.process()
    leaf, issuer = world.certificates()
    assert process.check(leaf, issuer, world.now)
    world.pki.issued.clear()
    world.now += REFRESH
    with pytest.raises(CertificateRefused):
        process.check(leaf, issuer, world.now)


def test_an_older_answer_does_not_bring_a_certificate_back(world: World) -> None:
    """Also for a process that begins, which finds the newer one in the database."""
    world.how = {"with_nonce": False}
    process = world.process()
    earlier = world.now - timedelta(minutes=1)
    world.certificates()
    revoked = world.pki.revoke("client")[0]
    assert world.verdict(process) == "revoked"
    world.pki.issued[world.pki.issued.index(revoked)] = type(revoked)(
        revoked.name, revoked.profile, revoked.serial, revoked.authority, revoked.path, revoked.not_after
    )
    world.how = {"with_nonce": False, "at": earlier}
    world.now += REFRESH
    assert world.verdict(process) == "revoked"
    assert world.verdict(world.process()) == "revoked"
    assert world.asked == 3
    world.how = {"with_nonce": False}
    world.now += PAUSE
    assert world.verdict(process) == "good"


def test_an_answer_that_does_not_count_is_as_good_as_none(world: World) -> None:
    process = world.process()
    assert world.verdict(process) == "good"
    server = world.pki.issue("server", "no-responder")
    world.how = {"responder": server}
    world.now += REFRESH
    assert world.verdict(process) == "good"
    assert world.verdict(process, "another") == "revocation-unknown"
    world.now += GRACE
    with pytest.raises(CertificateRefused, match="responder-extended-key-usage"):
        process.check(*world.certificates(), world.now)


def test_a_responder_that_a_list_names_does_not_count(world: World) -> None:
    issuer = world.pki.authority("structures")[0]
    world.how = {"responder": world.pki.issue("ocsp-structures", "responder")}
    assert world.verdict(world.process()) == "good"
    world.pki.revoke("responder")
    lists = Revocations([judge_list(world.pki.crls[-1].read_bytes(), [issuer], world.now)])
    leaf, _ = world.certificates("another")
    with pytest.raises(CertificateRefused, match="responder-revoked"):
        world.process().check(leaf, issuer, world.now, Listed(lists))


def test_authorities_without_a_responder_are_not_asked_about(world: World) -> None:
    card = world.pki.issue_card("dupont", "899700000001").authentication.load()[0]
    assert not world.process().check(card, world.pki.authority("persons")[0], world.now)
    assert world.asked == 0


def test_a_clock_that_was_set_back_makes_no_answer_last(world: World) -> None:
    process = world.process()
    world.now += timedelta(days=1)
    assert world.verdict(process) == "good"
    world.now -= timedelta(days=1)
    assert world.verdict(process) == "good"
    assert world.asked == 2


def test_a_database_that_is_away_does_not_stop_the_answers(world: World, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "empty.sqlite"), create=True) as without_tables:
        process = world.process(without_tables)
        assert world.verdict(process) == "good"
        assert world.verdict(process) == "good"
        assert world.asked == 1


def crowd(number: int, run: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=run, args=(each,)) for each in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_messages_that_come_at_once_ask_once(world: World) -> None:
    process, found = world.process(), []
    world.certificates()
    crowd(8, lambda _: found.append(world.verdict(process)))
    assert found == ["good"] * 8
    assert world.asked == 1


def test_only_one_thread_tries_a_responder_that_was_away(world: World) -> None:
    """Others go on at once: they must not all hang on it."""
    inside, go = threading.Event(), threading.Event()

    def slow(url: str, question: bytes) -> bytes:
        inside.set()
        assert go.wait(60)
        return world.ask(url, question)

    process = world.process()
    names = [f"client-{each}" for each in range(4)]
    for name in names:
        world.certificates(name)
    world.away = "refused"
    assert world.verdict(process, names[0]) == "revocation-unknown"
    world.now += PAUSE
    process.ask = slow
    first = threading.Thread(target=world.verdict, args=(process, names[1]))
    first.start()
    assert inside.wait(60)
    assert [world.verdict(process, name) for name in names[2:]] == ["revocation-unknown"] * 2
    go.set()
    first.join(60)
    assert world.asked == 2
