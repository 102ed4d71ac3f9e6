"""What a row holds of a message is bounded and can be stored; what was cut is identified."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from access_control.subject import Coded, Subject
from database import Database
from journal.bounds import bounded
from journal.rows import LONGEST, LONGEST_DETAIL, LONGEST_OBJECTS, LONGEST_TOLD, journal, row_values
from journal.tables import journal_row
from tests.journal_side import CONTEXT, ROW


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=400), st.integers(150, 300))
def test_a_bounded_text_fits_and_can_be_stored(text: str, limit: int) -> None:
    found = bounded(text, limit)
    assert len(found) <= limit
    assert "\0" not in found
    found.encode()
    if found != text:
        assert hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() in found


def test_what_fits_stays_as_it_is() -> None:
    assert bounded("é" * 256, 256) == "é" * 256
    assert bounded("", 256) == ""


@pytest.mark.parametrize("hostile", ["x" * 1_000_000, "a\0b" * 200, "\ud800", "é" * 1000])
def test_hostile_values_are_bounded_in_every_column(database: Database, hostile: str) -> None:
    subject = replace(Subject(hostile), mode=hostile, purpose=hostile)
    ctx = replace(CONTEXT, message_id=hostile, peer=hostile, subject=subject)
    decision = replace(ROW.decision, rule=hostile)
    row = replace(ROW, patient=hostile, objects=((hostile, hostile),) * 3, decision=decision, detail=hostile)
    database.write(journal(ctx, [replace(row, request_digest=hostile)]))
    with database.read() as connection:
        stored = connection.execute(select(journal_row)).one()
    for name in ("patient", "subject", "mode", "purpose", "message_id", "peer", "rule", "request_digest"):
        value = getattr(stored, name)
        assert len(value) <= LONGEST
        assert hashlib.sha256(hostile.encode("utf-8", "surrogatepass")).hexdigest() in value
    assert len(stored.detail) <= LONGEST_DETAIL
    assert len(stored.objects) <= LONGEST_OBJECTS
    json.loads(stored.objects)


def test_a_long_list_of_objects_stays_json_and_says_how_long_it_was() -> None:
    objects = [("document", f"1.2.{number}") for number in range(10_000)]
    found = json.loads(str(row_values(CONTEXT, replace(ROW, objects=objects))["objects"]))
    assert found[0] == ["document", "1.2.0"]
    assert found[-2] == ["objects", "10000"]
    assert found[-1][0] == "sha256"
    assert len(found) < 200


def test_a_reason_of_a_megabyte_leaves_the_detail_readable() -> None:
    subject = Subject("s", "n", "i" * 9000, (Coded("10", "1.2"),), reason="r" * 1_000_000, digest="d" * 64)
    told = json.loads(str(row_values(replace(CONTEXT, subject=subject), ROW)["detail"]))
    assert len(told["reason"]) <= LONGEST_TOLD
    assert hashlib.sha256(b"r" * 1_000_000).hexdigest() in told["reason"]
    assert len(told["issuer"]) <= LONGEST_TOLD
    assert (told["roles"], told["assertion"]) == (["10^1.2"], "d" * 64)
