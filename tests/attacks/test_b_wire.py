"""Attacks on assertions that need a running server: repeated MessageIDs, addressing, one body under another action."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from database.tables import now_micros
from liasse.caller import client_context, security_header
from pki.testca import Card, TestPki
from tests.e2e import wire
from tests.e2e.server import RunningServer, running
from tests.e2e.test_callers import PATIENT, settings
from tests.e2e.tls_domain import ask
from xua.cards import Told, vihf_of

QUERY, SUBMIT = wire.QUERY, wire.PROVIDE
FIRST = "urn:uuid:5d1c0a5e-0000-4000-8000-00000000000"


class Caller:
    """A card that talks to a server, one connection a message."""

    def __init__(self, pki: TestPki, server: RunningServer, card: Card) -> None:
        self._server, self._tls = server, client_context(pki.authorities, card)
        self._proof = security_header(vihf_of(card, Told(patient=PATIENT), now_micros())).decode()

    def query(self, message_id: str, *more: tuple[str, str]) -> wire.Message:
        return self.signed(wire.find_documents(PATIENT, *more), message_id)

    def signed(self, message: wire.Message, message_id: str | None = None) -> wire.Message:
        body = message.body.replace(b"</s:Header>", f"{self._proof}</s:Header>".encode(), 1)
        if message_id is not None:
            body = re.sub(rb"(MessageID>)[^<]*", rb"\g<1>" + message_id.encode(), body, count=1)
        return replace(message, body=body)

    def send(self, message: wire.Message) -> wire.Seen:
        with (
            socket.create_connection(("127.0.0.1", self._server.port), 20) as plain,
            self._tls.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            return ask(connection, message)


@contextmanager
def calling(folder: Path, pki: TestPki, card: Card, chosen: dict[str, Any]) -> Iterator[tuple[Caller, RunningServer]]:
    with running(folder, chosen, tls=client_context(pki.authorities, card)) as server:
        yield Caller(pki, server, card), server


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TestPki, Card, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("b-wire")
    pki = TestPki.create(folder / "pki", keys="ec")
    return folder / "server", pki, pki.issue_card("doctor", "899700000001"), {**settings(pki), "server": {"workers": 2}}


@pytest.fixture(scope="module")
def called(world: tuple[Path, TestPki, Card, dict[str, Any]]) -> Iterator[tuple[Caller, RunningServer]]:
    with calling(*world) as made:
        yield made


def test_b28_a_message_id_serves_once_for_every_worker_and_after_a_restart(
    world: tuple[Path, TestPki, Card, dict[str, Any]],
) -> None:
    folder, pki, card, chosen = world
    with calling(folder.with_name("restarted"), pki, card, chosen) as (caller, _):
        first = caller.query(f"{FIRST}1")
        assert caller.send(first).verdict == "Success"
        other_body = caller.query(f"{FIRST}1", ("$XDSDocumentEntryCreationTimeFrom", "2026"))
        for message in [first, other_body] * 4:  # both workers are met
            seen = caller.send(message)
            assert (seen.status, "DuplicateMessageID" in seen.text + seen.verdict) == (500, True)
    with calling(folder.with_name("restarted"), pki, card, chosen) as (caller, _):
        assert "DuplicateMessageID" in caller.send(caller.query(f"{FIRST}1")).verdict
        assert caller.send(caller.query(f"{FIRST}2")).verdict == "Success"


def _without(pattern: bytes) -> Callable[[bytes], bytes]:
    return lambda body: re.sub(pattern, b"", body, count=1, flags=re.DOTALL)


def _with(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(old, new, 1)


B29 = {
    "no MessageID": (_without(rb"<a:MessageID>.*?</a:MessageID>"), "fault Sender/MessageAddressingHeaderRequired"),
    "no Action": (_without(rb"<a:Action.*?</a:Action>"), "fault Sender/MessageAddressingHeaderRequired"),
    "an Action of nothing": (_with(QUERY.encode(), b"urn:nothing"), "fault Sender/ActionNotSupported"),
    "the Action of another transaction": (_with(QUERY.encode(), wire.RETRIEVE.encode()), "fault Sender/ActionNotSupported"),
    "two Actions": (
        _with(b"<a:MessageID>", f"<a:Action>{QUERY}</a:Action><a:MessageID>".encode()),
        "fault Sender/InvalidAddressingHeader/InvalidCardinality",
    ),
}


@pytest.mark.parametrize("wrong", B29)
def test_b29_addressing_is_checked_before_a_caller_is_served(called: tuple[Caller, RunningServer], wrong: str) -> None:
    caller, server = called
    damage, expected = B29[wrong]
    message = caller.query(wire.message_id())
    before = wire.stored(server)
    seen = caller.send(replace(message, body=damage(message.body)))
    assert (seen.status, seen.verdict) == (500, expected)
    assert wire.stored(server) == before


def test_b29_nobody_is_called_at_a_reply_address(called: tuple[Caller, RunningServer]) -> None:
    caller, _ = called
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(1)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        message = caller.query(wire.message_id())
        body = re.sub(rb"(<a:ReplyTo><a:Address>)[^<]*", rb"\g<1>" + address.encode(), message.body, count=1)
        seen = caller.send(replace(message, body=body))
        assert seen.verdict.startswith("fault Sender"), seen.verdict
        with pytest.raises(TimeoutError):
            elsewhere.accept()


@pytest.mark.parametrize("header", [QUERY, SUBMIT])
def test_b31_the_body_of_one_transaction_under_the_action_of_another(
    called: tuple[Caller, RunningServer], header: str
) -> None:
    """With either name in the HTTP header: the root of the body and wsa:Action decide together, and disagree here."""
    caller, server = called
    deposit = wire.deposit()
    body = wire.provide_body(deposit.submission, ("d1", "JVBERi0="))
    message = caller.signed(wire.simple(wire.REPOSITORY, wire.envelope(QUERY, body)))
    message = replace(message, content_type=f'application/soap+xml; charset=UTF-8; action="{header}"')
    before = wire.stored(server)
    for path in (wire.REPOSITORY, wire.REGISTRY):
        seen = caller.send(replace(message, path=path))
        assert seen.verdict.startswith("fault Sender"), seen.verdict
    assert wire.stored(server) == before
