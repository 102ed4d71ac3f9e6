"""The bounded pool of threads in which messages are processed.

As the standard library's pool, except that a thread ends, and is replaced, when it has parsed enough: libxml2 keeps every
name that a thread has met until that thread ends, so that a peer with ever new names would fill the memory of a lasting one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple["Future[Any]", Callable[[], Any]]


class MessageThreads(Executor):
    """At most `size` threads, started when needed; `worn` is asked after each piece of work, in its thread."""

    def __init__(self, size: int, worn: Callable[[], bool], name: str = "message") -> None:
        self._size = size
        self._worn = worn
        self._name = name
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._started = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread. Raises RuntimeError after shutdown."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._queue.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return when what was taken has ended."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            if cancel_futures:
                self._cancel()
            for _ in threads:
                self._queue.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _cancel(self) -> None:
        while not self._queue.empty():
            work = self._queue.get()
            if work is not None:
                work[0].cancel()

    def _start(self) -> None:
        self._started += 1
        thread = threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                break
            _carry_out(*work)
            del work
            if self._worn():
                break
            self._idle.release()
        with self._lock:
            self._threads.discard(threading.current_thread())
            if not self._closed and not self._queue.empty():
                self._start()


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
