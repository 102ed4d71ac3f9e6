"""Concurrent load on a server that may die: what was sent, what was acknowledged, and what has to be sent again.

Submissions (ITI-41), and now and then a query or a retrieval of what was just deposited (ITI-18, ITI-43).
"""

from __future__ import annotations

import http.client
import itertools
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import samples
from tests.e2e import wire
from xds_metadata.associations import RPLC

RETRYABLE = frozenset({"XDSRepositoryBusy", "XDSRegistryBusy"})
"""Failures that say: nothing was stored, send it again."""

_TIMEOUT = 20.0
_PATIENCE = 60.0
_MESSAGE_ID = re.compile(rb"<a:MessageID>([^<]+)<")
_numbers = itertools.count(1)


@dataclass
class Sent:
    """One submission: its message, and what became of it. `acknowledged`: answered with Success."""

    deposit: wire.Deposit
    message: bytes
    acknowledged: bool = False
    answers: list[str] = field(default_factory=list)

    @property
    def set_unique_id(self) -> str:
        """SubmissionSet.uniqueId."""
        return self.deposit.submission.submission_sets[0].unique_id or ""


@dataclass(frozen=True)
class Disclosed:
    """A query or retrieval that was answered with Success: its MessageID, and its action as the journal names it."""

    message_id: str
    action: str


def message_id_of(message: bytes) -> str:
    """The MessageID of a message."""
    found = _MESSAGE_ID.search(message)
    assert found is not None
    return found[1].decode()


def new_submission(chance: random.Random, before: Sent | None = None) -> Sent:
    """One to three documents of their own, now and then with a folder, now and then one that replaces one of `before`."""
    number = next(_numbers)
    count = chance.choice((1, 1, 2, 3))
    documents = tuple(b"%%PDF-1.4 %d %d " % (number, n) + b"x" * chance.choice((10, 3_000, 30_000)) for n in range(count))
    replaced = before.deposit.submission.entries[0] if before is not None and chance.random() < 0.4 else None
    patient = replaced.patient_id if replaced is not None else samples.patient(number % 7)
    entries = tuple(wire.entry(patient_id=patient, entry_uuid=samples.new_uuid()) for _ in documents)
    links = [] if replaced is None else [samples.link(RPLC, entries[0].entry_uuid, replaced.entry_uuid)]
    folders = [samples.folder(patient_id=patient)] if chance.random() < 0.3 else []
    links += [samples.member(folder.entry_uuid, one.entry_uuid) for folder in folders for one in entries]
    deposit = wire.Deposit(samples.submission(*entries, folders=folders, links=links), documents)
    return Sent(deposit, deposit.message().as_bytes())


def send(port: int, sent: Sent) -> str:
    """Send the message once, on a connection of its own; returns the verdict, or why there is no answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as connection:
            connection.sendall(sent.message)
            verdict = wire.receive(connection).verdict
    except (OSError, http.client.HTTPException) as error:
        verdict = f"no answer: {type(error).__name__}"
    sent.answers.append(verdict)
    sent.acknowledged = sent.acknowledged or verdict == "Success"
    return verdict


def send_until_acknowledged(port: int, sent: Sent) -> None:
    """Repeat the very same message until it is acknowledged, as an honest sender does. Fails on any other refusal."""
    deadline = time.monotonic() + _PATIENCE
    while not sent.acknowledged:
        verdict = send(port, sent)
        failure, _, codes = verdict.partition(" ")
        may_repeat = verdict.startswith(("no answer", "HTTP 503")) or (
            failure == "Failure" and set(codes.split(",")) <= RETRYABLE
        )
        assert sent.acknowledged or may_repeat, sent.answers
        assert time.monotonic() < deadline, sent.answers
        if not sent.acknowledged:
            time.sleep(0.05)


class Load:
    """Clients that send one submission after the other, each for itself, until stopped."""

    def __init__(self, port: int, repository: str, clients: int, seed: int) -> None:
        self.port, self.repository = port, repository
        self.sent: list[Sent] = []
        self.disclosed: list[Disclosed] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(random.Random(f"{seed}-{n}"),), name=f"client {n}")
            for n in range(clients)
        ]

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Clients send for the length of the block; at its end all have ended."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(_PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)

    def wait_for_answers(self, count: int) -> None:
        """Until so many submissions have been answered, whatever the answer."""
        deadline = time.monotonic() + _PATIENCE
        while sum(bool(one.answers) for one in list(self.sent)) < count:
            assert time.monotonic() < deadline, "the server answers nothing"
            time.sleep(0.005)

    def unacknowledged(self) -> list[Sent]:
        """What has to be sent again."""
        return [one for one in self.sent if not one.acknowledged]

    def _client(self, chance: random.Random) -> None:
        last: Sent | None = None
        while not self._stop.is_set():
            sent = new_submission(chance, last)
            self.sent.append(sent)
            if send(self.port, sent).startswith("no answer"):
                time.sleep(0.02)
            last = sent if sent.acknowledged else None
            if last is not None and chance.random() < 0.5:
                self._read(last, chance)

    def _read(self, sent: Sent, chance: random.Random) -> None:
        """Ask for what was just deposited."""
        if chance.random() < 0.5:
            action, message = "retrieve", wire.retrieve(self.repository, *sent.deposit.unique_ids)
        else:
            action, message = "query", wire.find_documents(sent.deposit.submission.entries[0].patient_id or "")
        try:
            with socket.create_connection(("127.0.0.1", self.port), _TIMEOUT) as connection:
                connection.sendall(message.as_bytes())
                answered = wire.receive(connection).verdict == "Success"
        except (OSError, http.client.HTTPException):
            return
        if answered:
            self.disclosed.append(Disclosed(message_id_of(message.as_bytes()), action))
