"""Running one small case against a peer that the test controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.engine import CaseResult, Run, run_case
from conformance.plan import load_case
from schemas.paths import MESSAGES, schema_files
from tests.unit.conformance.canned import Answerer, peer, target_at
from xmlsafe.schema import Schema

Judge = Callable[[str, Answerer], CaseResult]

_HEAD = 'id = "x-case"\ntitle = "t"\ntransaction = "ITI-18"\npurpose = "p"\nclauses = ["c"]\n'


@pytest.fixture(scope="session")
def message_schema() -> Schema:
    return Schema(schema_files(MESSAGES))


@pytest.fixture
def judge(tmp_path: Path, message_schema: Schema) -> Judge:
    """`judge(steps in TOML, answerer)`: the result of a case of these steps."""

    def run(steps: str, answer: Answerer) -> CaseResult:
        path = tmp_path / "x-case.toml"
        path.write_text(_HEAD + steps, encoding="utf-8")
        with peer(answer) as base:
            return run_case(Run(target_at(tmp_path, base), "seed", tmp_path / "kept", message_schema), load_case(path))

    return run
