"""The store of first uses, on both engines: who was first, once, after a restart, and at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from database import Database, open_database
from xua.refusal import AssertionRefused
from xua.replay import ReplayStore, Use, forget_expired, use_key

USE = Use(use_key("urn:issuer", "_1"), "peer-a", "digest-a", 1000)


def reason(store: ReplayStore, use: Use, *, once: bool = False) -> str:
    try:
        store.record(use, once=once)
    except AssertionRefused as refused:
        return refused.reason
    return ""


def test_a_client_may_use_its_assertion_again(database: Database) -> None:
    store = ReplayStore(database)
    assert [reason(store, USE) for _ in range(3)] == ["", "", ""]


def test_another_client_may_not(database: Database) -> None:
    store = ReplayStore(database)
    assert reason(store, USE) == ""
    assert reason(store, replace(USE, peer="peer-b")) == "replayed"
    assert reason(store, replace(USE, peer="")) == "replayed"
    assert reason(store, replace(USE, digest="digest-b")) == "replayed"
    assert reason(store, USE) == ""


def test_one_use(database: Database) -> None:
    store = ReplayStore(database)
    assert [reason(store, USE, once=True) for _ in range(2)] == ["", "used"]
    assert reason(store, replace(USE, peer="peer-b"), once=True) == "replayed"


def test_issuers_do_not_share_ids() -> None:
    assert use_key("a", "b") != use_key("ab", "")
    assert use_key("urn:one", "_1") != use_key("urn:two", "_1")


def test_a_restart_forgets_nothing(database_url: str) -> None:
    with open_database(database_url) as first:
        assert reason(ReplayStore(first), USE) == ""
    with open_database(database_url) as second:
        assert reason(ReplayStore(second), replace(USE, peer="peer-b")) == "replayed"
        assert reason(ReplayStore(second), USE) == ""


def test_of_many_at_the_same_moment_one_is_first(database: Database, database_url: str) -> None:
    with open_database(database_url) as other, ThreadPoolExecutor(8) as pool:
        stores = [ReplayStore(database), ReplayStore(other)]
        uses = [replace(USE, peer=f"peer-{number}") for number in range(8)]
        reasons = list(pool.map(lambda pair: reason(*pair), [(stores[n % 2], use) for n, use in enumerate(uses)]))
        assert sorted(reasons) == ["", *["replayed"] * 7]
        once = Use(use_key("urn:issuer", "_2"), "peer-a", "digest", 1000)
        assert sorted(pool.map(lambda n: reason(stores[n % 2], once, once=True), range(8))) == ["", *["used"] * 7]


def test_uses_that_are_over_are_forgotten(database: Database) -> None:
    store = ReplayStore(database)
    later = replace(USE, key=use_key("urn:issuer", "_3"), expires=5000)
    assert [reason(store, USE), reason(store, later)] == ["", ""]
    assert forget_expired(database, 1000) == 0
    assert forget_expired(database, 1001) == 1
    assert reason(store, replace(USE, peer="peer-b")) == ""
    assert reason(store, replace(later, peer="peer-b")) == "replayed"
