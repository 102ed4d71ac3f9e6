"""`liasse record`: what each command does, prints and journals; what it refuses and with which exit code."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liasse.commands.record import app
from liasse.settings_file import load_settings
from liasse.storage import init_storage

INS, OTHER = "279035121518989", "207058575627097"
DOCTOR = "899700000001"
WHY = ("--because", "the patient asks", "--by", "desk 3")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[affinity_domain]\nassigning_authorities = ["1.2.250.1.213.1.4.10"]\n', encoding="utf-8")
    init_storage(load_settings(path))
    return path


@pytest.fixture
def opened(config: Path) -> Path:
    """The settings of a database with a record."""
    done(config, "create", INS, "--consent", "--family", "TESTFAMILY", "--birth-date", "1979-03-01", "--sex", "F")
    return config


def run(config: Path, command: str, *arguments: str, why: tuple[str, ...] = WHY) -> Result:
    given = [command, *arguments, "--config", str(config), *why]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def done(config: Path, *arguments: str) -> dict[str, Any]:
    """What a command answers as JSON; it must succeed."""
    result = run(config, *arguments, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def refused(config: Path, code: int, said: str, *arguments: str, why: tuple[str, ...] = WHY) -> None:
    before = rows(config)
    result = run(config, *arguments, why=why)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output
    assert rows(config) == before


def rows(config: Path, table: str = "journal_row") -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(config.parent / "data" / "liasse.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"select * from {table} order by id")]


def standings(answer: dict[str, Any]) -> list[tuple[str, str, bool, bool]]:
    return [
        (each["id"], each["authorisation"], each["attending"], each["blocked"] is not None)
        for each in answer["record"]["standings"]
    ]


def test_a_record_is_opened_and_shown(config: Path) -> None:
    answer = done(
        config, "create", INS, "--consent", "--family", "TESTFAMILY", "--used", "USED", "--given", "ANNE",
        "--birth-date", "1979-03-01", "--sex", "F", "--oppose-regulation", "--email", "a@example.org",
        "--mobile", "+33600000000",
    )  # fmt: skip
    record = answer["record"]
    assert (answer["changed"], record["state"], record["patient"]) == (True, "active", f"{INS}^1.2.250.1.213.1.4.10")
    assert record["holder"]["birthDate"] == "19790301"
    assert record["oppositions"] == {"breakGlass": False, "regulation": True}
    assert [each["value"] for each in record["contacts"]] == ["a@example.org", "+33600000000"]
    assert [each["act"] for each in record["history"]] == ["record-contact", "record-create"]
    shown = run(config, "show", INS)
    assert shown.exit_code == 0
    for text in ("TESTFAMILY", "1979-03-01", "a@example.org", "opposed", "for desk 3", "the patient asks"):
        assert text in shown.stdout
    whole = json.loads(run(config, "show", f"{INS}^^^&1.2.250.1.213.1.4.10&ISO^NH", "--json").stdout)
    assert whole == record


def test_every_act_and_every_look_is_journaled_with_who_and_why(opened: Path) -> None:
    for arguments in (
        ("show", INS),
        ("show", OTHER),
        ("authorise", INS, DOCTOR),
        ("authorise", INS, DOCTOR),
        ("authorise", INS, DOCTOR, "--attending"),
        ("authorise", INS, DOCTOR, "--no-attending"),
        ("authorise", INS, DOCTOR, "--remove"),
        ("authorise", INS, "10B0127189", "--structure"),
        ("block", INS, DOCTOR),
        ("unblock", INS, DOCTOR, "--consent"),
        ("oppose", INS, "--break-glass"),
        ("close", INS),
        ("reopen", INS, "--consent"),
    ):
        run(opened, *arguments)
    told = [(row["action"], row["patient"].partition("^")[0], json.loads(row["objects"])) for row in rows(opened)]
    assert told == [
        ("record-create", INS, []),
        ("record-show", INS, []),
        ("record-show", OTHER, []),
        ("record-authorise", INS, [["person", DOCTOR]]),
        ("record-authorise", INS, [["person", DOCTOR], ["unchanged", "yes"]]),
        ("record-attend", INS, [["person", DOCTOR]]),
        ("record-leave", INS, [["person", DOCTOR]]),
        ("record-unauthorise", INS, [["person", DOCTOR]]),
        ("record-authorise", INS, [["structure", "10B0127189"]]),
        ("record-block", INS, [["person", DOCTOR]]),
        ("record-unblock", INS, [["person", DOCTOR]]),
        ("record-oppose", INS, []),
        ("record-close", INS, []),
        ("record-reopen", INS, []),
    ]
    for row in rows(opened):
        assert json.loads(row["detail"]) == {"name": "desk 3", "reason": "the patient asks"}
        assert (row["subject"].startswith("os-user:"), row["proof_level"], row["rule"]) == (True, "local", "operator")


def test_authorisations_are_given_and_taken_back(opened: Path) -> None:
    named = ("--family", "MARTIN", "--given", "LUC", "--role", "G15_10/SM26")
    assert standings(done(opened, "authorise", INS, DOCTOR, *named)) == [(DOCTOR, "valid", False, False)]
    assert done(opened, "authorise", INS, DOCTOR)["changed"] is False
    assert standings(done(opened, "authorise", INS, DOCTOR, "--attending")) == [(DOCTOR, "valid", True, False)]
    shown = run(opened, "show", INS).stdout
    assert "LUC MARTIN" in shown
    assert "Médecine Générale" in shown
    assert standings(done(opened, "authorise", INS, DOCTOR, "--no-attending")) == [(DOCTOR, "valid", False, False)]
    assert standings(done(opened, "authorise", INS, DOCTOR, "--remove")) == [(DOCTOR, "removed", False, False)]
    assert "nothing to do" in run(opened, "authorise", INS, DOCTOR, "--remove").stderr


def test_the_settings_of_the_policy_say_how_long_an_authorisation_lasts(opened: Path) -> None:
    text = opened.read_text(encoding="utf-8")
    opened.write_text(
        f'profile = "dmp"\n{text}[access]\npolicy = "dmp"\n[access.options]\nauthorisation_length = 2\n', encoding="utf-8"
    )
    [standing] = done(opened, "authorise", INS, DOCTOR)["record"]["standings"]
    [row] = rows(opened, "dmp_change")[-1:]
    assert json.loads(row["detail"])["expires_at"] - row["at"] == 2 * 86_400_000_000
    assert standing["expires"] > standing["declared"]


def test_blocks(opened: Path) -> None:
    done(opened, "authorise", INS, DOCTOR)
    assert standings(done(opened, "block", INS, DOCTOR)) == [(DOCTOR, "removed", False, True)]
    refused(opened, 1, "blocked this professional: unblocking comes first [dmp-blocked]", "authorise", INS, DOCTOR)
    refused(opened, 1, "needs the patient's consent [dmp-consent]", "unblock", INS, DOCTOR)
    assert standings(done(opened, "unblock", INS, DOCTOR, "--consent")) == [(DOCTOR, "removed", False, False)]


def test_oppositions_that_are_not_named_stay(opened: Path) -> None:
    done(opened, "oppose", INS, "--break-glass", "--masked-in-emergency")
    record = done(opened, "oppose", INS, "--regulation", "--no-break-glass")["record"]
    assert (record["oppositions"], record["maskedInEmergency"]) == ({"breakGlass": False, "regulation": True}, True)
    refused(opened, 2, "give at least one of", "oppose", INS)
    refused(opened, 1, "no record [dmp-record-missing]", "oppose", OTHER, "--break-glass")


def test_a_record_is_closed_and_reopened(opened: Path) -> None:
    closed = done(opened, "close", INS, "--motive", "she moves away")["record"]
    assert (closed["state"], closed["motive"]) == ("closed", "she moves away")
    refused(opened, 1, "closed already [dmp-record-closed]", "close", INS)
    refused(opened, 1, "the record is closed: reopen it first [dmp-record-closed]", "authorise", INS, DOCTOR)
    refused(opened, 1, "reopening needs the patient's consent [dmp-consent]", "reopen", INS)
    assert done(opened, "reopen", INS, "--consent")["record"]["state"] == "active"
    assert done(opened, "close", INS)["record"]["motive"] == "the patient asks"


def test_a_record_is_opened_once_and_with_consent(opened: Path) -> None:
    refused(opened, 1, "the patient has a record already, it is active [dmp-record-found]", "create", INS, "--consent")
    refused(opened, 1, "opening a record needs the patient's consent [dmp-consent]", "create", OTHER)
    assert run(opened, "show", OTHER).exit_code == 1


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ("no INS", ("show", "nobody")),
        ("the authority is 1.2.3, expected is one of", ("show", f"{INS}^^^&1.2.3&ISO")),
        ("patient identifier", ("show", f"{INS}^^^")),
        ("--birth-date: found '1979-02-30'", ("create", OTHER, "--consent", "--birth-date", "1979-02-30")),
        ("--sex: found 'X'", ("create", OTHER, "--consent", "--sex", "X")),
        ("--family: 101 characters", ("create", OTHER, "--consent", "--family", "x" * 101)),
        ("--given: 3 characters", ("create", OTHER, "--consent", "--given", "a\nb")),
        ("--email: found 'nobody'", ("create", OTHER, "--consent", "--email", "nobody")),
        ("--mobile: found '0600000000'", ("create", OTHER, "--consent", "--mobile", "0600000000")),
        ("ID: found '89^1'", ("authorise", INS, "89^1")),
        ("one of them", ("authorise", INS, DOCTOR, "--remove", "--attending")),
        ("not a structure", ("authorise", INS, DOCTOR, "--structure", "--attending")),
    ],
)
def test_wrong_use_ends_with_2_and_changes_nothing(opened: Path, said: str, arguments: tuple[str, ...]) -> None:
    refused(opened, 2, said, *arguments)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\nb"])
def test_a_reason_is_needed(opened: Path, reason: str) -> None:
    refused(opened, 2, "--because: ", "close", INS, why=("--because", reason))
    refused(opened, 2, "Missing option '--because'", "close", INS, why=())


def test_an_ins_alone_is_clear_where_the_domain_has_one_authority_of_them(opened: Path) -> None:
    text = opened.read_text(encoding="utf-8").replace('["1.2', '["1.2.250.1.213.1.4.8", "1.2')
    opened.write_text(text, encoding="utf-8")
    refused(opened, 2, "an INS alone is not clear here", "show", INS)
    assert run(opened, "show", f"{INS}^^^&1.2.250.1.213.1.4.10&ISO").exit_code == 0
    opened.write_text("", encoding="utf-8")
    assert "the patient has no record" in run(opened, "show", INS).stderr


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    result = run(path, "show", INS)
    assert (result.exit_code, "liasse init" in result.stderr) == (1, True)


def test_channels_of_one_person_leave_those_of_others(opened: Path) -> None:
    doctor = f"{DOCTOR}^1.2.250.1.71.4.2.1"
    done(opened, "contact", INS, "--email", "own@patient.example", "--documents", "--language", "en")
    answer = done(opened, "contact", INS, "--email", "doctor@office.example", "--of", doctor)
    assert [
        (each["owner"], each["value"], each["language"], each["documents"]) for each in answer["record"]["contacts"]
    ] == [
        ("", "own@patient.example", "en", True),
        (doctor, "doctor@office.example", "fr", False),
    ]
    left = done(opened, "contact", INS)["record"]["contacts"]
    assert [each["owner"] for each in left] == [doctor]
    assert [row["action"] for row in rows(opened)][-3:] == ["record-contact"] * 3


@pytest.mark.parametrize(
    ("option", "value"), [("--language", "de"), ("--of", "somebody"), ("--of", "^1.2"), ("--email", "no address")]
)
def test_channels_that_make_no_sense_are_refused(opened: Path, option: str, value: str) -> None:
    refused(opened, 2, option, "contact", INS, option, value)


def test_who_gets_a_record_is_told_in_the_same_write(config: Path) -> None:
    done(config, "create", INS, "--consent", "--email", "own@patient.example")
    [notice] = rows(config, "dmp_notice")
    assert (notice["event"], notice["address"], notice["state"]) == ("created", "own@patient.example", "waiting")
