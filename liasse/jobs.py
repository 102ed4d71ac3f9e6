"""The timed work of one instance: what the background process does while it holds the lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from database.handle import Database
from database.lease import Lease
from liasse.background import Job
from liasse.duties import Jobs
from liasse.settings import Settings
from liasse.wiring import wall_clock
from soap.connections import ClientError
from xds_repository.file_store import FileStore
from xds_repository.registry_client import RemoteRegistry, resolve_pending

_log = logging.getLogger(__name__)

RESOLVE_EVERY: Final = 5.0
"""Seconds between two looks for documents whose registration had no answer."""


def instance_jobs(settings: Settings) -> Jobs:
    """The jobs that these settings need."""

    def jobs(database: Database, _store: FileStore, lease: Lease) -> Sequence[Job]:
        url = settings.repository.registry
        if not url:
            return ()
        return (Job("resolve pending documents", RESOLVE_EVERY, _resolver(database, url, lease, settings)),)

    return jobs


def _resolver(database: Database, url: str, lease: Lease, settings: Settings) -> Callable[[], None]:
    def run() -> None:
        try:
            with closing(RemoteRegistry(url)) as registry:
                decided = resolve_pending(database, registry, settings.repository.unique_id, wall_clock, lease.guard)
        except ClientError as error:
            _log.warning("the registry could not be asked about pending documents: %s", type(error).__name__)
            return
        if decided:
            _log.info("%d pending documents were decided", decided)

    return run
