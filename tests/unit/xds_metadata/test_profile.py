"""What the profiles switch on, and that each finding on a code says its attribute once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests import samples
from tests.unit.soap.samples import MESSAGE_ID, QUERY_ACTION, envelope, exchange, server
from xds_metadata.codes import Row, code_sets
from xds_metadata.profile import PROFILES, Profile
from xds_metadata.rules import check_submission
from xds_metadata.rules.values import PROVIDE

HEADER = f"<a:Action {{must}}>{QUERY_ACTION}</a:Action><a:MessageID>{MESSAGE_ID}</a:MessageID>"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
@pytest.mark.parametrize(
    "header",
    [
        HEADER.format(must='mustUnderstand="1"'),
        HEADER.format(must='s:mustUnderstand="1"') + "<a:To/>",
        HEADER.format(must=""),
        HEADER.format(must="")
        + '<a:ReplyTo s:mustUnderstand="true"><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>',
    ],
    ids=["unprefixed mustUnderstand", "empty To", "no mustUnderstand, no ReplyTo", "mustUnderstand on ReplyTo"],
)
def test_habits_of_the_header_are_tolerated_in_every_profile(profile: Profile, header: str) -> None:
    assert exchange(envelope(header), on=server(tolerances=profile.wire)).status == 200


def test_a_finding_on_a_code_names_its_attribute_once() -> None:
    listed = code_sets(
        "test", [Row("mime_type", "text/xml", ""), Row("type_code", "a", "1.2"), Row("format_code", "b", "1.2")]
    )
    value = samples.submission(samples.entry(mime_type="foo/bar"))
    found = check_submission(value, PROVIDE, PROFILES["ihe"], listed, datetime(2026, 3, 11, tzinfo=UTC))
    texts = [finding.context for finding in found]
    assert len(texts) == 3
    for name in ("mimeType", "typeCode", "formatCode"):
        assert [text.count(name) for text in texts if name in text] == [1]
