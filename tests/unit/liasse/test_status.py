"""What the processes know of each other."""

from __future__ import annotations

import os

from liasse.status import Status


def complete(workers: int = 2) -> Status:
    status = Status(workers)
    for slot in range(workers):
        status.worker_serving(slot)
    status.lease_held(60)
    status.feed_bound()
    assert status.start_is_complete()
    return status


def test_a_server_that_just_started_is_not_healthy() -> None:
    health = Status(2).health()
    assert not health.ok
    assert health.reasons == ("starting", "no worker serves", "the lease is not held", "the feed port is not bound")


def test_a_start_is_complete_only_when_every_worker_served() -> None:
    status = Status(2)
    status.lease_held(60)
    status.feed_bound()
    status.worker_serving(0)
    assert not status.start_is_complete()
    assert status.health().reasons == ("starting",)
    status.worker_serving(1)
    assert status.start_is_complete()
    assert status.health().ok


def test_one_lost_worker_leaves_the_server_healthy_and_all_lost_do_not() -> None:
    status = complete()
    status.worker_gone(0)
    assert status.health().ok
    assert status.start_is_complete()
    status.worker_gone(1)
    assert status.health().reasons == ("no worker serves",)


def test_without_background_nothing_holds_lease_or_feed() -> None:
    status = complete()
    status.background_gone()
    assert status.health().reasons == ("the lease is not held", "the feed port is not bound")


def test_a_lease_ends_by_itself() -> None:
    status = complete()
    status.lease_held(0)
    assert not status.lease_is_held()
    assert status.health().reasons == ("the lease is not held",)


def test_a_draining_server_is_not_healthy() -> None:
    status = complete()
    status.stopping()
    assert status.is_stopping()
    assert status.health().reasons == ("stopping",)


def test_a_child_and_its_parent_see_the_same_table() -> None:
    status = Status(3)
    child = os.fork()
    if child == 0:
        status.worker_serving(2)
        os._exit(0)
    os.waitpid(child, 0)
    assert [status.worker_is_serving(slot) for slot in range(3)] == [False, False, True]
