"""The HTTP side in a process of its own: memory stays flat whatever a document's size, SIGTERM lets a request end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.http_side import MULTIPART, package, read_all, request, status

SIZE = 200_000_000
MOST_GROWTH_KB = 16 * 1024
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def _process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    folder.mkdir()
    with (folder.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.http_side", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


def _peak_kb(process: subprocess.Popen[str]) -> int:
    """The highest resident memory so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def _exchange(port: int, message: bytes, more: Iterable[bytes] = ()) -> int:
    """Send a request in pieces and count the bytes of a good answer."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(message)
        for piece in more:
            client.sendall(piece)
        received = client.recv(65536)
        assert status(received) == 200
        count = len(received)
        while data := client.recv(1 << 20):
            count += len(data)
    return count


def test_200_megabytes_up_and_down_in_flat_memory(tmp_path: Path) -> None:
    whole = package(("d1@a", b"CONTENT"))
    before, after = whole.split(b"CONTENT")
    block = bytes(range(256)) * 4000
    blocks, rest = divmod(SIZE, len(block))

    def document() -> Iterator[bytes]:
        for _ in range(blocks):
            yield block
        yield block[:rest] + after

    with _process(tmp_path / "staged") as (process, port):
        small = request(package(("d1@a", b"x" * 1_000_000), root=b"give 1000000"), MULTIPART)
        for _ in range(3):
            _exchange(port, small)
        start = _peak_kb(process)
        head = request(b"", MULTIPART, length=len(before) + SIZE + len(after))
        _exchange(port, head + before, document())
        assert _peak_kb(process) - start <= MOST_GROWTH_KB
        down = _exchange(port, request(package(root=b"give %d" % SIZE), MULTIPART))
        assert down > SIZE
        assert _peak_kb(process) - start <= MOST_GROWTH_KB
    assert not list((tmp_path / "staged").iterdir())


def test_sigterm_lets_a_request_end_and_takes_no_new_one(tmp_path: Path) -> None:
    body = package(("d1@a", b"x" * 300_000))
    with _process(tmp_path / "staged") as (process, port), socket.create_connection(("127.0.0.1", port), 20) as client:
        message = request(body, MULTIPART, close=False)
        client.sendall(message[:100_000])
        while not list((tmp_path / "staged").iterdir()):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                break
            time.sleep(0.01)
        client.sendall(message[100_000:])
        answer = read_all(client)
        assert status(answer) == 200
        assert b"connection: close" in answer
        assert process.wait(20) == 0
