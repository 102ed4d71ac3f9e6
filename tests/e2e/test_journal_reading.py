"""`liasse journal show --as`: what patient, attending doctor, another professional and a representative read of a record."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dmp import records
from dmp.record import Holder, Representative
from liasse.commands.journal import app
from tests.e2e.dmp_domain import HIDDEN, MASKED, NORMAL, SECRET, DmpDomain, Speaker, cx, dmp_domain, entry, patient
from xds_metadata.datatypes import PatientKey

PARENT = "mother-1^1.2.250.1.999.55"


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmpDomain]:
    with dmp_domain(tmp_path_factory.mktemp("journal")) as running:
        yield running


def ask(domain: DmpDomain, key: PatientKey, reader: str | Path, *more: str) -> Result:
    words = ["show", "--config", str(domain.tls.server.config), "--patient", cx(key), "--as", str(reader), *more]
    return CliRunner().invoke(app, words)


def read(domain: DmpDomain, key: PatientKey, reader: str | Path, *more: str) -> dict[str, Any]:
    done = ask(domain, key, reader, "--format", "json", "--language", "en", *more)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def acts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """(who, what), the oldest first."""
    return [(line["author"].partition(",")[0], line["action"]) for line in reversed(found["lines"])]


def folder(speaker: Speaker) -> Path:
    return speaker.card.authentication.certificate.parent


@pytest.fixture(scope="module")
def story(domain: DmpDomain) -> tuple[PatientKey, Speaker, Speaker, Speaker]:
    """A record in which a hospital filed three documents, two professionals read, and a stranger broke the glass."""
    key = domain.open(patient(901))
    doctor, nurse = domain.professional("doctor"), domain.professional("nurse", profession="60", speciality="")
    stranger = domain.professional("stranger")
    domain.authorise(key, doctor, nurse)
    domain.attend(key, doctor)
    plain = entry(key, title="Plain report")
    masked = entry(key, title="Masked report", confidentiality_codes=(NORMAL, MASKED))
    unannounced = entry(key, title="Hidden report", confidentiality_codes=(NORMAL, HIDDEN))
    domain.deposit(domain.structure(), key, plain, masked, unannounced)
    for each in (plain, masked, unannounced):
        assert domain.get(doctor.about(key), each.unique_id or "").verdict == "Success"
    assert domain.get(nurse.about(key), plain.unique_id or "").verdict == "Success"
    assert domain.get(nurse.about(key), masked.unique_id or "").verdict == "Failure XDSDocumentUniqueIdError"
    domain.find(stranger.in_emergency("found unconscious"), key)
    return key, doctor, nurse, stranger


def test_the_patient_reads_everything_but_not_what_is_hidden_from_him(domain: DmpDomain, story: Any) -> None:
    key, doctor, nurse, stranger = story
    found = read(domain, key, "patient")
    by = [each.card.identifier for each in (doctor, nurse, stranger)]
    assert {number for number in by if any(number in line["author"] for line in found["lines"])} == set(by)
    told = " ".join(text for line in found["lines"] for text in line["documents"])
    assert "Plain report" in told
    assert "Masked report" in told
    assert "Hidden report" not in told
    assert "a document" in told
    assert found["counts"]["all"] == len(found["lines"])
    assert found["counts"]["professional"] >= 7


def test_break_glass_stands_out_with_its_motive(domain: DmpDomain, story: Any) -> None:
    key, _, _, stranger = story
    [line] = [each for each in read(domain, key, "patient")["lines"] if each["emergency"]]
    assert (line["context"], line["reason"]) == ("Break-glass", "found unconscious")
    assert stranger.card.identifier in line["author"]
    assert line["profession"].startswith("Médecin")
    shown = ask(domain, key, "patient").output
    assert "Bris de glace" in shown.replace("\n", " ")


def test_the_attending_doctor_reads_everything(domain: DmpDomain, story: Any) -> None:
    key, doctor, nurse, _ = story
    found = read(domain, key, folder(doctor))
    assert any(nurse.card.identifier in line["author"] for line in found["lines"])
    told = " ".join(text for line in found["lines"] for text in line["documents"])
    assert "Masked report" in told
    assert "Hidden report" in told


def test_another_professional_reads_his_own_acts_and_no_title_of_what_is_masked(domain: DmpDomain, story: Any) -> None:
    key, _, nurse, _ = story
    found = read(domain, key, folder(nurse))
    assert {line["author"].count(nurse.card.identifier) for line in found["lines"]} == {1}
    assert [(line["documents"], line["refused"]) for line in found["lines"]] == [
        (["a document"], True),
        ([found["lines"][1]["documents"][0]], False),
    ]
    assert "Plain report" in found["lines"][1]["documents"][0]


def test_a_representative_reads_nothing_of_a_secret_connection(domain: DmpDomain) -> None:
    key = domain.open(patient(902), holder=Holder(birth_date="20140101"))
    parent = Representative(PARENT, "minor")
    domain.act(lambda connection: records.set_person(connection, key, parent, domain.by()))
    doctor = domain.professional("doctor")
    domain.authorise(key, doctor)
    secretly = replace(doctor, told=replace(doctor.told, secret=True))
    domain.deposit(secretly, key, entry(key, doctor, title="Secret report", confidentiality_codes=(NORMAL, SECRET)))
    domain.deposit(doctor, key, entry(key, doctor, title="Open report"))
    of_patient, of_parent = read(domain, key, "patient"), read(domain, key, "representative")
    assert ask(domain, key, "representative:" + PARENT).exit_code == 0
    assert "Secret report" in json.dumps(of_patient)
    assert "Secret report" not in json.dumps(of_parent)
    assert [each[1] for each in acts(of_patient)].count("added a document") == 2
    assert [each[1] for each in acts(of_parent)].count("added a document") == 1


def test_who_may_not_read_the_record_reads_no_journal_and_that_is_journaled(domain: DmpDomain, story: Any) -> None:
    key, _, _, stranger = story
    done = ask(domain, key, folder(stranger))
    assert done.exit_code == 1
    assert "dmp-authorisation" in done.output
    assert ask(domain, key, folder(domain.structure())).exit_code == 1
    assert [row[3:] for row in domain.journal() if row[0] == "read-journal"][-2:] == [
        ("dmp-authorisation", "Failure"),
        ("dmp-right", "Failure"),
    ]


def test_reading_is_an_act_of_the_journal(domain: DmpDomain, story: Any) -> None:
    key = story[0]
    before = read(domain, key, "patient")["counts"]["other"]
    found = read(domain, key, "patient")
    assert found["counts"]["other"] == before + 1
    assert found["lines"][0]["action"] == "looked at the access history"


def test_groups_times_and_limit(domain: DmpDomain, story: Any) -> None:
    key, doctor, _, _ = story
    own = read(domain, key, folder(doctor), "--group", "own")
    assert {line["group"] for line in own["lines"]} == {"own"}
    assert own["counts"]["all"] > own["counts"]["own"] == len(own["lines"])
    assert len(read(domain, key, "patient", "--last", "2")["lines"]) == 2
    assert read(domain, key, "patient", "--until", "2020-01-01")["lines"] == []


def test_a_file_for_a_spreadsheet(domain: DmpDomain, story: Any) -> None:
    done = ask(domain, story[0], "patient", "--format", "csv")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["date (UTC)", "auteur", "profession", "action", "contexte", "motif", "documents"]
    assert "a consulté un document" in {row[3] for row in rows}


@pytest.mark.parametrize(
    ("reader", "more", "said"),
    [
        ("nowhere", (), "expected a folder of a card"),
        ("professional:1:999", (), "the profession '999' is none"),
        ("professional:1:10:316", (), "does not belong to the profession '10'"),
        ("representative", (), "the record knows nobody who fits"),
        ("patient", ("--group", "mine"), "expected one of all, own, professional, other"),
        ("patient", ("--language", "de"), "expected one of fr, en"),
    ],
)
def test_wrong_use_is_said(domain: DmpDomain, story: Any, reader: str, more: tuple[str, ...], said: str) -> None:
    done = ask(domain, story[0], reader, *more)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
