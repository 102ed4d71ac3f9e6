"""The background process: holds the lease, runs the registered jobs, listens to the patient feed, answers operators.

There is one beside the workers of a server; of all servers that share a database, one holds the lease and runs the jobs.
What the jobs do is built by the composition root, after the fork.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from database.errors import DatabaseError
from liasse.admin import AdminServer, Probe
from liasse.status import Status
from liasse.supervisor import Child, Main
from xds_registry.mllp import FeedLimits, serve_feed

log = structlog.get_logger()
T = TypeVar("T")

_RETRY = 0.25
_BEAT = 0.5
_STOP_PATIENCE = 5.0
_THREADS = 8


class HeldLease(Protocol):
    """What is needed of `database.lease.Lease`."""

    @property
    def held(self) -> bool:
        """Whether the lease is surely ours."""
        ...

    def acquire(self) -> bool:
        """Try once to get or renew it. May block and raise DatabaseError."""
        ...

    def release(self) -> None:
        """Give it up. May block and raise DatabaseError."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done every so many seconds while the lease is held. `run` may block; it is never run twice at a time.

    `everywhere`: on every server, whoever holds the lease.
    """

    name: str
    every: float
    run: Callable[[], None]
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Duties:
    """Everything that the background process does, ready to use in this process. Durations in seconds.

    `renew_every`: between renewals of the lease; `lease_time`: how long the others may believe that it is held after one.
    `on_message` judges a message of the feed, from a peer's address, and gives the answer; it may block. `gauges`: current
    values for the metrics.
    """

    lease: HeldLease
    renew_every: float
    lease_time: float
    on_message: Callable[[bytes, str], bytes]
    feed_limits: FeedLimits
    jobs: Sequence[Job] = ()
    probes: Sequence[Probe] = ()
    gauges: Callable[[], Mapping[str, tuple[str, float]]] = dict
    close: Callable[[], None] = field(default=lambda: None)


def background_main(build: Callable[[Child], Duties]) -> Main:
    """The body of the background process for `supervisor.Supervisor`. `build` is called in the process, after the fork."""

    def run(child: Child) -> None:
        duties = build(child)
        try:
            asyncio.run(_Background(child, duties).serve())
        finally:
            duties.close()

    return run


class _Background:
    """One life of the process: an event loop, threads for what blocks, one of them for the lease alone."""

    def __init__(self, child: Child, duties: Duties) -> None:
        self._child, self._duties, self._status = child, duties, child.status
        self._stop = asyncio.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="background")
        self._lease_thread = ThreadPoolExecutor(1, thread_name_prefix="lease")

    async def serve(self) -> None:
        """1. lease and operators' listener; 2. feed; 3. jobs, until SIGTERM; 4. everything back in the reverse order."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        admin = AdminServer((*_own_probes(self._status), *self._duties.probes), self._metrics, self._pool)
        beating = asyncio.create_task(self._beat())
        lease = asyncio.create_task(self._keep_lease())
        await admin.listen(self._child.listeners.admin)
        feed = await serve_feed(self._child.listeners.feed, self._message, self._duties.feed_limits)
        self._status.feed_bound()
        jobs = [asyncio.create_task(self._repeat(job)) for job in self._duties.jobs]
        log.info("the background process serves", job=[job.name for job in self._duties.jobs])
        await self._stop.wait()
        await feed.close()
        await _ended(jobs)
        await _ended([lease, beating])
        await self._in(self._lease_thread, self._release)
        admin.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._lease_thread.shutdown(wait=False, cancel_futures=True)

    async def _beat(self) -> None:
        """Tell the supervisor that the event loop turns."""
        while not self._stop.is_set():
            self._status.beat(self._child.slot)
            await self._pause(_BEAT)

    async def _keep_lease(self) -> None:
        """Renew, or wait for its turn. For the workers it is held when any living server holds it."""
        ours = False
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                got = await self._in(self._lease_thread, self._duties.lease.acquire)
            except DatabaseError as error:
                log.warning("the lease could not be renewed", exc_info=error)
            else:
                self._status.lease_held(self._duties.lease_time - (time.monotonic() - started))
                if got != ours:
                    ours = got
                    self._note_lease(got)
            await self._pause(self._duties.renew_every if ours and self._duties.lease.held else _RETRY)

    def _note_lease(self, got: bool) -> None:
        if got:
            log.info("the lease was taken")
        else:
            log.info("the lease is held elsewhere")

    async def _repeat(self, job: Job) -> None:
        while not self._stop.is_set():
            if job.everywhere or self._duties.lease.held:
                outcome = "success"
                try:
                    await self._in(self._pool, job.run)
                except Exception as error:
                    outcome = "failure"
                    log.error("a job failed and will be run again", job=job.name, exc_info=error)
                self._child.metrics.count("liasse_job_runs", outcome)
                await self._pause(job.every)
            else:
                await self._pause(_RETRY)

    async def _message(self, message: bytes, peer: str) -> bytes:
        return await self._in(self._pool, lambda: self._duties.on_message(message, peer))

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the request to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _release(self) -> None:
        self._status.lease_held(0)
        try:
            self._duties.lease.release()
        except DatabaseError as error:
            log.warning("the lease could not be given back and will run out", exc_info=error)

    def _metrics(self) -> bytes:
        own = {
            "liasse_lease_held": ("1 when this server holds the lease.", float(self._duties.lease.held)),
            "liasse_healthy": ("1 when the server does its work.", float(self._status.health().ok)),
        }
        return self._child.metrics.render({**own, **self._duties.gauges()})


def _own_probes(status: Status) -> tuple[Probe, ...]:
    def say(wrong: bool, reason: str) -> str | None:
        return reason if wrong else None

    return (
        Probe("server", lambda: "; ".join(status.health().reasons) or None),
        Probe("lease", lambda: say(not status.lease_is_held(), "held by no living server")),
        Probe("feed", lambda: say(not status.feed_is_bound(), "the port is not bound")),
    )


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for tasks that were asked to stop; those that do not are left behind."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_STOP_PATIENCE)
        for task in late:
            task.cancel()
