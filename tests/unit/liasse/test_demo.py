"""How the demonstration deals with a server that does not end, or ends badly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from liasse import demo
from liasse.demo import DemoFailed, Running, Step
from liasse.settings_file import load_settings

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
    return Running(folder, load_settings(None), started)


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
    assert seen == ["make storage and database", "start the server", "provide the medical summary"]
    assert [each.returncode for each in started] == [-9]
