"""Every published CDA example goes in by ITI-41, is found by ITI-18 and comes back unchanged by ITI-43."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liasse.client import DocumentClient, Endpoints
from liasse.submission import UNDIFFERENTIATED, Given, Prepared, prepare, submission_of
from tests.e2e.server import RunningServer, running
from tests.shared_data import shared
from xds_metadata.codes import load_codes
from xds_metadata.model import DocumentEntry
from xds_metadata.profile import DMP
from xds_repository.messages import DocumentRequest

pytestmark = pytest.mark.corpus

REPOSITORY = "1.2.250.1.999.8"


@pytest.fixture(scope="module")
def dmp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {
        "profile": "dmp",
        "access": {"policy": "open"},
        "repository": {"unique_id": REPOSITORY, "content_check": "refuse"},
        "affinity_domain": {"codes": "dmp"},
    }
    with running(tmp_path_factory.mktemp("corpus"), settings) as started:
        yield started


@pytest.fixture(scope="module")
def client(dmp_server: RunningServer) -> Iterator[DocumentClient]:
    with DocumentClient(Endpoints(dmp_server.registry_url, dmp_server.repository_url)) as opened:
        yield opened


def documents() -> list[Path]:
    found = sorted(shared("corpus", "cda").glob("*.xml"))
    assert len(found) == 51
    return found


def send(client: DocumentClient, path: Path) -> Prepared:
    prepared = prepare(path, Given(), load_codes("dmp"), DMP)
    submission = submission_of([prepared], source_id="1.2.250.1.999.7", content=UNDIFFERENTIATED, now=datetime.now(UTC))
    assert client.submit(submission, [prepared.deposit]) == ()
    return prepared


def test_all_documents_come_back_as_they_went_in(client: DocumentClient) -> None:
    sent: dict[str, list[tuple[Path, Prepared]]] = defaultdict(list)
    for path in documents():
        prepared = send(client, path)
        assert prepared.entry.patient_id is not None
        sent[prepared.entry.patient_id].append((path, prepared))
    retrieved = 0
    for patient, items in sent.items():
        found = {entry.unique_id: entry for entry in client.find(patient)}
        assert set(found) == {prepared.entry.unique_id for _, prepared in items}
        for path, prepared in items:
            entry = found[prepared.entry.unique_id]
            compare(prepared.entry, entry)
            back = io.BytesIO()
            got = client.retrieve(DocumentRequest(REPOSITORY, entry.unique_id or ""), back, entry)
            assert back.getvalue() == path.read_bytes()
            assert got.mime_type == prepared.entry.mime_type
            retrieved += 1
    assert retrieved == 51


def compare(sent: DocumentEntry, stored: DocumentEntry) -> None:
    """What was derived is what is found, and the registry's own attributes are there."""
    for name in (
        "title", "type_code", "class_code", "format_code", "confidentiality_codes", "creation_time", "authors",
        "source_patient_id", "source_patient_info", "event_codes", "reference_ids", "size", "hash", "mime_type",
        "healthcare_facility_type_code", "practice_setting_code", "language_code", "legal_authenticator",
        "service_start_time", "service_stop_time",
    ):  # fmt: skip
        assert getattr(stored, name) == getattr(sent, name), name
    assert stored.repository_unique_id == REPOSITORY
    assert (stored.availability_status or "").endswith(":Approved")
    assert stored.entry_uuid.startswith("urn:uuid:")
