"""The main job on one machine: a server is started, the story of one patient is played, wrong cards are refused.

Every step is real: a process of its own, messages over mutual TLS with signed assertions, documents on the disk, an e-mail
to the patient. `run` reports each step as it ends.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from conformance.simulators.mail_receiver import MailReceiver
from database.errors import DatabaseError
from database.tables import now_micros
from liasse.caller import Caller, CallerError, Shown, client_context
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from liasse.demo_callers import FOLDER, Callers, CallersMissing, callers_of, tls_table
from liasse.demo_documents import DEMO_PATIENT
from liasse.demo_steps import DemoFailed, Report, Step, timed
from liasse.demo_story import Stage, Story, tell
from liasse.demo_traces import Since, Trace, traces
from liasse.settings import Settings
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from pki.testca import Card
from xds_repository.store import StoreError

_READY_WITHIN: Final = 20.0
_STOPS_WITHIN: Final = 20.0
_TOLD_WITHIN: Final = 10.0
_LAST_LINES: Final = 5
_CONFIG: Final = "demo.toml"
_SENDER: Final = "record@hospital.example"
_IN_USE: Final = os.strerror(errno.EADDRINUSE)


class _PortTaken(DemoFailed):
    """Another process listens where the server should."""


@dataclass(frozen=True, slots=True)
class Running:
    """The server of the demonstration: where it is, who may call it, and its process."""

    directory: Path
    settings: Settings
    callers: Callers
    since: Since
    process: subprocess.Popen[bytes]
    story: Story = field(default_factory=Story)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.directory / _CONFIG

    def client(self, connects: Card, signs: Card) -> DocumentClient:
        """A client that connects with one card and signs with one, the same or another. Raises CallerError."""
        caller = Caller(signs, self.callers.told(signs), self.callers.authorities, Shown.of(connects))
        return DocumentClient(endpoints_of(self.settings), tls=caller.tls(), sign=caller.sign(now_micros))

    def traces(self) -> list[Trace]:
        """What the operator saw of the calls until now. Raises DemoFailed."""
        try:
            return traces(self.settings, _log(self.directory), self.since)
        except (DatabaseError, OSError) as error:
            raise DemoFailed(f"journal and log cannot be read: {error}") from error


def base_of(settings: Settings) -> str:
    """https://host:port of the clinical listener."""
    return f"https://{settings.server.host}:{settings.server.port}"


def endpoints_of(settings: Settings) -> Endpoints:
    """Registry and repository."""
    base = base_of(settings)
    return Endpoints(f"{base}/registry", f"{base}/repository")


def addresses(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Every address of the server, with what it is."""
    feed, admin, endpoints = settings.feed, settings.admin, endpoints_of(settings)
    return (
        ("Document Registry (ITI-42, ITI-18)", endpoints.registry),
        ("Document Repository (ITI-41, ITI-43)", endpoints.repository),
        ("page for people, with a client certificate", f"{base_of(settings)}/"),
        ("health, with a client certificate", f"{base_of(settings)}/health"),
        ("patient feed (ITI-8, MLLP)", f"{feed.host}:{feed.port}"),
        ("readiness and metrics", f"http://{admin.host}:{admin.port}/metrics"),
    )


def run(directory: Path, report: Report, *, keep: bool = False) -> Running:
    """Demonstrate in `directory`, which is made if absent; with `keep` the server stays and is the caller's to stop.

    Raises DemoFailed; nothing runs any more then.
    """
    with MailReceiver() as mail:
        running = _start(directory, mail.port, report)
        try:
            stage = Stage(directory, running.settings, endpoints_of(running.settings), running.callers, mail, report)
            running = replace(running, story=tell(stage))
            _wrong_cards(running, report)
        except BaseException:
            _kill(running.process)
            raise
    if not keep:
        stop(running, report)
    return running


def stop(running: Running, report: Report) -> None:
    """Ask the server to drain and wait for its end. Raises DemoFailed."""
    with timed() as milliseconds:
        running.process.send_signal(signal.SIGTERM)
        try:
            code = running.process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            _kill(running.process)
            raise DemoFailed(f"the server did not stop within {_STOPS_WITHIN:.0f} s") from None
    if code != 0:
        raise DemoFailed("\n".join([f"the server ended with exit code {code}", *_last_lines(running.directory)]))
    report(Step("stop the server", "", "drained", milliseconds()))


def _start(directory: Path, mail: int, report: Report) -> Running:
    with timed() as milliseconds:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = directory / _CONFIG
        config.write_text(_settings_text(mail), encoding="utf-8")
        settings = load_settings(config)
        try:
            callers = callers_of(settings)
        except CallersMissing as error:
            raise DemoFailed(str(error)) from error
    report(Step("make certificates and cards", "", str(callers.authorities.parent), milliseconds()))
    with timed() as milliseconds:
        try:
            init_storage(settings)
        except (DatabaseError, StoreError) as error:
            raise DemoFailed(f"{settings.storage.directory}: {error}") from error
    report(Step("make storage and database", "", str(settings.storage.directory), milliseconds()))
    with timed() as milliseconds:
        running = _serve(directory, settings, callers)
        try:
            try:
                _wait(running)
            except _PortTaken:  # by somebody who was faster than the server: once more, on other ports
                config.write_text(_settings_text(mail, usual=False), encoding="utf-8")
                running = _serve(directory, load_settings(config), callers)
                _wait(running)
        except BaseException:
            _kill(running.process)
            raise
    report(Step("start the server", "", f"process {running.process.pid}, healthy", milliseconds()))
    return running


def _serve(directory: Path, settings: Settings, callers: Callers) -> Running:
    with _log(directory).open("ab") as log:
        since = Since(now_micros(), log.tell())
        process = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-P", "-m", "liasse.serve", "--config", str(directory / _CONFIG)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Running(directory, settings, callers, since, process)


def _settings_text(mail: int, *, usual: bool = True) -> str:
    tables: dict[str, Mapping[str, str | float | list[str]]] = {
        "server": {"host": "127.0.0.1", "port": _free_port(8443 if usual else 0), "workers": 2},
        "tls": tls_table(FOLDER),
        "assertions": {"required": True, "kinds": ["vihf"], "anchors": [f"{FOLDER}/authorities.pem"]},
        "admin": {"port": _free_port(8081 if usual else 0)},
        "feed": {"port": _free_port(2575 if usual else 0)},
        "storage": {"directory": "data"},
        "repository": {"content_check": "refuse"},
        "access": {"policy": "dmp"},
        "notifications": {"host": "127.0.0.1", "port": mail, "tls": "none", "sender": _SENDER, "every": 0.5},
    }
    lines = ['profile = "dmp"']
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _free_port(preferred: int) -> int:
    """`preferred` where nobody listens on it, else another."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no TCP port is free on 127.0.0.1")


def _wait(running: Running) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    reason = "no answer"
    try:
        tls = client_context(running.callers.authorities, running.callers.doctor)
    except CallerError as error:
        raise DemoFailed(str(error)) from error
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            lines = [f"the server ended with exit code {running.process.returncode}", *_last_lines(running.directory)]
            raise (_PortTaken if _IN_USE in lines[-1] else DemoFailed)("\n".join(lines))
        try:
            with urllib.request.urlopen(f"{base_of(running.settings)}/health", timeout=2, context=tls):  # noqa: S310 our own
                return
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            error.close()
        except OSError as error:
            reason = str(error)
        time.sleep(0.02)
    raise DemoFailed("\n".join([f"not healthy within {_READY_WITHIN:.0f} s: {reason}", *_last_lines(running.directory)]))


def _wrong_cards(running: Running, report: Report) -> None:
    """Two calls that must be refused, each for its own reason."""
    callers = running.callers
    for connects, signs, caller, rule in (
        (callers.stranger, callers.stranger, "a card of another PKI", "tls-handshake"),
        (callers.doctor, callers.colleague, "doctor's card, signed by another's", "assertion-binding"),
    ):
        _must_be_refused(running, connects, signs, caller, rule, report)


def _must_be_refused(running: Running, connects: Card, signs: Card, caller: str, rule: str, report: Report) -> None:
    """The caller is told so, and the operator sees `rule`: to fail otherwise is not to be refused. Raises DemoFailed."""
    before = _seen(running, rule)
    with timed() as milliseconds:
        try:
            with running.client(connects, signs) as client:
                client.find(DEMO_PATIENT)
        except CallerError as error:
            raise DemoFailed(str(error)) from error
        except ExchangeFailed as error:
            result = str(error)
        else:
            raise DemoFailed(f"{caller}: the query was answered, it must be refused")
    deadline = time.monotonic() + _TOLD_WITHIN
    while _seen(running, rule) == before:
        if time.monotonic() > deadline:
            raise DemoFailed(f"{caller}: the query failed, but not by the rule {rule}: {result}")
        time.sleep(0.02)
    report(Step("ask for the patient's documents", "ITI-18", f"refused: {result}", milliseconds(), caller, refused=True))


def _seen(running: Running, rule: str) -> int:
    return sum(trace.rule == rule for trace in running.traces())


def _log(directory: Path) -> Path:
    return directory / "server.log"


def _last_lines(directory: Path) -> list[str]:
    return _log(directory).read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(_STOPS_WITHIN)
