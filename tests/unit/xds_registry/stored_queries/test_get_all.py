"""GetAll."""

from __future__ import annotations

import pytest

from tests import samples as s
from tests.registry_side import quoted
from tests.unit.xds_registry.stored_queries.content import Content
from xds_metadata.model import APPROVED, DEPRECATED

STATUS = ("$XDSDocumentEntryStatus", "$XDSSubmissionSetStatus", "$XDSFolderStatus")


def _parameters(*more: tuple[str, str], statuses: tuple[str, ...] = (APPROVED,)) -> list[tuple[str, str]]:
    return [("$patientId", f"'{s.PATIENT}'"), *((name, quoted(*statuses)) for name in STATUS), *more]


def _objects(names: list[str]) -> list[str]:
    return [name for name in names if name != "link"]


CONTAINERS = ["first", "folder", "other", "second", "third"]


@pytest.mark.parametrize("leaves", [True, False])
def test_everything_and_what_touches_it(content: Content, leaves: bool) -> None:
    answer = content.side.find("GetAll", _parameters(), leaves=leaves)
    names = content.named(answer.ids)
    assert _objects(names) == sorted([*CONTAINERS, "addendum", "dated", "new"])
    # first: 2 + 1 entries and folder, 2 for the filing; second: 2, RPLC, 2 for the filing it brings; third: 1, APND, 1
    assert names.count("link") == 5 + 5 + 3
    assert len(set(answer.ids)) == len(answer.ids)


def test_associations_may_point_outside_the_answer(content: Content) -> None:
    answer = content.side.find("GetAll", _parameters())
    assert content.ids["foreign"] in {a.target for a in answer.objects.associations}


def test_both_statuses(content: Content) -> None:
    names = content.named(content.side.find("GetAll", _parameters(statuses=(APPROVED, DEPRECATED))).ids)
    assert _objects(names) == sorted([*CONTAINERS, "addendum", "dated", "new", "plain"])


def test_filters_concern_entries_only(content: Content) -> None:
    more = [
        ("$XDSDocumentEntryFormatCode", quoted("format2^^1.2.250.1.999.5")),
        ("$XDSDocumentEntryConfidentialityCode", quoted("R^^1.2.250.1.999.5")),
        ("$XDSDocumentEntryConfidentialityCode", quoted("V^^1.2.250.1.999.5")),
    ]
    names = content.named(content.side.find("GetAll", _parameters(*more)).ids)
    assert _objects(names) == sorted([*CONTAINERS, "dated"])


def test_all_four_are_required(content: Content) -> None:
    assert content.side.query("GetAll", []).codes == ["XDSStoredQueryMissingParam"] * 4
