"""DTM: a point in time in UTC with the precision that its length says, and HL7 v3 times brought to it.

Source: IHE ITI TF-3 4.2.3.1.7 (DTM); HL7 v3 TS for the forms with zone and fraction.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from xds_metadata.datatypes.support import STRICT, DatatypeError, DatatypeTolerances, checker, shown, without_outer_space

_LENGTHS = (4, 6, 8, 10, 12, 14)
_DIGITS = re.compile(r"[0-9]{4,14}")
_FILL = "00000101000000"
_TS = re.compile(r"([0-9]{4,14})(?:\.[0-9]{1,9})?(?:([+-])([0-9]{2})([0-9]{2}))?")
_MAX_TS = 29


def read_dtm(text: str, _tolerances: DatatypeTolerances = STRICT) -> str:
    """The DTM as written: YYYY[MM[DD[hh[mm[ss]]]]], a real calendar date, year 0001 to 9999, no zone, no fraction."""
    if len(text) not in _LENGTHS or not _DIGITS.fullmatch(text):
        without_outer_space(text, "a DTM")
        raise DatatypeError(
            f"expected a DTM YYYY[MM[DD[hh[mm[ss]]]]] in UTC (digits only, no zone, no fraction), found {shown(text)}"
        )
    _checked_ranges(text)
    return text


def _checked_ranges(text: str) -> None:
    whole = instant(text)
    year, month, day = int(whole[:4]), int(whole[4:6]), int(whole[6:8])
    if year == 0:
        raise DatatypeError(f"expected a DTM with a year from 0001, found {shown(text)}")
    if not 1 <= month <= 12:
        raise DatatypeError(f"expected a DTM with a month from 01 to 12, found month {whole[4:6]} in {shown(text)}")
    last = calendar.monthrange(year, month)[1]
    if not 1 <= day <= last:
        raise DatatypeError(
            f"expected a DTM with a day from 01 to {last} in that month, found day {whole[6:8]} in {shown(text)}"
        )
    if int(whole[8:10]) > 23 or int(whole[10:12]) > 59 or int(whole[12:14]) > 59:
        raise DatatypeError(f"expected a DTM with a time of day from 000000 to 235959, found {shown(text)}")


def instant(dtm: str) -> str:
    """The 14 digits of the first second that `dtm` covers: 2024 → 20240101000000. For index columns and range queries."""
    return dtm + _FILL[len(dtm) :]


def is_later(one: str, other: str) -> bool:
    """Whether `one` lies after `other`, judged at the precision of the shorter (so 202503010900 is not after 20250301)."""
    length = min(len(one), len(other))
    return one[:length] > other[:length]


def check_not_future(dtm: str, now: datetime, slack: timedelta = timedelta(days=1)) -> str | None:
    """None unless `dtm` begins later than `now` (aware) plus `slack` for wrong clocks; else the sentence."""
    limit = (now.astimezone(UTC) + slack).strftime("%Y%m%d%H%M%S")
    if instant(dtm) > limit:
        return f"expected a time that is not in the future (at most {limit} UTC), found {shown(dtm)}"
    return None


def dtm_from_ts(text: str) -> str:
    """The DTM in UTC of an HL7 v3 time: fraction dropped, zone applied, precision kept.

    A time with hours and no zone is taken as UTC; a zone on a date alone is dropped (a date is a civil fact).
    Raises DatatypeError for anything else.
    """
    match = _TS.fullmatch(text) if len(text) <= _MAX_TS else None
    if match is None:
        without_outer_space(text, "a time")
        raise DatatypeError(f"expected a time YYYY[MM[DD[hh[mm[ss[.f]]]]]][+-hhmm], found {shown(text)}")
    digits = read_dtm(match[1])
    if match[2] is None or len(digits) < 10:
        return digits
    hours, minutes = int(match[3]), int(match[4])
    if hours > 14 or minutes > 59:
        raise DatatypeError(f"expected a time zone from -1400 to +1400, found {shown(text)}")
    offset = timedelta(hours=hours, minutes=minutes)
    local = datetime.strptime(instant(digits), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    try:
        utc = local - offset if match[2] == "+" else local + offset
    except OverflowError:
        raise DatatypeError(f"expected a time between the years 0001 and 9999, found {shown(text)}") from None
    length = 12 if len(digits) == 10 and minutes else len(digits)
    return f"{utc.year:04d}{utc:%m%d%H%M%S}"[:length]


check_dtm = checker(read_dtm)
