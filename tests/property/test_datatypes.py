"""Writing a value and reading it gives the value; texts of any kind give a value or our error, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_metadata import datatypes as dt

IDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and "&amp;" not in text
)
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
NAMES = TEXTS.filter(lambda text: bool(text.strip()))
OIDS = st.lists(st.integers(0, 99999), min_size=1, max_size=6).map(lambda arcs: "1." + ".".join(map(str, arcs)))
CODES = st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True)
NAMESPACES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and "amp;" not in text
)


def maybe(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


AUTHORITIES = (
    st.builds(dt.Authority, oid=OIDS)
    | st.builds(dt.Authority, namespace=NAMESPACES)
    | st.builds(dt.Authority, OIDS, NAMESPACES)
)
CXS = st.builds(dt.Cx, IDS, OIDS, maybe(CODES), maybe(st.from_regex(r"[0-9]{8}", fullmatch=True)))
CXIS = st.builds(dt.Cxi, IDS, IDS, st.none() | AUTHORITIES, st.none() | AUTHORITIES)
XCNS = st.builds(
    dt.Xcn,
    maybe(IDS),
    maybe(TEXTS),
    maybe(TEXTS),
    maybe(TEXTS),
    maybe(TEXTS),
    maybe(TEXTS),
    maybe(OIDS),
    maybe(CODES),
    maybe(CODES),
).filter(lambda value: value.id is not None or value.family is not None)
LOCAL_IDS = IDS.filter(lambda text: dt.check_oid(text) is not None)
XONS = (
    st.builds(dt.Xon, NAMES, st.none(), maybe(OIDS), maybe(CODES))
    | st.builds(dt.Xon, NAMES, LOCAL_IDS, OIDS, maybe(CODES))
    | st.builds(dt.Xon, NAMES, OIDS, st.none(), maybe(CODES))
)
XTNS = st.builds(
    dt.Xtn, email=TEXTS.filter(lambda text: text == text.strip()), use=maybe(st.just("NET")), equipment=st.just("Internet")
) | st.builds(
    dt.Xtn,
    st.none(),
    maybe(st.sampled_from(["PRN", "WPN"])),
    st.sampled_from(["PH", "CP", "FX"]),
    maybe(TEXTS),
    maybe(TEXTS),
    TEXTS,
    maybe(TEXTS),
    maybe(TEXTS),
)
SHORT_XONS = st.builds(dt.Xon, st.text("AB &|^~\\", min_size=1, max_size=9).filter(lambda text: bool(text.strip())))
RECIPIENTS = st.builds(dt.Recipient, st.none() | SHORT_XONS, st.none() | XCNS, st.none() | XTNS).filter(
    lambda value: bool(value.organisation or value.person or value.address)
)
CODED = (
    st.builds(dt.CodedString, NAMES.filter(lambda text: "^" not in text))
    | st.builds(dt.CodedString, IDS, OIDS)
    | st.builds(dt.CodedString, IDS, OIDS, TEXTS)
)
FIELDS = st.builds(dt.PatientField, st.sampled_from([3, 5, 11, 13]), NAMES.map(dt.escape))

TYPES: list[tuple[str, st.SearchStrategy[Any], Callable[..., Any], Callable[[Any], str]]] = [
    ("cx", CXS, dt.read_cx, dt.write_cx),
    ("cxi", CXIS, dt.read_cxi, dt.write_cxi),
    ("xcn", XCNS, dt.read_xcn, dt.write_xcn),
    ("xon", XONS, dt.read_xon, dt.write_xon),
    ("xtn", XTNS, dt.read_xtn, dt.write_xtn),
    ("recipient", RECIPIENTS, dt.read_recipient, dt.write_recipient),
    ("coded string", CODED, dt.read_coded_string, dt.write_coded_string),
    ("patient field", FIELDS, dt.read_patient_field, dt.write_patient_field),
    ("integer", st.integers(0, 2**63 - 1), dt.read_integer, dt.write_integer),
    ("oid urn", OIDS, dt.read_oid_urn, dt.write_oid_urn),
]


@pytest.mark.parametrize(("values", "read", "write"), [row[1:] for row in TYPES], ids=[row[0] for row in TYPES])
@given(data=st.data())
def test_reading_what_was_written_gives_the_value(
    values: st.SearchStrategy[Any], read: Callable[..., Any], write: Callable[[Any], str], data: st.DataObject
) -> None:
    value = data.draw(values)
    text = write(value)
    if len(text) <= dt.MAX_LENGTH:
        assert read(text, dt.DMP) == value
        assert write(read(text, dt.DMP)) == text


CHECKS: list[dt.Check] = [getattr(dt, name.replace("read_", "check_")) for name in dir(dt) if name.startswith("read_")]


@given(text=st.text(max_size=60) | st.text("^&|~\\.0123456789 PID-amp;ISO", max_size=60), strict=st.booleans())
def test_any_text_gives_a_value_or_our_error(text: str, strict: bool) -> None:
    for check in CHECKS:
        wrong = check(text, dt.STRICT if strict else dt.DMP)
        assert wrong is None or (wrong and wrong.isprintable())


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.sampled_from([4, 6, 8, 10, 12, 14]))
def test_times_of_any_precision_are_accepted_and_start_where_they_say(moment: datetime, length: int) -> None:
    dtm = moment.strftime("%Y%m%d%H%M%S")[:length]
    assert dt.check_dtm(dtm) is None
    assert dt.check_dtm(dt.instant(dtm)) is None
    assert dt.instant(dtm).startswith(dtm)
    assert not dt.is_later(dtm, dt.instant(dtm))
    assert not dt.is_later(dt.instant(dtm), dtm)
