"""The bounded pool of threads in which messages are processed.

As the standard library's pool, with two differences. The thread that became idle last works next, because its parser, its
schemas and the processor's caches are warm. And a thread ends, and is replaced, when it has parsed enough: libxml2 keeps
every name that a thread has met until that thread ends, so that a peer with ever new names would fill the memory of a
lasting one.

`Returns` brings what they did back into the event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = Callable[[], None]


class _Seat:
    """Where one idle thread waits: `wake` is held until `work` (None: no more) was put down."""

    __slots__ = ("wake", "work")

    def __init__(self) -> None:
        self.work: _Work | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class MessageThreads(Executor):
    """At most `size` threads, started when needed; `worn` is asked after each piece of work, in its thread."""

    def __init__(self, size: int, worn: Callable[[], bool], name: str = "message") -> None:
        self._size = size
        self._worn = worn
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[_Work] = deque()
        self._idle: list[_Seat] = []
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._started = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread. Raises RuntimeError after shutdown."""
        work = _Submitted(fn, args, kwargs)
        self.post(work)
        return work.future

    def post(self, work: Callable[[], None]) -> None:
        """Run `work`, which raises nothing, in a thread; cheaper than `submit`. Raises RuntimeError after shutdown."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            if self._idle:
                seat = self._idle.pop()
                seat.work = work
                seat.wake.release()
            elif len(self._threads) < self._size:
                self._start(work)
            else:
                self._waiting.append(work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return when what was taken has ended."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                while self._waiting:
                    work = self._waiting.popleft()
                    if isinstance(work, _Submitted):
                        work.future.cancel()
            idle, self._idle = self._idle, []
            threads = list(self._threads)
        for seat in idle:
            seat.wake.release()
        if wait:
            for thread in threads:
                thread.join()

    def _start(self, work: _Work) -> None:
        self._started += 1
        name = f"{self._name}-{self._started}"
        thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self, first: _Work) -> None:
        seat, work = _Seat(), first
        while True:
            work()
            del work, first
            if self._worn():
                break
            taken = self._next(seat)
            if taken is None:
                break
            work = first = taken
            del taken
        with self._lock:
            self._threads.discard(threading.current_thread())
            if self._waiting:
                self._start(self._waiting.popleft())

    def _next(self, seat: _Seat) -> _Work | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._closed:
                return None
            self._idle.append(seat)
        seat.wake.acquire()
        work, seat.work = seat.work, None
        return work


class _Submitted:
    """Work of `submit` and the future that tells of it."""

    __slots__ = ("_call", "future")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.future: Future[Any] = Future()
        self._call = (fn, args, kwargs)

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        fn, args, kwargs = self._call
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


def poster(pool: Executor) -> Callable[[Callable[[], None]], object]:
    """The cheapest way to have work done by a pool."""
    return pool.post if isinstance(pool, MessageThreads) else pool.submit


class Returns:
    """Functions that worker threads want called in an event loop: a third of what `call_soon_threadsafe` costs.

    Made in the loop; lives as long as it. Several functions cost one wake-up.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell)
        self._calls: deque[Callable[[], None]] = deque()
        self._rung = False
        self.loop.add_reader(self._bell, self._answer)

    def put(self, call: Callable[[], None]) -> None:
        """From any thread: `call`, which raises nothing, is called in the loop soon."""
        self._calls.append(call)
        if not self._rung:
            self._rung = True
            os.eventfd_write(self._bell, 1)

    def _answer(self) -> None:
        os.eventfd_read(self._bell)
        self._rung = False  # before the calls are taken: whoever comes later rings again
        while self._calls:
            self._calls.popleft()()
