"""Every row of the attack catalogue has its tests.

Those about XML, MTOM and metadata are tried on the running server, and where they are parsed; those about assertions by the
verifier and, where a server is needed, on one; those about access on servers of shared records; those about the transport,
the journal and load where they belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest

from tests.attacks.test_assertions_b import IN_TABLE
from tests.attacks.test_tls_c import ROWS as TRANSPORT_ROWS
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

B_WIRE, CALLERS = "tests/attacks/test_b_wire.py", "tests/e2e/test_callers.py"
ASSERTIONS = "tests/attacks/test_assertions_b.py"
ASSERTION_OTHER: Mapping[str, tuple[str, ...]] = {
    "B20": ("tests/unit/xua/test_verifier.py::test_a_verifier_needs_an_audience_for_xua_and_a_kind",),
    "B22": (
        "tests/e2e/test_ocsp.py::test_a_certificate_revoked_while_its_connection_is_open",
        "tests/e2e/test_tls.py::test_an_older_list_does_not_bring_a_certificate_back",
    ),
    "B27": (
        f"{ASSERTIONS}::test_b27_replay_by_another_client",
        f"{ASSERTIONS}::test_b27_another_assertion_under_a_used_id",
        f"{ASSERTIONS}::test_b27_one_use",
    ),
    "B28": (
        f"{CALLERS}::test_a_repeated_message_id_is_refused_and_journaled",
        f"{B_WIRE}::test_b28_a_message_id_serves_once_for_every_worker_and_after_a_restart",
    ),
    "B29": (
        f"{B_WIRE}::test_b29_addressing_is_checked_before_a_caller_is_served",
        f"{B_WIRE}::test_b29_nobody_is_called_at_a_reply_address",
    ),
    "B31": (f"{B_WIRE}::test_b31_the_body_of_one_transaction_under_the_action_of_another",),
    "B39": (f"{ASSERTIONS}::test_b39_the_verdicts_are_the_same_with_optimisation",),
    "B40": (
        "tests/property/test_assertion_mutations.py::test_no_damage_changes_who_it_is",
        "tests/property/test_assertion_mutations.py::test_another_engine_agrees",
    ),
}
"""Tests of rows beside the table of assertions."""

TRANSPORT_OTHER: Mapping[str, tuple[str, ...]] = {
    "C2": (
        "tests/e2e/test_callers_fronts.py::test_a_card_that_signs_for_another_connection",
        f"{CALLERS}::test_an_assertion_of_another_card_is_refused",
    ),
    "C7": (
        "tests/attacks/test_c_connections.py::test_a_thousand_connections_that_stand_still",
        "tests/attacks/test_c_connections.py::test_one_byte_at_a_time",
    ),
}

JOURNAL = "tests/attacks/test_journal_i.py"
JOURNAL_OTHER: Mapping[str, tuple[str, ...]] = {
    "I1": ("tests/proof/test_kill.py::test_nothing_acknowledged_is_lost_and_nothing_is_half_there",),
    "I9": (
        "tests/e2e/test_audit.py::test_a_collector_that_was_away_gets_everything_once_in_order",
        "tests/e2e/test_audit.py::test_a_collector_with_an_expired_certificate_gets_nothing_and_loses_nothing",
    ),
}

LOAD = tuple(f"G{n}" for n in range(1, 5))
"""Those of a caller who is known, as far as reading goes."""

ACCESS = tuple(f"H{n}" for n in range(1, 29) if n != 23)
"""H23 asks for patients that are merged."""

ACCESS_FILES = (
    *(f"tests/attacks/test_h_{name}.py" for name in ("queries", "writing", "following", "rights", "elsewhere")),
    "tests/property/test_noninterference.py",
)


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


@pytest.mark.parametrize("row", [f"B{n}" for n in range(1, 41)])
def test_a_row_of_assertions_is_tried(row: str) -> None:
    assert row in IN_TABLE or row in ASSERTION_OTHER
    assert missing((f"{ASSERTIONS}::test_a_case_has_its_verdict", *ASSERTION_OTHER.get(row, ()))) == []


@pytest.mark.parametrize("row", [f"C{n}" for n in range(1, 12)])
def test_a_row_of_the_transport_is_tried(row: str) -> None:
    assert row in TRANSPORT_ROWS or row in TRANSPORT_OTHER
    assert missing(TRANSPORT_OTHER.get(row, ())) == []


@pytest.mark.parametrize("row", [f"I{n}" for n in range(1, 11)])
def test_a_row_of_the_journal_is_tried(row: str) -> None:
    assert [name for name in functions(JOURNAL) if f"_{row.lower()}_" in name] or row in JOURNAL_OTHER
    assert missing(JOURNAL_OTHER.get(row, ())) == []


@pytest.mark.parametrize("row", LOAD)
def test_a_row_of_load_is_tried(row: str) -> None:
    assert [name for name in functions("tests/attacks/test_g_load.py") if f"_{row.lower()}_" in name]


@pytest.mark.parametrize("row", ACCESS)
def test_a_row_of_access_is_tried(row: str) -> None:
    assert [name for file in ACCESS_FILES for name in functions(file) if f"_{row.lower()}_" in name]


@pytest.mark.corpus
def test_the_rows_are_those_of_the_catalogue() -> None:
    text = shared("reference", "security.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| ([ABCDEGHI]\d+) \|", text, re.MULTILINE))
    here = {*ROWS, *(f"B{n}" for n in range(1, 41)), *(f"C{n}" for n in range(1, 12)), *(f"I{n}" for n in range(1, 11))}
    later = {"D14", "E9", "E10", "E13", "G5", "G6", "G7", "G8", "H23"}
    assert known <= {*here, *LOAD, *ACCESS, *later}
