"""The main job on one machine: a server is started, two documents are provided, found, retrieved and compared.

Every step is real: a process of its own, messages over HTTP, documents on the disk. `run` reports each step as it ends.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from database.errors import DatabaseError
from liasse.client import DocumentClient, Endpoints, ExchangeFailed
from liasse.demo_documents import DEMO_PATIENT, health_summary, pdf_report
from liasse.settings import Settings
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from liasse.submission import UNDIFFERENTIATED, Given, Prepared, new_oid, prepare, submission_of
from xds_metadata.codes import load_codes
from xds_metadata.model import DocumentEntry
from xds_metadata.profile import PROFILES
from xds_repository.messages import DocumentRequest
from xds_repository.store import StoreError

_READY_WITHIN: Final = 20.0
_STOPS_WITHIN: Final = 20.0
_SOURCE: Final = "1.2.250.1.999.7"
_LAST_LINES: Final = 5


class DemoFailed(Exception):
    """A step did not do what it should. The text has one line for each reason."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, by which transaction if any, with which result, and how long it took (milliseconds)."""

    what: str
    transaction: str
    result: str
    milliseconds: float


Report = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Running:
    """The server of the demonstration: where it is, and its process."""

    directory: Path
    settings: Settings
    process: subprocess.Popen[bytes]

    @property
    def base(self) -> str:
        """http://host:port of the clinical listener."""
        return f"http://{self.settings.server.host}:{self.settings.server.port}"

    @property
    def endpoints(self) -> Endpoints:
        """Registry and repository."""
        return Endpoints(f"{self.base}/registry", f"{self.base}/repository")

    def addresses(self) -> tuple[tuple[str, str], ...]:
        """Every address of the server, with what it is."""
        feed, admin = self.settings.feed, self.settings.admin
        return (
            ("Document Registry (ITI-42, ITI-18)", self.endpoints.registry),
            ("Document Repository (ITI-41, ITI-43)", self.endpoints.repository),
            ("page for people", f"{self.base}/"),
            ("health", f"{self.base}/health"),
            ("patient feed (ITI-8, MLLP)", f"{feed.host}:{feed.port}"),
            ("readiness and metrics", f"http://{admin.host}:{admin.port}/metrics"),
        )


def run(directory: Path, report: Report, *, keep: bool = False) -> Running:
    """Demonstrate in `directory`, which is made if absent; with `keep` the server stays and is the caller's to stop.

    Raises DemoFailed; nothing runs any more then.
    """
    running = _start(directory, report)
    try:
        with DocumentClient(running.endpoints) as client:
            _exchange(client, running, report)
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
        config = directory / "demo.toml"
        config.write_text(_settings_text(), encoding="utf-8")
        settings = load_settings(config)
        try:
            init_storage(settings)
        except (DatabaseError, StoreError) as error:
            raise DemoFailed(f"{settings.storage.directory}: {error}") from error
    report(Step("make storage and database", "", str(settings.storage.directory), milliseconds()))
    with _timed() as milliseconds:
        with _log(directory).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 our own program
                [sys.executable, "-P", "-m", "liasse.serve", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Running(directory, settings, process)
        try:
            _wait(running)
        except BaseException:
            _kill(process)
            raise
    report(Step("start the server", "", f"process {process.pid}, healthy", milliseconds()))
    return running


def _settings_text() -> str:
    tables: dict[str, dict[str, str | int]] = {
        "server": {"host": "127.0.0.1", "port": _free_port(8080), "workers": 2},
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
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            lines = [f"the server ended with exit code {running.process.returncode}", *_last_lines(running.directory)]
            raise DemoFailed("\n".join(lines))
        try:
            with urllib.request.urlopen(f"{running.base}/health", timeout=2):  # noqa: S310 our own loopback address
                return
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            error.close()
        except OSError as error:
            reason = str(error)
        time.sleep(0.02)
    raise DemoFailed("\n".join([f"not healthy within {_READY_WITHIN:.0f} s: {reason}", *_last_lines(running.directory)]))


def _exchange(client: DocumentClient, running: Running, report: Report) -> None:
    try:
        sent = {name: _provide(client, running, name, data, report) for name, data in _documents().items()}
        found = _find(client, sent, report)
        for name, (prepared, data) in sent.items():
            _retrieve(client, name, found[prepared.entry.unique_id or ""], data, report)
    except ExchangeFailed as error:
        raise DemoFailed(str(error)) from error


def _documents() -> dict[str, bytes]:
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "medical summary": health_summary(new_oid(), new_oid(), now),
        "report with a PDF": pdf_report(new_oid(), new_oid(), now),
    }


def _provide(client: DocumentClient, running: Running, name: str, data: bytes, report: Report) -> tuple[Prepared, bytes]:
    with _timed() as milliseconds:
        path = running.directory / f"{name.replace(' ', '-')}.xml"
        path.write_bytes(data)
        prepared = prepare(path, Given(), load_codes("dmp"), PROFILES[running.settings.profile])
        submission = submission_of([prepared], source_id=_SOURCE, content=UNDIFFERENTIATED, now=datetime.now(UTC))
        client.submit(submission, [prepared.deposit])
    report(Step(f"provide the {name}", "ITI-41", f"{len(data)} bytes, accepted", milliseconds()))
    return prepared, data


def _find(client: DocumentClient, sent: dict[str, tuple[Prepared, bytes]], report: Report) -> dict[str, DocumentEntry]:
    with _timed() as milliseconds:
        found = {entry.unique_id or "": entry for entry in client.find(DEMO_PATIENT)}
    missing = [name for name, (prepared, _) in sent.items() if prepared.entry.unique_id not in found]
    if missing:
        raise DemoFailed(f"the registry did not return the {' and the '.join(missing)}")
    report(Step("find the patient's documents", "ITI-18", f"{len(found)} found", milliseconds()))
    return found


def _retrieve(client: DocumentClient, name: str, entry: DocumentEntry, data: bytes, report: Report) -> None:
    with _timed() as milliseconds:
        back = io.BytesIO()
        request = DocumentRequest(entry.repository_unique_id or "", entry.unique_id or "")
        client.retrieve(request, back, entry)
    if back.getvalue() != data:
        raise DemoFailed(f"the {name} came back changed: {len(back.getvalue())} bytes, {len(data)} were sent")
    report(Step(f"retrieve the {name}", "ITI-43", f"{len(data)} bytes, identical", milliseconds()))


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
