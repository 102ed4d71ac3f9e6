"""The main job on one machine: a server is started, two documents are provided, found, retrieved and compared.

Every step is real: a process of its own, messages over mutual TLS with signed assertions, documents on the disk. Calls with
a wrong card are refused, or the demonstration fails. `run` reports each step as it ends.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from database.errors import DatabaseError
from database.tables import now_micros
from liasse.caller import Caller, CallerError, Shown, client_context
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from liasse.demo_callers import FOLDER, Callers, CallersMissing, callers_of, tls_table
from liasse.demo_documents import DEMO_PATIENT, health_summary, pdf_report
from liasse.demo_traces import Since, Trace, traces
from liasse.settings import Settings
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from liasse.submission import UNDIFFERENTIATED, Given, Prepared, new_oid, prepare, submission_of
from pki.testca import Card
from xds_metadata.codes import load_codes
from xds_metadata.model import DocumentEntry
from xds_metadata.profile import PROFILES
from xds_repository.messages import DocumentRequest
from xds_repository.store import StoreError

_READY_WITHIN: Final = 20.0
_STOPS_WITHIN: Final = 20.0
_SOURCE: Final = "1.2.250.1.999.7"
_TOLD_WITHIN: Final = 10.0
_LAST_LINES: Final = 5
_CONFIG: Final = "demo.toml"
_DOCTOR, _HOSPITAL = "doctor's card", "hospital's certificate"


class DemoFailed(Exception):
    """A step did not do what it should. The text has one line for each reason."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, by which transaction and which caller if any, with which result, in how many milliseconds.

    `refused`: the server did not do it, as it should.
    """

    what: str
    transaction: str
    result: str
    milliseconds: float
    caller: str = ""
    refused: bool = False


Report = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the demonstration's patient."""

    name: str
    unique_id: str
    data: bytes

    def write(self, folder: Path) -> Path:
        """Write it into `folder`; returns the file. Raises OSError."""
        path = folder / f"{self.name.replace(' ', '-')}.xml"
        path.write_bytes(self.data)
        return path


@dataclass(frozen=True, slots=True)
class Running:
    """The server of the demonstration: where it is, who may call it, and its process."""

    directory: Path
    settings: Settings
    callers: Callers
    since: Since
    process: subprocess.Popen[bytes]

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
    running = _start(directory, report)
    try:
        _exchange(running, report)
        _wrong_cards(running, report)
    except BaseException:
        _kill(running.process)
        raise
    if not keep:
        stop(running, report)
    return running


def stop(running: Running, report: Report) -> None:
    """Ask the server to drain and wait for its end. Raises DemoFailed."""
    with _timed() as milliseconds:
        running.process.send_signal(signal.SIGTERM)
        try:
            code = running.process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            _kill(running.process)
            raise DemoFailed(f"the server did not stop within {_STOPS_WITHIN:.0f} s") from None
    if code != 0:
        raise DemoFailed("\n".join([f"the server ended with exit code {code}", *_last_lines(running.directory)]))
    report(Step("stop the server", "", "drained", milliseconds()))


def _start(directory: Path, report: Report) -> Running:
    with _timed() as milliseconds:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = directory / _CONFIG
        config.write_text(_settings_text(), encoding="utf-8")
        settings = load_settings(config)
        try:
            callers = callers_of(settings)
        except CallersMissing as error:
            raise DemoFailed(str(error)) from error
    report(Step("make certificates and cards", "", str(callers.authorities.parent), milliseconds()))
    with _timed() as milliseconds:
        try:
            init_storage(settings)
        except (DatabaseError, StoreError) as error:
            raise DemoFailed(f"{settings.storage.directory}: {error}") from error
    report(Step("make storage and database", "", str(settings.storage.directory), milliseconds()))
    with _timed() as milliseconds:
        with _log(directory).open("ab") as log:
            since = Since(now_micros(), log.tell())
            process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-P", "-m", "liasse.serve", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Running(directory, settings, callers, since, process)
        try:
            _wait(running)
        except BaseException:
            _kill(process)
            raise
    report(Step("start the server", "", f"process {process.pid}, healthy", milliseconds()))
    return running


def _settings_text() -> str:
    tables: dict[str, Mapping[str, str | int | list[str]]] = {
        "server": {"host": "127.0.0.1", "port": _free_port(8443), "workers": 2},
        "tls": tls_table(FOLDER),
        "assertions": {"required": True, "kinds": ["vihf"], "anchors": [f"{FOLDER}/authorities.pem"]},
        "admin": {"port": _free_port(8081)},
        "feed": {"port": _free_port(2575)},
        "storage": {"directory": "data"},
        "repository": {"content_check": "refuse"},
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
            raise DemoFailed("\n".join(lines))
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


def _exchange(running: Running, report: Report) -> None:
    """The hospital and the doctor provide a document each, the doctor finds and reads both."""
    callers = running.callers
    summary, with_pdf = documents()
    try:
        with (
            running.client(callers.hospital, callers.hospital) as hospital,
            running.client(callers.doctor, callers.doctor) as doctor,
        ):
            sent = {
                summary.name: _provide(hospital, running, summary, _HOSPITAL, report),
                with_pdf.name: _provide(doctor, running, with_pdf, _DOCTOR, report),
            }
            found = _find(doctor, sent, report)
            for document in (summary, with_pdf):
                unique_id = sent[document.name].entry.unique_id or ""
                _retrieve(doctor, document, found[unique_id], report)
    except (ExchangeFailed, CallerError) as error:
        raise DemoFailed(str(error)) from error


def documents() -> tuple[Document, Document]:
    """Two new documents of the demonstration's patient."""
    now = datetime.now(UTC).replace(microsecond=0)
    summary, with_pdf = new_oid(), new_oid()
    return (
        Document("medical summary", summary, health_summary(summary, new_oid(), now)),
        Document("report with a PDF", with_pdf, pdf_report(with_pdf, new_oid(), now)),
    )


def _provide(client: DocumentClient, running: Running, document: Document, caller: str, report: Report) -> Prepared:
    with _timed() as milliseconds:
        path = document.write(running.directory)
        prepared = prepare(path, Given(), load_codes("dmp"), PROFILES[running.settings.profile])
        submission = submission_of([prepared], source_id=_SOURCE, content=UNDIFFERENTIATED, now=datetime.now(UTC))
        client.submit(submission, [prepared.deposit])
    result = f"{len(document.data)} bytes, accepted"
    report(Step(f"provide the {document.name}", "ITI-41", result, milliseconds(), caller))
    return prepared


def _find(client: DocumentClient, sent: Mapping[str, Prepared], report: Report) -> dict[str, DocumentEntry]:
    with _timed() as milliseconds:
        found = {entry.unique_id or "": entry for entry in client.find(DEMO_PATIENT)}
    missing = [name for name, prepared in sent.items() if prepared.entry.unique_id not in found]
    if missing:
        raise DemoFailed(f"the registry did not return the {' and the '.join(missing)}")
    report(Step("find the patient's documents", "ITI-18", f"{len(found)} found", milliseconds(), _DOCTOR))
    return found


def _retrieve(client: DocumentClient, document: Document, entry: DocumentEntry, report: Report) -> None:
    data = document.data
    with _timed() as milliseconds:
        back = io.BytesIO()
        request = DocumentRequest(entry.repository_unique_id or "", entry.unique_id or "")
        client.retrieve(request, back, entry)
    if back.getvalue() != data:
        raise DemoFailed(f"the {document.name} came back changed: {len(back.getvalue())} bytes, {len(data)} were sent")
    report(Step(f"retrieve the {document.name}", "ITI-43", f"{len(data)} bytes, identical", milliseconds(), _DOCTOR))


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
    with _timed() as milliseconds:
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


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Gives the milliseconds of the block, once it ended."""
    started = time.perf_counter()
    ended = started
    yield lambda: (ended - started) * 1000
    ended = time.perf_counter()


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
