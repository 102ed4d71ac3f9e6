"""docs/access-rules.md says what the code decides: the page is read back, cell by cell, and compared with the policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access_control.policy import Action, Change, EntryFacts, Target
from access_control.subject import Coded, Subject
from dmp import tables
from dmp.codes import BASE, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES, MASKED
from dmp.docs import COLUMNS, LIMITS, PAGE, RIGHTS_COLUMNS, main, page, readers
from dmp.explain import Shown, holds
from dmp.policy import Situation, gate
from dmp.reading import readable
from dmp.rules import KEEPING, READING, RULES
from dmp.settings import DmpSettings
from dmp.views import RecordView
from tests.e2e.server import ROOT
from tests.unit.dmp.world import A00, G15, OPEN_RECORD, PATIENT, R01, policy, request, subject
from xua.roles import ROLES

Rows = list[dict[str, str]]


@cache
def sections() -> dict[str, Rows]:
    """The tables of the page by the heading above them; rows by the names of their columns."""
    found: dict[str, Rows] = {}
    heading, head = "", list[str]()
    for line in (ROOT / PAGE).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading, head = line.lstrip("# "), []
        elif line.startswith("|") and not line.startswith("|---"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
            if head:
                found.setdefault(heading, []).append(dict(zip(head, cells, strict=True)))
            else:
                head = cells
    return found


def test_the_page_is_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
    assert main(["--check"]) == 0


def test_every_rule_is_on_the_page_with_a_source_and_a_test_that_is_there() -> None:
    rules, reading = sections()["The rules"], sections()["What is seen of a record"]
    keeping = sections()["How a record is kept"]
    assert [row["Rule"] for row in rules] == list(RULES)
    assert [row["Rule"] for row in reading] == list(READING)
    assert [row["Rule"] for row in keeping] == list(KEEPING)
    for row in (*rules, *reading, *keeping):
        file, _, function = row["Test"].partition("::")
        assert re.search(rf"def {function}\b", (ROOT / file).read_text(encoding="utf-8"))
        assert row["Source"]
    assert {row["Rule"]: row["Refusal"] for row in rules} == {rule.id: rule.code for rule in RULES.values()}


def test_every_rule_that_the_program_names_is_on_the_page() -> None:
    """No decision and no refusal has an id that a reader of the journal cannot look up."""
    named = {
        found
        for package in ("dmp", "liasse", "xds_registry", "xds_repository")
        for path in (ROOT / package).rglob("*.py")
        for found in re.findall(r'"(dmp-[a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    assert named == {*RULES, *READING, *KEEPING}


def test_every_setting_is_on_the_page() -> None:
    assert [row["Option"] for row in sections()["Settings"]] == list(DmpSettings.model_fields)


def matrix_rows() -> Iterator[dict[str, str]]:
    for heading, rows in sections().items():
        if "(`" in heading and rows and "doctor" in rows[0]:
            yield from rows


def reader_of(column: str) -> Subject:
    """Somebody who reads by a column."""
    row = next(row for row in tables.columns() if row.column == column)
    first = min(
        (role for role in ROLES.first if role.code == row.code and role.system == (row.system or role.system)), key=str
    )
    return subject(first, *([Coded(row.beside)] if row.beside else []))


def test_every_cell_of_the_matrix_is_what_the_policy_shows() -> None:
    rows, types = list(matrix_rows()), tables.matrix()[1]
    assert len(rows) == len(types) == 108
    rules = policy(role_based_columns=True)
    for column in COLUMNS:
        visible = rules.scope(request(reader_of(column)), Action.RETRIEVE, (PATIENT,)).visible
        for said, row in zip(rows, types, strict=True):
            assert said["Type"] == row.code
            type_code = row.pair if row.code != "*" else "OTHER^^1.2.3"
            document = EntryFacts("1.2.3", PATIENT, type_code, BASE[:1])
            assert holds(visible, Shown(document, f"{row.class_code}^^1.2.250.1.213.1.1.4.1")) is (said[column] == "yes"), (
                said
            )


def callers() -> dict[str, Subject]:
    doctor, nurse = subject(), subject(Coded("60", G15))
    by_kind = {
        "professional": nurse,
        "doctor": doctor,
        "occupational_doctor": subject(Coded("10", G15), Coded("SM25", R01)),
        "attending": doctor,
        "staff_card": subject(Coded("SECRETARIAT_MEDICAL", A00)),
        "structure": subject(authentication="INDIRECTE"),
    }
    modes = {"_regulation": "centre_15", "_break_glass": "bris_de_glace", "": "normal"}

    def of(column: str) -> Subject:
        suffix = next(end for end in modes if column.endswith(end))
        who = by_kind[column.removesuffix(suffix)]
        return Subject(
            **{name: getattr(who, name) for name in Subject.__dataclass_fields__} | {"mode": modes[suffix], "reason": "r"}
        )

    return {column: of(column) for column in RIGHTS_COLUMNS}


def situation(who: Subject, view: RecordView) -> Situation:
    return policy(view).situation(request(who))


def test_every_functional_right_is_what_the_policy_asks() -> None:
    rows, asking = sections()["Functional rights"], callers()
    assert len(rows) == 26
    for column, words in RIGHTS_COLUMNS.items():
        view = RecordView("active", "valid", attending=column.startswith("attending"))
        before = situation(asking[column], view)
        for row in rows:
            said, _, limit = row[words].partition(" ")
            closed = "dmp-right" in gate(before, row["Right"])
            assert closed is (said == "no"), (column, row["Right"])
            assert not limit or int(limit.strip("()")) in LIMITS


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(readers())),
    codes=st.sets(st.sampled_from([MASKED, INVISIBLE_PATIENT, INVISIBLE_REPRESENTATIVES])),
    row=st.sampled_from(tables.matrix()[1]),
)
def test_visibility_is_what_the_page_says(name: str, codes: set[str], row: Any) -> None:
    caller, view = readers()[name]
    said = next(each for each in sections()["Visibility"] if each["Reader"] == name)
    document = EntryFacts("1.2.3", PATIENT, row.pair if row.code != "*" else "OTHER^^1.2.3", (BASE[0], *sorted(codes)))
    open_ = all(said[f"`{code.partition('^')[0]}`".strip("`")] == "yes" for code in codes)
    by_type = bool(view.relation) or "doctor" in row.readers
    shown = holds(readable(caller, view), Shown(document, f"{row.class_code}^^1.2.250.1.213.1.1.4.1"))
    assert shown is (open_ and by_type)


@pytest.mark.parametrize("status", ["Approved", "Deprecated", "Archived", "Deleted"])
def test_statuses_are_what_the_page_says(status: str) -> None:
    said = next(row for row in sections()["Statuses"] if row["Status"].startswith(status))
    for action, heading in (
        (Action.FIND, "Search (Find…, GetAll)"),
        (Action.GET, "Look-up (other Get…)"),
        (Action.RETRIEVE, "Retrieval"),
    ):
        for view, patient in ((OPEN_RECORD, False), (RecordView("active", relation="holder"), True)):
            rules = policy(view)
            shown = status in rules.statuses(rules.situation(request()), action)
            expected = said[heading] != "no" and not (patient and "never to the patient" in said[heading])
            assert shown is expected


def test_a_change_of_a_deleted_document_is_refused() -> None:
    deleted = EntryFacts("1.2.3", PATIENT, "x^^y", BASE[:1], status="Deleted")
    target = Target((PATIENT,), changes=(Change("status", deleted, status="Approved"),))
    assert policy().may(request(), Action.CHANGE, target).rule == "dmp-change"
