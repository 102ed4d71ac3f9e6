"""The command, its reports and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from conformance.cli import app
from conformance.target import load_target
from tests.unit.conformance import canned
from tests.unit.conformance.canned import Received, Reply, peer, target_text
from tests.unit.conformance.test_messages import empty, refusing

PASSING = ["--case", "18-no-match", "--case", "18-no-reply-to"]


def invoke(folder: Path, answer: canned.Answerer, *arguments: str, **edits: str) -> tuple[int, str]:
    with peer(answer) as base:
        (folder / "target.toml").write_text(target_text(base, **edits), encoding="utf-8")
        result = CliRunner().invoke(app, ["run", "--target", str(folder / "target.toml"), *arguments])
    return result.exit_code, result.output


def test_all_pass_is_0(tmp_path: Path) -> None:
    code, output = invoke(tmp_path, empty, *PASSING)
    assert code == 0
    assert "18-no-match" in output


def test_a_failed_case_is_1_and_says_why(tmp_path: Path) -> None:
    code, output = invoke(tmp_path, empty, *PASSING, "--case", "42-replace")
    assert code == 1
    assert "expected" in output
    assert "clause" in output


def test_an_unreachable_target_is_1(tmp_path: Path) -> None:
    def broken(request: Received) -> Reply:
        raise ConnectionAbortedError

    code, output = invoke(tmp_path, broken, *PASSING)
    assert code == 1
    assert "not run" in output


def test_a_warning_is_1_only_when_strict(tmp_path: Path) -> None:
    def warning(request: Received) -> Reply:
        text = canned.submission_set("1.2.9").replace('<rim:VersionInfo versionName="1"/>', "")
        return canned.simple(request, canned.query_response(text))

    assert invoke(tmp_path, warning, "--case", "18-no-reply-to")[0] == 0
    assert invoke(tmp_path, warning, "--case", "18-no-reply-to", "--strict")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "edits", "message"),
    [
        (["--case", "42-nothing"], {}, "no case '42-nothing'"),
        ([], {"folders": '"maybe"'}, "expected bool"),
        (["--case", "18-no-match"], {"registry": '"ftp://x"'}, "is no http or https URL"),
        (["--case", "42-empty-folder"], {"folders": "false"}, "nothing was run"),
    ],
)
def test_wrong_usage_and_an_empty_run_are_2(
    tmp_path: Path, arguments: list[str], edits: dict[str, str], message: str
) -> None:
    code, output = invoke(tmp_path, empty, *arguments, **edits)
    assert code == 2
    assert message in output


def test_a_missing_target_and_a_wrong_schema_folder_are_2(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["run", "--target", str(tmp_path / "none.toml")]).exit_code == 2
    code, output = invoke(tmp_path, empty, "--schemas", str(tmp_path))
    assert code == 2
    assert "missing" in output


def test_reports_are_written_whatever_the_answers_hold(tmp_path: Path) -> None:
    def noisy(request: Received) -> Reply:
        return Reply(b"\x00\x01 not xml \xff", "text/\x7fplain")

    junit, report = tmp_path / "r.xml", tmp_path / "r.json"
    code, _ = invoke(
        tmp_path, noisy, "--junit", str(junit), "--json", str(report), "--seed", "s1", folders="false"
    )  # fmt: skip
    assert code == 1
    root = etree.fromstring(junit.read_bytes())
    data = json.loads(report.read_text(encoding="utf-8"))
    assert data["seed"] == "s1"
    assert len(root.findall("testsuite/testcase")) == len(data["cases"])
    assert len(root.findall("testsuite/testcase/failure")) == data["totals"]["fail"] > 0
    assert len(root.findall("testsuite/testcase/skipped")) == data["totals"]["not applicable"] > 0
    failed = next(case for case in data["cases"] if case["id"] == "18-no-match")
    assert {finding["check"] for finding in failed["steps"][0]["findings"]} >= {"soap.envelope", "status"}


def test_a_case_that_did_not_run_is_an_error_in_junit(tmp_path: Path) -> None:
    def broken(request: Received) -> Reply:
        raise ConnectionAbortedError

    junit = tmp_path / "r.xml"
    invoke(tmp_path, broken, "--case", "18-no-match", "--junit", str(junit))
    (suite,) = etree.fromstring(junit.read_bytes())
    assert suite.get("errors") == "1"
    (error,) = suite.findall("testcase/error")
    assert "/registry" in str(error.get("message"))


def test_exchanges_are_kept_as_files(tmp_path: Path) -> None:
    invoke(tmp_path, empty, "--case", "18-no-match", "--keep", str(tmp_path / "kept"))
    names = sorted(path.name for path in (tmp_path / "kept" / "18-no-match").iterdir())
    assert names == ["01-find.request.http", "01-find.response.http", "02-get.request.http", "02-get.response.http"]
    request, response = ((tmp_path / "kept" / "18-no-match" / name).read_bytes() for name in names[:2])
    assert request.startswith(b"POST http://127.0.0.1:")
    assert b"\r\n\r\n<?xml" in request
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"AdhocQueryResponse" in response


def test_the_same_seed_sends_the_same_identifiers(tmp_path: Path) -> None:
    sent: list[str] = []

    def record(request: Received) -> Reply:
        sent.append(request.message_id)
        return refusing(request)

    for seed in ("one", "one", "two"):
        invoke(tmp_path, record, "--case", "18-no-match", "--seed", seed)
    assert sent[:2] == sent[2:4]
    assert set(sent[:2]).isdisjoint(sent[4:])


def test_the_sample_is_a_sound_target_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sample"])
    path = tmp_path / "target.toml"
    path.write_text(result.output, encoding="utf-8")
    assert load_target(path).product.name == "Liasse"


def test_list_and_show() -> None:
    listed = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert "42-replace" in listed.output
    shown = CliRunner().invoke(app, ["show", "42-replace"])
    assert shown.exit_code == 0
    assert "purpose" in shown.output
    assert "availabilityStatus" in shown.output
    assert CliRunner().invoke(app, ["show", "42-nothing"]).exit_code == 2


def test_the_patients_of_a_run_can_be_listed_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(target_text("http://x"), encoding="utf-8")
    result = CliRunner().invoke(app, ["patients", "--target", str(path), "--seed", "s", "--case", "42-patient-mismatch"])
    assert result.exit_code == 0
    assert len(set(result.output.split())) == 2
