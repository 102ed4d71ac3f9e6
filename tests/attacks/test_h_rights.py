"""Class H of the attack catalogue, rights: roles and privileges that are claimed, consent, and the emergency modes.

What opens a document is what cards, certificates and the record say; an assertion only claims.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from access_control.subject import Coded
from dmp import records
from dmp.ins import TEST
from dmp.notice_tables import dmp_notice
from dmp.record import Holder, Record, RecordRefused, Representative
from journal.tables import journal_row
from liasse.cli import app
from tests import samples
from tests.attacks.masked_record import UNKNOWN_DOCUMENT, E, Hidden, data, hidden_record, ids, oid, told
from tests.e2e import wire
from tests.e2e.dmp_domain import (
    APPROVED,
    ARCHIVED,
    DELETED,
    HIDDEN,
    MASKED,
    NORMAL,
    PROFESSIONS,
    REPORT,
    SECRET,
    SPECIALITIES,
    Speaker,
    cx,
    entry,
    patient,
)
from tests.e2e.test_habilitations import ADD, ALL, ATTENDING, LIST, REMOVE, SET
from tests.e2e.wire import listed
from xds_metadata.datatypes import PatientKey
from xds_metadata.model import Code, DocumentEntry

DENIED = "fault Sender/DMPAccessDeniedByRightsService"
MISSING, BLOCKED, OPPOSED, GONE = (
    f"fault Sender/DMP{name}" for name in ("AuthorizationMissing", "PatientBlocked", "EmergencyOpposed", "NotFound")
)
UNPROVED = "fault Sender/DMPInvalidVIHF"
SECTIONS = "1.2.250.1.71.4.2.6"
COORDINATION = (Coded("99", "1.2.250.1.213.1.6.1.140"), Coded("GENR08", "1.2.250.1.213.1.6.1.19"))
FOR_DOCTORS = Code("34875-5", REPORT.scheme, "for doctors only")
DOCTOR = (Coded("10", PROFESSIONS), Coded("SM26", SPECIALITIES))
LEAVE = REMOVE.replace("</action>", "</action><role>MEDECIN_TRAITANT</role>")
PARENT = "mother-7^1.2.250.1.999.55"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hidden]:
    with hidden_record(tmp_path_factory.mktemp("roles"), 601, {"server": {"workers": 2}}) as found:
        yield found


def found(world: Hidden, who: Speaker) -> str:
    """The verdict on a search, "Success" and "empty" told apart."""
    seen = world.domain.ask_documents(who, world.key)
    return seen.verdict if seen.verdict != "Success" or ids(seen.answer) else "empty"


def read(world: Hidden, who: Speaker, document: DocumentEntry) -> str:
    """The verdict on a retrieval, which gives the document or nothing."""
    seen = world.get(document.unique_id, by=who)
    assert [each.data for each in seen.answer.documents] == ([data(document)] if seen.verdict == "Success" else [])
    return seen.verdict


def habilitation(world: Hidden, who: Speaker, body: str) -> str:
    """TD0.3 or TD1.6."""
    action = LIST if body == ALL else SET
    return world.domain.send(who.about(world.key), wire.simple("/habilitations", wire.envelope(action, body))).verdict


def claiming(who: Speaker, *roles: Coded, **more: Any) -> Speaker:
    """The same card, which says other things of its holder."""
    return replace(who, told=replace(who.told, roles=roles or who.told.roles, **more))


def test_h18_what_is_claimed_of_a_role(world: Hidden) -> None:
    """By card: another profession, a patient, a user of a structure who is more than it; each before the same record."""
    domain, document, special = world.domain, world.entry(), world.entry(type_code=FOR_DOCTORS)
    world.deposited(document, special)
    nurse = domain.professional("nurse", profession="60", speciality="")
    pharmacist = domain.professional("pharmacist", profession="21", speciality="D", speciality_system=SECTIONS)
    secretary = domain.professional("secretary", profession="SECRETARIAT_MEDICAL", speciality="", staff=True)
    occupational = domain.professional("occupational", speciality="SM25")
    assistant = domain.professional("assistant", profession="99", roles=COORDINATION)
    hospital = domain.structure()
    domain.authorise(world.key, nurse, pharmacist, secretary, occupational, assistant, hospital)
    for name, who, searched, of_report, of_special in (
        ("nurse", nurse, "Success", "Success", UNKNOWN_DOCUMENT),
        ("nurse as doctor", claiming(nurse, *DOCTOR), UNPROVED, UNPROVED, UNPROVED),
        ("pharmacist", pharmacist, "Success", "Success", UNKNOWN_DOCUMENT),
        ("pharmacist as doctor", claiming(pharmacist, *DOCTOR), UNPROVED, UNPROVED, UNPROVED),
        ("secretary", secretary, DENIED, DENIED, DENIED),
        ("secretary as doctor", claiming(secretary, *DOCTOR), UNPROVED, UNPROVED, UNPROVED),
        ("secretary as coordinator", claiming(secretary, *COORDINATION), UNPROVED, UNPROVED, UNPROVED),
        ("occupational doctor", occupational, "Success", DENIED, DENIED),
        ("a role that no settings open", assistant, "empty", UNKNOWN_DOCUMENT, UNKNOWN_DOCUMENT),
        ("no profession", claiming(nurse, Coded("PATIENT", PROFESSIONS)), UNPROVED, UNPROVED, UNPROVED),
        ("structure for a doctor", hospital, DENIED, DENIED, DENIED),
        ("structure for the patient", claiming(hospital, user=world.key.id), DENIED, DENIED, DENIED),
        ("the same with authority", claiming(hospital, user=f"{world.key.id}^{TEST}"), UNPROVED, UNPROVED, UNPROVED),
    ):
        assert (name, found(world, who)) == (name, searched)
        assert (name, read(world, who, document)) == (name, of_report)
        assert (name, read(world, who, special)) == (name, of_special)
    stranger = claiming(domain.professional("stranger"), structure=hospital.card.identifier)
    assert found(world, stranger) == MISSING, "a structure that he names himself opens nothing"


def test_h18_what_is_claimed_of_an_author(world: Hidden) -> None:
    """An author of the document is who a deposit named as one: neither a title of his nor his structure is enough."""
    document = world.masked()
    world.deposited(document)
    for who in (
        world.reader,
        claiming(world.reader, name=world.author.card.name),
        claiming(world.reader, structure="10B0999999"),
    ):
        assert read(world, who, document) == UNKNOWN_DOCUMENT
    assert read(world, world.author, document) == "Success"


def test_h19_an_attending_doctor_is_who_the_record_says(world: Hidden) -> None:
    here, domain = world.elsewhere(602), world.domain
    document = here.masked()
    here.deposited(document)
    nurse = domain.professional("nurse", profession="60", speciality="")
    second = domain.professional("second")
    domain.authorise(here.key, nurse, second)
    assert habilitation(here, nurse, ATTENDING) == DENIED, "no doctor"
    assert habilitation(here, here.reader, LEAVE) == DENIED, "what he is not he cannot leave"
    elsewhere = here.elsewhere(603)
    domain.attend(elsewhere.key, here.reader)
    assert read(here, here.reader, document) == UNKNOWN_DOCUMENT, "of another patient"
    assert habilitation(here, second, ATTENDING) == "DMPOk"
    assert [read(here, who, document) for who in (here.attending, second)] == ["Success", "Success"], "two of them"
    assert habilitation(here, second, LEAVE) == "DMPOk"
    assert read(here, second, document) == UNKNOWN_DOCUMENT
    assert found(here, second) == "empty", "the authorisation remains"
    domain.act(lambda c: records.unauthorise(c, here.key, here.attending.party, domain.by()))
    assert read(here, here.attending, document) == MISSING
    domain.authorise(here.key, here.attending)
    assert read(here, here.attending, document) == UNKNOWN_DOCUMENT, "a new authorisation brings no role back"
    domain.attend(here.key, here.attending)
    assert read(here, here.attending.in_emergency(), document) == UNKNOWN_DOCUMENT
    domain.block(here.key, here.attending)
    assert read(here, here.attending, document) == BLOCKED


def everything(world: Hidden, who: Speaker, document: DocumentEntry) -> dict[str, str]:
    """The verdict of every transaction."""
    here, look = who.about(world.key), (E + "UniqueId", listed([document.unique_id or ""]))
    own = samples.submission(entry(world.key, who))
    return {
        "search": found(world, who),
        "look-up": world.ask("GetDocuments", look, by=who).verdict,
        "reference": world.ask("GetDocuments", look, by=who, leaves=False).verdict,
        "retrieve": read(world, who, document),
        "mask": world.domain.codes(here, document, NORMAL, MASKED).verdict,
        "archive": world.domain.status(here, world.key, document.entry_uuid, APPROVED, ARCHIVED).verdict,
        "delete": world.domain.status(here, world.key, document.entry_uuid, APPROVED, DELETED).verdict,
        "list": habilitation(world, who, ALL),
        "authorise": habilitation(world, who, ADD),
        "deposit": world.domain.provide(here, own).verdict,
    }


def test_h20_a_blocked_professional_deposits_and_does_nothing_else(world: Hidden) -> None:
    """Though he is the author, attends the patient, and breaks the glass."""
    here = world.elsewhere(604)
    document = here.entry()
    here.deposited(document)
    who = here.author
    here.domain.attend(here.key, who)
    here.domain.block(here.key, who)
    verdicts = everything(here, who, document)
    assert verdicts.pop("deposit") == "Success"
    assert set(verdicts.values()) == {BLOCKED}
    for emergency in (who.in_emergency(), who.in_emergency("", "centre_15")):
        assert found(here, emergency) == BLOCKED
        assert read(here, emergency, document) == BLOCKED


def test_h20_a_closed_record_and_one_that_is_not_there(world: Hidden) -> None:
    here = world.elsewhere(605)
    document = here.entry()
    here.deposited(document)
    here.domain.close(here.key)
    missing = replace(here, key=patient(606))
    for who in (here.author, here.attending, here.reader.in_emergency(), here.reader.in_emergency("", "centre_15")):
        closed = everything(here, who, document)
        assert closed["search"] == closed["retrieve"] == closed["deposit"] == GONE
        assert set(closed.values()) <= {GONE, DENIED, "Failure UnresolvedReferenceException"}
        assert closed == everything(missing, who, replace(document, patient_id=cx(missing.key)))
    with pytest.raises(RecordRefused) as refused:
        here.domain.act(lambda c: records.create(c, Record(missing.key), here.domain.by()))
    assert refused.value.rule == "dmp-consent"
    with pytest.raises(RecordRefused):
        here.domain.act(lambda c: records.reopen(c, here.key, here.domain.by(), consent=False))


def explained(world: Hidden, reader: str, document: DocumentEntry) -> tuple[bool, str]:
    """Whether the policy shows a document to a reader who has no card, and the rule."""
    config = str(world.domain.tls.server.config)
    words = ["access", "explain", "--config", config, "--patient", cx(world.key), "--as", reader]
    done = CliRunner().invoke(app, [*words, "--document", document.unique_id or "", "--json"])
    told_so = json.loads(done.stdout)
    return told_so["allowed"], told_so["rule"]


def test_h20_what_is_hidden_from_the_patient_and_from_parents(world: Hidden) -> None:
    """A minor of whom a mother is the representative; professionals of care see all three."""
    key = world.domain.open(patient(607), holder=Holder(birth_date="20140101"))
    here = replace(world, key=key)
    world.domain.authorise(key, here.author, here.reader)
    mother = Representative(PARENT, "minor")
    world.domain.act(lambda c: records.set_person(c, key, mother, world.domain.by()))
    plain, secret, unannounced = here.entry(), here.entry(NORMAL, SECRET), here.entry(NORMAL, HIDDEN)
    here.deposited(plain, secret, unannounced)
    seen = {
        reader: [explained(here, reader, document)[0] for document in (plain, secret, unannounced)]
        for reader in ("patient", "representative", "representative:" + PARENT)
    }
    assert seen == {
        "patient": [True, True, False],
        "representative": [True, False, False],
        "representative:" + PARENT: [True, False, False],
    }
    assert explained(here, "representative", secret)[1] == explained(here, "patient", unannounced)[1] == "dmp-see-visibility"
    assert [read(here, here.reader, each) for each in (plain, secret, unannounced)] == ["Success"] * 3
    cumulated = here.entry(NORMAL, HIDDEN, MASKED)
    refused = world.domain.provide(here.author.about(key), here.submission(cumulated))
    assert refused.verdict == DENIED, "hidden from all but its author"
    secretly = claiming(here.author, secret=True).about(key)
    assert world.domain.provide(secretly, here.submission(here.entry())).verdict == DENIED
    assert world.domain.codes(here.author.about(key), plain, NORMAL, SECRET).verdict == DENIED, "not afterwards"


def notices(world: Hidden, key: PatientKey) -> dict[str, int]:
    """What waits to be told about a record, by event."""
    n = dmp_notice.c
    wanted = select(n.event, func.count()).where(n.patient.startswith(key.id)).group_by(n.event)
    with world.domain.database.read() as connection:
        return {str(row[0]): int(row[1]) for row in connection.execute(wanted)}


def journaled(world: Hidden, key: PatientKey, who: Speaker) -> list[tuple[str, str, str, str, str]]:
    """(action, mode, rule, outcome, detail) of the rows of a caller about a record."""
    r = journal_row.c
    wanted = select(r.action, r.mode, r.rule, r.outcome, r.detail).where(
        r.patient.startswith(key.id), r.subject == who.card.identifier
    )
    with world.domain.database.read() as connection:
        return [tuple(row) for row in connection.execute(wanted.order_by(r.at, r.id))]


def test_h21_break_glass(world: Hidden) -> None:
    here, domain = world.elsewhere(608), world.domain
    plain, masked = here.entry(), here.masked()
    here.deposited(plain, masked)
    before = notices(here, here.key)
    stranger = domain.professional("h21")
    assert found(here, stranger) == MISSING
    for empty in ("", " ", "\t\n"):
        assert found(here, stranger.in_emergency(empty)) in (UNPROVED, DENIED), "no motive"
        assert read(here, stranger.in_emergency(empty), plain) in (UNPROVED, DENIED)
    assert notices(here, here.key) == before, "what was refused tells nothing"
    for _ in range(2):
        urgent = stranger.in_emergency("found unconscious")
        assert domain.find(urgent, here.key) == {plain.unique_id}
        assert read(here, urgent, plain) == "Success"
        assert told(here.get(masked.unique_id, by=urgent)) == told(here.get(oid(), by=urgent))
    assert notices(here, here.key) == {**before, "emergency": 1}, "one for an hour"
    rows = [row for row in journaled(here, here.key, stranger) if row[1] == "bris_de_glace"]
    assert [row[0] for row in rows if row[3] == "Success"] == ["query", "retrieve"] * 2
    assert all("found unconscious" in row[4] for row in rows if row[3] == "Success")
    assert habilitation(here, urgent, ADD) == habilitation(here, urgent, ALL) == DENIED
    assert domain.codes(urgent.about(here.key), plain, NORMAL, MASKED).verdict == DENIED
    secretary = domain.professional("secretary", profession="SECRETARIAT_MEDICAL", speciality="", staff=True)
    for who, refused in ((secretary, DENIED), (domain.structure(), UNPROVED)):
        assert found(here, who.in_emergency()) == read(here, who.in_emergency(), plain) == refused
    assert read(here, domain.professional("occupational", speciality="SM25").in_emergency(), plain) == DENIED
    domain.oppose(here.key, masked_in_emergency=True)
    assert read(here, urgent, masked) == "Success", "accepted by the patient"
    domain.oppose(here.key, break_glass=True, masked_in_emergency=True)
    for who in (stranger, here.attending, here.reader):
        assert found(here, who.in_emergency("found unconscious")) == OPPOSED
        assert read(here, who.in_emergency("found unconscious"), plain) == OPPOSED
    assert journaled(here, here.key, stranger)[-1][:4] == ("retrieve", "bris_de_glace", "dmp-emergency-opposed", "Fault")
    assert domain.find(stranger.in_emergency("", "centre_15"), here.key), "opposition to one mode is none to the other"


def test_h22_medical_regulation(world: Hidden) -> None:
    here, domain = world.elsewhere(609), world.domain
    plain, masked = here.entry(), here.masked()
    here.deposited(plain, masked)
    regulator, kit = domain.professional("regulator"), domain.structure().in_emergency("", "centre_15")
    urgent = regulator.in_emergency("", "centre_15")
    assert domain.find(urgent, here.key) == {plain.unique_id}
    assert told(here.get(masked.unique_id, by=urgent)) == told(here.get(oid(), by=urgent))
    assert notices(here, here.key)["emergency"] == 1
    assert found(here, kit) == read(here, kit, plain) == DENIED, "a structure finds references and no more"
    for mode in ("centre_16", "CENTRE_15", ""):
        assert found(here, regulator.in_emergency("", mode)) == UNPROVED
    domain.oppose(here.key, regulation=True, masked_in_emergency=True)
    for who in (urgent, here.attending.in_emergency("", "centre_15"), kit):
        assert found(here, who) in (OPPOSED, DENIED)
        assert read(here, who, plain) in (OPPOSED, DENIED)
    assert found(here, urgent) == OPPOSED
    assert domain.find(regulator.in_emergency(), here.key) == {plain.unique_id, masked.unique_id}
