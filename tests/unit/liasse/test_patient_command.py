"""`liasse patient`: what is added, what is refused and where, what is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from database.engine import open_database
from liasse.commands.patient import app
from liasse.settings_file import load_settings
from liasse.storage import init_storage
from xds_registry.patients import FEED, add_patients

ANNE = "ANNE^^^&1.2.250.1.213.1.4.10&ISO"
BEA = "BEA^^^&1.2.250.1.213.1.4.10&ISO"
NH = "207058575627097^^^&1.2.250.1.213.1.4.10&ISO^NH"
ELSEWHERE = "X^^^&1.2.3&ISO"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[affinity_domain]\nassigning_authorities = ["1.2.250.1.213.1.4.10"]\n', encoding="utf-8")
    init_storage(load_settings(path))
    return path


def run(config: Path, *arguments: str, stdin: str | None = None) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(app, [command, "--config", str(config), *rest], input=stdin, catch_exceptions=False)


def listed(config: Path) -> list[str]:
    return [each["patient"] for each in json.loads(run(config, "list", "--json").stdout)]


def test_many_are_added_at_once_and_only_once(config: Path) -> None:
    assert run(config, "add", ANNE, BEA).stderr == "2 added, 0 known before or given twice\n"
    assert run(config, "add", BEA, ANNE, ANNE).stderr == "0 added, 3 known before or given twice\n"
    assert listed(config) == [ANNE, BEA]


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_has_one_a_line(config: Path, arguments: tuple[str, ...]) -> None:
    result = run(config, "add", *arguments, stdin=f"{ANNE}\n\n  {BEA}  \n")
    assert (result.exit_code, result.stderr) == (0, "2 added, 0 known before or given twice\n")
    assert listed(config) == [ANNE, BEA]


def test_every_wrong_id_is_told_with_its_place_and_none_is_added(config: Path) -> None:
    result = run(config, "add", "-", stdin=f"{ANNE}\nnobody\n{BEA}\n{ELSEWHERE}\n")
    assert result.exit_code == 1
    first, second, last = result.stderr.splitlines()
    assert first.startswith("line 2: expected a patient identifier")
    assert second.startswith(f"line 4: the authority of '{ELSEWHERE}' is 1.2.3, expected is one of")
    assert last == "2 of 4 ids are wrong: none was added"
    assert listed(config) == []


def test_a_wrong_argument_is_told_by_its_number(config: Path) -> None:
    assert run(config, "add", ANNE, "X").stderr.startswith("argument 2: expected a patient identifier")


def test_any_authority_is_accepted_where_none_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    init_storage(load_settings(path))
    assert run(path, "add", ELSEWHERE).exit_code == 0


def test_the_profile_decides_what_an_id_may_carry(config: Path) -> None:
    assert run(config, "add", NH).exit_code == 1
    text = config.read_text(encoding="utf-8")
    config.write_text(f'profile = "dmp"\n{text}\n[access]\npolicy = "open"\n', encoding="utf-8")
    assert run(config, "add", NH).exit_code == 0
    assert listed(config) == [NH]


def test_a_patient_is_shown_whatever_further_components_are_asked_with(config: Path) -> None:
    run(config, "add", ANNE)
    shown = run(config, "show", ANNE)
    assert (shown.exit_code, ANNE in shown.stdout, "operator" in shown.stdout) == (0, True, True)
    assert run(config, "show", BEA).exit_code == 1
    assert run(config, "show", BEA).stderr == f"{BEA} is not known\n"
    assert run(config, "show", "nobody").exit_code == 1


def test_the_table_says_who_made_a_patient_known(config: Path) -> None:
    with open_database(load_settings(config).storage.database_place) as database:
        add_patients(database, [BEA], FEED, 1_700_000_000_000_000)
    run(config, "add", ANNE)
    result = run(config, "list")
    assert result.stderr == "2 patients\n"
    assert "2023-11-14 22:13:20" in next(line for line in result.stdout.splitlines() if "feed" in line)
    assert ANNE in next(line for line in result.stdout.splitlines() if "operator" in line)


def test_long_lists_are_read_in_pages(config: Path) -> None:
    many = [f"P{number:05}^^^&1.2.250.1.213.1.4.10&ISO" for number in range(2001)]
    assert run(config, "add", stdin="\n".join(many)).stderr == "2001 added, 0 known before or given twice\n"
    assert listed(config) == many


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    result = run(path, "list")
    assert result.exit_code == 1
    assert result.stderr
    assert not (tmp_path / "data").exists()


def test_a_settings_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("prifile = 1\n", encoding="utf-8")
    result = run(path, "list")
    assert result.exit_code == 2
    assert "unknown key; the nearest known key is profile" in result.stderr
