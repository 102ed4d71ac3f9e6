"""The composition of the background process: database, store, lease, feed, checks of readiness, jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import literal, select

from database.engine import open_database
from database.errors import DatabaseError
from database.handle import Database
from database.lease import TTL, Lease
from database.schema import check_schema
from liasse.admin import Probe
from liasse.audited_feed import feed
from liasse.auditing import Auditing
from liasse.background import Duties, Job
from liasse.due import notice_gauges
from liasse.sealing import seal_gauges, seal_probe
from liasse.settings import FeedSettings, Settings
from liasse.status import Status
from liasse.supervisor import Child
from liasse.wiring import file_store, wall_clock
from xds_registry.iti8 import FeedDomain
from xds_registry.mllp import FeedLimits
from xds_repository.file_store import FileStore
from xds_repository.store import StoreUnavailable

_POOL = 4

Jobs = Callable[[Database, FileStore, Lease, Status], Sequence[Job]]
"""Makes the jobs of this instance from what they work on; their writes are guarded by `lease.guard`."""


def no_jobs(_database: Database, _store: FileStore, _lease: Lease, _status: Status) -> Sequence[Job]:
    """An instance without timed work."""
    return ()


def build_duties(settings: Settings, jobs: Jobs = no_jobs) -> Callable[[Child], Duties]:
    """What `background.background_main` is given. The result raises DatabaseError and StoreError in the process."""

    def build(child: Child) -> Duties:
        database = open_database(settings.storage.database_place, pool_size=_POOL)
        check_schema(database)
        store = file_store(settings)
        lease = Lease(database, "background")
        domain = FeedDomain(settings.affinity_domain.assigning_authorities)
        auditing = Auditing.of(settings, database, lease.guard, wall_clock)
        if auditing is not None:
            auditing.note("start")

        def close() -> None:
            if auditing is not None:
                auditing.note("stop")
            store.close()
            database.close()

        return Duties(
            lease=lease,
            renew_every=TTL / 3,
            lease_time=TTL * 2 / 3,
            on_message=feed(database, domain, wall_clock, audited=auditing is not None),
            feed_limits=feed_limits(settings.feed),
            jobs=(*jobs(database, store, lease, child.status), *(() if auditing is None else (auditing.job(),))),
            probes=(
                Probe("database", lambda: _database_works(database)),
                Probe("documents", lambda: _store_works(store)),
                Probe("free space", lambda: _space_is_left(store)),
                seal_probe(settings, child.status),
                *(() if auditing is None else (auditing.probe(),)),
            ),
            gauges=lambda: {
                **_gauges(store),
                **seal_gauges(child.status),
                **notice_gauges(settings, database),
                **({} if auditing is None else auditing.gauges()),
            },
            close=close,
        )

    return build


def feed_limits(feed: FeedSettings) -> FeedLimits:
    """The limits of the feed's peers."""
    return FeedLimits(feed.message_size, feed.idle_timeout, feed.message_timeout, feed.connections)


def _database_works(database: Database) -> str | None:
    try:
        with database.read() as connection:
            connection.execute(select(literal(1)))
    except DatabaseError as error:
        return f"cannot be read {error.code}".rstrip()
    return None


def _store_works(store: FileStore) -> str | None:
    """The disk takes bytes, whether or not there is room for deposits."""
    try:
        (store.directory / "run" / "probe").write_bytes(b"x")
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    return None


def _space_is_left(store: FileStore) -> str | None:
    try:
        space = store.space()
    except (OSError, StoreUnavailable):
        return "unknown"
    if space.free < space.least:
        return f"{space.free} bytes free, deposits need {space.least}"
    return None


def _gauges(store: FileStore) -> Mapping[str, tuple[str, float]]:
    try:
        space = store.space()
    except (OSError, StoreUnavailable):
        return {}
    return {
        "liasse_free_bytes": ("Bytes free for documents.", float(space.free)),
        "liasse_low_water_bytes": ("Deposits stop when fewer bytes are free.", float(space.least)),
    }
