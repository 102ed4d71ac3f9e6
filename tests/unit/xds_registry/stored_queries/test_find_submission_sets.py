"""FindSubmissionSets."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content
from xds_metadata.model import APPROVED, DEPRECATED

S = "$XDSSubmissionSet"
EVERY = ["first", "second", "third"]


def _parameters(*more: tuple[str, str], status: str = APPROVED) -> list[tuple[str, str]]:
    return [(f"{S}PatientId", f"'{s.PATIENT}'"), (f"{S}Status", quoted(status)), *more]


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ([], EVERY),
        ([(f"{S}SourceId", quoted(s.SOURCE))], ["first", "third"]),
        ([(f"{S}SourceId", quoted(s.SOURCE, "1.2.250.1.999.3"))], EVERY),
        ([(f"{S}SourceId", quoted("%"))], []),
        ([(f"{S}SubmissionTimeFrom", "2024")], ["second", "third"]),
        ([(f"{S}SubmissionTimeTo", "20230102")], []),
        ([(f"{S}SubmissionTimeTo", "20230103")], ["first"]),
        ([(f"{S}AuthorPerson", "'%Du_pont%'")], ["third"]),
        ([(f"{S}ContentType", quoted("content2^^1.2.250.1.999.5"))], ["second"]),
    ],
)
def test_filters(content: Content, more: list[tuple[str, str]], names: list[str]) -> None:
    for leaves in (True, False):
        assert content.named(content.side.find("FindSubmissionSets", _parameters(*more), leaves=leaves).ids) == names


def test_no_set_is_deprecated(content: Content) -> None:
    assert content.side.find("FindSubmissionSets", _parameters(status=DEPRECATED)).ids == ()


def test_errors(content: Content) -> None:
    assert content.side.query("FindSubmissionSets", []).codes == ["XDSStoredQueryMissingParam"] * 2
    two = content.side.query("FindSubmissionSets", _parameters((f"{S}AuthorPerson", quoted("a", "b"))))
    assert two.codes == ["XDSStoredQueryParamNumber"]
