"""What a message claims is read without judging it, and only so much of it."""

from __future__ import annotations

import pytest
from lxml import etree

from ebrim.rs import write_submit_objects_request
from tests import samples
from xds_metadata.patients import patient_column
from xds_metadata.unjudged import (
    LONGEST_IDENTIFIER,
    MOST_NAMED,
    claimed_documents,
    claimed_patient,
    claimed_submission,
)


def test_a_submission_names_its_patient_its_set_and_its_documents() -> None:
    submission = samples.submission(samples.entry(), samples.entry(), folders=[samples.folder()])
    claimed = claimed_submission(etree.fromstring(write_submit_objects_request(samples.objects(submission))))
    documents = {("document", entry.unique_id) for entry in submission.entries}
    assert claimed[0] == patient_column(samples.PATIENT)
    assert claimed[1][0] == ("submission-set", submission.submission_sets[0].unique_id)
    assert set(claimed[1][1:]) == documents


def test_only_some_documents_are_named() -> None:
    ids = [f"1.2.{number}" for number in range(20)]
    assert claimed_documents(ids, 20) == (*(("document", one) for one in ids[:MOST_NAMED]), ("documents", "20"))
    assert claimed_documents(ids[:MOST_NAMED], MOST_NAMED) == tuple(("document", one) for one in ids[:MOST_NAMED])
    assert claimed_documents(["", "1" * (LONGEST_IDENTIFIER + 1), "1.2"], 3) == (("document", "1.2"), ("documents", "3"))


@pytest.mark.parametrize("cx", [None, "", "nobody", "^^^&1.2.3&ISO", "x" * 10_000 + "^^^&1.2.3&ISO"])
def test_a_patient_that_cannot_be_read_is_nobody(cx: str | None) -> None:
    assert claimed_patient(cx) == ""


@pytest.mark.parametrize(
    "body",
    [
        "<x/>",
        "<RegistryPackage xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'/>",
        "<x xmlns:r='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0'><r:RegistryPackage><r:ExternalIdentifier "
        "identificationScheme='urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446' value='nobody'/></r:RegistryPackage></x>",
    ],
)
def test_a_body_that_says_nothing(body: str) -> None:
    assert claimed_submission(etree.fromstring(body)) == ("", ())
