"""Every row of the attack catalogue about XML, MTOM and metadata is tried on the running server, and where it is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest

from tests.completeness.named_tests import functions, missing
from tests.e2e.hostile_metadata import metadata_attacks
from tests.e2e.hostile_mime import mime_attacks
from tests.e2e.hostile_xml import xml_attacks
from tests.e2e.test_hostile import METADATA_ROWS, MIME_ROWS, XML_ROWS
from tests.shared_data import shared

HOSTILE = "tests/e2e/test_hostile.py"
TABLE = f"{HOSTILE}::test_an_attack_is_refused_and_leaves_nothing"
ROWS = tuple([f"A{n}" for n in range(1, 21)] + [f"D{n}" for n in range(1, 14)] + [f"E{n}" for n in (*range(1, 9), 11, 12)])
OTHER: Mapping[str, tuple[str, ...]] = {
    "A2": (f"{HOSTILE}::test_nothing_that_a_message_names_was_fetched",),
    "A3": (f"{HOSTILE}::test_nothing_that_a_message_names_was_fetched",),
    "A12": (f"{HOSTILE}::test_what_a_document_asks_for_is_inert",),
    "A18": (
        f"{HOSTILE}::test_what_a_document_asks_for_is_inert",
        f"{HOSTILE}::test_a_processing_instruction_in_a_message_is_ignored",
    ),
    "A20": (
        f"{HOSTILE}::test_what_a_document_asks_for_is_inert",
        "tests/attacks/test_a_xml_parser.py::test_no_code_of_the_server_transforms",
    ),
    "D5": (f"{HOSTILE}::test_a_delimiter_after_a_bare_line_end_is_data",),
    "D6": (f"{HOSTILE}::test_a_boundary_that_is_the_beginning_of_another_is_not_it",),
    "D12": (
        f"{HOSTILE}::test_a_truncated_upload_leaves_nothing",
        f"{HOSTILE}::test_a_large_upload_cut_in_its_document_leaves_nothing",
    ),
    "E1": (
        f"{HOSTILE}::test_text_that_looks_like_a_statement_is_text",
        f"{HOSTILE}::test_wildcards_belong_to_the_author_pattern_only",
    ),
    "E3": (f"{HOSTILE}::test_a_repeated_slot_narrows_and_a_list_widens",),
    "E4": (f"{HOSTILE}::test_an_identifier_is_never_a_path",),
    "E5": (f"{HOSTILE}::test_a_log_line_holds_nothing_of_a_message",),
    "E6": (f"{HOSTILE}::test_markup_in_values_stays_a_value",),
    "E7": (f"{HOSTILE}::test_unicode_of_free_text_is_returned_as_sent",),
}
"""Tests of rows beside the tables of messages."""


def rows_of(names: Iterable[str]) -> set[str]:
    return {name.split(" ")[0] for name in names}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_tried_over_the_wire(row: str) -> None:
    in_table = row in XML_ROWS + MIME_ROWS + METADATA_ROWS
    assert in_table or row in OTHER
    assert missing((TABLE, *OTHER.get(row, ()))) == []


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] == "A"])
def test_a_row_of_the_parser_is_tried_on_the_parser(row: str) -> None:
    names = functions("tests/attacks/test_a_xml_parser.py")
    assert [name for name in names if f"_{row.lower()}_" in name]


def test_the_tables_hold_the_rows_that_are_run() -> None:
    assert rows_of(xml_attacks("127.0.0.1:9")) == set(XML_ROWS)
    assert rows_of(mime_attacks()) == set(MIME_ROWS)
    assert rows_of(metadata_attacks()) == set(METADATA_ROWS)


@pytest.mark.corpus
def test_the_rows_are_those_of_the_catalogue() -> None:
    text = shared("reference", "security.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| ([ADE]\d+) \|", text, re.MULTILINE))
    assert set(ROWS) == known - {"D14", "E9", "E10", "E13"}
