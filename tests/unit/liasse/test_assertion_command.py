"""`liasse assertion issue|verify|explain` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from liasse.cli import app
from pki.testca import TestPki

PATIENT = "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
ROLE = ["--role", "10^1.2.250.1.71.1.2.7", "--role", "SM26^1.2.250.1.71.4.2.5"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki") / "pki"
    made = TestPki.create(folder, keys="ec")
    made.issue_card("martin", "899700000001")
    made.issue_structure("hopital", "10B0127189")
    made.issue("sts", "sts")
    return folder


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["assertion", *map(str, arguments)], input=stdin)


def judge(pki: Path, command: str, file: Path, *more: object) -> Result:
    return run(command, file, "--anchors", pki / "root.pem", "--audience", "urn:me", *more)


def test_a_card_signs_what_is_then_accepted(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "vihf.xml"
    made = run("issue", "--card", pki / "cards" / "martin", "--patient", PATIENT, "--out", out)
    assert (made.exit_code, made.output) == (0, "")
    client = pki / "cards" / "martin" / "authentication.pem"
    judged = judge(pki, "verify", out, "--peer", client)
    assert judged.exit_code == 0
    assert judged.stdout.startswith("accepted: 899700000001")
    explained = judge(pki, "explain", out, "--peer", client, "--json")
    assert {step["outcome"] for step in json.loads(explained.stdout)} == {"passed"}
    assert judge(pki, "explain", out).exit_code == 0


def test_another_client_is_said_to_be_another(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "vihf.xml"
    run("issue", "--card", pki / "cards" / "martin", "--out", out)
    judged = judge(pki, "verify", out, "--peer", pki / "structures" / "hopital" / "authentication.pem")
    assert judged.exit_code == 1
    assert "refused: identity: binding:" in judged.stderr


def test_nothing_is_written_over(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "vihf.xml"
    out.write_text("mine")
    assert run("issue", "--card", pki / "cards" / "martin", "--out", out).exit_code == 2
    assert out.read_text() == "mine"


def test_a_structure_and_an_identity_provider(pki: Path, tmp_path: Path) -> None:
    made = run("issue", "--card", pki / "structures" / "hopital", "--user", "899700000009", "--name", "ESSAI", *ROLE)
    file = tmp_path / "indirect.xml"
    file.write_bytes(made.stdout_bytes)
    assert judge(pki, "verify", file).stdout.startswith("accepted: 899700000009 ESSAI; proof structure;")
    sts = pki / "others" / "sts" / "sts.pem"
    made = run(
        "issue", "--kind", "xua", "--certificate", sts, "--user", "bob", "--audience", "urn:me", "--purpose", "TREAT^1.2.3"
    )
    assert made.exit_code == 0
    judged = run("verify", "-", "--anchors", pki / "root.pem", "--audience", "urn:me", stdin=made.stdout_bytes)
    assert judged.stdout.startswith("accepted: bob; proof sts; purpose TREAT^1.2.3")
    other = run("verify", "-", "--anchors", pki / "root.pem", "--audience", "urn:other", stdin=made.stdout_bytes)
    assert other.exit_code == 1
    assert "refused: times: audience:" in other.stderr


def test_an_old_assertion_is_judged_as_of_its_time(pki: Path, tmp_path: Path) -> None:
    out = tmp_path / "vihf.xml"
    run("issue", "--card", pki / "cards" / "martin", "--out", out)
    judged = judge(pki, "explain", out, "--at", "2031-01-01T00:00:00Z", "--json")
    failed = {step["check"]: step["reason"] for step in json.loads(judged.stdout) if step["outcome"] == "failed"}
    assert failed == {"certificate": "certificate-expired", "times": "too-old"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("issue",),
        ("issue", "--kind", "other"),
        ("issue", "--kind", "xua", "--user", "x"),
        ("issue", "--card", ".", "--role", "10"),
        ("verify", "/nowhere.xml"),
        ("verify", "-", "--at", "tomorrow"),
        ("verify", "-", "--anchors", "/nowhere.pem"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    assert run(*arguments, stdin=b"<x/>").exit_code == 2


def test_a_folder_that_is_no_card(tmp_path: Path) -> None:
    made = run("issue", "--card", tmp_path)
    assert made.exit_code == 1
    assert "card.toml" in made.stderr
