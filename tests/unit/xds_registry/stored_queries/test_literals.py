"""The literal syntax of query parameters."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry_side import quoted
from xds_registry.stored_queries.literals import MAX_CHARACTERS, MAX_VALUES, LiteralError, read_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'a'", ("a",)),
        ("('a')", ("a",)),
        ("('a','b')", ("a", "b")),
        (" \n( 'a' ,\t'b' )\n", ("a", "b")),
        ("('Children''s','')", ("Children's", "")),
        ("''''", ("'",)),
        ("('a,b^^(c)','d)')", ("a,b^^(c)", "d)")),
        ('"a"', ("a",)),
        ('("a","b ""c""")', ("a", 'b "c"')),
        ("123", ("123",)),
        ("20240229", ("20240229",)),
        ("(1, 2)", ("1", "2")),
        ("PAT1^^^&1.2.3&ISO", ("PAT1^^^&1.2.3&ISO",)),
        ("('%^Dem_^%')", ("%^Dem_^%",)),
        ("'\\'", ("\\",)),
    ],
)
def test_values(text: str, values: tuple[str, ...]) -> None:
    assert read_values(text) == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("'a", "character 1 is not closed"),
        ("'a'b", "unexpected text after the value, at character 4"),
        ("('a'", "no closing parenthesis"),
        ("('a','b'", "no closing parenthesis"),
        ("()", "expected a value at character 2"),
        ("(,)", "expected a value at character 2"),
        ("('a',)", "expected a value at character 6"),
        ("('a' 'b')", "expected a comma"),
        ("('a';'b')", "expected a comma"),
        ("('a'))", "expected a comma"),
        ("(('a'))", "expected a value"),
        ("('a')('b')", "expected a comma"),
        ("('a)", "not closed"),
        ("('a'')", "not closed"),
        ("O'Brien", "unexpected '"),
        ("a('b')", "unexpected ("),
        ("'x' OR 1=1--", "unexpected text"),
    ],
)
def test_what_is_no_literal_says_where(text: str, reason: str) -> None:
    with pytest.raises(LiteralError) as caught:
        read_values(text)
    assert reason in caught.value.reason


def test_limits() -> None:
    assert len(read_values(quoted(*["a"] * MAX_VALUES))) == MAX_VALUES
    with pytest.raises(LiteralError, match="more than 1000 values"):
        read_values(quoted(*["a"] * (MAX_VALUES + 1)))
    with pytest.raises(LiteralError, match="65537 characters"):
        read_values("'" + "a" * (MAX_CHARACTERS - 1) + "'")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_quoted_values_are_read_back(values: list[str]) -> None:
    assert read_values(quoted(*values)) == tuple(values)


@given(st.text(alphabet="'\"(), ab", max_size=20))
def test_any_text_gives_values_or_our_error(text: str) -> None:
    with contextlib.suppress(LiteralError):
        assert read_values(text)
