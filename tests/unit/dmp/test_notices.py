"""Notices as messages: texts in each language, identity, and that nothing clinical has a place in them."""

from __future__ import annotations

import json
import string
from types import SimpleNamespace
from typing import Any

import pytest

from dmp.notices import UnreadableNotice, message_of, moment, texts
from tests.unit.dmp.notice_world import AT

EVENTS = ("created", "first-access", "document-added", "emergency", "reminder")
FACTS = {"name": "Test Anne", "roles": "60", "mode": "bris_de_glace", "since": str(AT), "until": str(AT)}


def notice(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": "00a", "event": "emergency", "language": "fr", "address": "own@patient.example", "at": AT,
        "facts": json.dumps(FACTS),
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def body(**changes: Any) -> str:
    return str(message_of(notice(**changes), "record@hospital.example").get_content())


def test_every_event_has_a_text_in_each_language() -> None:
    assert set(texts()) == {(event, language) for event in EVENTS for language in ("fr", "en")}
    for event, language in texts():
        assert "{" not in body(event=event, language=language)


def test_no_text_has_a_place_for_more_than_who_and_when() -> None:
    fields = {name for text in texts().values() for _, name, _, _ in string.Formatter().parse(text.text) if name}
    assert fields == {"who", "when", "mode", "since", "until"}
    assert not [text for text in texts().values() if "{" in text.subject]


def test_an_emergency_names_who_in_which_profession_when_and_how() -> None:
    french, english = body(), body(language="en")
    assert "Test Anne (Infirmier" in french
    assert "bris de glace" in french
    assert moment(AT, "fr") in french
    assert "Test Anne (nurse)" in english
    assert "break-glass" in english
    assert moment(AT, "en") in english


def test_a_structure_is_named_beside_who_speaks_for_it() -> None:
    facts = FACTS | {"roles": "10 SM26", "structure": "10B0127189"}
    assert "Test Anne (doctor, 10B0127189)" in body(language="en", facts=json.dumps(facts))


def test_what_is_not_known_is_shown_as_it_is() -> None:
    facts = {"name": "801", "roles": "", "mode": "other"}
    assert "801 had access in an emergency (other)" in body(language="en", facts=json.dumps(facts))


def test_the_identity_of_a_message_is_that_of_its_row() -> None:
    first, second = (message_of(notice(), "record@hospital.example") for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<00a@hospital.example>"
    assert (first["To"], first["From"]) == ("own@patient.example", "record@hospital.example")
    assert first["Auto-Submitted"] == "auto-generated"
    assert first.as_bytes().isascii()


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "other"},
        {"language": "de"},
        {"facts": "{"},
        {"facts": "{}"},
        {"facts": json.dumps({"since": "soon"})},
        {"address": "own@patient.example\r\nBcc: x@y.example"},
    ],
)
def test_a_row_that_no_message_can_be_made_of_says_so(changes: dict[str, str]) -> None:
    with pytest.raises(UnreadableNotice):
        message_of(notice(**changes), "record@hospital.example")
