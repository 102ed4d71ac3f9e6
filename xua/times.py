"""Times in assertions: xs:dateTime in UTC, as microseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from xua.refusal import AssertionRefused, quote

SECOND: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


def read_time(text: str, where: str) -> int:
    """The time `text` says, in microseconds since 1970 UTC; digits beyond a microsecond are dropped.

    Raises AssertionRefused (time-format) for every other form: other zones or none, leap seconds, 24:00, years of other than
    four digits. `where` names the place for the log. Source: SAML 2.0 core, 1.3.3 (times are in UTC form).
    """
    match = _UTC_TIME.fullmatch(text)
    if match is None:
        raise AssertionRefused("time-format", f"{where} is {quote(text)}, a time in UTC as 2024-01-31T12:00:00Z is expected")
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    fraction = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise AssertionRefused("time-format", f"{where} is {quote(text)}, which is no time") from None
    return (moment - _EPOCH).days * 86_400 * SECOND + (moment - _EPOCH).seconds * SECOND + fraction


def write_time(micros: int) -> str:
    """The xs:dateTime of a time, to the millisecond, in UTC."""
    return to_datetime(micros - micros % 1000).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def to_datetime(micros: int) -> datetime:
    """The time as a datetime in UTC."""
    return datetime.fromtimestamp(micros // SECOND, UTC).replace(microsecond=micros % SECOND)
