"""The supervisor of `liasse serve`: N workers and one background process, each forked from a process without threads.

A child that dies is replaced at once, with growing delays when it keeps dying at its start; one that hangs is killed.
SIGTERM and SIGINT drain: workers finish what they have, then the background process ends; a second signal ends everything
immediately. SIGHUP is ignored: settings are read at the start only. Children are killed by the kernel when the supervisor
dies.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

import structlog

from liasse.hung import TIME_TO_TELL, Watch
from liasse.listeners import Listeners, address, bind, unlink_socket
from liasse.metrics import Metrics
from liasse.service_manager import Watchdog, notify
from liasse.settings import Settings
from liasse.status import Status

log = structlog.get_logger()

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_PR_SET_PDEATHSIG = 1
_SHORT_LIFE = 5.0
_LONGEST_DELAY = 10.0
_GIVE_UP = 4
_BACKGROUND_TIMEOUT = 10.0
_TICK = 0.05
_MANY_FILES = 65_536
_LIBC = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """The server cannot start; the text says why."""


class Role(Enum):
    """What a child process does."""

    WORKER = "worker"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class Child:
    """What a child process is given. `slot` is the number of a worker from 0; the background process has the next one.

    `status` and `metrics` are shared with all others; a worker calls `status.worker_serving(slot)` when it accepts requests.
    """

    role: Role
    slot: int
    settings: Settings
    listeners: Listeners
    status: Status
    metrics: Metrics


Main = Callable[[Child], None]
"""The body of a child. It begins with SIGTERM at its default and SIGINT ignored, and returns to end the process."""


@dataclass(slots=True)
class _Running:
    role: Role
    slot: int
    started: float = 0.0
    pid: int = 0
    failures: int = 0
    due: float = 0.0
    asked: float = 0.0  # when it was asked where it hangs; infinite once it was killed


class Supervisor:
    """Runs the processes of one server. Construct it, with all code imported and no thread started, then call `run`."""

    def __init__(self, settings: Settings, worker_main: Main, background_main: Main) -> None:
        self.settings = settings
        count = settings.worker_count
        self.status = Status(count)
        self.metrics = Metrics(count + 1)
        self._mains = {Role.WORKER: worker_main, Role.BACKGROUND: background_main}
        self._children = [_Running(Role.BACKGROUND, count), *(_Running(Role.WORKER, slot) for slot in range(count))]
        self._watch = Watch(self.status, count + 1, settings.server.hang_timeout)
        self._watchdog = Watchdog(os.environ)
        self._pid = os.getpid()
        self._complete = False

    def run(self) -> int:
        """Serve until a signal asks to stop. Returns 0 after a drain, 1 when children cannot start.

        Signals stay blocked afterwards: an impatient second one must not change the exit code of a process that is ending.
        Raises StartError or BindError before anything was forked.
        """
        if threading.active_count() > 1:
            raise StartError("threads are running before the fork: a child could inherit a lock that nobody releases")
        _allow_many_files()
        lock = _lock_directory(self.settings)
        listeners = bind(self.settings)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _announce(self.settings, listeners)
        gc.collect()
        gc.freeze()
        try:
            asked = self._supervise(listeners)
            self.status.stopping()
            notify("STOPPING=1")
            listeners.close()
            self._drain()
        finally:
            self._kill_all()
            unlink_socket(self.settings)
            self._watch.close()
            os.close(lock)
        log.info("the server stopped", status=0 if asked else 1)
        return 0 if asked else 1

    def _supervise(self, listeners: Listeners) -> bool:
        """Keep everybody running; True when a signal asks to stop, False when a child never manages to start."""
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.due <= now:
                    self._fork(child, listeners)
            self._note_completion()
            self._end_hung(now)
            self._watchdog.calm(now)
            waiting = [child.due - now for child in self._children if not child.pid]
            pause = min([_TICK if not self._complete else 1.0, self._watchdog.every, *waiting])
            received = signal.sigtimedwait(_SIGNALS, max(pause, 0.001))
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                log.info("asked to stop", signal=signal.Signals(received.si_signo).name)
                return True
            self._reap()
            if not self._complete and any(child.failures >= _GIVE_UP for child in self._children):
                log.error("a process cannot start: giving up")
                return False

    def _note_completion(self) -> None:
        if not self._complete and self.status.start_is_complete():
            self._complete = True
            log.info("the server is ready", workers=self.status.workers, pid=self._pid)
            notify("READY=1")

    def _fork(self, child: _Running, listeners: Listeners) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.status.process_starts(child.slot)
        try:
            pid = os.fork()
        except OSError as error:
            log.warning("a process could not be forked and will be tried again", exc_info=error)
            child.due = time.monotonic() + 1.0
            return
        if pid == 0:
            self._be(child, listeners)
        child.pid, child.started = pid, time.monotonic()

    def _be(self, child: _Running, listeners: Listeners) -> NoReturn:
        """The life of a child, from fork to exit: never returns into the supervisor's code."""
        code = 1
        try:
            _die_with(self._pid)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for unused in (listeners.feed, listeners.admin) if child.role is Role.WORKER else (listeners.clinical,):
                unused.close()
            self._watch.tell_when_asked(child.slot)
            self.metrics.use_row(child.slot)
            given = Child(child.role, child.slot, self.settings, listeners, self.status, self.metrics)
            self._mains[child.role](given)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            log.exception("an exception ended a process", worker=child.slot, status=child.role.value)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _end_hung(self, now: float) -> None:
        """Kill who has been silent too long, after the question where it is."""
        self._watch.look(now)
        for child in self._children:
            silence = self._watch.silence(child.slot, child.started, now) if child.pid else 0.0
            if not silence:
                if child.asked:
                    self._watch.told(child.slot)  # it goes on: what it told is of no use
                child.asked = 0.0
            elif not child.asked:
                os.kill(child.pid, signal.SIGUSR2)
                child.asked = now
            elif now - child.asked >= TIME_TO_TELL:
                frames = self._watch.told(child.slot)
                role = child.role.value
                log.error("a process hangs and is killed", worker=child.slot, status=role, duration=silence, frames=frames)
                os.kill(child.pid, signal.SIGKILL)
                child.asked = math.inf

    def _reap(self) -> None:
        """Take note of every child that ended, and say when its successor is due."""
        for child in self._children:
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                self._ended(child)

    def _ended(self, child: _Running) -> None:
        lived = time.monotonic() - child.started
        worker = child.role is Role.WORKER
        served = self.status.worker_is_serving(child.slot) if worker else self.status.lease_is_held()
        child.failures = 0 if served or lived > _SHORT_LIFE else child.failures + 1
        delay = 0.0 if child.failures < 2 else min(0.1 * 2**child.failures, _LONGEST_DELAY)
        child.pid, child.due = 0, time.monotonic() + delay
        if worker:
            self.status.worker_gone(child.slot)
        else:
            self.status.background_gone()
        if not self.status.is_stopping():
            log.warning("a process ended and is replaced", worker=child.slot, status=child.role.value, delay=delay)

    def _drain(self) -> None:
        """Workers first: until they end, the background process keeps the lease and its queues."""
        for role, patience in (
            (Role.WORKER, self.settings.server.drain_timeout + 2),
            (Role.BACKGROUND, _BACKGROUND_TIMEOUT),
        ):
            self._signal(role, signal.SIGTERM)
            if not self._wait(role, patience):
                log.warning("processes did not end in time and are killed", status=role.value)
                self._signal(role, signal.SIGKILL)
                self._wait(role, _BACKGROUND_TIMEOUT)

    def _wait(self, role: Role, patience: float) -> bool:
        """Whether all processes of a role ended in time. A further request to stop ends the patience."""
        deadline = time.monotonic() + patience
        while any(child.pid for child in self._children if child.role is role):
            received = signal.sigtimedwait(_SIGNALS, _TICK)
            self._watchdog.calm(time.monotonic())
            self._reap()
            again = received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT)
            if again or time.monotonic() > deadline:
                return not any(child.pid for child in self._children if child.role is role)
        return True

    def _signal(self, role: Role, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid and child.role is role:
                os.kill(child.pid, number)

    def _kill_all(self) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0


def _lock_directory(settings: Settings) -> int:
    """One server for one storage folder. The lock is held by the supervisor and its children, and ends with them."""
    run = settings.storage.run_directory
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = os.open(run / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StartError(f"storage.directory: {run} cannot be written: {error.strerror}") from None
    deadline = time.monotonic() + 1.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            os.close(lock)
            raise StartError(f"storage.directory: another server runs on {settings.storage.directory}") from None
        return lock


def _allow_many_files() -> None:
    """Each connection is a file: raise the soft limit as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(_MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when the supervisor dies, even by SIGKILL."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def _announce(settings: Settings, listeners: Listeners) -> None:
    log.info(
        "the server starts", profile=settings.profile, workers=settings.worker_count, address=address(listeners.clinical)
    )
    log.info("the patient feed listens", address=address(listeners.feed))
    log.info("readiness and metrics listen", address=address(listeners.admin))
    for caution in settings.cautions():
        log.warning("a setting for laboratories is in use", setting=caution)
