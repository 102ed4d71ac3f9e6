"""The commands of a document source and consumer, and of patients, against a running server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liasse.cli import app
from liasse.demo_documents import DEMO_PATIENT, health_summary, minimal_pdf, pdf_report
from liasse.submission import new_oid
from tests.e2e.conftest import ServerFactory
from tests.e2e.server import ROOT, RunningServer, command, running, write_config

NOW = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
REPOSITORY = "1.2.250.1.999.8"
OTHER_CODES = [
    *("--class", "10^^1.2.250.1.213.1.1.4.1", "--format", "urn:ihe:iti:xds-sd:pdf:2008^^1.3.6.1.4.1.19376.1.2.3"),
    *("--type", "11488-4", "--facility", "SA01^^1.2.250.1.71.4.2.4", "--practice", "AMBULATOIRE"),
    *("--confidentiality", "N", "--language", "fr-FR"),
]


@pytest.fixture(scope="module")
def dmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {
        "profile": "dmp",
        "access": {"policy": "open"},
        "server": {"workers": 1},
        "repository": {"unique_id": REPOSITORY, "content_check": "refuse"},
        "affinity_domain": {"codes": "dmp"},
    }
    with running(tmp_path_factory.mktemp("command-line"), settings) as started:
        yield started


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LIASSE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    """The command in this process; its exit is looked at, an exception of another kind is raised."""
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, catch_exceptions=False)


def urls(server: RunningServer, *names: str) -> list[str]:
    known = {"repository": server.repository_url, "registry": server.registry_url}
    return [text for name in names or known for text in (f"--{name}", known[name])]


def submit(server: RunningServer, *arguments: str | Path) -> Result:
    return run("submit", "--profile", "dmp", *urls(server), *arguments)


def new_patient() -> str:
    return f"{int(new_oid()[5:20])}^^^&1.2.250.1.213.1.4.10&ISO"


def summary(folder: Path, name: str = "summary.xml", unique_id: str | None = None) -> Path:
    path = folder / name
    path.write_bytes(health_summary(unique_id or new_oid(), new_oid(), NOW))
    return path


def report(folder: Path, name: str = "report.xml") -> Path:
    path = folder / name
    path.write_bytes(pdf_report(new_oid(), new_oid(), NOW))
    return path


def found(server: RunningServer, patient: str, *arguments: str) -> list[dict[str, Any]]:
    result = run("find", "--patient", patient, "--json", *urls(server, "registry"), *arguments)
    assert result.exit_code == 0, result.output
    listed: list[dict[str, Any]] = json.loads(result.stdout)
    return listed


# submit, find, get: what they do


def test_documents_go_in_are_found_and_come_back(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    files = [summary(tmp_path), report(tmp_path)]
    sent = submit(dmp, "--patient", patient, *files)
    assert sent.exit_code == 0, sent.output
    assert "2 accepted, 0 failed" in sent.stderr
    listed = found(dmp, patient)
    assert {entry["title"] for entry in listed} == {"Volet de synthèse médicale", "Compte rendu de consultation"}
    for entry in listed:
        target = tmp_path / "back.xml"
        got = run("get", entry["uniqueId"], "-o", target, "--force", *urls(dmp))
        assert got.exit_code == 0, got.output
        assert "size and hash as registered" in got.stderr
        assert target.read_bytes() in [file.read_bytes() for file in files]
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.xml", "report.xml", "summary.xml"]


def test_the_table_of_found_documents_names_what_a_person_wants_to_see(dmp: RunningServer, tmp_path: Path) -> None:
    patient, unique_id = new_patient(), new_oid()
    assert submit(dmp, "--patient", patient, summary(tmp_path, unique_id=unique_id)).exit_code == 0
    result = run("find", "--patient", patient, *urls(dmp, "registry"))
    for text in ("Volet de synthèse médicale", "Synthèse (SYNTH)", "2025-03-01 09:00:00", unique_id, "Approved", "kB"):
        assert text in result.stdout
    assert "DEMO TESTMEDECIN, CENTRE DE DEMONSTRATION" in result.stdout
    assert "1 document at" in result.stderr


def test_a_patient_without_documents_has_an_empty_list(dmp: RunningServer) -> None:
    assert found(dmp, new_patient()) == []
    result = run("find", "--patient", new_patient(), *urls(dmp, "registry"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("0 documents")


def test_find_narrows_by_type_and_time(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    assert submit(dmp, "--patient", patient, summary(tmp_path), report(tmp_path)).exit_code == 0
    assert [entry["typeCode"]["code"] for entry in found(dmp, patient, "--type", "SYNTH^^1.2.250.1.213.1.1.4.12")] == [
        "SYNTH"
    ]
    assert len(found(dmp, patient, "--from", "2025", "--to", "2026")) == 2
    assert found(dmp, patient, "--from", "2026") == []
    assert found(dmp, patient, "--status", "deprecated") == []
    assert len(found(dmp, patient, "--status", "all")) == 2


def test_json_of_a_submission_says_what_became_of_each_file(dmp: RunningServer, tmp_path: Path) -> None:
    patient, unique_id = new_patient(), new_oid()
    result = submit(dmp, "--patient", patient, "--json", summary(tmp_path, unique_id=unique_id))
    told = json.loads(result.stdout)
    assert (told["accepted"], told["failed"], told["repository"]) == (1, 0, dmp.repository_url)
    [file] = told["files"]
    assert file["accepted"] is True
    assert (file["uniqueId"], file["patientId"]) == (unique_id, patient)
    assert file["submissionSet"].startswith("2.25.")
    assert any("patient" in warning.lower() for warning in file["warnings"])


def test_the_patient_comes_from_the_header_unless_given(dmp: RunningServer, tmp_path: Path) -> None:
    unique_id = new_oid()
    assert submit(dmp, summary(tmp_path, unique_id=unique_id)).exit_code == 0
    assert unique_id in {entry["uniqueId"] for entry in found(dmp, DEMO_PATIENT)}


def test_codes_title_and_masks_of_the_command_line_are_registered(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    sent = submit(dmp, "--patient", patient, "--title", "Autre titre", "--mask", "professionals", summary(tmp_path))
    assert sent.exit_code == 0, sent.output
    [entry] = found(dmp, patient)
    assert entry["title"] == "Autre titre"
    assert [code["code"] for code in entry["confidentialityCode"]] == ["N", "MASQUE_PS"]


def test_a_document_of_another_kind_goes_in_with_its_codes(server: RunningServer, tmp_path: Path) -> None:
    patient, path = new_patient(), tmp_path / "scan.pdf"
    path.write_bytes(minimal_pdf(["Nobody"]))
    codes = ["--profile", "ihe", "--codes", "dmp"]
    sent = run("submit", *urls(server), "--patient", patient, *codes, *OTHER_CODES, "--author", "^TEST^Demo", path)
    assert sent.exit_code == 0, sent.output
    [entry] = found(server, patient)
    assert (entry["mimeType"], entry["title"], entry["size"]) == ("application/pdf", "scan", path.stat().st_size)
    got = run("get", entry["uniqueId"], "-o", "back.pdf", *urls(server))
    assert got.exit_code == 0, got.output
    assert (tmp_path / "back.pdf").read_bytes() == path.read_bytes()


def test_two_files_together_are_one_submission(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    result = submit(dmp, "--patient", patient, "--together", "--json", summary(tmp_path), report(tmp_path))
    told = json.loads(result.stdout)
    assert [file["accepted"] for file in told["files"]] == [True, True]
    assert len({file["submissionSet"] for file in told["files"]}) == 1
    assert len(found(dmp, patient)) == 2


def successor(folder: Path, name: str, old: str) -> Path:
    """A summary whose header says that it replaces `old`."""
    path = summary(folder, name)
    related = f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{old}"/></parentDocument></relatedDocument>'
    path.write_bytes(path.read_bytes().replace(b"<documentationOf>", related.encode() + b"<documentationOf>"))
    return path


def test_a_document_replaces_the_one_its_header_names_only_when_told_to(dmp: RunningServer, tmp_path: Path) -> None:
    patient, old = new_patient(), new_oid()
    assert submit(dmp, "--patient", patient, summary(tmp_path, unique_id=old)).exit_code == 0
    kept = submit(dmp, "--patient", patient, "--json", successor(tmp_path, "second.xml", old))
    assert any(old in warning for warning in json.loads(kept.stdout)["files"][0]["warnings"])
    assert len(found(dmp, patient)) == 2
    replaced = submit(dmp, "--patient", patient, "--replace", successor(tmp_path, "third.xml", old))
    assert replaced.exit_code == 0, replaced.output
    assert [entry["uniqueId"] for entry in found(dmp, patient, "--status", "deprecated")] == [old]


def test_get_writes_to_standard_output(dmp: RunningServer, tmp_path: Path) -> None:
    patient, unique_id = new_patient(), new_oid()
    path = summary(tmp_path, unique_id=unique_id)
    assert submit(dmp, "--patient", patient, path).exit_code == 0
    got = run("get", unique_id, "-o", "-", *urls(dmp))
    assert (got.exit_code, got.stdout_bytes) == (0, path.read_bytes())
    assert "size and hash as registered" in got.stderr


def test_get_needs_no_registry_when_the_repository_is_named(dmp: RunningServer, tmp_path: Path) -> None:
    unique_id = new_oid()
    path = summary(tmp_path, unique_id=unique_id)
    assert submit(dmp, "--patient", new_patient(), path).exit_code == 0
    got = run("get", unique_id, "-o", "back.xml", *urls(dmp, "repository"), "--repository-id", REPOSITORY)
    assert got.exit_code == 0, got.output
    assert "not compared with a registry" in got.stderr
    assert (tmp_path / "back.xml").read_bytes() == path.read_bytes()


# where to: options, settings file, variable


def test_urls_come_from_a_settings_file(dmp: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = new_patient()
    config = write_config(
        tmp_path / "settings", {"profile": "dmp", "access": {"policy": "open"}, "server": {"port": dmp.port}}
    )
    assert run("submit", "--config", config, "--patient", patient, summary(tmp_path)).exit_code == 0
    monkeypatch.setenv("LIASSE_CONFIG", str(config))
    assert len(json.loads(run("find", "--patient", patient, "--json").stdout)) == 1
    monkeypatch.delenv("LIASSE_CONFIG")
    monkeypatch.chdir(config.parent)
    assert len(json.loads(run("find", "--patient", patient, "--json").stdout)) == 1


def test_a_server_on_any_free_port_has_no_url_to_guess(tmp_path: Path) -> None:
    result = run("find", "--patient", "1^^^&1.2.3&ISO", "--config", write_config(tmp_path / "settings"))
    assert result.exit_code == 2
    assert "give --registry" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["find", "--patient", "nonsense"], "--patient: expected a patient identifier"),
        (["find", "--patient", "1^^^&1.2.3&ISO", "--from", "yesterday"], "--from: expected a DTM"),
        (["find", "--patient", "1^^^&1.2.3&ISO", "--status", "new"], "--status new: expected one of approved"),
        (["find", "--patient", "1^^^&1.2.3&ISO", "--type", "X"], "expected CODE^^SCHEME"),
        (["find", "--patient", "1^^^&1.2.3&ISO", "--registry", "ftp://x/y"], "ftp://x/y"),
        (["find", "--patient", "1^^^&1.2.3&ISO", "--config", "absent.toml"], "absent.toml: cannot be read"),
        (["get", "1.2.3", "-o", "x", "--repository-id", "here"], "--repository-id: expected"),
        (["submit", "file", "--profile", "swiss"], "--profile swiss: expected one of ihe, dmp"),
        (["submit", "file", "--codes", "none"], "affinity domain codes: expected one of dmp"),
        (["submit", "file", "--mask", "everybody"], "--mask everybody: expected one of professionals"),
        (["submit", "file", "--language", "french!"], "--language: expected"),
        (["submit", "file", "--codes", "dmp", "--class", "zz"], "classCode 'zz': expected CODE^^SCHEME"),
    ],
)
def test_wrong_use_is_told_and_exits_with_2(arguments: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    result = run(*arguments)
    assert result.exit_code == 2
    assert expected in result.stderr


# failures


def test_an_error_of_the_peer_is_told_with_code_and_context(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    path = summary(tmp_path, unique_id=new_oid())
    assert submit(dmp, "--patient", patient, path).exit_code == 0
    path.write_bytes(path.read_bytes().replace(b"sevrage en 2010", b"sevrage en 2011"))
    again = submit(dmp, "--patient", patient, path)
    assert again.exit_code == 1
    assert "summary.xml: XDSNonIdenticalHash: " in again.stderr
    told = json.loads(submit(dmp, "--patient", patient, "--json", path).stdout)
    assert told["files"][0]["errors"][0]["code"] == "XDSNonIdenticalHash"


def test_every_metadata_error_is_a_line_of_its_own(dmp: RunningServer, tmp_path: Path) -> None:
    wrong = ["--codes", "any", "--class", "x^^1.2.3", "--format", "y^^1.2.3"]
    result = submit(dmp, "--patient", new_patient(), *wrong, summary(tmp_path))
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if "XDSRepositoryMetadataError" in line]
    assert any("classCode" in line for line in lines)
    assert any("formatCode" in line for line in lines)


def test_one_bad_file_does_not_stop_the_others(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    bad = tmp_path / "notes.txt"
    bad.write_text("no CDA", encoding="utf-8")
    result = submit(dmp, "--patient", patient, summary(tmp_path), bad, report(tmp_path))
    assert result.exit_code == 1
    assert "notes.txt: not a CDA document (it is no XML)" in result.stderr
    for option in ("--class", "--type", "--format", "--facility", "--practice", "--confidentiality", "--language"):
        assert option in result.stderr
    assert "--mime" not in result.stderr
    assert "2 accepted, 1 failed" in result.stderr
    assert len(found(dmp, patient)) == 2


def test_xml_that_is_no_cda_is_told_so(dmp: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text("<a/>", encoding="utf-8")
    result = submit(dmp, path)
    assert result.exit_code == 1
    assert "other.xml: not a CDA document (" in result.stderr
    assert "ClinicalDocument" in result.stderr


def test_together_is_all_or_none(dmp: RunningServer, tmp_path: Path) -> None:
    patient = new_patient()
    bad = tmp_path / "notes.txt"
    bad.write_text("no CDA", encoding="utf-8")
    result = submit(dmp, "--patient", patient, "--together", summary(tmp_path), bad)
    assert result.exit_code == 1
    assert "summary.xml: not sent" in result.stderr
    assert found(dmp, patient) == []


def test_documents_of_two_patients_are_not_one_submission(dmp: RunningServer, tmp_path: Path) -> None:
    other = report(tmp_path)
    other.write_bytes(other.read_bytes().replace(DEMO_PATIENT.partition("^")[0].encode(), b"200000000000001"))
    result = submit(dmp, "--together", summary(tmp_path), other)
    assert result.exit_code == 1
    assert "2 patients, one submission has one" in result.stderr


def test_a_replaced_document_has_to_be_there(dmp: RunningServer, tmp_path: Path) -> None:
    result = submit(dmp, "--patient", new_patient(), "--replace", successor(tmp_path, "next.xml", "1.2.3.4.5"))
    assert result.exit_code == 1
    assert "no approved document 1.2.3.4.5" in result.stderr


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
        ends = ["--registry", f"{base}/registry", "--repository", f"{base}/repository"]
        results = [
            run("find", "--patient", "1^^^&1.2.3&ISO", *ends[:2]),
            run("submit", summary(tmp_path), *ends),
            run("get", "1.2.3", "-o", "back.xml", *ends),
        ]
    for result in results:
        assert result.exit_code == 1
        assert f"{base}/" in result.stderr
        assert "cannot be reached" in result.stderr
        assert "refused" in result.stderr
    assert not (tmp_path / "back.xml").exists()


def test_get_of_what_is_not_there(dmp: RunningServer, tmp_path: Path) -> None:
    result = run("get", "1.2.3.4", "-o", "back.xml", *urls(dmp))
    assert result.exit_code == 1
    assert "has no document 1.2.3.4" in result.stderr
    result = run("get", "1.2.3.4", "-o", "back.xml", *urls(dmp, "repository"), "--repository-id", REPOSITORY)
    assert result.exit_code == 1
    assert "XDSDocumentUniqueIdError" in result.stderr
    result = run("get", "1.2.3.4", "-o", "back.xml", *urls(dmp, "repository"), "--repository-id", "1.2.3")
    assert "XDSUnknownRepositoryId" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_get_overwrites_only_when_told_to(dmp: RunningServer, tmp_path: Path) -> None:
    unique_id, target = new_oid(), tmp_path / "mine.txt"
    assert submit(dmp, "--patient", new_patient(), summary(tmp_path, unique_id=unique_id)).exit_code == 0
    target.write_text("mine", encoding="utf-8")
    refused = run("get", unique_id, "-o", target, *urls(dmp))
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert target.read_text(encoding="utf-8") == "mine"
    assert run("get", unique_id, "-o", target, "--force", *urls(dmp)).exit_code == 0
    assert target.read_bytes() == (tmp_path / "summary.xml").read_bytes()


def test_get_into_a_folder_that_does_not_exist(dmp: RunningServer, tmp_path: Path) -> None:
    unique_id = new_oid()
    assert submit(dmp, "--patient", new_patient(), summary(tmp_path, unique_id=unique_id)).exit_code == 0
    result = run("get", unique_id, "-o", "absent/back.xml", *urls(dmp))
    assert result.exit_code == 1
    assert "absent/back.xml: cannot be written" in result.stderr


# patients


def test_a_patient_is_accepted_once_made_known(make_server: ServerFactory, tmp_path: Path) -> None:
    server = make_server({"server": {"workers": 1}, "affinity_domain": {"patients": "known"}})
    patient = new_patient()
    path = summary(tmp_path)
    before = run("submit", *urls(server), "--patient", patient, path)
    assert before.exit_code == 1
    assert "XDSUnknownPatientId" in before.stderr
    added = run("patient", "add", "--config", server.config, patient)
    assert added.exit_code == 0, added.output
    assert "1 added" in added.stderr
    after = run("submit", *urls(server), "--patient", patient, path)
    assert after.exit_code == 0, after.output
    shown = json.loads(run("patient", "show", patient, "--config", server.config, "--json").stdout)
    assert (shown["patient"], shown["knownBy"]) == (patient, "operator")


# the demonstration


def test_the_demonstration_succeeds() -> None:
    done = run("demo")
    assert done.exit_code == 0, done.output
    for text in ("ITI-41", "ITI-18", "ITI-43", "identical", "ITI-57", "/registry", "/repository", "drained"):
        assert text in done.stdout
    for text in ("https://", "attending doctor", "Emergency access", "Break-glass", "tls-handshake", "assertion-binding"):
        assert text in done.stdout
    for text in (
        "retrieve the consultation report",
        "optician: ask for the patient's documents: eye report",
        "does not accept our certificate",
        "DMPInvalidVIHF",
    ):
        assert text in done.stderr


def test_the_demonstration_can_be_repeated_in_its_folder(tmp_path: Path) -> None:
    assert run("demo", "--directory", tmp_path / "demo").exit_code == 0
    again = run("demo", "--directory", tmp_path / "demo")
    assert again.exit_code == 0, again.output
    assert "told once within an hour" in again.stderr


def test_the_demonstration_leaves_the_server_running_when_told_to(tmp_path: Path) -> None:
    """The commands that it prints do what it says of them."""
    done = subprocess.run(
        [*command("demo"), "--keep", "--directory", str(tmp_path / "demo")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = re.search(r"kill ([0-9]+)", done.stdout)
    assert told, done.stdout + done.stderr
    try:
        lines = dict(re.findall(r"^# (.+)\n(.+)$", done.stdout, re.MULTILINE))
        results = {what: run(*shlex.split(line)[1:]) for what, line in lines.items() if what != "health"}
        refused = {what: result for what, result in results.items() if what.startswith("refused")}
        assert [result.exit_code for what, result in results.items() if what not in refused] == [0] * 4, results
        assert [result.exit_code for result in refused.values()] == [1, 1]
        assert (tmp_path / "copy.xml").read_bytes() == (tmp_path / "demo" / "medical-summary.xml").read_bytes()
        assert "assertion-binding" in results["what the journal holds"].stdout
        health = shlex.split(lines["health"])
        if shutil.which(health[0]):
            assert subprocess.run(health, capture_output=True, timeout=60).stdout == b"ok\n"
        second = run("demo", "--directory", tmp_path / "demo")
        assert second.exit_code == 1
        assert "the server ended with exit code 1" in second.stderr
        assert "another server runs on" in second.stderr
    finally:
        os.kill(int(told[1]), signal.SIGTERM)


def test_the_demonstration_only_prepares_what_a_server_needs(tmp_path: Path) -> None:
    config = tmp_path / "demo.toml"
    text = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("../data", "data"), encoding="utf-8")
    first, again = (run("demo", "--prepare", config) for _ in range(2))
    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert "--card data/demo/pki/cards/doctor" in again.stdout
    assert sorted(path.name for path in (tmp_path / "data" / "demo").iterdir()) == ["medical-summary.xml", "pki"]
    assert run("doctor", "--config", config).exit_code == 0


def test_the_demonstration_prepares_nothing_for_settings_without_tls(tmp_path: Path) -> None:
    result = run("demo", "--prepare", write_config(tmp_path / "settings"))
    assert result.exit_code == 1
    assert "tls.client_ca: the settings name no authorities" in result.stderr
    assert run("demo", "--prepare", write_config(tmp_path / "settings"), "--keep").exit_code == 2


def test_the_demonstration_does_not_touch_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "demo" / "data").mkdir(parents=True)
    (tmp_path / "demo" / "data" / "liasse.sqlite").write_text("a diary\n" * 1000, encoding="utf-8")
    result = run("demo", "--directory", tmp_path / "demo")
    assert result.exit_code == 1
    assert "failed after 1 steps" in result.stderr
    assert str(tmp_path / "demo" / "data") in result.stderr


def test_the_demonstration_says_why_it_failed(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file", encoding="utf-8")
    result = run("demo", "--directory", tmp_path / "demo")
    assert result.exit_code == 1
    assert "failed after 0 steps" in result.stderr
