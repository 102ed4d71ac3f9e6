"""The pool of message threads: results, errors, replacement of worn threads, shutdown; the way back into the loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from liasse.threads import MessageThreads, Returns, poster


def test_results_and_errors_reach_the_caller() -> None:
    pool = MessageThreads(2, lambda: False)
    assert pool.submit(lambda a, b: a + b, 1, b=2).result(5) == 3
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(5)
    pool.shutdown()


def test_a_thread_serves_again_and_no_more_than_the_size_are_made() -> None:
    pool = MessageThreads(3, lambda: False)
    names = {pool.submit(lambda: threading.current_thread().name).result(5) for _ in range(20)}
    assert len(names) <= 3
    barrier = threading.Barrier(3)
    futures = [pool.submit(barrier.wait, 5) for _ in range(3)]
    assert len(wait(futures, 10).done) == 3
    pool.shutdown()


def test_a_worn_thread_ends_and_work_goes_on() -> None:
    pool = MessageThreads(2, lambda: True)
    futures = [pool.submit(threading.get_native_id) for _ in range(50)]
    assert len(wait(futures, 10).done) == 50
    assert len({future.result() for future in futures}) == 50
    pool.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("message-")]


def test_queued_work_is_done_before_shutdown_returns_unless_cancelled() -> None:
    pool = MessageThreads(1, lambda: False)
    futures = [pool.submit(lambda: 7) for _ in range(10)]
    pool.shutdown()
    assert [future.result(0) for future in futures] == [7] * 10
    with pytest.raises(RuntimeError):
        pool.submit(lambda: 1)
    pool = MessageThreads(1, lambda: False)
    gate = threading.Event()
    first = pool.submit(gate.wait, 5)
    rest = [pool.submit(lambda: 7) for _ in range(5)]
    pool.shutdown(wait=False, cancel_futures=True)
    gate.set()
    assert first.result(5) is True
    assert all(future.cancelled() for future in rest)


def test_posted_work_is_done_and_refused_after_shutdown() -> None:
    pool = MessageThreads(1, lambda: False)
    done: list[int] = []
    post = poster(pool)
    for number in range(10):
        post(lambda number=number: done.append(number))  # type: ignore[misc]
    pool.shutdown()
    assert done == list(range(10))
    with pytest.raises(RuntimeError):
        post(lambda: None)


def test_calls_of_many_threads_arrive_in_the_loop_each_once_and_in_the_order_of_their_thread() -> None:
    arrived: list[tuple[int, int]] = []

    async def run() -> None:
        returns, ended, here = Returns(), asyncio.Event(), threading.get_ident()

        def arrive(thread: int, number: int) -> None:
            assert threading.get_ident() == here
            arrived.append((thread, number))
            if len(arrived) == 4 * 500:
                ended.set()

        def send(thread: int) -> None:
            for call in [lambda number=number: arrive(thread, number) for number in range(500)]:
                returns.put(call)

        with ThreadPoolExecutor(4) as pool:
            for thread in range(4):
                pool.submit(send, thread)
            await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(run())
    for thread in range(4):
        assert [number for each, number in arrived if each == thread] == list(range(500))
