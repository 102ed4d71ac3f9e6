"""Whether a contact channel can be written to."""

from __future__ import annotations

import re
from typing import Final

from dmp.record import Channel

_FORMS: Final[dict[Channel, tuple[re.Pattern[str], str]]] = {
    "EMAIL": (re.compile(r"[^@\s,;:<>()\"]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"), "an e-mail address"),
    "SMS": (re.compile(r"\+[1-9][0-9]{6,14}"), "a number such as +33600000000"),
}


def check_contact(channel: Channel, value: str) -> str | None:
    """What is wrong with an address or a number; None where it is well formed. It may still not exist."""
    pattern, what = _FORMS[channel]
    if len(value) <= 254 and value.isascii() and value.isprintable() and pattern.fullmatch(value):
        return None
    return f"found {value!r}, {what} is expected"
