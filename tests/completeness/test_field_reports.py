"""Every field report of the classes A to I, K and N has a test, or a reason why not yet.

A report is a row of the collection of public fault reports, by its number. Reports about other actors are tried by the
conformance tester's own tests: there a made-up peer commits the fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.completeness.named_tests import functions, missing
from tests.shared_data import shared

WIRE = "tests/e2e/test_field_reports.py"
HOSTILE = "tests/e2e/test_hostile.py"
TESTER = "tests/unit/conformance/test_served.py"
TESTER_MIME = "tests/unit/conformance/test_mime.py"
UPDATE = "tests/unit/xds_registry/test_iti57.py"
UPDATE_RULES = "tests/unit/xds_registry/test_iti57_rules.py"
FEED = "tests/unit/xds_registry/test_iti8.py"
MLLP = "tests/unit/xds_registry/test_mllp.py"
PROVIDE = "tests/unit/xds_repository/test_iti41.py"
RETRIEVE = "tests/unit/xds_repository/test_iti43.py"
RECEIVER = "tests/unit/conformance/test_audit_receiver.py"
CONTENT = "tests/unit/xds_repository/test_content.py"


@dataclass(frozen=True)
class Later:
    """Not testable before a feature exists."""

    reason: str


VERSIONS = Later("needs the query parameters of the Metadata Update option")
REMOVAL = Later("needs removal (ITI-62)")


def wire(name: str) -> str:
    return f"{WIRE}::test_{name}"


REPORTS: Mapping[int, tuple[str, ...] | Later] = {
    1: (wire("f01_an_empty_soapaction_header_changes_nothing"),),
    2: (f"{TESTER}::test_a_second_child_of_the_body_is_reported_and_the_status_still_read",),
    3: (wire("f03_nothing_is_compressed"),),
    4: (
        f"{HOSTILE}::test_a_truncated_upload_leaves_nothing",
        "tests/unit/liasse/test_app.py::test_f4_d12_a_truncated_upload_leaves_nothing",
    ),
    5: (
        wire("f05_an_update_under_the_action_of_a_registration"),
        "tests/e2e/test_iti57.py::test_f05_an_update_under_the_action_of_a_registration_adds_nothing",
    ),
    6: (wire("f06_f08_an_expecting_client_gets_one_bare_interim_line"),),
    7: (wire("f07_soap_1_1_is_answered_the_same_way_each_time"),),
    8: (
        wire("f06_f08_an_expecting_client_gets_one_bare_interim_line"),
        wire("f08_an_expecting_client_may_get_its_refusal_at_once"),
    ),
    9: (wire("f09_any_message_id_is_related_to_as_received"),),
    10: (wire("f10_the_media_type_is_parsed_and_not_compared"),),
    11: (wire("f11_a_mixed_header_is_only_a_hint"),),
    12: (
        f"{HOSTILE}::test_an_attack_is_refused_and_leaves_nothing",
        f"{TESTER}::test_a_package_without_boundary_is_reported_and_not_guessed",
    ),
    13: (f"{HOSTILE}::test_nothing_that_a_message_names_was_fetched",),
    14: (wire("f14_f15_content_ids_are_compared_decoded"), wire("f14_parts_that_become_equal_are_refused")),
    15: (
        wire("f14_f15_content_ids_are_compared_decoded"),
        wire("f15_a_bare_accent_is_refused_and_not_matched_by_place"),
    ),
    16: (wire("f16_a_boundary_with_a_colon_and_a_stray_semicolon"),),
    17: (
        wire("f17_a_fault_for_a_package_can_be_read"),
        "tests/unit/soap/test_client.py::test_a_fault_is_read_as_it_was_meant",
        f"{TESTER}::test_a_fault_is_read_in_a_package_and_outside",
    ),
    18: (wire("f18_f28_brackets_may_be_missing"),),
    19: (wire("f19_another_boundary_is_not_searched_for"),),
    20: (wire("f20_base64_inside_a_package"), f"{PROVIDE}::test_inline_base64_in_lines_is_decoded"),
    21: (f"{HOSTILE}::test_an_attack_is_refused_and_leaves_nothing",),
    22: (wire("f22_the_last_line_end_belongs_to_the_delimiter"),),
    23: (wire("f23_documents_of_every_size_keep_their_bytes"),),
    24: (wire("f24_a_part_without_transfer_encoding_is_binary"),),
    25: (f"{HOSTILE}::test_a_request_that_is_no_message_has_its_own_status",),
    26: (wire("f26_a_value_is_never_a_header"), f"{RETRIEVE}::test_what_could_not_stand_in_a_header_does_not"),
    27: (f"{TESTER}::test_simple_soap_for_a_retrieve_is_reported_and_the_document_compared",),
    28: (
        wire("f18_f28_brackets_may_be_missing"),
        f"{TESTER_MIME}::test_ids_are_compared_without_brackets_and_percent_encoding",
    ),
    29: (wire("f29_a_damaged_prolog_is_not_repaired"), f"{CONTENT}::test_a_contradiction_is_one_finding"),
    30: (wire("f30_an_error_shows_the_accent_as_it_was_sent"), wire("f30_codes_are_compared_in_one_form")),
    31: (wire("f31_f32_f33_the_form_of_xml_does_not_matter"),),
    32: (wire("f31_f32_f33_the_form_of_xml_does_not_matter"),),
    33: (
        wire("f31_f32_f33_the_form_of_xml_does_not_matter"),
        "tests/unit/cda/test_metadata.py::test_prefixes_do_not_matter",
    ),
    34: (wire("f34_an_ampersand_escaped_twice_is_told"),),
    35: (wire("f35_text_keeps_its_bytes_and_gets_no_charset"),),
    36: (wire("f36_one_query_in_three_spellings"),),
    37: (wire("f37_a_size_that_is_none"),),
    38: (wire("f38_empty_is_not_present"),),
    39: (wire("f39_leading_zeros_of_oids"),),
    40: (wire("f40_f46_references_are_returned_whole"),),
    41: (f"{PROVIDE}::test_every_finding_of_metadata_is_told_at_once",),
    42: (wire("f42_blanks_around_the_repository"),),
    43: (wire("f43_times_of_every_precision_are_kept"),),
    44: (wire("f44_a_sha_256_is_no_hash"),),
    45: (wire("f45_document_ids_need_not_be_oids"),),
    46: (wire("f40_f46_references_are_returned_whole"),),
    47: (wire("f47_white_space_in_an_identifier_is_shown"),),
    48: (
        wire("f48_a_time_with_a_zone_is_refused"),
        "tests/unit/cda/test_metadata.py::test_times_become_utc",
    ),
    49: (wire("f49_a_broken_line_is_named_as_what_it_is"),),
    50: (wire("f50_a_birth_date_with_hyphens"),),
    51: (wire("f51_long_document_ids"),),
    52: (wire("f52_one_id_for_two_classifications"),),
    53: (wire("f53_a_submission_set_without_patient"),),
    54: (wire("f54_an_empty_home_is_none"),),
    55: (wire("f55_children_in_the_wrong_order"),),
    56: (wire("f56_limited_metadata_is_recognised_by_its_node"),),
    57: (wire("f57_an_association_to_nothing"),),
    58: (wire("f58_a_classification_in_the_wrong_object"),),
    59: (wire("f59_ids_of_classifications_from_message_to_message"),),
    60: (wire("f60_white_space_around_a_list"),),
    61: (wire("f61_a_unique_id_in_the_place_of_an_entry_uuid"),),
    62: (wire("f62_related_documents_without_types"),),
    63: (wire("f63_semicolons_between_patients"),),
    64: (f"{HOSTILE}::test_wildcards_belong_to_the_author_pattern_only",),
    65: VERSIONS,
    66: (wire("f66_patient_and_status_are_enough"),),
    67: VERSIONS,
    68: (
        wire("f68_nothing_found_is_a_success"),
        f"{TESTER}::test_a_failure_with_nothing_but_warnings_is_a_finding",
    ),
    69: (wire("f69_a_home_community_in_a_query"),),
    70: (wire("f70_f80_both_statuses_and_a_second_replacement"),),
    71: (wire("f71_errors_of_parameters_have_their_codes"),),
    72: (f"{TESTER}::test_an_on_demand_entry_needs_neither_hash_nor_size_nor_creation_time",),
    73: (wire("f73_a_reference_search_under_the_wrong_id"),),
    74: (f"{UPDATE}::test_relationships_name_the_latest_version",),
    75: (f"{UPDATE_RULES}::test_f75_the_text_says_that_the_logical_id_is_missing",),
    76: (
        wire("f76_an_answer_holds_lid_and_version"),
        f"{UPDATE}::test_f76_an_update_is_made_of_a_query_answer_alone",
    ),
    77: (wire("f77_a_deprecated_entry_keeps_its_identifier"),),
    78: REMOVAL,
    79: (f"{UPDATE}::test_f79_of_three_versions_the_last_is_approved",),
    80: (wire("f70_f80_both_statuses_and_a_second_replacement"),),
    81: (
        wire("f81_the_answer_to_a_provide_has_one_part"),
        f"{TESTER}::test_the_answer_to_a_provide_has_one_part_and_no_more_are_asked_for",
    ),
    82: (wire("f82_the_repository_id_is_compared_exactly"), f"{RETRIEVE}::test_another_repository_is_not_ours"),
    83: (wire("f83_an_unknown_document"),),
    84: (wire("f84_hash_and_size_are_the_repository_s_to_compute"),),
    85: (wire("f85_an_unknown_code_is_named_with_its_attribute"),),
    86: (wire("f86_no_answer_of_these_tests_held_a_trace"), f"{HOSTILE}::test_an_attack_is_refused_and_leaves_nothing"),
    87: (wire("f87_a_missing_attribute_has_a_metadata_code"),),
    88: (
        wire("f88_submission_sets_have_lid_and_version"),
        f"{TESTER}::test_a_submission_set_without_lid_or_version_is_a_warning",
    ),
    89: (wire("f89_uris_of_severity_are_exact"), f"{TESTER}::test_wrong_severity_uris_are_reported"),
    106: (f"{MLLP}::test_line_ends_between_frames_break_nothing",),
    107: (f"{FEED}::test_escapes_in_a_name_do_no_harm",),
    108: (
        f"{MLLP}::test_the_answer_is_framed",
        f"{FEED}::test_the_acknowledgement_exchanges_sender_and_receiver_and_echoes_the_control_id",
    ),
    109: (f"{FEED}::test_names_in_every_character_set_are_read",),
    110: (f"{FEED}::test_line_ends_after_the_last_segment_are_no_segment",),
    111: (f"{MLLP}::test_the_answer_is_framed",),
    112: (f"{FEED}::test_doubled_and_foreign_line_ends_between_segments",),
    126: (
        "tests/unit/liasse/test_audit_trail.py::test_f126_a_query_names_its_patient_its_bytes_and_its_user",
        "tests/e2e/test_audit.py::test_queries_carry_their_patient_and_their_bytes",
        f"{RECEIVER}::test_f126_the_patient_of_get_all_is_demanded",
    ),
    127: (f"{RECEIVER}::test_f127_a_plausible_but_wrong_msgid",),
    128: (f"{RECEIVER}::test_f128_the_letters_bom_are_found_and_the_mark_is_not",),
    129: (
        "tests/unit/liasse/test_audit_trail.py::test_f129_what_is_given_and_what_is_not_are_two_events",
        "tests/e2e/test_audit.py::test_one_event_for_each_transaction",
        f"{RECEIVER}::test_f129_inverted_ends_of_a_retrieve_are_found",
    ),
}


@pytest.mark.parametrize("number", REPORTS)
def test_the_tests_of_a_report_exist(number: int) -> None:
    tests = REPORTS[number]
    if isinstance(tests, Later):
        assert tests.reason
        return
    assert tests
    assert missing(tests) == []


def test_every_test_over_the_wire_stands_for_a_report() -> None:
    named = {name for tests in REPORTS.values() if isinstance(tests, tuple) for name in tests}
    assert {f"{WIRE}::{function}" for function in functions(WIRE)} <= named


def test_a_test_is_named_after_its_reports() -> None:
    for number, tests in REPORTS.items():
        for name in tests if isinstance(tests, tuple) else ():
            if name.startswith(f"{WIRE}::"):
                assert f"_f{number:02d}_" in name.partition("::test")[2], (number, name)


@pytest.mark.corpus
def test_no_report_is_left_out() -> None:
    text = shared("reference", "field_reports.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| F(\d+) \| .*? \| ([A-Z]) \|", text, re.MULTILINE)
    assert len(rows) > 100
    assert {int(number) for number, kind in rows if kind in "ABCDEFGHIKN"} == set(REPORTS)
