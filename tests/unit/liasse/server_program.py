"""A small real server for tests of the supervisor: workers answer over the clinical socket, background holds a lease.

Request: one line. `info` answers JSON with process id, slot and health; `slow` does the same after half a second, and says
so before it starts to wait; `die` ends the worker without answer; `hang` waits in a system call for ever.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

from liasse.listeners import BindError
from liasse.logs import configure_logging
from liasse.settings_file import load_settings
from liasse.supervisor import Child, StartError, Supervisor


def answer(connection: socket.socket, child: Child) -> None:
    request = connection.makefile().readline().strip()
    if request == "die":
        os._exit(3)
    if request == "hang":
        connection.sendall(f"{child.slot}\n".encode())
        hang_here()
    if request == "slow":
        connection.sendall(b"working\n")
        time.sleep(0.5)
    health = child.status.health()
    facts = {"pid": os.getpid(), "slot": child.slot, "ok": health.ok, "reasons": health.reasons, "parent": os.getppid()}
    connection.sendall(json.dumps(facts).encode() + b"\n")


def hang_here() -> None:
    read, _ = os.pipe()
    while True:
        os.read(read, 1)


def worker(child: Child) -> None:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    child.status.worker_serving(child.slot)
    while not stop:
        child.status.beat(child.slot)
        if not select.select([child.listeners.clinical], [], [], 0.02)[0]:
            continue
        try:
            connection, _ = child.listeners.clinical.accept()
        except BlockingIOError:
            continue
        connection.setblocking(True)
        with connection:
            answer(connection, child)


def background(child: Child) -> None:
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop.append(number))
    child.status.feed_bound()
    Path(os.environ["PID_FILE"]).write_text(str(os.getpid()), encoding="ascii")
    while not stop:
        child.status.beat(child.slot)
        child.status.lease_held(2.0)
        time.sleep(0.02)


def stubborn(child: Child) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child.status.worker_serving(child.slot)
    while True:
        time.sleep(0.05)


def failing(_child: Child) -> None:
    raise RuntimeError("cannot start")


def leaving(_child: Child) -> None:
    sys.exit(5)


MAINS = {"worker": worker, "stubborn": stubborn, "failing": failing, "leaving": leaving, "background": background}

if __name__ == "__main__":
    configure_logging("info", "json")
    try:
        supervisor = Supervisor(load_settings(Path(sys.argv[1])), MAINS[sys.argv[2]], MAINS[sys.argv[3]])
        sys.exit(supervisor.run())
    except (StartError, BindError) as error:
        print(error)
        sys.exit(1)
