"""ITI-8 Patient Identity Feed (HL7 v2): patient identifiers become known to the registry.

ADT^A01, A04 and A05 make known the PID-3 identifiers of the affinity domain's authorities; A08 is acknowledged and changes
nothing; everything else is refused. An acknowledgement with AA leaves only after the identifiers are stored.
Names and other demographics are read past, never kept or logged.
Source: IHE ITI TF-2 3.8 (message semantics), HL7 2.3.1 chapter 2 (acknowledgement, error segment).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import hl7
import structlog

from database.errors import DatabaseError
from xds_metadata.datatypes import Cx, DatatypeError, check_oid, read_cx, write_cx

log = structlog.get_logger()

_REGISTERING = frozenset({"A01", "A04", "A05"})
_IGNORED = frozenset({"A08"})
_WANTED = ("MSH", "PID")
_LONGEST_SEGMENT = 65_536
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CHARSETS = {
    "ASCII": "ascii",
    "8859/1": "iso-8859-1",
    "8859/15": "iso-8859-15",
    "ISO_8859-1": "iso-8859-1",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
}
_INTERNAL = 207
_ERRORS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    200: "Unsupported message type",
    201: "Unsupported event code",
    204: "Unknown key identifier",
    _INTERNAL: "Application internal error",
}


class RegisterPatients(Protocol):
    """Stores patient identifiers, written `id^^^&OID&ISO`, and returns once they are durable. Known ones are no error.

    Raises DatabaseError when that is not possible now.
    """

    def __call__(self, identifiers: Sequence[str], /) -> None: ...


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """What a message says of itself: trigger event (A01…), MSH-10, `facility|application` of both ends, the patients (CX)
    of the domain as far as they can be read.
    """

    event: str
    control_id: str
    sender: str
    receiver: str
    patients: tuple[str, ...]


class FeedWatch(Protocol):
    """Is told of one message: `understood` before anything is stored, `ended` once, before the acknowledgement leaves.

    `code` is that of HL7 table 0357, 0 for an acceptance, for which identifiers may have been registered in between.
    """

    def understood(self, message: FeedMessage) -> None: ...

    def ended(self, code: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FeedDomain:
    """Whose identifiers the affinity domain uses: OIDs. Empty: every authority that is given with its OID."""

    authorities: tuple[str, ...] = ()

    def owns(self, oid: str) -> bool:
        """Whether identifiers of the authority `oid` are identifiers of the domain."""
        return not self.authorities or oid in self.authorities


class _Refused(Exception):
    """An AE: `code` of HL7 table 0357, the place in the message (segment^sequence^field), and what is expected there."""

    def __init__(self, code: int, place: str, text: str) -> None:
        super().__init__(text)
        self.code, self.place, self.text = code, place, text


class _Unparsable(Exception):
    """An AR: this is no HL7 v2 message that could be answered properly."""


def answer(message: bytes, domain: FeedDomain, register: RegisterPatients, watch: FeedWatch | None = None) -> bytes:
    """Judge one message, without MLLP framing, and return its acknowledgement in the sender's encoding.

    AA: done. AE with an ERR segment: refused, nothing changed. AR: not understood at all, and `watch` is not told. Never
    raises for what was sent.
    """
    try:
        charset, parsed = _parse(message)
    except _Unparsable as error:
        log.warning("a feed message was not understood", transaction="ITI-8", size=len(message), status="AR")
        return _rejection(str(error))
    control_id = _field(parsed, "MSH", 10)
    if watch is not None:
        watch.understood(_described(parsed, domain))
    code = _INTERNAL
    try:
        count = _process(parsed, charset, domain, register)
        code = 0
    except _Refused as error:
        code = error.code
        log.warning("a feed message was refused", transaction="ITI-8", message_id=control_id, code=code, status="AE")
        return _acknowledgement(parsed, charset, "AE", error)
    finally:
        if watch is not None:
            watch.ended(code)
    log.info("a feed message was accepted", transaction="ITI-8", message_id=control_id, count=count, status="AA")
    return _acknowledgement(parsed, charset, "AA", None)


def _described(parsed: hl7.Message, domain: FeedDomain) -> FeedMessage:
    application, facility, their_application, their_facility = (_field(parsed, "MSH", number) for number in range(3, 7))
    sender, receiver = f"{facility}|{application}", f"{their_facility}|{their_application}"
    event = ""
    patients: tuple[str, ...] = ()
    with suppress(_Refused):
        event = _component(parsed, "MSH", 9, 2)
        patients = tuple(_identifiers(parsed, domain))
    return FeedMessage(event, _field(parsed, "MSH", 10), sender, receiver, patients)


def _process(parsed: hl7.Message, charset: str, domain: FeedDomain, register: RegisterPatients) -> int:
    """1. what is asked; 2. which identifiers; 3. store them. Returns how many."""
    kind, event = _component(parsed, "MSH", 9, 1), _component(parsed, "MSH", 9, 2)
    if not charset:
        raise _Refused(103, "MSH^1^18", f"expected one of the character sets {', '.join(_CHARSETS)}")
    if not _field(parsed, "MSH", 10):
        raise _Refused(101, "MSH^1^10", "expected a message control id")
    if kind != "ADT":
        raise _Refused(200, "MSH^1^9", "expected an ADT message")
    if event in _IGNORED:
        return 0
    if event not in _REGISTERING:
        raise _Refused(201, "MSH^1^9", "expected one of the events A01, A04, A05, A08")
    identifiers = _identifiers(parsed, domain)
    try:
        if identifiers:
            register(identifiers)
    except DatabaseError as error:
        log.error("the identifiers of a feed message could not be stored", transaction="ITI-8", exc_info=error)
        raise _Refused(
            _INTERNAL, "PID^1^3", "the registry cannot store identifiers now, send the message again later"
        ) from None
    return len(identifiers)


def _identifiers(parsed: hl7.Message, domain: FeedDomain) -> list[str]:
    """The PID-3 identifiers of the domain, each once, in order. None where all name an authority, none of them the domain's:
    such a message concerns another domain and is acknowledged; refused, it would stop a sender that announces every patient.
    """
    patients = [segment for segment in parsed if str(segment[0]) == "PID"]
    if len(patients) != 1:
        raise _Refused(100, "PID^1", f"expected one PID segment, found {len(patients)}")
    read = [_read_identifier(parsed, number) for number in range(1, _repetitions(parsed) + 1)]
    given = [each for each in read if each is not None]
    if not given:
        raise _Refused(101, "PID^1^3", "expected a patient identifier")
    complete = [
        Cx(each.id, each.oid) for each in given if each.oid and each.oid_type in {"", "ISO"} and domain.owns(each.oid)
    ]
    if not complete and len(domain.authorities) == 1:
        complete = [Cx(each.id, domain.authorities[0]) for each in given if not each.oid]
    if not complete and all(each.oid for each in given):
        return []
    if not complete:
        raise _Refused(204, "PID^1^3", "expected an identifier whose assigning authority belongs to the affinity domain")
    written = [write_cx(each) for each in complete]
    try:
        for each in written:
            read_cx(each)
    except DatatypeError:
        raise _Refused(102, "PID^1^3", "expected identifiers written id^^^&OID&ISO") from None
    return list(dict.fromkeys(written))


@dataclass(frozen=True, slots=True)
class _Identifier:
    id: str
    oid: str
    oid_type: str


def _read_identifier(parsed: hl7.Message, number: int) -> _Identifier | None:
    """Repetition `number` of PID-3; None when it has no id. A missing OID stays empty: only one domain can complete it."""
    id_ = _component(parsed, "PID", 3, 1, number)
    oid, oid_type = (_component(parsed, "PID", 3, 4, number, part) for part in (2, 3))
    if not id_:
        return None
    if oid and oid_type in {"", "ISO"} and check_oid(oid) is not None:
        raise _Refused(102, "PID^1^3", "expected an OID as universal id of the assigning authority")
    return _Identifier(id_, oid, oid_type)


def _parse(message: bytes) -> tuple[str, hl7.Message]:
    """The Python charset (empty when the declared one is unknown) and the MSH and PID segments of a message.

    Segments may end with CR, LF or both, doubled or not; text after the last one is no segment.
    """
    text = message.decode("iso-8859-1")
    lines = [line for line in re.split(r"[\r\n]+", text.strip("\r\n \t")) if line.strip()]
    if not lines or not re.match(r"MSH[^A-Za-z0-9\s]{5}", lines[0]) or len(set(lines[0][3:8])) != 5:
        raise _Unparsable("expected an HL7 v2 message that begins with MSH and its separators")
    if _CONTROL.search(text):
        raise _Unparsable("expected no control characters inside the message")
    kept = [line for line in lines if line[:3] in _WANTED and line[3:4] == lines[0][3]]
    if kept[0] is not lines[0] or any(len(line) > _LONGEST_SEGMENT for line in kept):
        raise _Unparsable(f"expected MSH and PID segments of at most {_LONGEST_SEGMENT} bytes")
    declared = lines[0].split(lines[0][3])[17:18]
    first = declared[0].split(lines[0][5])[0].strip().upper() if declared else ""
    raw = "\r".join(kept).encode("iso-8859-1")
    charset, decoded = _decode(raw, first)
    try:
        return charset, hl7.parse(decoded)
    except (hl7.HL7Exception, ValueError, LookupError):
        raise _Unparsable("expected segments, fields and components of HL7 v2") from None


def _decode(raw: bytes, declared: str) -> tuple[str, str]:
    """Without a declaration UTF-8 is tried, then ISO 8859-1, which is what French senders mean."""
    charset = _CHARSETS.get(declared, "") if declared else "utf-8"
    try:
        return charset, raw.decode(charset or "iso-8859-1")
    except UnicodeDecodeError:
        if declared:
            raise _Unparsable("expected text in the character set that MSH-18 declares") from None
        return "iso-8859-1", raw.decode("iso-8859-1")


def _field(parsed: hl7.Message, segment: str, number: int) -> str:
    """A field as it was sent, escapes kept; empty when absent."""
    try:
        return str(parsed.segment(segment)(number))
    except (LookupError, KeyError):
        return ""


def _repetitions(parsed: hl7.Message) -> int:
    try:
        return len(parsed.segment("PID")(3))
    except LookupError:
        return 0


def _component(parsed: hl7.Message, segment: str, field: int, component: int, repetition: int = 1, part: int = 1) -> str:
    """A subcomponent with its escapes decoded; empty when absent."""
    try:
        found = parsed.segment(segment)(field)(repetition)
        whole = found if (component, part) == (1, 1) else ""
        text = whole if isinstance(found, str) else str(found(component)(part))
    except LookupError:
        return ""
    return _unescaped(parsed, text.strip())


def _unescaped(parsed: hl7.Message, text: str) -> str:
    """The text meant. An escape that stands for no separator cannot be part of an identifier."""
    field, repetition, component, part = list(str(parsed.separators)[1:5])
    meaning = {"F": field, "S": component, "R": repetition, "T": part, "E": parsed.esc}
    pieces = text.split(parsed.esc)
    if len(pieces) % 2 == 0 or any(piece not in meaning for piece in pieces[1::2]):
        raise _Refused(102, "PID^1^3", "expected no other escapes than those of the separators")
    return "".join(meaning[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _acknowledgement(parsed: hl7.Message, charset: str, code: str, error: _Refused | None) -> bytes:
    """MSH with sender and receiver exchanged, MSA with the sender's control id, ERR for a refusal; each ends with CR."""
    bar, encoding = _field(parsed, "MSH", 1), _field(parsed, "MSH", 2)
    component, part = encoding[0], encoding[3]
    event = "".join(character for character in _field(parsed, "MSH", 9).split(component)[1:2])
    msh = ["MSH", encoding, *(_field(parsed, "MSH", number) for number in (5, 6, 3, 4)), _now(), ""]
    msh += [f"ACK{component}{event}" if event else "ACK", secrets.token_hex(10), _field(parsed, "MSH", 11) or "P"]
    msh += [_field(parsed, "MSH", 12) or "2.3.1", *[""] * 5, _field(parsed, "MSH", 18)]
    segments = [msh, ["MSA", code, _field(parsed, "MSH", 10), error.text if error else ""]]
    if error is not None:
        place = error.place.split("^")[:3]
        what = part.join([str(error.code), _ERRORS[error.code], "HL70357"])
        segments.append(["ERR", component.join([*place, *[""] * (3 - len(place)), what])])
    text = "".join(bar.join(segment).rstrip(bar) + "\r" for segment in segments)
    return text.encode(charset or "iso-8859-1", errors="replace")


def _rejection(reason: str) -> bytes:
    """An answer to what has no usable header: nothing of it is repeated."""
    msh = f"MSH|^~\\&|||||{_now()}||ACK|{secrets.token_hex(10)}|P|2.3.1"
    return f"{msh}\rMSA|AR||{reason}\r".encode("ascii")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
