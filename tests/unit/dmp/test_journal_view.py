"""Rows of the journal in words, and whose they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmp.journal_view import Act, Document, Reader, describe, profession_text, select_acts, words
from dmp.records import Act as RecordAct
from journal.view import READ_JOURNAL

PATIENT = "279035121500084^1.2.250.1.213.1.4.10"
DOCTOR = "899700000001"


def row(**changes: Any) -> dict[str, Any]:
    told = {"name": "Test Anne", "roles": ["10^1.2.250.1.71.1.2.7", "SM26^1.2.250.1.71.4.2.5"], "structure": "10B0127189"}
    values = {
        "at": 1,
        "subject": DOCTOR,
        "proof_level": "card",
        "mode": "normal",
        "action": "retrieve",
        "objects": '[["document","1.2.3"]]',
        "decision": "allowed",
        "outcome": "Success",
        "detail": json.dumps(told),
    }
    return values | changes


def line(reader: Reader | None = None, documents: dict[str, Document] | None = None, **changes: Any) -> Any:
    reader = reader or Reader("holder", PATIENT, PATIENT)
    [found] = describe([Act.of(row(**changes))], reader, documents or {}, "fr")
    return found


def test_a_professional_is_shown_with_name_number_place_and_profession() -> None:
    assert line().author == f"Test Anne ({DOCTOR}), 10B0127189"
    assert line().profession.startswith("Médecin")
    assert line().action == "a consulté un document"
    assert line().context == "Normal"


def test_a_document_that_the_reader_would_not_find_has_no_title() -> None:
    assert line().documents == ("un document",)
    assert line(documents={"1.2.3": Document("Compte rendu", "Scanner")}).documents == ("Compte rendu: Scanner",)


@pytest.mark.parametrize(
    ("changes", "author"),
    [
        ({"subject": PATIENT, "proof_level": "local", "detail": ""}, "Patient"),
        ({"subject": "mother^1.2.3", "proof_level": "local", "detail": ""}, "Représentant"),
        ({"subject": "os-user:anne", "proof_level": "local", "detail": '{"reason":"asked"}'}, "Gestionnaire du dossier"),
        ({"subject": "os-user:anne", "proof_level": "local", "detail": '{"name":"Desk 4"}'}, "Desk 4"),
        ({"subject": "os-user:anne", "proof_level": "local", "detail": "plain words"}, "Gestionnaire du dossier"),
        ({"subject": "system:liasse", "proof_level": "local", "detail": ""}, "Système"),
        ({"subject": "10B0127189", "proof_level": "structure", "detail": ""}, "10B0127189"),
    ],
)
def test_authors(changes: dict[str, Any], author: str) -> None:
    assert line(**changes).author == author


def test_an_emergency_stands_out_with_its_motive() -> None:
    found = line(mode="bris_de_glace", detail='{"name":"Test Anne","reason":"unconscious"}')
    assert (found.emergency, found.context, found.reason) == (True, "Bris de glace", "unconscious")
    assert line(mode="centre_15").context == "Régulation (SAMU-Centre 15)"


@pytest.mark.parametrize("changes", [{"decision": "refused"}, {"outcome": "Failure"}, {"outcome": "Fault"}])
def test_what_was_not_done_is_shown_as_refused(changes: dict[str, Any]) -> None:
    assert line(**changes).refused
    assert line(**changes).action == "a consulté un document (refusé)"


def test_who_sees_which_rows() -> None:
    secret = {"detail": '{"confidentiality":"INVISIBLE_REPRESENTANTS_LEGAUX^1.2.250.1.213.1.1.4.13"}'}
    rows = [row(), row(subject="899700000002"), row(**secret)]
    for reader, seen in (
        (Reader("holder", PATIENT, PATIENT), 3),
        (Reader("attending", PATIENT, DOCTOR), 3),
        (Reader("professional", PATIENT, DOCTOR), 2),
        (Reader("professional", PATIENT, "899700000003"), 0),
        (Reader("representative", PATIENT, "mother^1.2.3"), 2),
    ):
        assert select_acts(rows, reader, "all", 10).counts["all"] == seen


def test_counts_are_of_all_that_is_seen_and_lines_of_what_is_wanted() -> None:
    rows = [row(at=3), row(at=2, subject=PATIENT, proof_level="local"), row(at=1, subject="os-user:x", proof_level="local")]
    found = select_acts(rows, Reader("holder", PATIENT, PATIENT), "own", 10)
    assert [act.at for act in found.acts] == [2]
    assert found.counts == {"all": 3, "own": 1, "professional": 1, "other": 1}
    assert [act.at for act in select_acts(rows, Reader("holder", PATIENT), "all", 2).acts] == [3, 2]


def test_every_act_has_words() -> None:
    assert {*RecordAct, READ_JOURNAL, "provide", "query", "retrieve", "update", "authorisation-list"} <= set(words())
    assert all(row["fr"] and row["en"] and row["group"] in ("access", "record", "operation") for row in words().values())
    assert line(action="something-new").action == "something-new"


def test_codes_stand_where_words_are_not_known() -> None:
    assert profession_text(["99", "316"]) == "99/316"
    assert profession_text([]) == ""
