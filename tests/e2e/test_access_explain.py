"""`liasse access explain` says what the server does, and by which rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liasse.cli import app
from tests.e2e.dmp_domain import MASKED, NORMAL, DmpDomain, Speaker, cx, dmp_domain, entry, patient
from xds_metadata.model import Code

FOR_DOCTORS = Code("34120-6", "2.16.840.1.113883.6.1", "for doctors only")
KEY = patient(911)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmpDomain]:
    with dmp_domain(tmp_path_factory.mktemp("explain")) as running:
        running.open(KEY)
        yield running


def explained(domain: DmpDomain, who: Speaker | str, *more: str) -> Result:
    reader = who if isinstance(who, str) else str(Path(who.card.authentication.certificate).parent)
    words = ["access", "explain", "--config", str(domain.tls.server.config), "--patient", cx(KEY), "--as", reader]
    return CliRunner().invoke(app, [*words, *more])


def verdict(domain: DmpDomain, who: Speaker, *more: str) -> tuple[bool, str]:
    done = explained(domain, who, "--json", *more)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if found["allowed"] else 1)
    return found["allowed"], found["rule"]


def test_what_is_explained_is_what_the_server_does(domain: DmpDomain) -> None:
    author, attending = domain.professional("author"), domain.professional("attending")
    doctor, nurse = domain.professional("doctor"), domain.professional("nurse", profession="60", speciality="")
    blocked, unknown = domain.professional("blocked"), domain.professional("unknown")
    domain.authorise(KEY, author, attending, doctor, nurse, blocked)
    domain.attend(KEY, attending)
    domain.block(KEY, blocked)
    plain, masked = entry(KEY, author), entry(KEY, author, confidentiality_codes=(NORMAL, MASKED))
    special = entry(KEY, author, type_code=FOR_DOCTORS)
    domain.deposit(author, KEY, plain, masked, special)
    rules = {
        "author": ("dmp-allowed", "dmp-see-author", "dmp-allowed"),
        "attending": ("dmp-allowed", "dmp-allowed", "dmp-allowed"),
        "doctor": ("dmp-allowed", "dmp-see-visibility", "dmp-allowed"),
        "nurse": ("dmp-allowed", "dmp-see-visibility", "dmp-see-matrix"),
        "blocked": ("dmp-blocked",) * 3,
        "unknown": ("dmp-authorisation",) * 3,
    }
    speakers = {
        "author": author,
        "attending": attending,
        "doctor": doctor,
        "nurse": nurse,
        "blocked": blocked,
        "unknown": unknown,
    }
    for name, speaker in speakers.items():
        for document, rule in zip((plain, masked, special), rules[name], strict=True):
            said = verdict(domain, speaker, "--document", document.unique_id or "")
            given = domain.get(speaker.about(KEY), document.unique_id or "").verdict == "Success"
            assert said == (given, rule), name
    assert verdict(domain, unknown, "--mode", "bris_de_glace", "--motive", "unconscious") == (True, "dmp-allowed")
    assert verdict(domain, unknown, "--mode", "bris_de_glace") == (False, "dmp-emergency-reason")
    assert verdict(domain, doctor, "--action", "unmask", "--document", masked.unique_id or "") == (
        False,
        "dmp-see-visibility",
    ), "to him it is unknown"
    assert verdict(domain, doctor, "--action", "archive", "--document", plain.unique_id or "") == (False, "dmp-own")
    assert verdict(domain, doctor, "--action", "replace", "--document", plain.unique_id or "") == (False, "dmp-replace")
    assert verdict(domain, author, "--action", "replace", "--document", plain.unique_id or "") == (True, "dmp-allowed")
    assert verdict(domain, attending, "--action", "unmask", "--document", masked.unique_id or "") == (True, "dmp-allowed")
    assert verdict(domain, domain.structure(), "--action", "deposit") == (True, "dmp-allowed")
    assert verdict(domain, domain.structure()) == (False, "dmp-right")


def test_any_entry_of_a_document_that_is_seen_counts(domain: DmpDomain) -> None:
    """Twins: one that the reader is an author of, one that only doctors read."""
    author, nurse = domain.professional("author"), domain.professional("second-nurse", profession="60", speciality="")
    domain.authorise(KEY, author, nurse)
    own_one = entry(KEY, nurse)
    twin = entry(KEY, author, type_code=FOR_DOCTORS, unique_id=own_one.unique_id)
    domain.deposit(nurse, KEY, own_one)
    domain.deposit(author, KEY, twin)
    given = domain.get(nurse.about(KEY), own_one.unique_id or "").verdict == "Success"
    assert verdict(domain, nurse, "--document", own_one.unique_id or "")[0] is given is True


def test_the_table_is_for_people_and_the_look_is_journaled(domain: DmpDomain) -> None:
    done = explained(domain, "professional:899700000321:10:SM26", "--because", "the patient asks")
    assert done.exit_code == 1
    assert "not allowed, by the rule dmp-authorisation" in done.output
    assert domain.journal()[-1][0] == "access-explain"
    patient_reads = explained(domain, "patient")
    assert "allowed, by the rule dmp-allowed" in patient_reads.output


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--document", "1.2.3.4"), 1, "the record has no document 1.2.3.4"),
        (("--action", "mask"), 2, "--action mask needs --document"),
        (("--action", "look"), 2, "expected one of search"),
        (("--mode", "never"), 2, "expected one of normal, bris_de_glace, centre_15"),
    ],
)
def test_wrong_use(domain: DmpDomain, more: tuple[str, ...], code: int, said: str) -> None:
    done = explained(domain, "professional:899700000321:10:SM26", *more)
    assert done.exit_code == code
    assert said in " ".join(done.output.split())
