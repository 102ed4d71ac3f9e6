"""The plan and the target file: what ships is sound, and every mistake in one is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.plan import CASES, Case, load_case, load_plan, select
from conformance.tables import PlanError
from conformance.target import CAPABILITIES, load_target
from conformance.vocabulary import ACTIONS, QUERIES
from tests.unit.conformance.canned import SAMPLE, target_at, target_text

PLAN = load_plan()

GOOD = """
id = "x-case"
title = "t"
transaction = "ITI-18"
purpose = "p"
clauses = ["c"]
needs = ["registry"]

[[step]]
name = "first"
send = "ITI-42"
documents = [{ key = "d1" }]
relations = [{ type = "RPLC", source = "d1", target = "$uuid.x" }]
expect = [{ check = "status", is = "Success" }]
capture = { old = "$d1.uniqueId" }

[[step]]
name = "second"
send = "ITI-18"
query = "GetDocuments"
parameters = { XDSDocumentEntryEntryUUID = ["$old", "$d1.id", "$code.typeCode", "$type.RPLC"] }
expect = [{ check = "objects", kind = "document", count = 1 }]
"""


def load(folder: Path, text: str) -> Case:
    path = folder / "x-case.toml"
    path.write_text(text, encoding="utf-8")
    return load_case(path)


def test_the_plan_has_at_least_twenty_five_cases_of_all_four_transactions() -> None:
    assert len(PLAN) >= 25
    assert {case.transaction for case in PLAN} == set(ACTIONS)


def test_every_case_cites_the_standard_and_has_a_purpose_of_its_own() -> None:
    for case in PLAN:
        assert all(re.match(r"ITI |RFC |SOAP |WS-|XOP|XDS |choice ", clause) for clause in case.clauses), case.id
    assert len({case.purpose for case in PLAN}) == len(PLAN)
    assert len({case.title for case in PLAN}) == len(PLAN)


def test_every_query_of_the_registry_is_asked_by_some_case() -> None:
    asked = {step.query for case in PLAN for step in case.step}
    assert set(QUERIES) - {"GetSubmissionSets"} <= asked


def test_a_case_that_expects_a_refusal_looks_whether_nothing_was_stored() -> None:
    for case in PLAN:
        refused = [
            index
            for index, step in enumerate(case.step)
            if step.send in ("ITI-41", "ITI-42")
            and any(item.check == "status" and item.arguments["is"] == "Failure" for item in step.expect)
        ]
        for index in refused:
            assert any(step.send in ("ITI-18", "ITI-43") for step in case.step[index + 1 :]), case.id


def test_a_sound_case_is_read(tmp_path: Path) -> None:
    case = load(tmp_path, GOOD)
    assert case.patients == ("patient",)
    assert [item.check for item in case.step[1].expect] == ["status", "objects"]


def test_the_patients_of_a_case_are_found(tmp_path: Path) -> None:
    text = GOOD.replace('{ key = "d1" }', '{ key = "d1", patient = "$patient2" }')
    assert load(tmp_path, text).patients == ("patient", "patient2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "t"', 'titel = "t"', "unknown key 'titel' (did you mean 'title'?)"),
        ('title = "t"\n', "", "missing key 'title'"),
        ('clauses = ["c"]', "clauses = []", "at least one clause"),
        ('clauses = ["c"]', 'clauses = "c"', "expected a list"),
        ('"ITI-18"\npurpose', '"ITI-81"\npurpose', "unknown transaction 'ITI-81'"),
        ('needs = ["registry"]', 'needs = ["folder"]', "unknown capability 'folder' (did you mean 'folders'?)"),
        ('needs = ["registry"]', 'needs = ["retry=never"]', "unknown choice"),
        ('needs = ["registry"]', 'needs = ["codes.typeCode"]', "expected codes.ATTRIBUTE.COUNT"),
        ('id = "x-case"', 'id = "y-case"', "equals the file name"),
        ('key = "d1" }', 'key = "d1", colour = "red" }', "unknown key 'colour'"),
        ('key = "d1" }', 'key = "d1", length = "9" }', "expected int"),
        ('check = "status"', 'check = "statu"', "unknown check 'statu' (did you mean 'status'?)"),
        ('is = "Success"', 'was = "Success"', "unknown key 'was'"),
        ('is = "Success"', "is = 1", "expected str"),
        ('{ check = "status", is = "Success" }', '{ check = "status" }', "missing key 'is'"),
        ("count = 1", 'count = 1, level = "may"', "must or should"),
        ('send = "ITI-42"', 'send = "ITI-43x"', "`send` is one of"),
        ('send = "ITI-18"', 'send = "again"', "`of` names an earlier step"),
        ('query = "GetDocuments"', 'query = "GetDocument"', "unknown query 'GetDocument' (did you mean 'GetDocuments'?)"),
        ('type = "RPLC"', 'type = "REPL"', "unknown relation"),
        ("$old", "$new", "no earlier step defines $new"),
        ("$d1.id", "$d2.id", "no earlier step defines $d2.id"),
        ("$code.typeCode", "$code.colour", "unknown variable $code.colour"),
        ("$type.RPLC", "$type.REPL", "unknown variable $type.REPL"),
        ('name = "second"', 'name = "first"', "the name is used twice"),
        ("expect = [{ check = \"objects\", kind = \"document\", count = 1 }]", "", "checks nothing"),
        ("[[step]]", "[[steps]]", "at least one [[step]]"),
        ("id =", "id ==", "not TOML"),
        ('relations = [', 'members = [["d1"]]\nrelations = [', "a member is [folder, document]"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_case_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(PlanError, match=re.escape(message)) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert "x-case.toml" in str(caught.value)


def test_a_plan_needs_cases_and_ids_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no case found"):
        load_plan(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        load(tmp_path / name, GOOD)
    with pytest.raises(PlanError, match="two cases"):
        load_plan(tmp_path)


def test_cases_are_selected_by_id_and_by_transaction() -> None:
    assert [case.id for case in select(PLAN, ["42-replace"])] == ["42-replace"]
    assert {case.transaction for case in select(PLAN, ["ITI-43"])} == {"ITI-43"}
    assert len(select(PLAN, [])) == len(PLAN)
    with pytest.raises(PlanError, match="did you mean '42-replace'"):
        select(PLAN, ["42-replac"])


def test_the_files_of_the_plan_are_where_the_wheel_takes_them() -> None:
    assert len(list(CASES.rglob("*.toml"))) == len(PLAN)


def test_the_sample_target_is_read(tmp_path: Path) -> None:
    target = load_target(SAMPLE)
    assert set(target.capabilities) == set(CAPABILITIES)
    assert target.url("ITI-42") == "http://127.0.0.1:8080/registry"
    assert target.url("ITI-43") == "http://127.0.0.1:8080/repository"
    assert target_at(tmp_path, "http://x").url("ITI-18") == "http://x/registry"


def test_one_transaction_may_live_elsewhere(tmp_path: Path) -> None:
    target = target_at(tmp_path, "http://x", timeout='30\nurls = { "ITI-43" = "http://y/retrieve" }')
    assert target.url("ITI-43") == "http://y/retrieve"
    assert target.url("ITI-41") == "http://x/repository"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folders = true\n", "", "missing key 'folders'; add the line: folders = true"),
        ("folders = true", "folders = true\nfolder = true", "unknown key 'folder' (did you mean 'folders'?)"),
        ("folders = true", 'folders = "yes"', "expected bool"),
        ('retry = "replay"', 'retry = "never"', "retry is one of replay, refuse, found 'never'"),
        ('classCode = [["REPORTS", ', "classCode = [[", "expected [code, scheme, display]"),
        ("timeout = 30", "time = 30", "unknown key 'time'"),
        ("source_id =", "sourceid =", "did you mean 'source_id'"),
        ("[product]", "[product", "not TOML"),
    ],
)
def test_a_mistake_in_a_target_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = target_text("http://x")
    assert old in text
    path = tmp_path / "t.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PlanError, match=re.escape(message)):
        load_target(path)


def test_a_code_list_may_not_be_empty_and_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    text = re.sub(r"(?m)^codeList = .*$", "codeList = []", target_text("http://x"))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match="codeList needs at least one code"):
        load_target(path)
    with pytest.raises(PlanError, match=r"nothing\.toml: cannot be read"):
        load_target(tmp_path / "nothing.toml")


def test_an_unmet_need_says_which_line_of_the_target_decides(tmp_path: Path) -> None:
    target = target_at(tmp_path, "http://x", folders="false", patients='"known"')
    assert target.unmet("folders") == "[capabilities] folders is false"
    assert target.unmet("registry") is None
    assert target.unmet("patients=known") is None
    assert target.unmet("retry=refuse") == "[choices] retry is 'replay', not 'refuse'"
    assert target.unmet("codes.typeCode.2") is None
    assert target.unmet("codes.classCode.2") == "[codes] classCode lists 1, 2 are needed"


def test_a_transaction_without_url_is_refused(tmp_path: Path) -> None:
    target = target_at(tmp_path, "http://x", repository='""')
    with pytest.raises(PlanError, match="names no URL for ITI-43"):
        target.url("ITI-43")
