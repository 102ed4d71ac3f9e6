"""Notices from a running server to a real mail server: who is told of what, in which language, and nothing clinical."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.request import urlopen

import pytest

from conformance.simulators.mail_receiver import Mail, MailReceiver
from dmp import records
from dmp.record import Contact, Holder
from tests.e2e.dmp_domain import HIDDEN, NORMAL, DmpDomain, dmp_domain, entry, patient
from xds_metadata.datatypes import PatientKey

PATIENCE = 30.0
MOTIVE = "unconscious in the street"
TITLE = "Report of psychiatric care"


@dataclass
class World:
    """A server of records, its mail server, and numbers for patients of their own."""

    domain: DmpDomain
    mail: MailReceiver
    number: int = 500

    def record(self, *contacts: tuple[str, str], documents: bool = False, born: str = "19790301") -> PatientKey:
        """A record whose holder is told at these addresses, each with its language."""
        self.number += 1
        key = self.domain.open(patient(self.number), holder=Holder("TESTFAMILY", given="TESTGIVEN", birth_date=born))
        channels = [
            Contact("EMAIL", address, language="en" if language == "en" else "fr", documents=documents)
            for address, language in contacts
        ]
        self.domain.act(lambda connection: records.set_contacts(connection, key, channels, self.domain.by()))
        return key

    def until(self, address: str, count: int) -> list[Mail]:
        """What came for an address, which must become `count` messages."""
        return arrived(lambda: self.mail.to(address), count)


def arrived(look: Callable[[], list[Mail]], count: int) -> list[Mail]:
    end = time.monotonic() + PATIENCE
    while len(found := look()) < count and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) == count, [mail.message["Subject"] for mail in found]
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with MailReceiver() as mail:
        notifications = {"host": mail.host, "port": mail.port, "tls": "none", "sender": "record@host.example", "every": 0.2}
        folder = tmp_path_factory.mktemp("notifications")
        with dmp_domain(folder, settings={"notifications": notifications}) as domain:
            yield World(domain, mail)


def metric(domain: DmpDomain, name: str) -> float:
    with urlopen(f"{domain.tls.server.admin_url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_break_glass_is_told_in_the_language_of_each_address_with_nothing_clinical(world: World) -> None:
    domain = world.domain
    key = world.record(("fr1@patient.example", "fr"), ("en1@patient.example", "en"))
    author, nurse = domain.professional("author"), domain.professional("nurse", profession="60", speciality="")
    stored = entry(key, author, title=TITLE)
    domain.deposit(author, key, stored)
    urgent = nurse.about(key).in_emergency(MOTIVE)
    assert domain.find(urgent, key) == {stored.unique_id}
    assert domain.get(urgent, stored.unique_id or "").verdict == "Success"
    assert domain.find(urgent, key) == {stored.unique_id}
    [french], [english] = world.until("fr1@patient.example", 1), world.until("en1@patient.example", 1)
    assert "urgence" in french.message["Subject"]
    assert "bris de glace" in french.text
    assert "Infirmier" in french.text
    assert "Emergency" in english.message["Subject"]
    assert "break-glass" in english.text
    assert "nurse" in english.text
    name = nurse.card.name
    for mail in (french, english):
        assert name in mail.text
        whole = mail.message.as_bytes().decode() + mail.text
        for clinical in (TITLE, "psychiatric", stored.unique_id or "", "34133-9", "summary", MOTIVE, key.id, "TESTFAMILY"):
            assert clinical not in whole
    refused = domain.find(domain.professional("other", profession="60", speciality="").about(key).in_emergency(MOTIVE), key)
    assert refused == {stored.unique_id}
    world.until("fr1@patient.example", 2)


def test_medical_regulation_is_told_as_such(world: World) -> None:
    key = world.record(("fr2@patient.example", "fr"))
    regulator = world.domain.professional("regulator")
    world.domain.find(regulator.about(key).in_emergency("", "centre_15"), key)
    [mail] = world.until("fr2@patient.example", 1)
    assert "régulation médicale" in mail.text


def test_the_first_access_is_told_and_no_other(world: World) -> None:
    domain = world.domain
    key = world.record(("first@patient.example", "en"))
    doctor, second = domain.professional("first"), domain.professional("second")
    domain.authorise(key, doctor, second)
    for _ in range(3):
        domain.find(doctor, key)
    domain.find(second, key)
    mails = world.until("first@patient.example", 2)
    assert all("first time" in mail.text for mail in mails)
    assert {doctor.card.name in mail.text for mail in mails} == {True, False}


def test_an_access_that_is_refused_tells_nothing(world: World) -> None:
    domain = world.domain
    key = world.record(("refused@patient.example", "fr"))
    assert domain.ask_documents(domain.professional("stranger"), key).verdict != "Success"
    domain.oppose(key, break_glass=True)
    assert domain.ask_documents(domain.professional("stranger").in_emergency(), key).verdict != "Success"
    domain.oppose(key)
    domain.find(domain.professional("stranger").in_emergency(), key)
    [mail] = world.until("refused@patient.example", 1)
    assert "urgence" in mail.message["Subject"]


def test_an_added_document_is_told_where_wanted_and_never_a_hidden_one(world: World) -> None:
    domain = world.domain
    key = world.record(("wants@patient.example", "fr"), documents=True)
    quiet = world.record(("quiet@patient.example", "fr"))
    author = domain.professional("adding")
    domain.deposit(author, key, entry(key, author, title=TITLE, confidentiality_codes=(NORMAL, HIDDEN)))
    domain.deposit(author, key, entry(key, author, title=TITLE))
    domain.deposit(author, quiet, entry(quiet, author, title=TITLE))
    [mail] = world.until("wants@patient.example", 1)
    assert "ajouté un document" in mail.text
    assert TITLE not in mail.text
    assert metric(domain, "liasse_notices_waiting") == 0
    assert world.mail.to("quiet@patient.example") == []


def test_a_mail_server_that_is_away_fails_no_request_and_gets_all_afterwards(world: World) -> None:
    domain = world.domain
    key = world.record(("away@patient.example", "fr"))
    doctors = [domain.professional(f"away-{number}") for number in range(3)]
    world.mail.close()
    try:
        for doctor in doctors:
            domain.find(doctor.about(key).in_emergency(), key)
        assert metric(domain, "liasse_notices_waiting") == 3
    finally:
        world.mail.open()
    mails = world.until("away@patient.example", 3)
    assert len({mail.message["Message-ID"] for mail in mails}) == 3
    assert {doctor.card.name for doctor in doctors} == {
        doctor.card.name for doctor in doctors if any(doctor.card.name in mail.text for mail in mails)
    }


def test_who_has_no_address_is_counted_and_served(world: World) -> None:
    before = metric(world.domain, "liasse_notices_unaddressed")
    key = world.record()
    world.domain.find(world.domain.professional("counted").about(key).in_emergency(), key)
    assert metric(world.domain, "liasse_notices_unaddressed") == before + 1


def test_no_address_is_in_the_log(world: World) -> None:
    assert "@patient.example" not in world.domain.tls.server.log_text()
