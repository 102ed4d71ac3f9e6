"""How the demonstration deals with a server that does not end, or ends badly, or serves whom it must refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from liasse import demo
from liasse.demo import DemoFailed, Running, Step
from liasse.demo_callers import callers_of
from liasse.demo_traces import JOURNAL, LOG, Since
from liasse.settings import Settings, TlsSettings

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
FAILING = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print(1, flush=True); time.sleep(600)"
)


def process(folder: Path, code: str) -> Running:
    """A process in the place of the server, once it is ready for signals."""
    (folder / "server.log").write_text("a first line\nthe last line\n", encoding="utf-8")
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert started.stdout is not None
    with started.stdout as out:
        assert out.readline() == b"1\n"
    settings = Settings(tls=TlsSettings(client_ca=(folder / "pki" / "authorities.pem",)))
    return Running(folder, settings, callers_of(settings), Since(0, 0), started)


def test_a_server_that_does_not_stop_is_killed_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = process(tmp_path, STUBBORN)
    monkeypatch.setattr(demo, "_STOPS_WITHIN", 0.2)
    steps: list[Step] = []
    with pytest.raises(DemoFailed, match=r"the server did not stop within 0 s"):
        demo.stop(running, steps.append)
    assert running.process.wait(20) == -9
    assert steps == []


def test_a_server_that_ends_badly_is_told_of_with_its_last_lines(tmp_path: Path) -> None:
    steps: list[Step] = []
    with pytest.raises(DemoFailed, match=r"^the server ended with exit code 3\na first line\nthe last line$"):
        demo.stop(process(tmp_path, FAILING), steps.append)
    assert steps == []


def test_an_interrupted_demonstration_leaves_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted by its user between two steps."""
    seen: list[str] = []

    def interrupted(step: Step) -> None:
        seen.append(step.what)
        if step.what.startswith("provide"):
            raise KeyboardInterrupt

    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def remembered(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remembered)
    with pytest.raises(KeyboardInterrupt):
        demo.run(tmp_path / "demo", interrupted)
    made = ["make certificates and cards", "make storage and database"]
    assert seen == [*made, "start the server", "provide the medical summary"]
    assert [each.returncode for each in started] == [-9]


def test_calls_with_a_wrong_card_must_be_refused_and_leave_their_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Step] = []
    running = demo.run(tmp_path / "demo", steps.append, keep=True)
    try:
        refused = {step.caller: step.result for step in steps if step.refused}
        assert "does not accept our certificate" in refused["a card of another PKI"]
        assert "DMPInvalidVIHF" in refused["doctor's card, signed by another's"]
        seen = running.traces()
        rows = [(row.action, row.caller, row.proof, row.decision) for row in seen if row.where == JOURNAL]
        doctor = running.callers.doctor.identifier
        assert rows == [
            ("provide", doctor, "structure", "allowed"),
            ("provide", doctor, "card", "allowed"),
            ("query", doctor, "card", "allowed"),
            ("retrieve", doctor, "card", "allowed"),
            ("retrieve", doctor, "card", "allowed"),
            ("query", "anonymous", "none", "refused"),
        ]
        assert [row.rule for row in seen if row.decision != "allowed"] == ["assertion-binding", "tls-handshake", "binding"]
        assert [row.rule for row in seen if row.where == LOG] == ["tls-handshake", "binding"]
        right, wrong = running.callers.doctor, running.callers.colleague
        with pytest.raises(DemoFailed, match=r"^nobody: the query was answered, it must be refused$"):
            demo._must_be_refused(running, right, right, "nobody", "assertion-binding", steps.append)
        monkeypatch.setattr(demo, "_TOLD_WITHIN", 0.1)
        with pytest.raises(DemoFailed, match=r"the query failed, but not by the rule tls-handshake: .*DMPInvalidVIHF"):
            demo._must_be_refused(running, right, wrong, "nobody", "tls-handshake", steps.append)
    finally:
        demo.stop(running, steps.append)
