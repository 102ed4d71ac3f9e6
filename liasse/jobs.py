"""The timed work of one instance: what the background process does while it holds the lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from database.handle import Database
from database.lease import Lease
from journal.message_ids import purge_message_ids
from liasse.background import Job
from liasse.due import due_jobs
from liasse.duties import Jobs
from liasse.sealing import seal_job
from liasse.settings import Settings
from liasse.status import Status
from liasse.tls import TlsError, registry_context
from liasse.trust import Authorities, fetch_lists, utc
from liasse.wiring import wall_clock
from pki.stored_answers import forget_answers
from soap.connections import ClientError
from xds_repository.file_store import FileStore
from xds_repository.registry_client import RemoteRegistry, resolve_pending
from xua.replay import forget_expired

_log = logging.getLogger(__name__)

RESOLVE_EVERY: Final = 5.0
"""Seconds between two looks for documents whose registration had no answer."""

FORGET_EVERY: Final = 60.0
"""Seconds between two removals of MessageIDs that are too old to matter."""

_ANSWERS_KEPT: Final = 86_400.0
"""Seconds for which an OCSP response is kept after it has ended, so that an older one is known as such."""


def instance_jobs(settings: Settings) -> Jobs:
    """The jobs that these settings need."""

    def jobs(database: Database, _store: FileStore, lease: Lease, status: Status) -> Sequence[Job]:
        seal = seal_job(settings, database, lease, status)
        made = [
            Job("seal the journal", settings.journal.seal_every, seal, everywhere=True),
            Job("forget message ids", FORGET_EVERY, lambda: _forget_message_ids(database, settings)),
            *due_jobs(settings, database, lease.guard),
        ]
        if settings.tls.crl:
            authorities = Authorities.of(settings)
            made.append(
                Job(
                    "fetch revocation lists",
                    settings.tls.crl_refresh,
                    lambda: _fetch_lists(settings, authorities, database, lease),
                )
            )
        if settings.tls.ocsp:
            made.append(Job("forget OCSP responses", FORGET_EVERY, lambda: _forget_answers(settings, database)))
        if settings.assertions.anchors:
            made.append(Job("forget used assertions", FORGET_EVERY, lambda: _forget_assertions(database)))
        url = settings.repository.registry
        if url:
            made.append(Job("resolve pending documents", RESOLVE_EVERY, _resolver(database, url, lease, settings)))
        return made

    return jobs


def _fetch_lists(settings: Settings, authorities: Authorities, database: Database, lease: Lease) -> None:
    fetch_lists(settings, authorities, database, wall_clock, lease.guard)


def _forget_answers(settings: Settings, database: Database) -> None:
    kept = settings.tls.ocsp_refresh + settings.tls.ocsp_grace + _ANSWERS_KEPT
    forget_answers(database, utc(wall_clock() - int(kept * 1_000_000)))


def _forget_assertions(database: Database) -> None:
    forget_expired(database, wall_clock())


def _forget_message_ids(database: Database, settings: Settings) -> None:
    kept = settings.assertions.max_age + settings.assertions.skew
    purge_message_ids(database, wall_clock() - int(kept * 1_000_000))


def _resolver(database: Database, url: str, lease: Lease, settings: Settings) -> Callable[[], None]:
    def run() -> None:
        try:
            with closing(RemoteRegistry(url, tls=registry_context(settings.repository))) as registry:
                decided = resolve_pending(database, registry, settings.repository.unique_id, wall_clock, lease.guard)
        except ClientError as error:
            _log.warning("the registry could not be asked about pending documents: %s", type(error).__name__)
            return
        except TlsError:
            _log.exception("the registry could not be asked about pending documents")
            return
        if decided:
            _log.info("%d pending documents were decided", decided)

    return run
