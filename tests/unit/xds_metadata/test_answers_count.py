"""What a message may make the server do: objects, documents, values, findings sought and findings answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from tests import samples as s
from xds_metadata.answers import MOST_ANSWERED, REGISTRY, REPOSITORY, check_count, registry_errors
from xds_metadata.codes import load_codes
from xds_metadata.errors import MOST_SOUGHT, Finding, XdsFailure
from xds_metadata.from_ebrim import from_ebrim
from xds_metadata.profile import IHE
from xds_metadata.rules import check_submission, judge_objects
from xds_metadata.rules.structure import MAX_AUTHOR_VALUES, MAX_DOCUMENTS, MAX_OBJECTS
from xds_metadata.rules.values import PROVIDE
from xmlsafe.namespaces import RIM, XDS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _body(objects: int, loose: int) -> etree._Element:
    inside = "<r:Association/>" * objects + "<r:Classification/>" * loose
    return etree.fromstring(f'<a xmlns:r="{RIM}"><b><r:RegistryObjectList>{inside}</r:RegistryObjectList></b></a>')


def test_as_many_as_allowed_pass() -> None:
    check_count(_body(MAX_OBJECTS, MAX_OBJECTS))


@pytest.mark.parametrize(("objects", "loose"), [(MAX_OBJECTS + 1, 0), (0, MAX_OBJECTS + 1)])
def test_one_more_is_refused(objects: int, loose: int) -> None:
    with pytest.raises(XdsFailure) as caught:
        check_count(_body(objects, loose))
    (found,) = caught.value.findings
    assert (found.rule, found.severity) == ("submission-size", "Error")
    assert f"{objects} objects and {loose} classifications" in found.context


@pytest.mark.parametrize(("documents", "right"), [(MAX_DOCUMENTS, True), (MAX_DOCUMENTS + 1, False)])
def test_documents_are_counted_before_each_is_looked_at(documents: int, right: bool) -> None:
    body = etree.fromstring(f'<x:a xmlns:x="{XDS}">{"<x:Document/>" * documents}</x:a>')
    if right:
        check_count(body)
        return
    with pytest.raises(XdsFailure, match="submission-size") as caught:
        check_count(body)
    assert f"{documents} Documents, {MAX_DOCUMENTS} are allowed" in caught.value.findings[0].context


@pytest.mark.parametrize("field", ["institutions", "roles", "specialties", "telecommunications"])
def test_values_of_an_author_are_counted_before_each_is_looked_at(field: str) -> None:
    values: dict[str, Any] = {field: ("wrong^^^^^",) * (MAX_AUTHOR_VALUES + 1)}
    author = replace(s.author(), **values)
    found = check_submission(s.submission(s.entry(authors=(author,))), PROVIDE, IHE, load_codes("any"), NOW)
    assert [f.rule for f in found] == ["submission-size"]
    assert f"{MAX_AUTHOR_VALUES + 1} values, {MAX_AUTHOR_VALUES} are allowed" in found[0].context


def _findings(number: int, severity: str = "Error") -> list[Finding]:
    return [Finding("MetadataError", f"finding {n}", "here", severity=severity) for n in range(number)]


@pytest.mark.parametrize("number", [1, MOST_ANSWERED, MOST_ANSWERED + 1])
def test_so_many_findings_are_all_answered(number: int) -> None:
    assert [e.context for e in registry_errors(_findings(number), REGISTRY)] == [f.context for f in _findings(number)]


def test_of_more_findings_the_rest_is_counted() -> None:
    *listed, last = registry_errors(_findings(MOST_ANSWERED + 7), REPOSITORY)
    assert [e.context for e in listed] == [f.context for f in _findings(MOST_ANSWERED)]
    assert (last.code, last.context, last.location) == (
        "XDSRepositoryMetadataError",
        "7 further findings are not listed",
        "",
    )


def test_where_judging_stopped_the_count_says_so() -> None:
    last = registry_errors(_findings(MOST_SOUGHT), REGISTRY)[-1]
    assert last.context == f"at least {MOST_SOUGHT - MOST_ANSWERED} further findings are not listed"


def test_errors_come_before_warnings_that_are_not_listed() -> None:
    errors = registry_errors([*_findings(MOST_ANSWERED, "Warning"), *_findings(5)], REGISTRY)
    assert [e.severity for e in errors] == ["Error"] * 5 + ["Warning"] * (MOST_ANSWERED - 4)
    assert errors[-1].context == "5 further findings are not listed"


def test_without_a_limit_every_finding_is_answered() -> None:
    assert len(registry_errors(_findings(MOST_SOUGHT * 2), REGISTRY, most=None)) == MOST_SOUGHT * 2


def test_objects_with_too_many_findings_are_not_read_to_the_end() -> None:
    made = s.objects(s.submission(s.entry()))
    (entry,) = made.extrinsic_objects
    slots = (*entry.slots, *(replace(entry.slots[0], name=f"unknown{n}") for n in range(MOST_SOUGHT + 200)))
    broken = replace(made, extrinsic_objects=(replace(entry, slots=slots),))
    with pytest.raises(XdsFailure) as caught:
        judge_objects(broken, PROVIDE, IHE, load_codes("any"), NOW)
    assert [f.rule for f in caught.value.findings] == ["slot-name"] * MOST_SOUGHT
    assert len(from_ebrim(broken, IHE)[1]) == MOST_SOUGHT + 200
    assert len(from_ebrim(broken, IHE)[0].entries) == 1


def test_rules_stop_at_as_many_findings() -> None:
    links = [s.link("urn:wrong:type", "a", "b") for _ in range(MOST_SOUGHT + 100)]
    found = check_submission(s.submission(s.entry(), links=links), PROVIDE, IHE, load_codes("any"), NOW)
    assert len(found) == MOST_SOUGHT
