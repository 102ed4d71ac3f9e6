"""`liasse record import`: good lines are stored, each wrong one is named with its place, nothing is lost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from database.errors import DatabaseBusy
from database.handle import Database
from dmp.record import By
from dmp.record_csv import Line
from liasse.commands import record_import
from liasse.commands.record import app
from liasse.record_desk import Imported, import_lines
from liasse.settings_file import load_settings
from liasse.storage import init_storage

AUTHORITY = "1.2.250.1.213.1.4.10"
HEADER = "patient,consent,family,birth_date"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[affinity_domain]\nassigning_authorities = ["{AUTHORITY}"]\n', encoding="utf-8")
    init_storage(load_settings(path))
    return path


def ins(number: int) -> str:
    return f"2790351{number:08}"


def table(config: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = config.with_name("records.csv")
    path.write_bytes("\n".join((header, *lines, "")).encode(encoding))
    return path


def run(config: Path, file: Path, *arguments: str) -> Result:
    given = ["import", str(file), "--config", str(config), "--because", "campaign", *arguments]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def select(config: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(config.parent / "data" / "liasse.sqlite")) as connection:
        return list(connection.execute(sql).fetchall())


def patients(config: Path) -> list[str]:
    return [row[0].partition("^")[0] for row in select(config, "select patient from dmp_record order by patient")]


def test_all_lines_are_imported_each_with_its_journal_row(config: Path) -> None:
    count = 2 * record_import.BATCH + 3
    file = table(config, *(f"{ins(number)},2026-01-31,TEST{number},1979-03-01" for number in range(count)))
    result = run(config, file)
    assert (result.exit_code, result.stderr) == (0, f"{count} records opened, 0 there already, 0 lines wrong\n")
    assert patients(config) == [ins(number) for number in range(count)]
    assert select(config, "select count(*), count(distinct patient), action from journal_row group by action") == [
        (count, count, "record-create")
    ]
    assert select(config, "select distinct consent_at from dmp_record") == [(1_769_817_600_000_000,)]


def test_what_hangs_on_a_record_is_imported_with_it(config: Path) -> None:
    header = (
        "patient;consent;sex;opposed_break_glass;opposed_regulation;masked_in_emergency;email;mobile;documents;language;"
        "representative;representative_family;representative_given;representative_link;representative_ground"
    )
    line = f'{ins(1)};20260131;F;oui;no;1;a@example.org;+33600000000;yes;en;{ins(2)};"TEST;X";ANNE;MTH;minor'
    assert run(config, table(config, line, header=header)).exit_code == 0
    assert select(config, "select sex, break_glass, regulation, masked from dmp_record") == [("F", 1, 0, 1)]
    assert select(config, "select channel, value, language, documents from dmp_contact order by channel") == [
        ("EMAIL", "a@example.org", "en", 1),
        ("SMS", "+33600000000", "en", 1),
    ]
    assert select(config, "select identity, relation, kind, link, family, given from dmp_person") == [
        (f"{ins(2)}^{AUTHORITY}", "representative", "minor", "MTH", "TEST;X", "ANNE")
    ]
    acts = ["record-create", "record-person", "record-contact"]
    assert sorted(select(config, "select act from dmp_change")) == sorted((act,) for act in acts)
    assert select(config, "select act from dmp_change order by id limit 1") == [("record-create",)]


WRONG = [
    (f"{ins(2)},2026-01-31,TEST", "", "3 values, 4 are expected as in the first line"),
    ("nobody,2026-01-31,TEST,", "patient", "no INS"),
    (f"{ins(2)}^^^&1.2.3&ISO,2026-01-31,TEST,", "patient", "the authority is 1.2.3"),
    (f"{ins(2)},,TEST,", "consent", "opened with consent"),
    (f"{ins(2)},2026-02-30,TEST,", "consent", "found '2026-02-30'"),
    (f"{ins(2)},2999-01-01,TEST,", "consent", "which is to come"),
    (f"{ins(2)},2026-01-31,TEST,1979", "birth_date", "found '1979'"),
    (f"{ins(2)},2026-01-31,{'x' * 101},", "family", "101 characters"),
    (f"{ins(1)},2026-01-31,TEST,", "patient", "the patient has a record already, it is active"),
]


@pytest.mark.parametrize(("line", "column", "reason"), WRONG)
def test_a_wrong_line_is_named_with_its_place_and_the_others_are_imported(
    config: Path, line: str, column: str, reason: str
) -> None:
    file = table(config, f"{ins(1)},2026-01-31,TEST,", "", line, f"{ins(3)},2026-01-31,TEST,")
    result = run(config, file, "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["created"], answer["existing"]) == (2, 0)
    [problem] = answer["problems"]
    assert (problem["line"], problem["column"], reason in problem["reason"]) == (4, column or None, True), problem
    assert result.stderr.startswith(f"line 4{f', {column}' if column else ''}: ")
    assert patients(config) == [ins(1), ins(3)]


def test_everything_that_is_wrong_with_a_line_is_named(config: Path) -> None:
    header = "patient,consent,sex,opposed_regulation,email,mobile,language,representative,representative_link"
    line = "x,y,Z,maybe,nobody,0600000000,de,,MTH"
    result = run(config, table(config, line, header=header), "--json")
    assert [each["column"] for each in json.loads(result.stdout)["problems"]] == [
        *("patient", "consent", "sex", "opposed_regulation", "language", "email", "mobile", "representative"),
    ]
    assert "1 lines wrong" in result.stderr


def test_wrong_lines_are_kept_to_be_corrected_and_imported_again(config: Path) -> None:
    lines = [f"{ins(1)},2026-01-31,TEST,", f'{ins(2)},,"TEST, A",', f"{ins(1)},2026-01-31,AGAIN,"]
    rejects = config.with_name("rejects.csv")
    result = run(config, table(config, *lines), "--rejects", str(rejects))
    assert (result.exit_code, str(rejects) in result.stderr) == (1, True)
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert rejects.read_text(encoding="utf-8").splitlines() == [HEADER, lines[1], lines[2]]
    again = config.with_name("again.csv")
    again.write_text(rejects.read_text(encoding="utf-8").replace(",,", ",2026-01-31,"), encoding="utf-8")
    assert run(config, again, "--skip-existing").stderr == "1 records opened, 1 there already, 0 lines wrong\n"
    assert run(config, again, "--rejects", str(rejects)).exit_code == 2


def test_no_file_of_wrong_lines_where_none_is_wrong(config: Path) -> None:
    rejects = config.with_name("rejects.csv")
    assert run(config, table(config, f"{ins(1)},2026-01-31,,"), "--rejects", str(rejects)).exit_code == 0
    assert not rejects.exists()


def test_text_that_is_not_utf_8_is_a_wrong_line_and_comes_back_as_it_was(config: Path) -> None:
    file = table(config, f"{ins(1)},2026-01-31,DUPRÉ,", f"{ins(2)},2026-01-31,TEST,", encoding="latin-1")
    rejects = config.with_name("rejects.csv")
    result = run(config, file, "--rejects", str(rejects))
    assert "line 2: the text is not UTF-8" in result.stderr
    assert patients(config) == [ins(2)]
    assert rejects.read_bytes().splitlines()[1] == f"{ins(1)},2026-01-31,DUPRÉ,".encode("latin-1")


def test_a_mark_at_the_beginning_and_other_line_ends_are_accepted(config: Path) -> None:
    file = table(config, f"{ins(1)};2026-01-31;É;\r", header="\ufeffpatient;consent;family;birth_date\r")
    assert run(config, file).exit_code == 0
    assert select(config, "select family from dmp_record") == [("É",)]


def test_lines_are_counted_as_an_editor_counts_them(config: Path) -> None:
    file = table(
        config, f'{ins(1)},2026-01-31,"A\nB",', f"{ins(2)},no,TEST,", f"{ins(3)},{'9' * 200_000},,", f"{ins(4)},x,,"
    )
    found = [(each["line"], each["column"]) for each in json.loads(run(config, file, "--json").stdout)["problems"]]
    assert found == [(2, "family"), (4, "consent"), (5, None), (6, "consent")]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("patient,consent,name", "unknown: 'name'"),
        ("consent,family", "missing: patient"),
        ("patient,consent,patient", "a column stands there twice"),
        ("", "missing: patient, consent"),
    ],
)
def test_the_first_line_names_the_columns(config: Path, header: str, said: str) -> None:
    result = run(config, table(config, f"{ins(1)},2026-01-31,", header=header))
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert patients(config) == []


def test_a_database_that_fails_stops_the_import_and_says_from_where(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def failing(database: Database, lines: list[Line], by: By, *, skip_existing: bool, adult_age: int) -> Imported:
        batches.append(len(lines))
        if len(batches) == 2:
            raise DatabaseBusy("the database is busy")
        return import_lines(database, lines, by, skip_existing=skip_existing, adult_age=adult_age)

    monkeypatch.setattr(record_import, "import_lines", failing)
    count = 2 * record_import.BATCH
    file = table(config, *(f"{ins(number)},2026-01-31,," for number in range(count)))
    result = run(config, file)
    assert result.exit_code == 1
    assert f"lines {record_import.BATCH + 2} and all after it were not imported" in result.stderr
    assert "the database is busy" in result.stderr
    assert len(patients(config)) == record_import.BATCH
    monkeypatch.undo()
    said = f"{record_import.BATCH} records opened, {record_import.BATCH} there already, 0 lines wrong\n"
    assert run(config, file, "--skip-existing").stderr == said


def test_the_columns_are_in_the_help() -> None:
    text = CliRunner().invoke(app, ["import", "--help"]).output
    for column in ("opposed_break_glass", "representative_ground"):
        assert column in text


def test_who_gets_a_record_is_told_and_who_has_no_address_is_counted(config: Path) -> None:
    header = "patient,consent,email,language"
    lines = (f"{ins(1)},2026-01-31,own@patient.example,en", f"{ins(2)},2026-01-31,,")
    assert run(config, table(config, *lines, header=header)).exit_code == 0
    told = select(config, "select event, address, language, state from dmp_notice")
    expected = [("created", "own@patient.example", "en", "waiting"), ("created", "", "fr", "unaddressed")]
    assert sorted(told) == sorted(expected)
