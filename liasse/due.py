"""What comes due by itself under the policy `dmp`: announcements that are recalled and made, and notices that are sent.

Authorisations and delegations end by their dates: nothing has to be changed for that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from access_control.context import RequestContext
from database.handle import Database
from journal.rows import JournalRow, Record, journal
from liasse.announcing import Announced, Moment, announce
from liasse.background import Job
from liasse.notifying import Delivered, Guard, NoticeDelivery, gauges
from liasse.record_desk import dmp_settings
from liasse.settings import Settings
from liasse.wiring import make_registry, prepare, wall_clock
from xds_registry.actor import Registry

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = 600.0
"""Seconds between two looks for announcements that are due: delays are days."""


class ReleaseFailed(Exception):
    """Documents that are due could not be made visible; the text says how many, and which rules spoke against it."""


@dataclass(frozen=True, slots=True)
class Due:
    """What was done."""

    announced: Announced
    delivered: Delivered


def run_due(settings: Settings, database: Database, moment: Moment) -> Due:
    """Do all that is due, once. Raises DatabaseError."""
    done = announce_due(settings, database, moment)
    return Due(done, NoticeDelivery(database, settings.notifications, wall_clock).run())


def announce_due(settings: Settings, database: Database, moment: Moment, guard: Guard | None = None) -> Announced:
    """Recall and release what is due; nothing under another policy. Raises DatabaseError and what `guard` raises."""
    if settings.access.policy != "dmp":
        return Announced()
    record = journal if guard is None else _guarded(guard)

    def registry() -> Registry:
        ready = prepare(settings)
        return make_registry(ready, database, ready.open_policy(database), wall_clock, record)

    return announce(database, dmp_settings(settings), moment, registry, record)


def due_jobs(settings: Settings, database: Database, guard: Guard) -> Sequence[Job]:
    """The jobs of the background process."""
    if settings.access.policy != "dmp":
        return ()
    jobs = [Job("announcements", LOOK_EVERY, lambda: _announce(settings, database, guard))]
    if settings.notifications.host:
        delivery = NoticeDelivery(database, settings.notifications, wall_clock, guard)
        jobs.append(Job("send notices", settings.notifications.every, lambda: _deliver(delivery)))
    return jobs


def notice_gauges(settings: Settings, database: Database) -> Mapping[str, tuple[str, float]]:
    """For the metrics; nothing under another policy."""
    return gauges(database, wall_clock()) if settings.access.policy == "dmp" else {}


def _announce(settings: Settings, database: Database, guard: Guard) -> None:
    now = wall_clock()
    done = announce_due(settings, database, Moment(now, now), guard)
    if done.reminders or done.releases:
        _log.info("announcements: %d recalled, %d documents made visible", done.reminders, done.releases)
    if done.failures:
        raise ReleaseFailed(f"{len(done.failures)} documents: {'; '.join(dict.fromkeys(done.failures))}")


def _deliver(delivery: NoticeDelivery) -> None:
    delivery.run()


def _guarded(guard: Guard) -> Record:
    """The plain journal, for whoever still holds the lease."""

    def record(ctx: RequestContext, rows: Sequence[JournalRow], *, once: bool = True) -> Callable[[Connection], None]:
        insert = journal(ctx, rows, once=once)

        def statements(connection: Connection) -> None:
            guard(connection)
            insert(connection)

        return statements

    return record
