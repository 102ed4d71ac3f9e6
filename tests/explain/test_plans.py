"""No statement that answers a request reads a table of patients' objects from end to end, on either engine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator

import pytest

from benchmarks import bulk
from database import Database, open_database
from database.tables import metadata
from tests import postgres
from tests import samples as s
from tests.explain.statements import QUERIES, SCOPES, of_query, of_retrieval, recorded, tables_of_plan
from tests.registry_side import Side
from xds_metadata import associations as types
from xds_registry.patients import add_patients, find_patient, list_patients
from xds_repository.documents import STORED, StoredDocument, put_documents

pytestmark = pytest.mark.proof
PROOF = os.environ.get("LIASSE_PROOF") == "1"
ENTRIES = 100_000 if PROOF else 20_000
_KINDS = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if postgres.wanted() else [])]
_NUMBERED = re.compile(r"_(p?[0-9]+)$")


@pytest.fixture(scope="module", params=_KINDS)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with many documents."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("plans") / "liasse.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        with open_database(path) as database:
            _fill(database)
            yield database
        shutil.rmtree(path.parent)
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(request.getfixturevalue("postgres_template"))
    with open_database(server.url(name)) as database:
        _fill(database)
        yield database
    server.drop(name)


def _fill(database: Database) -> None:
    bulk.load(database, ENTRIES, folder_every=1)
    add_patients(database, [bulk.patient_cx(n) for n in range(10, ENTRIES // 10)], "operator", 1)
    documents = [
        StoredDocument(bulk.document_id(n), f"{n:064x}", f"{n:040x}", 1, "text/xml", STORED) for n in range(ENTRIES // 10)
    ]
    database.write(put_documents(documents, 1), timeout=60)
    bulk.analyse(database)


def _check(database: Database, statements: list[tuple[str, object]]) -> None:
    assert statements
    for sql, parameters in statements:
        scanned, plan = tables_of_plan(database, sql, parameters)  # type: ignore[arg-type]
        full = {_NUMBERED.sub("", name) for name in scanned} & set(metadata.tables)
        assert not full, f"{sorted(full)} read from end to end:\n{sql}\n{plan}"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", QUERIES)
def test_no_query_scans(full: Database, name: str, scope: str) -> None:
    statements, found = of_query(full, name, SCOPES[scope])
    assert found
    _check(full, statements)


def test_no_retrieval_scans(full: Database) -> None:
    _check(full, of_retrieval(full))


def test_no_registration_scans(full: Database) -> None:
    patient = bulk.patient_cx(3)
    new = s.entry(patient_id=patient)
    links = [
        s.link(types.RPLC, new.entry_uuid, f"urn:uuid:{bulk.entry_uuid(150)}"),
        s.member(f"urn:uuid:{bulk.folder_uuid(75)}", new.entry_uuid),
    ]
    value = s.submission(new, links=links, references=[f"urn:uuid:{bulk.entry_uuid(9000)}"])
    made = s.objects(value)
    side = Side(full).with_settings(known_patients_only=True)
    with recorded() as statements:
        side.submit(made)  # the patient is not known yet: refused, and judged all the same
    _check(full, list(statements))
    with recorded() as statements:
        Side(full).accept(made)
    _check(full, list(statements))


def test_looking_up_patients_does_not_scan(full: Database) -> None:
    with recorded() as statements:
        find_patient(full, bulk.patient_cx(3))
        list_patients(full, 10)
    _check(full, [one for one in statements if "ORDER BY" not in one[0]])
