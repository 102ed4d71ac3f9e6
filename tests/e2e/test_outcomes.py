"""Counters and log lines of the running server tell how each exchange ended."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter

from liasse.settings import DEFAULT_REPOSITORY_ID
from tests import samples
from tests.e2e import wire
from tests.e2e.conftest import ServerFactory
from tests.e2e.server import RunningServer
from tests.e2e.wire import Message

_COUNTER = re.compile(r'^liasse_requests_total\{outcome="([a-z]+)",transaction="([A-Za-z0-9-]+)"\} ([0-9.]+)$', re.MULTILINE)


def counted(server: RunningServer) -> Counter[tuple[str, str]]:
    """Requests by transaction and outcome; those of pages, which the test's own start asked for, apart."""
    with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = {(transaction, outcome): int(float(value)) for outcome, transaction, value in _COUNTER.findall(text)}
    return Counter({key: value for key, value in found.items() if value and key != ("none", "success")})


def test_each_outcome_is_counted_and_logged_as_what_it_was(make_server: ServerFactory) -> None:
    server = make_server({"server": {"workers": 1}, "repository": {"content_check": "warn"}})
    before = counted(server)
    sent = wire.deposit()
    (known,) = sent.unique_ids
    messages: dict[tuple[str, str, str], Message] = {
        ("ITI-41", "success", "success"): sent.message(),
        ("ITI-41", "warning", "warning"): wire.deposit(b"no PDF").message(),
        ("ITI-41", "failure", "failure"): wire.deposit(hash="0" * 40).message(),
        ("ITI-42", "success", "success"): wire.register(samples.submission(samples.entry())),
        ("ITI-42", "failure", "failure"): wire.register(samples.submission(samples.entry(language_code="?"))),
        ("ITI-18", "success", "success"): wire.find_documents(samples.PATIENT),
        ("ITI-18", "failure", "failure"): wire.query("FindDocuments"),
        ("ITI-43", "success", "success"): wire.retrieve(DEFAULT_REPOSITORY_ID, known),
        ("ITI-43", "partial", "partial"): wire.retrieve(DEFAULT_REPOSITORY_ID, known, "1.2.3"),
        ("ITI-43", "failure", "failure"): wire.retrieve(DEFAULT_REPOSITORY_ID, "1.2.3"),
        ("none", "fault", "Sender"): wire.simple("/registry", b"<a"),
        ("ITI-18", "fault", "Sender"): wire.simple("/registry", wire.envelope(wire.QUERY, "<a/>")),
        ("none", "http", "media-type"): wire.simple("/registry", b"<a/>", "text/csv"),
    }
    seen = len(server.log_text())
    for message in messages.values():
        wire.send(server, message)
    expected = before + Counter((transaction, outcome) for transaction, outcome, _ in messages)
    assert wire.eventually(lambda: counted(server) == expected), counted(server)
    lines = [json.loads(line) for line in server.log_text()[seen:].splitlines()]
    logged = [(line["transaction"] or "none", line["code"]) for line in lines if line["event"].startswith("POST /")]
    assert logged == [(transaction, code) for transaction, _, code in messages]
