"""Syslog as a receiver sees it: frames of a TLS stream, and the header of a message. What is wrong becomes a finding.

Source: RFC 5424 section 6 (message), RFC 5425 section 4.3 (octet counting); IHE ITI TF-2 3.20.4.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from conformance.findings import Finding, Level, shown

FACILITY: Final = 10
FRAMING: Final = "atna.framing"
MESSAGE_ID: Final = "IHE+RFC-3881"
BOM: Final = b"\xef\xbb\xbf"

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) ")
_BEGIN = re.compile(rb"[1-9][0-9]{0,8} <[0-9]{1,3}>1 ")
_HEADER = re.compile(
    rb"<(?P<priority>[0-9]{1,5})>(?P<version>[^ ]*) (?P<time>[^ ]+) (?P<host>[^ ]+) (?P<app>[^ ]+) (?P<process>[^ ]+)"
    rb" (?P<id>[^ ]+) (?P<data>-|(?:\[[^\]]*\])+)(?: (?P<text>.*))?",
    re.DOTALL,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_LONGEST: Final = {"host": 255, "app": 48, "process": 128, "id": 32}
_LARGEST_FRAME: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A message taken from a stream, with what was wrong about its frame."""

    message: bytes
    findings: tuple[Finding, ...] = ()


@dataclass
class FrameReader:
    """Takes messages from a stream of bytes. A wrong frame is reported, and the next right one looked for."""

    _pending: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages that are complete with `data`."""
        self._pending += data
        while (frame := self._next()) is not None:
            yield frame

    def end(self) -> Iterator[Frame]:
        """What is left when the stream ends: nothing, or a message that did not come whole."""
        left, self._pending = self._pending, b""
        if left.strip():
            yield Frame(left, (_framing("a message of the length that was announced", f"{len(left)} bytes at the end"),))

    def _next(self) -> Frame | None:
        count = _COUNT.match(self._pending)
        if count is not None:
            return self._counted(count.end(), int(count[1]))
        if not self._pending or re.fullmatch(rb"[1-9][0-9]{0,8}", self._pending):
            return None
        return self._uncounted()

    def _counted(self, start: int, length: int) -> Frame | None:
        end = start + min(length, _LARGEST_FRAME)
        if len(self._pending) < end:
            return None
        message, self._pending = self._pending[start:end], self._pending[end:]
        return Frame(message)

    def _uncounted(self) -> Frame | None:
        """Bytes that do not begin with a count: up to the next right frame, or to the end of a line."""
        begin = _BEGIN.search(self._pending)
        line = self._pending.find(b"\n")
        ends = [end for end in (begin.start() if begin else -1, line + 1 or -1) if end > 0]
        if not ends:
            return None
        end = min(ends)
        wrong, self._pending = self._pending[:end], self._pending[end:]
        expected = "a frame that begins with the length of the message in bytes, and a space"
        return Frame(wrong, (_framing(expected, shown(wrong[:40])),))


@dataclass(frozen=True, slots=True)
class Syslog:
    """A message taken apart; the fields of a header that could not be read are empty. `text` is without byte order mark."""

    host: str = ""
    app: str = ""
    process: str = ""
    time: str = ""
    text: bytes = b""
    findings: tuple[Finding, ...] = ()


def read_syslog(message: bytes) -> Syslog:
    """Take a message apart and judge its header."""
    found = _HEADER.fullmatch(message)
    if found is None:
        expected = "PRI, VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID and STRUCTURED-DATA, each after one space"
        return Syslog(text=message, findings=(_header(expected, shown(message[:80])),))
    fields = {name: value.decode("utf-8", "replace") for name, value in found.groupdict(b"").items() if name != "text"}
    text = found["text"] or b""
    findings = [*_header_findings(fields), *_text_findings(text)]
    return Syslog(fields["host"], fields["app"], fields["process"], fields["time"], text.removeprefix(BOM), tuple(findings))


def _header_findings(fields: dict[str, str]) -> Iterator[Finding]:
    priority = int(fields["priority"])
    if priority > 191 or priority // 8 != FACILITY:
        yield _header(f"PRI of facility {FACILITY} (security), normally <85>", f"<{fields['priority']}>")
    if fields["version"] != "1":
        yield _header("VERSION 1", shown(fields["version"]))
    if not _is_time(fields["time"]):
        yield _header("TIMESTAMP as RFC 3339 with a zone and at most six digits of a second", shown(fields["time"]))
    for name, most in _LONGEST.items():
        if len(fields[name]) > most or re.search(r"[^\x21-\x7e]", fields[name]):
            yield _header(f"{name} of at most {most} printable ASCII characters", shown(fields[name]))
    if fields["id"] != MESSAGE_ID:
        yield _header(f"MSGID {MESSAGE_ID}", shown(fields["id"]))
    if fields["data"] != "-":
        yield _header("STRUCTURED-DATA -", shown(fields["data"]), Level.SHOULD)


def _text_findings(text: bytes) -> Iterator[Finding]:
    if text.startswith(b"BOM"):
        yield _header("MSG that begins with the XML, or with the mark EF BB BF before it", "the three letters BOM")


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _framing(expected: str, found: str) -> Finding:
    return Finding(FRAMING, "RFC 5425 4.3", expected, found)


def _header(expected: str, found: str, level: Level = Level.MUST) -> Finding:
    return Finding("atna.header", "RFC 5424 6.2; ITI TF-2 3.20.4.1.2", expected, found, level)
