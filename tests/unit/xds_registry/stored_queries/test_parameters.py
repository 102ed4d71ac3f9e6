"""Binding of parameters: forms of values, required, single, repeated, limits; all errors at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ebrim.model import Slot
from tests import samples as s
from tests.registry_side import quoted
from xds_metadata.errors import XdsFailure
from xds_metadata.model import APPROVED, DEPRECATED, ON_DEMAND, STABLE
from xds_metadata.patients import patient_column
from xds_registry.stored_queries import QUERIES
from xds_registry.stored_queries.filters import by_unique_id, by_uuid
from xds_registry.stored_queries.parameters import (
    MAX_GROUPS,
    Parameter,
    as_association_type,
    as_code,
    as_object_type,
    as_patient,
    as_status,
    as_text,
    as_time,
    as_uuid,
    bind,
    one_of,
)

TEXT = Parameter("$t", "t", as_text)
SINGLE = Parameter("$s", "s", as_text, many=False)
REQUIRED = Parameter("$r", "r", as_status, required=True)
REPEATED = Parameter("$a", "a", as_code, repeats=True)
ROWS = (TEXT, SINGLE, REQUIRED, REPEATED)
STATUS = Slot("$r", (quoted(APPROVED),))


def _codes(*slots: Slot, rows: Sequence[Parameter] = ROWS) -> list[tuple[str, str]]:
    with pytest.raises(XdsFailure) as caught:
        bind(slots, rows)
    return [(f.for_actor("Registry"), f.rule) for f in caught.value.findings]


def test_absent_is_absent_and_unknown_is_ignored() -> None:
    assert bind([STATUS, Slot("$unknown", ("'x",)), Slot("$homeCommunityId", ("'urn:oid:1.2'",))], ROWS) == {"r": (1,)}


def test_values_of_several_rim_values_are_united() -> None:
    slots = [STATUS, Slot("$t", ("('a','b')", "'c'"))]
    assert bind(slots, ROWS)["t"] == ("a", "b", "c", "c")  # padded to a power of two with the last


def test_a_repeated_slot_keeps_its_groups() -> None:
    slots = [STATUS, Slot("$a", ("('1^^x','2^^x')",)), Slot("$a", ("('3^^x')",))]
    assert bind(slots, ROWS)["a"] == (("1^^x", "2^^x"), ("3^^x",))


def test_parentheses_around_a_single_value_are_tolerated() -> None:
    assert bind([STATUS, Slot("$s", ("('a')",))], ROWS)["s"] == "a"


@pytest.mark.parametrize("slot", [(), (Slot("$r", ()),), (Slot("$r", ("('urn:unknown')",)),)])
def test_a_required_parameter_without_a_known_value_is_missing(slot: tuple[Slot, ...]) -> None:
    assert _codes(*slot) == [("XDSStoredQueryMissingParam", "parameter-required")]


def test_an_unknown_value_beside_a_known_one_is_left_out() -> None:
    assert bind([Slot("$r", (quoted("urn:unknown", DEPRECATED),))], ROWS)["r"] == (2,)


def test_a_slot_without_a_value_is_absent() -> None:
    assert bind([STATUS, Slot("$t", ()), Slot("$s", ()), Slot("$a", ())], ROWS) == {"r": (1,)}


def test_all_errors_at_once() -> None:
    found = _codes(Slot("$s", ("('a','b')",)), Slot("$t", ("'a'",)), Slot("$t", ("'b'",)), Slot("$a", ("'no code'",)))
    assert found == [
        ("XDSStoredQueryParamNumber", "parameter-once"),
        ("XDSStoredQueryParamNumber", "parameter-single"),
        ("XDSStoredQueryMissingParam", "parameter-required"),
        ("XDSRegistryError", "parameter-value"),
    ]


def test_a_bad_value_names_the_slot_and_shows_the_value() -> None:
    with pytest.raises(XdsFailure) as caught:
        bind([STATUS, Slot("$t", ("('a';'b')",))], ROWS)
    (found,) = caught.value.findings
    assert found.context.startswith("$t '('a';'b')': expected a comma")


def test_limits_over_all_values_and_repetitions() -> None:
    many = quoted(*(f"{i}^^x" for i in range(600)))
    assert _codes(STATUS, Slot("$a", (many,)), Slot("$a", (many,))) == [("XDSRegistryError", "parameter-value")]
    assert _codes(STATUS, Slot("$t", (many, many))) == [("XDSRegistryError", "parameter-value")]
    groups = [Slot("$a", ("('1^^x')",))] * (MAX_GROUPS + 1)
    assert _codes(STATUS, *groups) == [("XDSRegistryError", "parameter-value")]
    assert len(bind([STATUS, *groups[1:]], ROWS)["a"]) == MAX_GROUPS


def test_one_of_two_alternatives() -> None:
    rows = (by_uuid("$u", many=True), by_unique_id("$i", many=True))
    assert one_of(bind([Slot("$i", ("('1.2')",))], rows), rows) is rows[1]
    with pytest.raises(XdsFailure) as none:
        one_of({}, rows)
    with pytest.raises(XdsFailure) as both:
        one_of(bind([Slot("$i", ("('1.2')",)), Slot("$u", ("('urn:uuid:1')",))], rows), rows)
    assert [f.code for f in none.value.findings] == ["XDSStoredQueryMissingParam"]
    assert [f.code for f in both.value.findings] == ["XDSStoredQueryParamNumber"]


def test_forms_of_values() -> None:
    assert as_text("e\u0301") == "\u00e9"
    assert as_patient(s.PATIENT) == patient_column(s.PATIENT)
    assert as_patient(f"PAT1^^^&{s.AUTHORITY}&ISO^NH") == patient_column(s.PATIENT)
    assert (as_status(APPROVED), as_status("x")) == (1, None)
    assert as_code("a^^b") == as_code("a^name^b") == as_code("a^^urn:oid:b") == "a^^b"
    assert as_time("2024") == "20240101000000"
    assert (as_object_type(STABLE), as_object_type(ON_DEMAND), as_object_type("x")) == (1, 2, None)
    assert as_uuid("urn:uuid:abc") == "abc"
    assert as_uuid("1.2.3^X") != "1.2.3^X"
    assert (as_association_type("urn:ihe:iti:2007:AssociationType:RPLC"), as_association_type("x")) == (2, None)


@pytest.mark.parametrize(
    ("row", "value"),
    [(as_patient, "x"), (as_code, "a"), (as_code, "a^^"), (as_code, "^^b"), (as_code, "a^^b^c"), (as_time, "2024-01-01")],
)
def test_wrong_forms(row: object, value: str) -> None:
    parameter = Parameter("$p", "p", row)  # type: ignore[arg-type]
    assert _codes(Slot("$p", (quoted(value),)), rows=[parameter]) == [("XDSRegistryError", "parameter-value")]


def test_there_are_fourteen_queries_and_their_parameters_have_names_and_keys_of_their_own() -> None:
    assert len(QUERIES) == 14
    for query in QUERIES.values():
        names = [row.name for row in query.parameters]
        assert len(set(names)) == len(names)
        assert all(name.startswith("$") for name in names)
        keys = [row.key for row in query.parameters]
        assert len(set(keys)) == len(keys)
