"""Which accesses tell whom what, in the write of their journal rows, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, insert, select

from access_control.context import RequestContext
from access_control.decision import Decision
from access_control.subject import Coded, Subject
from database import Database
from dmp import records
from dmp.notice_tables import dmp_notice, dmp_told
from dmp.notifier import EMERGENCY_WINDOW
from dmp.record import Contact
from journal.tables import journal_row
from tests.unit.dmp.notice_world import (
    AT,
    HERS,
    MINUTE,
    MOTHER,
    OPERATOR,
    OWN,
    PATIENT,
    World,
    doctor,
    nurse,
    row,
    world,
)
from tests.unit.dmp.world import G15, HIDDEN, SECRET
from xds_metadata.patients import key_text
from xds_registry import tables as t

REFUSED = Decision(allowed=False, rule="dmp-authorisation")
CHILD = "20200101"
EMERGENCY = {"mode": "bris_de_glace", "reason": "unconscious"}
SECRETLY = {"confidentiality": "INVISIBLE_REPRESENTANTS_LEGAUX^1.2.250.1.213.1.1.4.13"}


@pytest.fixture
def adult(database: Database) -> World:
    return world(database, OWN, HERS)


def masked(database: Database, unique_id: str, code: str) -> None:
    values = {"patient": key_text(PATIENT), "unique_id": unique_id, "code": code}
    database.write(lambda connection: connection.execute(insert(t.document_mask), values))


def test_the_first_access_of_a_professional_is_told_once(adult: World) -> None:
    adult.access(nurse())
    adult.access(nurse(), at=AT + MINUTE)
    adult.access(nurse(), row("retrieve"), at=AT + 2 * MINUTE)
    adult.anew().access(nurse(), at=AT + 3 * MINUTE)
    assert adult.told() == [("first-access", OWN.value, "fr")]
    adult.access(doctor(), row("retrieve"), at=AT + 4 * MINUTE)
    assert adult.events() == ["first-access", "first-access"]
    assert [facts["name"] for facts in adult.facts()] == ["Test Anne", "Test Bob"]


def test_all_who_act_for_a_structure_have_one_first_access(adult: World) -> None:
    hospital = doctor(authentication="INDIRECTE", proof_level="structure", structure="10B0127189")
    adult.access(hospital)
    adult.access(replace(hospital, id="801", name="Test Carl"), at=AT + MINUTE)
    assert adult.events() == ["first-access"]
    assert adult.facts()[0]["structure"] == "10B0127189"
    adult.access(replace(hospital, structure="10B0127190"), at=AT + 2 * MINUTE)
    assert adult.events() == ["first-access"] * 2


def test_of_what_was_rolled_back_nothing_is_remembered(adult: World) -> None:
    ctx = RequestContext("ITI-18", "urn:uuid:1", AT, subject=nurse())
    statements = adult.recorder(ctx, [row()])

    def fail(connection: Connection) -> None:
        statements(connection)
        raise RuntimeError("the transaction fails")

    with pytest.raises(RuntimeError):
        adult.database.write(fail)
    assert adult.events() == []
    adult.access(nurse(), at=AT + MINUTE)
    assert adult.events() == ["first-access"]
    with adult.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(journal_row)).scalar() == 1


def test_an_emergency_is_told_once_an_hour_for_each_caller_and_mode(adult: World) -> None:
    for minutes in (0, 1, 59):
        adult.access(nurse(**EMERGENCY, digest=f"{minutes}"), at=AT + minutes * MINUTE)
    assert adult.events() == ["emergency"]
    adult.access(doctor(mode="bris_de_glace"), at=AT + MINUTE)
    adult.access(nurse(mode="centre_15"), at=AT + 2 * MINUTE)
    assert adult.events() == ["emergency"] * 3
    adult.access(nurse(**EMERGENCY), at=AT + EMERGENCY_WINDOW)
    adult.anew().access(nurse(**EMERGENCY), at=AT + EMERGENCY_WINDOW + MINUTE)
    assert adult.events() == ["emergency"] * 4
    assert {facts["mode"] for facts in adult.facts()} == {"bris_de_glace", "centre_15"}


def test_an_emergency_is_the_first_access_too(adult: World) -> None:
    adult.access(nurse(**EMERGENCY))
    adult.access(nurse(), at=AT + MINUTE)
    assert adult.events() == ["emergency"]


def test_a_normal_access_before_does_not_hide_an_emergency(adult: World) -> None:
    adult.access(nurse())
    adult.access(nurse(), at=AT + 1)
    adult.access(nurse(**EMERGENCY), at=AT + MINUTE)
    assert adult.events() == ["first-access", "emergency"]


def test_a_deposit_in_an_emergency_is_told_as_one(adult: World) -> None:
    adult.access(nurse(**EMERGENCY), row("provide", "Success", row().decision, "1.2.3"))
    assert adult.events() == ["emergency"]


def test_what_was_refused_in_part_is_an_access_for_the_rest(adult: World) -> None:
    adult.access(nurse(**EMERGENCY), row("retrieve"), row("retrieve", "Failure", REFUSED))
    assert adult.events() == ["emergency"]


@pytest.mark.parametrize(
    "rows",
    [
        [row("query", "Failure", REFUSED)],
        [row("retrieve", "Failure")],
        [replace(row(), patient="")],
        [row("update")],
        [row("record-authorise")],
    ],
)
def test_what_is_no_access_tells_nothing(adult: World, rows: list[object]) -> None:
    adult.access(nurse(), *rows)  # type: ignore[arg-type]
    assert adult.told() == []


@pytest.mark.parametrize("level", ["none", "local", "certificate", "sts"])
def test_who_is_no_professional_tells_nothing(adult: World, level: str) -> None:
    adult.access(nurse(proof_level=level))
    adult.access(Subject("anonymous"))
    assert adult.told() == []


def test_a_document_is_told_where_it_is_wanted(database: Database) -> None:
    there = world(database, OWN, replace(OWN, value="wants@patient.example", documents=True, language="en"))
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3"))
    there.access(nurse(), row("register", "Success", row().decision, "1.2.4"), at=AT + MINUTE)
    assert there.told() == [("document-added", "wants@patient.example", "en")] * 2


def test_a_repeated_deposit_is_told_once(database: Database) -> None:
    there = world(database, replace(OWN, documents=True))
    deposit = row("provide", "Success", row().decision, "1.2.3")
    there.access(nurse(), deposit)
    there.access(nurse(), deposit, at=AT + MINUTE, once=False)
    assert there.events() == ["document-added"]


def test_a_document_that_is_hidden_from_the_holder_is_not_told(database: Database) -> None:
    there = world(database, replace(OWN, documents=True))
    masked(database, "1.2.3", HIDDEN)
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3"))
    assert there.told() == []
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3", "1.2.4"), at=AT + MINUTE)
    assert there.events() == ["document-added"]


def test_a_minors_representative_is_told_in_his_place(database: Database) -> None:
    there = world(database, OWN, replace(HERS, documents=True), born=CHILD)
    there.access(nurse())
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3"), at=AT + MINUTE)
    assert there.told() == [("first-access", HERS.value, "en"), ("document-added", HERS.value, "en")]


def test_a_minor_whose_representative_has_no_address_is_told_at_that_of_the_record(database: Database) -> None:
    there = world(database, OWN, born=CHILD)
    there.access(nurse())
    assert there.told() == [("first-access", OWN.value, "fr")]


@pytest.mark.parametrize(("code", "told"), [(SECRET, 0), (HIDDEN, 0), ("MASQUE_PS^^1.2.250.1.213.1.1.4.13", 1)])
def test_representatives_are_not_told_of_what_is_hidden_from_them(database: Database, code: str, told: int) -> None:
    there = world(database, replace(HERS, documents=True), born=CHILD)
    masked(database, "1.2.3", code)
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3"))
    assert len(there.told()) == told


def test_nothing_of_a_secret_connection_reaches_representatives(database: Database) -> None:
    there = world(database, OWN, replace(HERS, documents=True), born=CHILD)
    there.access(nurse(**SECRETLY))
    there.access(nurse(**EMERGENCY, **SECRETLY), at=AT + MINUTE)
    there.access(nurse(**SECRETLY), row("provide", "Success", row().decision, "1.2.3"), at=AT + 2 * MINUTE)
    assert there.told() == []


def test_who_has_no_address_is_counted(database: Database) -> None:
    there = world(database, Contact("SMS", "+33600000000"))
    there.access(nurse())
    there.access(nurse(**EMERGENCY), at=AT + MINUTE)
    there.access(nurse(), row("provide", "Success", row().decision, "1.2.3"), at=AT + 2 * MINUTE)
    assert [(notice.event, notice.state, notice.address) for notice in there.notices()] == [
        ("first-access", "unaddressed", ""),
        ("emergency", "unaddressed", ""),
    ]


def test_who_ceased_to_represent_is_not_told(database: Database) -> None:
    there = world(database, HERS)  # the holder came of age
    there.access(nurse())
    assert [notice.address for notice in there.notices()] == [""]
    assert MOTHER


def test_a_patient_without_a_record_is_told_nothing(database: Database) -> None:
    there = world(database, OWN)
    other = replace(row(), patient="207058575627097^1.2.250.1.213.1.4.10")
    there.access(nurse(), other)
    assert there.told() == []


def test_nothing_clinical_is_in_the_outbox(adult: World) -> None:
    adult.access(nurse(**EMERGENCY), row("retrieve", "Success", row().decision, "1.2.3.4.5"))
    [notice] = adult.notices()
    assert set(adult.facts()[0]) == {"name", "roles", "mode"}
    assert "unconscious" not in notice.facts
    assert "1.2.3.4.5" not in notice.facts


def test_a_name_cannot_break_a_message(adult: World) -> None:
    adult.access(nurse(name="Test\r\nBcc: all@x.example " + "x" * 500, roles=(Coded("60", G15),)))
    assert adult.facts()[0]["name"].startswith("Test  Bcc")
    assert len(adult.facts()[0]["name"]) == 120


def test_a_destroyed_record_leaves_no_address(adult: World) -> None:
    adult.access(nurse())
    destroyed: list[Callable[[Connection], bool]] = [
        lambda connection: records.close(connection, PATIENT, "request", OPERATOR),
        lambda connection: records.destroy(connection, PATIENT, OPERATOR),
    ]
    for act in destroyed:
        adult.database.write(act)
    with adult.database.read() as connection:
        assert [
            connection.execute(select(func.count()).select_from(table)).scalar() for table in (dmp_notice, dmp_told)
        ] == [
            0,
            0,
        ]
