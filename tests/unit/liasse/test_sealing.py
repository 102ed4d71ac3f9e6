"""What a running server does about its seal, and what its processes know of it."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from database import Database
from journal.keys import SealKeyMissing
from liasse.sealing import LOOK_EVERY, NOT_READY_AFTER, SAY_AGAIN, SealJob, seal_gauges, seal_probe, sealing_is_late
from liasse.settings import JournalTable, Settings, StorageSettings
from liasse.status import Status
from tests.journal_side import Journal, write_rows


def settings_with(**values: float) -> Settings:
    return Settings(journal=JournalTable(**values))  # type: ignore[arg-type]


def aged(seconds: float) -> Status:
    """The shared memory of a server whose journal was sealed so long ago."""
    status = Status(1)
    status.journal_sealed(time.monotonic() - seconds)
    return status


def test_a_server_that_just_started_is_not_late() -> None:
    assert Status(1).journal_seal_age() < 60


def test_disclosure_is_refused_when_sealing_is_later_than_set() -> None:
    assert sealing_is_late(settings_with(refuse_disclosure_after=10.0), aged(100))()
    assert not sealing_is_late(settings_with(refuse_disclosure_after=1000.0), aged(100))()
    assert not sealing_is_late(settings_with(refuse_disclosure_after=0.0), aged(10**9))()


def test_readiness_and_a_gauge_tell_of_a_late_seal() -> None:
    probe = seal_probe(settings_with(), aged(2 * NOT_READY_AFTER))
    assert "not sealed for 240 s" in (probe.check() or "")
    assert seal_probe(settings_with(), aged(1)).check() is None
    assert seal_probe(settings_with(refuse_disclosure_after=20.0), aged(30)).check() is not None
    assert seal_probe(settings_with(seal_every=100.0), aged(200)).check() is None
    (found,) = seal_gauges(aged(50)).values()
    assert found[1] >= 50


class Server:
    """One server's job under a clock of the test."""

    def __init__(self, journal: Journal, holds: bool) -> None:
        self.holds, self.now, self.sealed = holds, 1000.0, [0.0]
        self.job = SealJob(journal.sealer(), lambda: self.holds, self.sealed.append, lambda: self.now)


@pytest.fixture
def journal_of(database: Database, tmp_path: Path) -> Journal:
    return Journal(database, tmp_path / "keys" / "seal.pem")


def test_the_holder_of_the_lease_seals_and_says_so(journal_of: Journal) -> None:
    server = Server(journal_of, holds=True)
    write_rows(journal_of.database, 3, journal_of.now)
    server.job.run()
    assert len(journal_of.ids()) == 3
    assert server.sealed == [0.0, 1000.0]


def test_a_failure_leaves_the_seal_old_and_is_logged_now_and_then(
    journal_of: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(journal_of, holds=True)
    server.job.run()
    journal_of.key_file.unlink()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            server.now += 1
            server.job.run()
        assert caplog.text.count("the journal is not sealed") == 1
        server.now += SAY_AGAIN + 1
        server.job.run()
        assert caplog.text.count("the journal is not sealed") == 2
    assert server.sealed == [0.0, 1000.0]
    with pytest.raises(SealKeyMissing):
        journal_of.sealer().run()


def test_another_server_sees_by_the_rows_whether_the_holder_seals(journal_of: Journal) -> None:
    other, holder = Server(journal_of, holds=False), Server(journal_of, holds=True)

    def look() -> float:
        other.now += LOOK_EVERY + 1
        other.job.run()
        return other.sealed[-1]

    assert look() == other.now
    write_rows(journal_of.database, 2, journal_of.now)
    seen = look()
    assert seen == other.now  # a row that was seen for the first time may still be sealed in time
    assert look() == look() == seen
    holder.job.run()
    assert look() == other.now
    before = list(other.sealed)
    other.job.run()  # not again at once
    assert other.sealed == before
    assert len(journal_of.ids()) == 2


def test_a_server_that_loses_the_lease_stops_sealing(journal_of: Journal) -> None:
    server = Server(journal_of, holds=True)
    server.job.run()
    server.holds = False
    write_rows(journal_of.database, 2, journal_of.now)
    server.job.run()
    assert journal_of.ids() == []


def test_where_the_key_is() -> None:
    settings = Settings(storage=StorageSettings(directory=Path("/data")))
    assert settings.seal_key == Path("/data/journal/seal.pem")
    given = Settings(journal=JournalTable(key=Path("/keys/seal.pem")))
    assert given.seal_key == Path("/keys/seal.pem")
