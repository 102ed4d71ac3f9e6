"""How the demonstration deals with a server that does not end, or ends badly, or serves whom it must refuse."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from liasse import demo, demo_story
from liasse.demo import Running
from liasse.demo_callers import callers_of
from liasse.demo_documents import HOSPITAL_DOCTOR_ID
from liasse.demo_steps import DemoFailed, Step
from liasse.demo_story import MOTIVE, SCENES, TOLD
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
    opened = ["open the patient's record", "choose who may read it"]
    assert seen == [*made, "start the server", *opened, "provide the medical summary"]
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
        refusals = [(row.where, row.caller, row.rule) for row in seen if row.decision != "allowed"]
        hospital, unknown = (JOURNAL, HOSPITAL_DOCTOR_ID, "dmp-right"), running.callers.emergency.identifier
        blocked = (JOURNAL, running.callers.cardiologist.identifier, "dmp-blocked")
        asked = [hospital, (JOURNAL, unknown, "dmp-authorisation")]
        assert refusals == [
            *asked,
            *asked,
            blocked,
            *asked,
            (JOURNAL, "anonymous", "assertion-binding"),
            (LOG, "", "tls-handshake"),
            (LOG, "", "binding"),
        ]
        right, wrong = running.callers.doctor, running.callers.colleague
        with pytest.raises(DemoFailed, match=r"^nobody: the query was answered, it must be refused$"):
            demo._must_be_refused(running, right, right, "nobody", "assertion-binding", steps.append)
        monkeypatch.setattr(demo, "_TOLD_WITHIN", 0.1)
        with pytest.raises(DemoFailed, match=r"the query failed, but not by the rule tls-handshake: .*DMPInvalidVIHF"):
            demo._must_be_refused(running, right, wrong, "nobody", "tls-handshake", steps.append)
    finally:
        demo.stop(running, steps.append)


def test_the_story_is_that_of_a_patient_who_decides(tmp_path: Path) -> None:
    """Every answer was checked as it came; here what a person is shown of it."""
    steps: list[Step] = []
    running = demo.run(tmp_path / "demo", steps.append)
    story = running.story
    first, masked, blocked = (story.answers[scene] for scene in SCENES)
    assert first["attending doctor"] == first["cardiologist"] == masked["attending doctor"] == blocked["attending doctor"]
    assert masked["cardiologist"] == (first["cardiologist"] or frozenset()) - {"consultation report"}
    assert blocked["cardiologist"] is None
    assert (first["optician"], first["hospital"]) == (frozenset({"eye report"}), None)
    told = [str(mail.message["Subject"]) for mail in story.mails]
    assert (told[0], told[-1]) == ("A shared health record is open", TOLD)
    assert story.history is not None
    emergencies = [line.reason for line in story.history[1] if line.emergency]
    assert emergencies == [MOTIVE]


def test_the_demonstration_fails_where_somebody_sees_more_than_he_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_story, "_AT_FIRST", {**demo_story._AT_FIRST, "nurse": frozenset({"surgery note"})})
    with pytest.raises(DemoFailed, match=r"^at first: the nurse should get surgery note, but got medical summary"):
        demo.run(tmp_path / "demo", lambda _step: None)


def test_a_port_that_was_taken_meanwhile_is_left_to_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look for a free port and the server's own."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        free = demo._free_port
        monkeypatch.setattr(demo, "_free_port", lambda preferred: taken if preferred == 8443 else free(preferred))
        running = demo._start(tmp_path / "demo", 2525, lambda _step: None)
        assert running.settings.server.port != taken
    demo.stop(running, lambda _step: None)
