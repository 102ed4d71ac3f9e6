"""Patients are made known by ADT^A04 over MLLP before a case begins."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.engine import Run, Verdict, run_case
from conformance.plan import load_plan, select
from conformance.sender import NotSent, feed_patient
from conformance.tables import PlanError
from tests.unit.conformance.canned import peer, target_at
from tests.unit.conformance.test_messages import lenient


@contextmanager
def feed(acknowledgement: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A feed receiver; yields its host:port and the frames it got."""
    frames: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received = b""
                while not received.endswith(b"\x1c\r"):
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    received += chunk
                frames.append(received)
                connection.sendall(acknowledgement)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", frames
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


ACCEPTED = b"\x0bMSH|^~\\&|R|X|||20250101||ACK^A04|1|P|2.3.1\rMSA|AA|1\r\x1c\r"


def test_every_patient_of_a_case_is_fed_first(tmp_path: Path) -> None:
    (case,) = select(load_plan(), ["42-patient-mismatch"])
    with feed(ACCEPTED) as (address, frames), peer(lenient) as base:
        result = run_case(Run(target_at(tmp_path, base, feed=f'"{address}"'), "seed"), case)
    assert len(frames) == 2
    assert all(frame.startswith(b"\x0bMSH|^~\\&|") and b"|ADT^A04^ADT_A01|" in frame for frame in frames)
    assert all(b"\rPID|||LT" in frame and b"&ISO|" in frame for frame in frames)
    assert len(result.steps) == 2


@pytest.mark.parametrize("answer", [ACCEPTED.replace(b"AA", b"AE"), b"", b"\x0bnonsense\x1c\r"])
def test_a_refused_patient_means_that_the_case_did_not_run(tmp_path: Path, answer: bytes) -> None:
    (case,) = select(load_plan(), ["42-one-document"])
    with feed(answer) as (address, _), peer(lenient) as base:
        result = run_case(Run(target_at(tmp_path, base, feed=f'"{address}"'), "seed"), case)
    assert result.verdict is Verdict.NOT_RUN
    assert "ADT^A04 was not accepted" in result.reason


def test_a_feed_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    target = target_at(tmp_path, "http://x", feed=f'"127.0.0.1:{port}"')
    with pytest.raises(NotSent, match=f"127.0.0.1:{port}"):
        feed_patient(target, "p", "1", "20250101000000")
    with pytest.raises(PlanError, match="expected host:port"):
        feed_patient(target_at(tmp_path, "http://x", feed='"localhost"'), "p", "1", "20250101000000")
