"""The bounded pool of threads in which messages are processed.

As the standard library's pool, with two differences. The thread that became idle last works next, because its parser, its
schemas and the processor's caches are warm. And a thread ends, and is replaced, when it has parsed enough: libxml2 keeps
every name that a thread has met until that thread ends, so that a peer with ever new names would fill the memory of a
lasting one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


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
        future: Future[T] = Future()
        work: _Work = (future, fn, args, kwargs)
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
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return when what was taken has ended."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                while self._waiting:
                    self._waiting.popleft()[0].cancel()
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
            _carry_out(*work)
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


def _carry_out(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
