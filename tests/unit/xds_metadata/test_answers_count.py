"""A submission of more objects than are ever accepted ends before each of them is looked at."""

from __future__ import annotations

import pytest
from lxml import etree

from xds_metadata.answers import check_count
from xds_metadata.errors import XdsFailure
from xds_metadata.rules.structure import MAX_OBJECTS
from xmlsafe.namespaces import RIM


def _body(objects: int, loose: int) -> etree._Element:
    inside = "<r:Association/>" * objects + "<r:Classification/>" * loose
    return etree.fromstring(f'<a xmlns:r="{RIM}"><b><r:RegistryObjectList>{inside}</r:RegistryObjectList></b></a>')


def test_as_many_as_allowed_pass() -> None:
    check_count(_body(MAX_OBJECTS, MAX_OBJECTS))


@pytest.mark.parametrize(("objects", "loose"), [(MAX_OBJECTS + 1, 0), (0, MAX_OBJECTS + 1)])
def test_one_more_is_refused(objects: int, loose: int) -> None:
    with pytest.raises(XdsFailure) as caught:
        check_count(_body(objects, loose))
    (found,) = caught.value.findings
    assert (found.rule, found.severity) == ("submission-size", "Error")
    assert f"{objects} objects and {loose} classifications" in found.context
