"""`kill -9` at any instant under load: what was acknowledged is wholly there, nothing is half there, retries are recognised.

Nothing was answered without its journal row, and the journal's chain holds after each kill, though the sealer dies with it.

20 kills ordinarily, 200 with LIASSE_PROOF=1: half of them end the whole process group, half one of the processes below the
supervisor, which then goes on by itself.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, Connection, func, select

from database import Database, open_database
from journal.head import ExportedHead, last_head, registered_keys
from journal.keys import public_keys, trusted_keys
from journal.tables import journal_number, journal_row
from journal.verify import Verification
from liasse.fsck import Fsck
from liasse.settings_file import load_settings
from liasse.wiring import wall_clock
from tests.e2e import wire
from tests.e2e.server import RunningServer, init, start, write_config
from tests.proof.load import Disclosed, Load, Sent, message_id_of, send_until_acknowledged
from xds_registry import tables as t
from xds_repository.file_store import FileStore
from xds_repository.integrity import BlobCheck

KILLS_OF_A_STORE = 20
"""Kills that one store lives through: it stays small enough to be checked whole after each."""

_STORES = 10 if os.environ.get("LIASSE_PROOF") == "1" else 1
_CLIENTS = 6
_FOREVER = 3600


@dataclass
class Trial:
    """One store, the servers that ran on it one after the other, and all that was ever sent to them."""

    config: Path
    database: Database
    store: FileStore
    server: RunningServer
    chance: random.Random
    sent: list[Sent] = field(default_factory=list)
    disclosed: int = 0
    kept: ExportedHead | None = None

    @property
    def repository(self) -> str:
        """The repositoryUniqueId."""
        return load_settings(self.config).repository.unique_id

    def kill_under_load(self, whole_group: bool, seed: int) -> None:
        """Let clients send, kill at a random instant, and bring the server back where it cannot do so by itself."""
        load = Load(self.server.port, self.repository, _CLIENTS, seed)
        with load.running():
            load.wait_for_answers(self.chance.randint(1, 12))
            time.sleep(self.chance.uniform(0, 0.06))
            if whole_group:
                os.killpg(self.server.process.pid, signal.SIGKILL)
            else:
                os.kill(self.chance.choice(wire.children(self.server.process.pid)), signal.SIGKILL)
                load.wait_for_answers(len(load.sent) + 3)
        self.sent += load.sent
        if whole_group:
            self.server.process.wait(30)
        self.check(load.sent)
        self.check_journal(load.sent, load.disclosed)
        if whole_group:
            self.server = start(self.config)

    def check(self, just_sent: Iterable[Sent]) -> None:
        """The store is clean, and each submission is there wholly, or not at all if it was not acknowledged."""
        settings = load_settings(self.config)
        fsck = Fsck(
            self.database,
            self.store,
            settings.repository.unique_id,
            remote=False,
            at=wall_clock(),
            blobs=BlobCheck(deep=True),
        )
        assert list(fsck.run()) == []
        for one in just_sent:
            found = parts_of(self.database, one)
            assert found in (NOTHING, whole(one)), (one.answers, found)
            assert found != NOTHING or not one.acknowledged, one.answers

    def check_journal(self, sent: Iterable[Sent], disclosed: Sequence[Disclosed]) -> None:
        """Each answer has its row; the chain holds, and goes on from the head that was kept after the last kill."""
        answered = {(message_id_of(one.message), "provide") for one in sent if one.acknowledged}
        answered |= {(one.message_id, one.action) for one in disclosed}
        j = journal_row.c
        with self.database.read() as connection:
            found = select(j.message_id, j.action).where(j.outcome == "Success", j.message_id.in_([m for m, _ in answered]))
            assert {tuple(row) for row in connection.execute(found)} >= answered
            registered = registered_keys(connection)
        self.disclosed += len(disclosed)
        keys = trusted_keys(public_keys(load_settings(self.config).seal_key.parent), registered)
        kept = () if self.kept is None else (self.kept,)
        assert list(Verification(self.database, keys, wall_clock(), kept).run()) == []
        with self.database.read() as connection:
            head = last_head(connection)
        if head is not None:
            self.kept = ExportedHead(head, tuple(registered))

    def wait_for_the_seal(self) -> int:
        """Until every row has a number; returns how many there are."""
        deadline = time.monotonic() + 30
        while True:
            with self.database.read() as connection:
                rows = connection.execute(select(func.count()).select_from(journal_row)).scalar_one()
                numbers = connection.execute(select(func.count()).select_from(journal_number)).scalar_one()
            if rows == numbers:
                return rows
            assert time.monotonic() < deadline, f"{rows} rows, {numbers} sealed"
            time.sleep(0.2)

    def send_again(self) -> None:
        """The senders repeat what was not acknowledged: each gets its Success, and nothing is there twice."""
        for one in self.sent:
            if not one.acknowledged:
                send_until_acknowledged(self.server.port, one)
                assert parts_of(self.database, one) == whole(one), one.answers


Parts = tuple[int, int, int, int]
"""Of one submission: sets, entries, folders, associations by HasMember of the set."""

NOTHING: Parts = (0, 0, 0, 0)


def whole(one: Sent) -> Parts:
    """What must be there of a submission."""
    submission = one.deposit.submission
    links = sum(link.source == submission.submission_sets[0].entry_uuid for link in submission.associations)
    return 1, len(submission.entries), len(submission.folders), links


def parts_of(database: Database, one: Sent) -> Parts:
    """What is there of a submission, by its uniqueIds; memberships that the registry added for a folder do not count."""
    s, a = t.submission_set.c, t.association.c
    wanted = whole(one)
    with database.read() as connection:
        sets = connection.execute(select(s.id).where(s.unique_id == one.set_unique_id)).scalars().all()
        entries = _count(connection, t.entry.c.unique_id, one.deposit.unique_ids)
        folders = _count(connection, t.folder.c.unique_id, [f.unique_id or "" for f in one.deposit.submission.folders])
        links = _count(connection, a.source, sets)
    return len(sets), entries, folders, min(links, wanted[3])


def _count(connection: Connection, column: ColumnElement[str], values: Iterable[str]) -> int:
    return connection.execute(select(func.count(column)).where(column.in_(list(values)))).scalar_one()


def check_bytes(server: RunningServer, repository: str, sent: Iterable[Sent]) -> int:
    """Every acknowledged document comes back as it was sent; returns how many there were."""
    expected = {
        unique_id: hashlib.sha256(data).hexdigest()
        for one in sent
        if one.acknowledged
        for unique_id, data in zip(one.deposit.unique_ids, one.deposit.documents, strict=True)
    }
    every = list(expected)
    for at in range(0, len(every), 20):
        some = every[at : at + 20]
        assert retrieved(server, repository, some) == {unique_id: expected[unique_id] for unique_id in some}
    return len(every)


def retrieved(server: RunningServer, repository: str, unique_ids: list[str]) -> Mapping[str, str]:
    """SHA-256 by uniqueId of what ITI-43 gives."""
    seen = wire.send(server, wire.retrieve(repository, *unique_ids))
    assert seen.verdict == "Success", seen.text
    return {document.unique_id: hashlib.sha256(document.data or b"").hexdigest() for document in seen.answer.documents}


@pytest.mark.proof
@pytest.mark.timeout(_FOREVER)
@pytest.mark.parametrize("number", range(_STORES))
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(tmp_path: Path, database_url: str, number: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    config = write_config(tmp_path, {"storage": {"database": database_url if "://" in database_url else ""}})
    init(config)
    settings = load_settings(config)
    store = FileStore(settings.storage.directory)
    trial = Trial(config, open_database(settings.storage.database_place), store, start(config), random.Random(seed))
    try:
        for kill in range(KILLS_OF_A_STORE):
            trial.kill_under_load(whole_group=kill % 2 == 0, seed=seed + kill)
            trial.send_again()
        assert all(one.acknowledged for one in trial.sent)
        cut = [one for one in trial.sent if one.answers[0] != "Success"]
        print(f"{len(trial.sent)} submissions, {len(cut)} cut by {KILLS_OF_A_STORE} kills and acknowledged when sent again")
        assert cut, "no kill met a submission under way"
        assert check_bytes(trial.server, settings.repository.unique_id, trial.sent) >= len(trial.sent) > KILLS_OF_A_STORE
        trial.check(trial.sent)
        sealed = trial.wait_for_the_seal()
        trial.check_journal(trial.sent, ())
        print(f"{sealed} journal rows sealed, {trial.disclosed} disclosures among them")
        assert trial.disclosed > 0
        assert trial.server.stop() == 0
    finally:
        trial.server.kill()
        trial.database.close()
