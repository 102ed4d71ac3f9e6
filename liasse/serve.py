"""`python -m liasse.serve`: the server, started by `liasse serve` in a process that never loaded the command line's code.

Exit codes: 0 stopped on request, 1 the machine or the settings are unfit or a process cannot start, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from access_control.policy import UnknownPolicy
from database.engine import open_database
from database.errors import DatabaseError
from liasse.background import background_main
from liasse.doctor import run_doctor
from liasse.duties import build_duties
from liasse.jobs import instance_jobs
from liasse.listeners import BindError
from liasse.logs import configure_logging
from liasse.settings import Settings
from liasse.settings_file import SettingsError, load_settings
from liasse.storage import init_storage, is_new
from liasse.supervisor import StartError, Supervisor
from liasse.tls import TlsError, registry_context, server_context
from liasse.trust import fetch_lists
from liasse.wiring import Ready, prepare, wall_clock
from liasse.worker import worker_main
from pki.errors import TrustError
from xds_metadata.codes import CodesError
from xds_repository.store import StoreError
from xua.settings import AssertionSettingsError

log = structlog.get_logger()

_MISTAKES = (TrustError, TlsError, AssertionSettingsError)
"""What the settings of callers may get wrong that only the files and packages show."""


class Unfit(Exception):
    """The server must not start here; the text lists the reasons, one a line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until asked to stop."""
    parser = argparse.ArgumentParser(prog="liasse serve")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(given.config)
        if given.workers is not None:
            settings = settings.with_workers(given.workers)
        configure_logging(settings.log.level, settings.log.format)
        return run(settings)
    except SettingsError as error:
        return _refuse(*error.problems)
    except (Unfit, StartError, BindError, DatabaseError, StoreError, CodesError, UnknownPolicy, *_MISTAKES) as error:
        return _refuse(*str(error).splitlines())


def run(settings: Settings) -> int:
    """1. is the machine fit; 2. everything is loaded once; 3. a new storage is made; 4. fork and serve."""
    unfit = [f"{check.name}: {check.detail}" for check in run_doctor(settings) if check.status == "fail"]
    if unfit:
        raise Unfit("\n".join(unfit))
    ready = prepare(settings)
    if settings.tls.certificate:
        server_context(settings.tls)  # a pair that cannot be used is refused before anything is forked
    registry_context(settings.repository)
    if is_new(settings):
        init_storage(settings)
        log.info("a new storage was made")
    if settings.tls.crl:
        _first_lists(settings, ready)
    return Supervisor(settings, worker_main(ready), background_main(build_duties(settings, instance_jobs(settings)))).run()


def _first_lists(settings: Settings, ready: Ready) -> None:
    """Workers find the revocation lists when they start; a list that cannot be had now is fetched by the background."""
    with open_database(settings.storage.database_place, pool_size=1) as database:
        fetch_lists(settings, ready.authorities, database, wall_clock)


def _refuse(*reasons: str) -> int:
    for reason in reasons:
        print(f"liasse serve: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
