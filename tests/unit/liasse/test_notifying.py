"""Delivery of notices to a real SMTP server on this machine: taken, refused, away, and over TLS with a log-in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance.simulators.audit_receiver import server_context
from conformance.simulators.mail_receiver import MailReceiver
from database import Database, LeaseLost
from dmp.notices import enqueue
from liasse.notification_settings import NotificationTable
from liasse.notifying import AWAY_FIRST, FIRST_PAUSE, NoticeDelivery, gauges, kept, outbox, try_again
from pki.testca import TestPki
from tests.unit.dmp.notice_world import AT, PATIENT

DAY = 86_400_000_000
FACTS = {"name": "Test Anne", "roles": "60", "mode": "centre_15"}
PASSWORD = "secret"


@dataclass
class Clock:
    now: int = AT + 10

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def server() -> Iterator[MailReceiver]:
    with MailReceiver() as receiver:
        yield receiver


def queue(database: Database, *addresses: str, at: int = AT, language: str = "fr") -> None:
    """One after the other, a microsecond apart; "" is somebody without an address."""
    for number, address in enumerate(addresses):
        told = [(address, language)] if address else []
        write = partial(enqueue, patient=PATIENT, event="emergency", facts=FACTS, at=at + number, addresses=told)
        database.write(write)


def delivery(database: Database, server: MailReceiver, **settings: Any) -> NoticeDelivery:
    """The delivery to a server, whose clock a test moves."""
    values = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "record@hospital.example", **settings}
    return NoticeDelivery(database, NotificationTable(**values), Clock())


def later(one: NoticeDelivery, microseconds: int) -> NoticeDelivery:
    assert isinstance(one.clock, Clock)
    one.clock.now += microseconds
    return one


def test_what_waits_is_sent_once_in_its_order(database: Database, server: MailReceiver) -> None:
    queue(database, "a@x.example", at=AT - 2)
    queue(database, "b@x.example", at=AT - 1, language="en")
    one = delivery(database, server, batch=1)
    assert (one.run().sent, one.run().sent) == (2, 0)
    assert [mail.recipients for mail in server.received] == [("a@x.example",), ("b@x.example",)]
    assert [mail.message["Content-Language"] for mail in server.received] == ["fr", "en"]
    assert "régulation médicale" in server.received[0].text
    assert "medical regulation" in server.received[1].text
    assert outbox(database).waiting == 0


def test_a_server_that_is_away_loses_nothing(database: Database) -> None:
    server = MailReceiver().open()
    server.close()
    one = delivery(database, server, attempts=1)
    queue(database, "a@x.example", "b@x.example")
    assert one.run().failure
    assert not later(one, AWAY_FIRST - 1).run().failure  # it is not asked again so soon
    assert later(one, 1).run().failure
    assert outbox(database).waiting == 2
    with server:
        assert later(one, 2 * AWAY_FIRST).run().sent == 2
    assert [mail.recipients for mail in server.received] == [("a@x.example",), ("b@x.example",)]


def test_the_pause_grows_while_the_server_is_away(database: Database) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        one = delivery(database, MailReceiver(port=unused.getsockname()[1]))
        queue(database, "a@x.example")
        pauses = []
        for _ in range(8):
            before = one.clock()
            assert one.run().failure
            while not later(one, AWAY_FIRST).run().failure:
                pass
            pauses.append(one.clock() - before)
            one._again_at = 0
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[-1] == pauses[-2]


def test_a_lasting_refusal_gives_up_one_notice_and_no_other(database: Database, server: MailReceiver) -> None:
    server.refusals["gone@x.example"] = "550 nobody of that name"
    queue(database, "gone@x.example", "a@x.example")
    done = delivery(database, server).run()
    assert (done.sent, done.given_up, done.failure) == (1, 1, "")
    [dead] = kept(database)
    assert (dead.address, dead.state, dead.attempts) == ("gone@x.example", "dead", 1)
    assert dead.error.startswith("550 nobody")


def test_a_temporary_refusal_is_tried_again_ever_later_up_to_a_limit(database: Database, server: MailReceiver) -> None:
    server.refusals["full@x.example"] = "452 full"
    queue(database, "full@x.example")
    one = delivery(database, server, attempts=3)
    assert one.run().put_off == 1
    assert later(one, FIRST_PAUSE - 1).run().put_off == 0
    assert later(one, 1).run().put_off == 1
    assert later(one, 2 * FIRST_PAUSE - 1).run().given_up == 0
    assert later(one, 1).run().given_up == 1
    assert [(each.attempts, each.error) for each in kept(database)] == [(3, "452 full")]


def test_what_was_given_up_can_wait_again(database: Database, server: MailReceiver) -> None:
    server.refusals["gone@x.example"] = "550 no"
    queue(database, "gone@x.example", "")
    one = delivery(database, server)
    one.run()
    server.refusals.clear()
    assert try_again(database, one.clock()) == 1
    assert later(one, 400 * DAY).run().sent == 1
    assert [each.state for each in kept(database)] == ["unaddressed"]


def test_what_could_not_be_sent_for_too_long_is_given_up(database: Database, server: MailReceiver) -> None:
    queue(database, "a@x.example")
    queue(database, "b@x.example", at=AT + DAY)
    one = delivery(database, server, give_up_after=86_400.0)
    done = later(one, DAY + 1).run()
    assert (done.sent, done.given_up) == (1, 1)
    assert [(each.address, each.error) for each in kept(database)] == [("a@x.example", "too old")]


def test_a_connection_that_breaks_at_a_message_lets_others_go_before_it(database: Database, server: MailReceiver) -> None:
    queue(database, "a@x.example", at=AT - 1)
    queue(database, "b@x.example")
    one = delivery(database, server)
    server.break_off = True
    assert one.run().failure
    server.break_off = False
    assert later(one, AWAY_FIRST).run().sent == 1
    assert later(one, FIRST_PAUSE).run().sent == 1
    assert [mail.recipients for mail in server.received] == [("b@x.example",), ("a@x.example",)]


def test_a_message_that_was_taken_and_not_noted_comes_again_as_the_same(database: Database, server: MailReceiver) -> None:
    queue(database, "a@x.example")
    one = delivery(database, server)

    def lost(_connection: object) -> None:
        raise LeaseLost("it went to another process")

    one.guard = lost
    with pytest.raises(LeaseLost):
        one.run()
    assert delivery(database, server).run().sent == 1
    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_a_row_that_cannot_be_read_stops_nothing(database: Database, server: MailReceiver) -> None:
    queue(database, "a@x.example", language="de")
    queue(database, "b@x.example", at=AT)
    assert delivery(database, server).run().sent == 1
    assert [each.error for each in kept(database)] == ["unreadable: KeyError"]


def test_a_sender_that_may_not_send_is_no_fault_of_a_notice(database: Database, server: MailReceiver) -> None:
    server.accounts = {"liasse": PASSWORD}
    queue(database, "a@x.example")
    assert delivery(database, server).run().failure == "SMTPSenderRefused 530"
    assert outbox(database).waiting == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_over_tls_with_a_log_in(database: Database, tmp_path: Path, tls: str) -> None:
    pki = TestPki.create(tmp_path / "pki", keys="ec")
    kit = pki.issue("server", "mail", hosts=("localhost",))
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    context = server_context(kit.certificate, kit.key, None)
    queue(database, "a@x.example")
    with MailReceiver(context=context, implicit=tls == "tls", accounts={"liasse": PASSWORD}) as server:
        settings = {"host": "localhost", "tls": tls, "username": "liasse", "password_file": tmp_path / "password"}
        wrong = delivery(database, server, **settings)
        assert wrong.run().failure.startswith("TLS:")  # an authority that this machine does not know
        assert delivery(database, server, **settings, ca=pki.authorities).run().sent == 1
        (tmp_path / "password").write_text("other", encoding="utf-8")
        queue(database, "b@x.example")
        assert delivery(database, server, **settings, ca=pki.authorities).run().failure == "SMTPAuthenticationError 535"
    assert [(mail.secured, mail.user) for mail in server.received] == [(True, "liasse")]
    assert outbox(database).waiting == 1


def test_without_a_server_all_wait(database: Database) -> None:
    queue(database, "a@x.example")
    assert NoticeDelivery(database, NotificationTable(), Clock()).run().failure == ""
    assert outbox(database).waiting == 1


def test_the_gauges_count_what_waits_was_given_up_and_has_no_address(database: Database, server: MailReceiver) -> None:
    server.refusals["gone@x.example"] = "550 no"
    queue(database, "gone@x.example", "")
    delivery(database, server).run()
    queue(database, "a@x.example", "b@x.example", at=AT - 5_000_000)
    assert {name: value for name, (_, value) in gauges(database, AT).items()} == {
        "liasse_notices_waiting": 2,
        "liasse_notices_age_seconds": 5,
        "liasse_notices_given_up": 1,
        "liasse_notices_unaddressed": 1,
    }


def test_no_word_of_the_server_reaches_the_log(
    database: Database, server: MailReceiver, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusals["gone@x.example"] = "550 gone@x.example is nobody"
    queue(database, "gone@x.example")
    assert delivery(database, server).run().given_up == 1
    written = capsys.readouterr()
    assert "gone@x.example" not in caplog.text + written.out + written.err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"host": "mail"}, "sender"),
        ({"sender": "no address"}, "such as"),
        ({"host": "mail", "sender": "a@b.example", "username": "x"}, "password_file"),
        ({"host": "mail", "sender": "a@b.example", "username": "x", "password_file": "p", "tls": "none"}, "in clear"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NotificationTable(**values)
