"""`liasse withdraw`: taken back as if never deposited, brought back, or deleted for good; on both databases."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from typer.testing import CliRunner

from access_control.subject import Subject
from journal.tables import journal_row
from liasse.cli import app
from liasse.fsck import Fsck
from liasse.wiring import wall_clock
from liasse.withdraw import Operator, WithdrawalRefused, operator, purge, reinstate, withdraw
from tests import samples
from tests.instance import Instance, Provided, described, instance_on, with_uuids
from tests.registry_side import find_documents
from xds_metadata.associations import APND, RPLC
from xds_repository.documents import StoredDocument, put_documents


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    with instance_on(tmp_path / "instance", database_url) as opened:
        yield opened
        assert errors(opened) == []


def errors(instance: Instance) -> list[str]:
    """What fsck has to say after each test."""
    run = Fsck(instance.database, instance.store, instance.settings.repository.unique_id, remote=False, at=wall_clock())
    return [f"{p.rule} {p.place} {p.text}" for p in run.run()]


def who(reason: str = "wrong patient") -> Operator:
    return Operator(Subject("os-user:tester"), wall_clock(), reason)


def everything(instance: Instance, provided: Provided) -> list[bytes | None]:
    """All that a reader can learn of a submission."""
    set_id = ("$XDSSubmissionSetUniqueId", f"'{provided.set_unique_id}'")
    ids = ",".join(f"'{e.entry_uuid}'" for e in provided.submission.entries)
    answers: list[bytes | None] = [
        instance.query("GetSubmissionSetAndContents", set_id),
        instance.query("GetAssociations", ("$uuid", f"({ids})")),
        instance.query("FindDocuments", *find_documents()),
    ]
    return answers + [instance.retrieve(unique_id) for unique_id in provided.unique_ids]


def test_a_submission_is_taken_back_and_brought_back_byte_for_byte(instance: Instance) -> None:
    folder = samples.folder()
    pairs = [described("one"), described("two")]
    links = [samples.member(folder.entry_uuid, entry.entry_uuid) for entry, _ in pairs]
    provided = instance.deposit_pairs(pairs, folders=[folder], links=links)
    before = everything(instance, provided)
    set_id = provided.submission.submission_sets[0].entry_uuid

    done = withdraw(instance.database, set_id, who())
    assert (done.entries, done.sets, done.folders, done.associations) == (2, 1, 1, 7)
    assert set(done.documents) == set(provided.unique_ids)
    for unique_id in provided.unique_ids:
        assert instance.documents(unique_id) == set()
        assert instance.retrieve(unique_id) is None
    assert instance.found("FindDocuments", *find_documents()) == set()
    folders = (
        ("$XDSFolderPatientId", f"'{samples.PATIENT}'"),
        ("$XDSFolderStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"),
    )
    assert instance.found("FindFolders", *folders) == set()
    assert instance.found("GetAssociations", ("$uuid", f"('{set_id}')")) == set()
    assert errors(instance) == []

    reinstate(instance.database, set_id, who("it was right"))
    assert everything(instance, provided) == before


def test_one_document_leaves_the_rest_of_its_submission(instance: Instance) -> None:
    provided = instance.deposit("one", "two")
    first, second = provided.unique_ids
    before = everything(instance, provided)
    done = withdraw(instance.database, first, who())
    assert (done.entries, done.sets, done.associations, done.documents) == (1, 0, 1, (first,))
    assert instance.retrieve(first) is None
    assert instance.retrieve(second) == provided.documents[second]
    contents = instance.found("GetSubmissionSetAndContents", ("$XDSSubmissionSetUniqueId", f"'{provided.set_unique_id}'"))
    assert len(contents) == 3
    assert withdraw(instance.database, second, who()).sets == 1
    assert instance.found("GetSubmissionSets", ("$uuid", f"('{provided.submission.entries[0].entry_uuid}')")) == set()
    reinstate(instance.database, second, who())
    reinstate(instance.database, first, who())
    assert everything(instance, provided) == before


def test_a_document_that_another_entry_shows_is_still_served(instance: Instance) -> None:
    entry, data = described("shared")
    one = instance.deposit_pairs([(entry, data)])
    other, _ = described("shared", unique_id=entry.unique_id, patient_id=samples.patient(2))
    two = instance.deposit_pairs([(other, data)])
    unique_id = entry.unique_id or ""
    done = withdraw(instance.database, one.submission.entries[0].entry_uuid, who())
    assert (done.entries, done.documents) == (1, ())
    assert instance.retrieve(unique_id) == data
    assert instance.documents(unique_id) == {two.submission.entries[0].entry_uuid}
    assert withdraw(instance.database, two.set_unique_id, who()).documents == (unique_id,)
    assert instance.retrieve(unique_id) is None


def test_what_was_replaced_is_approved_again_and_deprecated_again(instance: Instance) -> None:
    old = instance.deposit("old")
    addition = described("addition")
    link = samples.link(APND, addition[0].entry_uuid, old.submission.entries[0].entry_uuid)
    instance.deposit_pairs([addition], links=[link])
    new = described("new")
    link = samples.link(RPLC, new[0].entry_uuid, old.submission.entries[0].entry_uuid)
    replacing = instance.deposit_pairs([new], links=[link])
    ids = (old.unique_ids[0], addition[0].unique_id or "")
    assert {instance.status(u) for u in ids} == {"Deprecated"}
    assert withdraw(instance.database, replacing.set_unique_id, who()).status == 2
    assert {instance.status(u) for u in ids} == {"Approved"}
    assert reinstate(instance.database, replacing.set_unique_id, who()).status == 2
    assert {instance.status(u) for u in ids} == {"Deprecated"}


def test_what_something_else_replaced_too_stays_deprecated(instance: Instance) -> None:
    old = instance.deposit("old")
    target = old.submission.entries[0].entry_uuid
    first = described("first")
    replacing = instance.deposit_pairs([first], links=[samples.link(RPLC, first[0].entry_uuid, target)])
    withdraw(instance.database, replacing.set_unique_id, who())
    second = described("second")
    instance.deposit_pairs([second], links=[samples.link(RPLC, second[0].entry_uuid, target)])
    reinstate(instance.database, replacing.set_unique_id, who())
    assert withdraw(instance.database, replacing.set_unique_id, who()).status == 0
    assert instance.status(old.unique_ids[0]) == "Deprecated"


def test_a_repetition_of_what_was_taken_back_is_refused(instance: Instance) -> None:
    provided = instance.deposit("one", "two")
    documents = {e.entry_uuid: provided.documents[e.unique_id or ""] for e in provided.submission.entries}
    withdraw(instance.database, provided.unique_ids[0], who())
    outcome = instance.provide(provided.submission, documents)
    assert outcome.status == "Failure"
    assert "XDSDuplicateUniqueIdInRegistry" in outcome.codes
    assert instance.retrieve(provided.unique_ids[0]) is None


def test_the_same_document_in_a_new_submission_is_a_new_deposit(instance: Instance) -> None:
    entry, data = described("wrong patient")
    wrong = instance.deposit_pairs([(entry, data)])
    withdraw(instance.database, wrong.set_unique_id, who())
    again, _ = described("wrong patient", unique_id=entry.unique_id, patient_id=samples.patient(2))
    right = instance.deposit_pairs([(again, data)])
    assert instance.documents(entry.unique_id or "") == {right.submission.entries[0].entry_uuid}
    assert instance.retrieve(entry.unique_id or "") == data


def test_a_purge_leaves_nothing_and_frees_the_identifiers(instance: Instance) -> None:
    provided = instance.deposit("one", "two")
    folder = samples.folder()
    link = samples.member(folder.entry_uuid, provided.submission.entries[0].entry_uuid)
    other = instance.deposit_pairs([], owner=samples.submission_set(), folders=[folder], links=[link])
    withdraw(instance.database, provided.set_unique_id, who())
    done = purge(instance.database, instance.store, provided.set_unique_id, who())
    assert (done.entries, done.sets, done.removed, done.later) == (2, 1, 0, 2)
    assert errors(instance) == []
    assert len(instance.found("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))) == 1
    with pytest.raises(WithdrawalRefused, match="names no document"):
        reinstate(instance.database, provided.set_unique_id, who())
    documents = {e.entry_uuid: provided.documents[e.unique_id or ""] for e in provided.submission.entries}
    assert instance.provide(provided.submission, documents).status == "Success"
    assert instance.retrieve(provided.unique_ids[0]) == provided.documents[provided.unique_ids[0]]
    assert other.set_unique_id


def test_a_purge_of_one_document_keeps_a_withdrawn_neighbour(instance: Instance) -> None:
    provided = instance.deposit("one", "two")
    first, second = provided.unique_ids
    for unique_id in provided.unique_ids:
        withdraw(instance.database, unique_id, who())
    assert purge(instance.database, instance.store, first, who()).sets == 0
    assert errors(instance) == []
    reinstate(instance.database, second, who())
    assert instance.retrieve(second) == provided.documents[second]
    withdraw(instance.database, second, who())
    assert purge(instance.database, instance.store, second, who()).sets == 1


def test_old_bytes_are_removed_with_the_purge_unless_something_else_needs_them(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = instance.deposit("same")
    provided = instance.deposit("same", "alone")
    withdraw(instance.database, provided.set_unique_id, who())
    really = instance.store.delete
    monkeypatch.setattr(instance.store, "delete", lambda sha256: really(sha256, unused_for=0))
    done = purge(instance.database, instance.store, provided.set_unique_id, who())
    assert (done.removed, done.later) == (1, 0)
    assert instance.retrieve(kept.unique_ids[0]) == kept.documents[kept.unique_ids[0]]


def test_only_what_is_withdrawn_is_purged(instance: Instance) -> None:
    provided = instance.deposit("one", "two")
    for identifier in (provided.set_unique_id, provided.unique_ids[0]):
        with pytest.raises(WithdrawalRefused, match="withdraw it before"):
            purge(instance.database, instance.store, identifier, who())
    withdraw(instance.database, provided.unique_ids[0], who())
    with pytest.raises(WithdrawalRefused, match="not wholly withdrawn"):
        purge(instance.database, instance.store, provided.set_unique_id, who())
    assert instance.retrieve(provided.unique_ids[1]) is not None


def test_what_cannot_be_done_is_refused_and_not_journaled(instance: Instance) -> None:
    provided = instance.deposit("one")
    before = journaled(instance)
    with pytest.raises(WithdrawalRefused, match="names no document"):
        withdraw(instance.database, "1.2.3.4", who())
    with pytest.raises(WithdrawalRefused, match="not withdrawn"):
        reinstate(instance.database, provided.unique_ids[0], who())
    assert journaled(instance) == before
    withdraw(instance.database, provided.unique_ids[0], who())
    with pytest.raises(WithdrawalRefused, match="withdrawn already"):
        withdraw(instance.database, provided.unique_ids[0], who())
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(WithdrawalRefused, match="reason"):
            who(reason)


def journaled(instance: Instance) -> list[tuple[str, str, str, str, str]]:
    j = journal_row.c
    with instance.database.read() as connection:
        rows = connection.execute(
            select(j.action, j.subject, j.patient, j.objects, j.detail)
            .where(j.action.in_(("withdraw", "reinstate", "purge")))
            .order_by(j.at)
        )
        return [tuple(row) for row in rows]


def test_who_did_it_and_why_is_journaled_for_each_patient(instance: Instance) -> None:
    entry, data = described("shared")
    instance.deposit_pairs([(entry, data)])
    other, _ = described("shared", unique_id=entry.unique_id, patient_id=samples.patient(2))
    instance.deposit_pairs([(other, data)])
    unique_id = entry.unique_id or ""
    withdraw(instance.database, unique_id, who("sent twice"))
    reinstate(instance.database, unique_id, who("no, it is right"))
    withdraw(instance.database, unique_id, who("it is wrong"))
    purge(instance.database, instance.store, unique_id, who("erased on request"))
    rows = journaled(instance)
    patients = {f"PAT{n}^{samples.AUTHORITY}" for n in (1, 2)}
    assert [(row[0], row[4]) for row in rows[::2]] == [
        ("withdraw", "sent twice"),
        ("reinstate", "no, it is right"),
        ("withdraw", "it is wrong"),
        ("purge", "erased on request"),
    ]
    assert all({rows[n][2], rows[n + 1][2]} == patients for n in range(0, 8, 2))
    assert {row[1] for row in rows} == {"os-user:tester"}
    assert json.loads(rows[0][3]) == [["document", unique_id]]


def test_a_document_whose_registry_is_elsewhere(instance: Instance) -> None:
    """There is a document row and no entry: the repository alone stops serving it."""
    staged = instance.store.stage()
    staged.write(b"remote")
    staged.close()
    instance.store.commit(staged)
    row = StoredDocument("1.2.3", staged.sha256, staged.sha1, staged.size, "text/plain", "stored")
    instance.database.write(put_documents([row], 1))
    assert withdraw(instance.database, "1.2.3", who()).documents == ("1.2.3",)
    assert instance.retrieve("1.2.3") is None
    with pytest.raises(WithdrawalRefused, match="not served"):
        withdraw(instance.database, "1.2.3", who())
    assert reinstate(instance.database, "1.2.3", who()).documents == ("1.2.3",)
    assert instance.retrieve("1.2.3") == b"remote"
    with pytest.raises(WithdrawalRefused, match="still served"):
        purge(instance.database, instance.store, "1.2.3", who())
    withdraw(instance.database, "1.2.3", who())
    assert purge(instance.database, instance.store, "1.2.3", who()).later == 1


def test_the_operator_is_the_user_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "anne")
    assert operator().id == "os-user:root (sudo: anne)"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert operator().id == "os-user:4000000000"


def test_the_command(instance: Instance) -> None:
    provided = instance.deposit("one")
    (unique_id,) = provided.unique_ids
    options = ["--config", str(instance.config), "--reason", "wrong patient"]
    run = CliRunner().invoke
    assert run(app, ["withdraw", unique_id, "--config", str(instance.config)]).exit_code == 2
    assert run(app, ["withdraw", unique_id, *options, "--undo", "--purge"]).exit_code == 2
    done = run(app, ["withdraw", unique_id, *options])
    assert done.exit_code == 0
    assert "withdrawn: 1 entries, 1 submission sets, 1 associations" in done.stderr
    assert instance.retrieve(unique_id) is None
    assert run(app, ["withdraw", unique_id, *options]).exit_code == 1
    assert run(app, ["withdraw", unique_id, *options, "--undo"]).exit_code == 0
    assert instance.retrieve(unique_id) is not None
    assert run(app, ["withdraw", unique_id, *options, "--purge"]).exit_code == 1
    run(app, ["withdraw", unique_id, *options])
    purged = run(app, ["withdraw", unique_id, *options, "--purge"])
    assert purged.exit_code == 0
    assert "1 to be removed" in purged.stderr


def test_a_deposit_of_the_same_document_meanwhile_is_served(instance: Instance) -> None:
    """On PostgreSQL two transactions run at once: the deposit's row lock makes the withdrawal see its entry, or wait."""
    if instance.database.kind != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    entry, data = described("shared")
    first = instance.deposit_pairs([(entry, data)])
    unique_id = entry.unique_id or ""
    other, _ = described("shared", unique_id=unique_id, patient_id=samples.patient(2))
    value = with_uuids(samples.submission(other))
    held, withdrawing = threading.Event(), threading.Event()

    def take_back() -> None:
        held.wait(10)
        withdrawing.set()
        withdraw(instance.database, first.set_unique_id, who())

    def late(connection: Connection) -> None:
        held.set()
        withdrawing.wait(10)
        time.sleep(0.3)

    registry = instance.actors.registry
    register = registry.register
    thread = threading.Thread(target=take_back)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(registry),
            "register",
            lambda self, ctx, request: register(ctx, replace(request, effects=(*request.effects, late))),
        )
        assert instance.provide(value, {value.entries[0].entry_uuid: data}).status == "Success"
    thread.join(20)
    assert instance.documents(unique_id) == {value.entries[0].entry_uuid}
    assert instance.retrieve(unique_id) == data
