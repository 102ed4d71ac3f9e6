"""Class I of the attack catalogue: the journal and what it proves. One test, or more, for each row.

I9, the spool of audit messages, is tried where that is delivered. I7 goes as far as the journal is shown: to operators.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select
from typer.testing import CliRunner

from access_control.subject import Subject
from database import DatabaseError
from journal.assertions import keep_assertion
from journal.rows import LONGEST, journal
from journal.seal import SealBroken
from journal.tables import journal_row
from liasse.cli import app
from liasse.evidence import EvidenceBroken, prove_assertion
from liasse.wiring import wall_clock
from pki.testca import Card, TestPki
from tests.instance import Instance, instance_on
from tests.journal_side import CONTEXT, ROW, SECOND, Journal, tamper, write_rows
from xmlsafe import parse
from xua.cards import Told, vihf_of
from xua.shape import check_shape
from xua.signature import verify_signature
from xua.times import to_datetime

BLOCK = {
    "sqlite": "CREATE TRIGGER blocked BEFORE INSERT ON journal_row BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "ALTER TABLE journal_row ADD CONSTRAINT blocked CHECK (false) NOT VALID",
}


@pytest.fixture
def instance(tmp_path: Path, database_url: str) -> Iterator[Instance]:
    with instance_on(tmp_path / "instance", database_url) as opened:
        yield opened


@pytest.fixture
def journal_of(instance: Instance) -> Journal:
    """The journal of the instance."""
    return Journal(instance.database, instance.settings.seal_key, wall_clock())


def run(instance: Instance, *arguments: str) -> tuple[int, str]:
    """Exit code and standard output of a command."""
    result = CliRunner().invoke(app, ["journal", *arguments, "--config", str(instance.config)])
    return result.exit_code, result.stdout


def test_i1_nothing_is_disclosed_without_its_row(instance: Instance) -> None:
    provided = instance.deposit("one")
    (unique_id,) = provided.unique_ids
    assert instance.retrieve(unique_id) is not None
    instance.database.write(lambda connection: connection.exec_driver_sql(BLOCK[instance.database.kind]) and None)
    assert instance.retrieve(unique_id) is None
    answer = instance.query("GetDocuments", ("$XDSDocumentEntryUniqueId", f"'{unique_id}'"))
    assert b"ResponseStatusType:Failure" in answer
    assert unique_id.encode() not in answer
    assert run(instance, "show") == (1, "")


TAMPERING = {
    "edited": ("UPDATE journal_row SET subject = 'x' WHERE id = :i", "row-changed"),
    "deleted": ("DELETE FROM journal_row WHERE id = :i", "row-missing"),
    "given to another patient": ("UPDATE journal_row SET patient = 'other' WHERE id = :i", "row-missing"),
    "moved": ("UPDATE journal_number SET number = -number WHERE row_id = :i", "row-changed"),
    "forgotten": ("DELETE FROM journal_number WHERE row_id = :i", "row-missing"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_i2_the_verifier_names_the_first_broken_row(journal_of: Journal, what: str) -> None:
    journal_of.sealed(9, batch=4)
    statement, rule = TAMPERING[what]
    assert tamper(journal_of.database, statement, i=journal_of.ids()[4]) == 1
    found, place = journal_of.first()
    assert found == rule
    assert place in ("row 5", "row -5")


def test_i2_rows_that_change_places_or_are_put_in_are_named(journal_of: Journal) -> None:
    journal_of.sealed(9, batch=4)
    third, sixth = journal_of.ids()[2], journal_of.ids()[5]
    for one, other in ((third, "aside"), (sixth, third), ("aside", sixth)):
        tamper(journal_of.database, "UPDATE journal_row SET id = :new WHERE id = :old", old=one, new=other)
    assert journal_of.first()[1] == "row 3"
    for one, other in ((third, "aside"), (sixth, third), ("aside", sixth)):
        tamper(journal_of.database, "UPDATE journal_row SET id = :new WHERE id = :old", old=one, new=other)
    assert journal_of.rules() == []
    write_rows(journal_of.database, 1, journal_of.now - 3600 * SECOND)
    assert journal_of.rules() == ["row-unsealed"]


def change(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def test_i2_the_database_itself_refuses_changes(journal_of: Journal) -> None:
    journal_of.sealed(2)
    for statement in ("UPDATE journal_row SET subject = 'x'", "DELETE FROM journal_row", "DELETE FROM journal_head"):
        with pytest.raises(DatabaseError):
            journal_of.database.write(
                partial(lambda connection, sql: connection.exec_driver_sql(sql) and None, sql=statement)
            )


def test_i3_a_cut_tail_a_roll_back_and_a_fork_are_detected(journal_of: Journal) -> None:
    journal_of.sealed(5)
    early = journal_of.head()
    sealer = journal_of.sealer()
    journal_of.now += SECOND
    write_rows(journal_of.database, 4, journal_of.now)
    assert sealer.run() == 4
    kept = journal_of.head()
    for table in ("journal_number", "journal_head"):
        tamper(journal_of.database, f"DELETE FROM {table} WHERE number > 5")
    tamper(journal_of.database, "DELETE FROM journal_row WHERE id > :i", i=journal_of.ids()[-1])
    assert journal_of.rules(early) == []
    assert journal_of.first(kept) == ("tail-missing", "row 6")
    with pytest.raises(SealBroken):
        sealer.run()  # the running server sees it by itself
    journal_of.sealed(6)
    assert journal_of.rules(early) == []
    assert "head-differs" in journal_of.rules(kept)


def test_i4_numbers_not_times_order_the_journal(journal_of: Journal) -> None:
    sealer = journal_of.sealer()
    for shift in (0, -3600, +7200, 0):
        journal_of.now += shift * SECOND
        write_rows(journal_of.database, 3, journal_of.now)
        assert sealer.run() == 3
    with journal_of.database.read() as connection:
        times = dict(connection.execute(select(journal_row.c.id, journal_row.c.at)).all())
    in_order = [times[row_id] for row_id in journal_of.ids()]
    assert in_order != sorted(in_order)
    assert journal_of.rules() == []


@pytest.mark.parametrize(
    "reason", ["x" * 1_000_000, "a\0b", "caf\udce9", "\u202e" * 7000], ids=["long", "nul", "half", "rtl"]
)
def test_i5_hostile_text_is_stored_cut_with_its_digest(journal_of: Journal, reason: str) -> None:
    ctx = replace(CONTEXT, at=journal_of.now, message_id=reason, subject=Subject("s", reason=reason, digest="d" * 64))
    journal_of.database.write(journal(ctx, [replace(ROW, patient=reason)]))
    assert journal_of.sealer().run() == 1
    assert journal_of.rules() == []
    with journal_of.database.read() as connection:
        row = connection.execute(select(journal_row)).one()
    assert len(row.message_id) <= LONGEST
    assert len(row.patient) <= LONGEST
    assert "SHA-256" in row.message_id
    assert "SHA-256" in json.loads(row.detail)["reason"]


def test_i6_a_row_says_how_the_user_was_proved(journal_of: Journal) -> None:
    card = Subject("899700000001", proof_level="card", digest="c" * 64, certificate="f" * 64, issuer="CN=card")
    declared = replace(card, proof_level="structure", structure="10B0127189", issuer="CN=organisation", digest="e" * 64)
    for subject in (card, declared):
        journal_of.database.write(journal(replace(CONTEXT, at=journal_of.now, subject=subject), [ROW]))
    with journal_of.database.read() as connection:
        rows = connection.execute(select(journal_row.c.proof_level, journal_row.c.detail)).all()
    told = {row.proof_level: json.loads(row.detail) for row in rows}
    assert told["card"]["issuer"] == "CN=card"
    assert (told["structure"]["issuer"], told["structure"]["structure"]) == ("CN=organisation", "10B0127189")
    assert told["structure"]["certificate"] == "f" * 64


def test_i7_a_row_holds_no_title_and_is_shown_for_the_patient_that_was_asked_for(instance: Instance) -> None:
    provided = instance.deposit("a very private text", patient="PAT1^^^&1.2.250.1.999.77&ISO")
    instance.deposit("another", patient="PAT2^^^&1.2.250.1.999.77&ISO")
    titles = [entry.title or "" for entry in provided.submission.entries]
    assert all(titles)
    code, shown = run(instance, "show", "--patient", "PAT1^^^&1.2.250.1.999.77&ISO", "--json")
    assert code == 0
    assert "PAT2" not in shown
    assert not [title for title in titles if title in shown]


def test_i8_reading_the_journal_is_journaled(instance: Instance, journal_of: Journal) -> None:
    instance.deposit("one")
    assert journal_of.sealer().run() == 1
    for command in (("show", "--json"), ("evidence", "1"), ("export", str(instance.config.with_name("out.jsonl")))):
        assert run(instance, *command)[0] == 0
    with instance.database.read() as connection:
        j = journal_row.c
        rows = connection.execute(select(j.subject, j.proof_level).where(j.action == "read-journal")).all()
    assert len(rows) == 3
    assert all(subject.startswith("os-user:") and proof == "local" for subject, proof in rows)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    made = TestPki.create(tmp_path_factory.mktemp("pki") / "pki", keys="ec")
    made.issue_card("martin", "899700000001")
    return Card.load(made.directory / "cards" / "martin")


def signed_by(card: Card, at: int) -> tuple[str, bytes]:
    """The digest that the verifier gives of a card's assertion, and the assertion."""
    data = vihf_of(card, Told(patient="279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"), at)
    certificate = card.signature.load()[0]
    return verify_signature(data, check_shape(parse(data), legacy=False), certificate, to_datetime(at)).digest, data


def test_i10_the_signed_assertion_of_a_row_proves_it_without_the_server(
    instance: Instance, journal_of: Journal, card: Card, tmp_path: Path
) -> None:
    at = journal_of.now
    digest, data = signed_by(card, at)
    subject = Subject("899700000001", proof_level="card", digest=digest)
    journal_of.database.write(journal(replace(CONTEXT, at=at, subject=subject), [replace(ROW, request_digest="9" * 64)]))
    journal_of.database.write(partial(keep_assertion, digest=digest, data=data, at=at))
    assert journal_of.sealer().run() == 1
    code, shown = run(instance, "evidence", "1", "--save", str(tmp_path / "assertion.xml"))
    assert code == 0
    assert "9" * 64 in shown
    assert "899700000001" in shown
    assert "signed by" in shown
    assert (tmp_path / "assertion.xml").read_bytes() == data
    signer = prove_assertion(digest, data, at)
    assert signer.identity.kind == "person"
    der = card.signature.load()[0].public_bytes(Encoding.DER)
    assert signer.identity.fingerprint == hashlib.sha256(der).hexdigest()
    assert run(instance, "export", str(tmp_path / "export.jsonl"), "--assertions")[0] == 0
    shutil.rmtree(instance.settings.seal_key.parent)
    assert CliRunner().invoke(app, ["journal", "verify", "--export", str(tmp_path / "export.jsonl")]).exit_code == 0


def test_i10_another_assertion_or_a_changed_one_proves_nothing(instance: Instance, journal_of: Journal, card: Card) -> None:
    at = journal_of.now
    digest, data = signed_by(card, at)
    other, other_data = signed_by(card, at + SECOND)
    with pytest.raises(EvidenceBroken, match="another one"):
        prove_assertion(digest, other_data, at)
    with pytest.raises(EvidenceBroken, match="does not verify"):
        prove_assertion(digest, data.replace(b"899700000001", b"899700000002"), at)
    with pytest.raises(EvidenceBroken, match="does not verify"):
        prove_assertion(digest, b"no XML", at)
    for name, kept in ((digest, other_data), (other, None)):
        subject = Subject("s", digest=name)
        journal_of.database.write(journal(replace(CONTEXT, at=journal_of.now, subject=subject), [ROW]))
        if kept is not None:
            journal_of.database.write(partial(keep_assertion, digest=name, data=kept, at=at))
    assert journal_of.sealer().run() == 2
    assert [run(instance, "evidence", number)[0] for number in ("1", "2")] == [1, 1]
