"""FindFolders."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content
from xds_metadata.model import APPROVED, DEPRECATED

F = "$XDSFolder"


def _parameters(*more: tuple[str, str], status: str = APPROVED) -> list[tuple[str, str]]:
    return [(f"{F}PatientId", f"'{s.PATIENT}'"), (f"{F}Status", quoted(status)), *more]


def _code(*values: str) -> str:
    return quoted(*(f"{value}^^1.2.250.1.999.5" for value in values))


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ([], ["folder", "other"]),
        ([(f"{F}CodeList", _code("A"))], ["other"]),
        ([(f"{F}CodeList", _code("A", "folder-code"))], ["folder", "other"]),
        ([(f"{F}CodeList", _code("A")), (f"{F}CodeList", _code("B"))], ["other"]),
        ([(f"{F}CodeList", _code("A")), (f"{F}CodeList", _code("folder-code"))], []),
        ([(f"{F}LastUpdateTimeFrom", "2026")], []),
        ([(f"{F}LastUpdateTimeTo", "2025")], []),
        ([(f"{F}LastUpdateTimeFrom", "2025"), (f"{F}LastUpdateTimeTo", "'2026'")], ["folder", "other"]),
    ],
)
def test_filters(content: Content, more: list[tuple[str, str]], names: list[str]) -> None:
    for leaves in (True, False):
        assert content.named(content.side.find("FindFolders", _parameters(*more), leaves=leaves).ids) == names


def test_status(content: Content) -> None:
    assert content.side.find("FindFolders", _parameters(status=DEPRECATED)).ids == ()


def test_errors(content: Content) -> None:
    assert content.side.query("FindFolders", []).codes == ["XDSStoredQueryMissingParam"] * 2
