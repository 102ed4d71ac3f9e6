"""A sensitive document from its deposit to its release: `liasse run-due` beside a running server and a real mail server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from conformance.simulators.mail_receiver import MailReceiver
from dmp import records
from dmp.record import Contact
from liasse.cli import app
from tests.e2e.dmp_domain import APPROVED, DELETED, HIDDEN, MASKED, NORMAL, DmpDomain, cx, dmp_domain, entry, patient
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import DocumentEntry

ATTENDING, AUTHOR = "attending@office.example", "author@hospital.example"


@dataclass
class World:
    """A server of records whose background process sends mail, but seldom looks for what is due."""

    domain: DmpDomain
    mail: MailReceiver

    def run_due(self, *more: str, days: float | None = None) -> Result:
        """The command, as if so many days had gone by."""
        at = [] if days is None else ["--at", (datetime.now(UTC) + timedelta(days=days)).isoformat()]
        return CliRunner().invoke(app, ["run-due", "--config", str(self.domain.tls.server.config), *at, *more])

    def done(self, days: float) -> tuple[int, int, int]:
        """Announcements recalled, addresses, documents released."""
        result = self.run_due("--json", days=days)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)["announcements"]
        return found["reminders"], found["addresses"], found["releases"]

    def patient_sees(self, key: PatientKey, document: DocumentEntry) -> bool:
        """Whether the policy shows the document to the patient himself."""
        words = [
            "access",
            "explain",
            "--config",
            str(self.domain.tls.server.config),
            "--patient",
            cx(key),
            "--as",
            "patient",
        ]
        result = CliRunner().invoke(app, [*words, "--document", document.unique_id or "", "--json"])
        return bool(json.loads(result.stdout)["allowed"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with MailReceiver() as mail:
        notifications = {"host": mail.host, "port": mail.port, "tls": "none", "sender": "record@host.example", "every": 0.2}
        folder = tmp_path_factory.mktemp("announcements")
        with dmp_domain(folder, settings={"notifications": notifications}) as domain:
            yield World(domain, mail)


def hidden(world: World, number: int, **changes: Any) -> tuple[PatientKey, DocumentEntry]:
    """A record with an attending doctor, in which a hospital doctor filed a document that the patient may not see yet."""
    domain = world.domain
    key, author, attending = domain.open(patient(number)), domain.professional("author"), domain.professional("attending")
    domain.authorise(key, author, attending)
    domain.attend(key, attending)
    channel = Contact("EMAIL", ATTENDING, attending.party.identity)
    domain.act(lambda connection: records.set_contacts(connection, key, [channel], domain.by()))
    by = replace(author.author, telecommunications=(f"^^Internet^{AUTHOR}",))
    document = entry(key, authors=(by,), title="A diagnosis", confidentiality_codes=(NORMAL, HIDDEN), **changes)
    domain.deposit(author, key, document)
    return key, document


def test_hidden_from_the_patient_recalled_at_15_days_and_visible_at_21(world: World) -> None:
    domain = world.domain
    key, document = hidden(world, 801)
    doctor = domain.professional("attending")
    assert not world.patient_sees(key, document)
    assert domain.find(doctor, key) == {document.unique_id}
    assert world.done(14.9) == (0, 0, 0)
    assert world.done(15.1) == (1, 2, 0)
    assert world.done(15.2) == (0, 0, 0)
    assert world.mail.wait_for(2, 30)
    assert {mail.recipients for mail in world.mail.received} == {(ATTENDING,), (AUTHOR,)}
    for mail in world.mail.received:
        assert "consultation d'annonce" in mail.text
        for clinical in ("diagnosis", document.unique_id or "", key.id, "34133-9"):
            assert clinical not in mail.message.as_bytes().decode() + mail.text
    assert not world.patient_sees(key, document)
    assert world.done(21.1) == (0, 0, 1)
    assert world.done(21.2) == (0, 0, 0)
    assert world.patient_sees(key, document)
    assert domain.find(doctor, key) == {document.unique_id}
    assert domain.get(doctor.about(key), document.unique_id or "").verdict == "Success"
    done = [row for row in domain.journal() if row[1] == "system:liasse"]
    assert done == [
        ("announcement-reminder", "system:liasse", "", "dmp-announcement", "Success"),
        ("announcement-release", "system:liasse", "", "dmp-announcement", "Success"),
    ]


def test_the_patient_reads_in_the_journal_that_the_system_made_it_visible(world: World) -> None:
    key, _ = hidden(world, 802)
    assert world.done(22) == (0, 0, 1)
    words = ["journal", "show", "--config", str(world.domain.tls.server.config), "--patient", cx(key), "--as", "patient"]
    shown = CliRunner().invoke(app, [*words, "--format", "json", "--language", "en"])
    lines = [line for line in json.loads(shown.stdout)["lines"] if line["author"] == "System"]
    assert [line["action"] for line in lines] == ["made a document visible to the patient"]
    assert "run-due --at" in lines[0]["reason"]


def test_announced_earlier_by_the_doctor_it_waits_no_longer(world: World) -> None:
    domain = world.domain
    key, document = hidden(world, 803)
    assert domain.codes(domain.professional("attending").about(key), document, NORMAL).verdict == "Success"
    assert world.patient_sees(key, document)
    assert world.done(15.1) == world.done(22) == (0, 0, 0)


def test_deleted_by_its_author_it_waits_no_longer(world: World) -> None:
    domain = world.domain
    key, document = hidden(world, 804)
    author = domain.professional("author").about(key)
    assert domain.status(author, key, document.entry_uuid, APPROVED, DELETED).verdict == "Success"
    assert world.done(15.1) == world.done(22) == (0, 0, 0)


def test_a_mask_stays_when_the_document_becomes_visible_to_the_patient(world: World) -> None:
    domain = world.domain
    key, document = hidden(world, 805)
    doctor = domain.professional("reading")
    domain.authorise(key, doctor)
    assert domain.find(doctor, key) == {document.unique_id}
    assert world.done(22) == (0, 0, 1)
    assert domain.codes(domain.professional("author").about(key), document, NORMAL, MASKED, version=2).verdict == "Success"
    assert domain.find(doctor, key) == set()
    assert world.patient_sees(key, document)


def test_the_command_says_in_a_table_what_it_did(world: World) -> None:
    hidden(world, 806)
    result = world.run_due(days=22)
    assert result.exit_code == 0
    assert "documents made visible to their patients" in result.stdout
    assert "notices that wait" in result.stdout
    assert world.run_due("--at", "soon").exit_code == 2


def test_a_mail_server_that_is_away_is_said_and_loses_nothing(world: World) -> None:
    world.mail.close()
    try:
        hidden(world, 807)
        assert world.run_due(days=15.1).exit_code in (0, 1)
        result = world.run_due()
        assert result.exit_code == 1
        assert "the mail server took nothing more" in result.stderr
    finally:
        before = len(world.mail.received)
        world.mail.open()
    assert world.mail.wait_for(before + 2, 30)


def test_the_background_process_does_it_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dmp_domain(tmp_path_factory.mktemp("jobs")) as domain:
        assert "announcements" in domain.tls.server.log_text()
