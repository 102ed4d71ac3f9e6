"""The patient feed's messages: what becomes known, what is refused, what the acknowledgement looks like."""

from __future__ import annotations

from collections.abc import Sequence

import hl7
import pytest

from database.errors import DatabaseBusy
from xds_registry.iti8 import FeedDomain, answer

AUTHORITY = "1.3.6.1.4.1.21367.13.20.1000"
DOMAIN = FeedDomain((AUTHORITY,))
KNOWN = f"P-1^^^&{AUTHORITY}&ISO"


class Patients:
    """What the feed made known, in order."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def __call__(self, identifiers: Sequence[str], /) -> None:
        self.known += identifiers


def adt(
    event: str = "A01",
    pid3: str = f"P-1^^^IHERED&{AUTHORITY}&ISO",
    name: str = "Demo^Anne",
    charset: str = "",
    end: str = "\r",
    last: str = "\r",
    control: str = "M-77",
    kind: str = "ADT",
) -> str:
    segments = [
        f"MSH|^~\\&|PIX|HOSP|REG|LAB|20261125120000||{kind}^{event}^ADT_A01|{control}|P|2.3.1||||||{charset}",
        f"EVN|{event}|20261125120000",
        f"PID|1||{pid3}||{name}||19700101|F",
        "PV1|1|O",
    ]
    return end.join(segments) + last


def send(message: str | bytes, domain: FeedDomain = DOMAIN, patients: Patients | None = None) -> tuple[bytes, list[str]]:
    """The raw acknowledgement and what became known."""
    register = patients or Patients()
    raw = message.encode("utf-8") if isinstance(message, str) else message
    return answer(raw, domain, register), register.known


def verdict(raw: bytes) -> str:
    return str(hl7.parse(raw)["MSA"][0][1])


@pytest.mark.parametrize("event", ["A01", "A04", "A05"])
def test_registering_events_make_the_identifier_known(event: str) -> None:
    raw, known = send(adt(event))
    assert verdict(raw) == "AA"
    assert known == [KNOWN]


def test_an_update_of_demographics_is_acknowledged_and_ignored() -> None:
    raw, known = send(adt("A08"))
    assert (verdict(raw), known) == ("AA", [])


@pytest.mark.parametrize("event", ["A40", "A43", "A03", "A28", ""])
def test_other_events_are_refused_for_now(event: str) -> None:
    raw, known = send(adt(event))
    assert (verdict(raw), known) == ("AE", [])
    assert b"ERR|MSH^1^9^201&Unsupported event code&HL70357\r" in raw


def test_another_kind_of_message_is_refused() -> None:
    raw, known = send(adt("R01", kind="ORU"))
    assert (verdict(raw), known) == ("AE", [])
    assert b"ERR|MSH^1^9^200&Unsupported message type&HL70357\r" in raw


def test_the_acknowledgement_exchanges_sender_and_receiver_and_echoes_the_control_id() -> None:
    raw, _ = send(adt("A04", charset="UNICODE UTF-8"))
    header, acknowledged, rest = raw.decode().split("\r")
    fields = header.split("|")
    assert fields[:6] == ["MSH", "^~\\&", "REG", "LAB", "PIX", "HOSP"]
    assert fields[8] == "ACK^A04"
    assert fields[9]
    assert fields[9] != "M-77"
    assert fields[10:12] == ["P", "2.3.1"]
    assert fields[17] == "UNICODE UTF-8"
    assert acknowledged == "MSA|AA|M-77"
    assert rest == "", "the last segment ends with CR"


def test_every_acknowledgement_has_its_own_control_id() -> None:
    first, second = (send(adt())[0].split(b"|")[9] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (f"P-1^^^&{AUTHORITY}&ISO", [KNOWN]),
        (f"P-1^^^IHERED&{AUTHORITY}", [KNOWN]),
        ("P-1^^^IHERED", [KNOWN]),
        ("P-1", [KNOWN]),
        (f"X-9^^^HOSP&1.2.3&ISO~P-1^^^&{AUTHORITY}&ISO", [KNOWN]),
        (f"X-9^^^HOSP~P-1^^^&{AUTHORITY}&ISO", [KNOWN]),
        (f"P-1^^^&{AUTHORITY}&ISO~P-2^^^&{AUTHORITY}&ISO^PI", [KNOWN, f"P-2^^^&{AUTHORITY}&ISO"]),
        (f"P-1^^^&{AUTHORITY}&ISO~P-1^^^IHERED&{AUTHORITY}&ISO", [KNOWN]),
        (f"A\\T\\B^^^&{AUTHORITY}&ISO", [f"A\\T\\B^^^&{AUTHORITY}&ISO"]),
    ],
)
def test_which_identifiers_become_known(given: str, known: list[str]) -> None:
    raw, found = send(adt(pid3=given))
    assert verdict(raw) == "AA"
    assert found == known


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", 101),
        (f"^^^&{AUTHORITY}&ISO", 101),
        ("X-9^^^&1.02&ISO", 102),
        (f"A\\X41\\^^^&{AUTHORITY}&ISO", 102),
        (f"A\\T^^^&{AUTHORITY}&ISO", 102),
    ],
)
def test_identifiers_that_are_refused(given: str, code: int) -> None:
    raw, known = send(adt(pid3=given))
    assert (verdict(raw), known) == ("AE", [])
    assert f"ERR|PID^1^3^{code}&".encode() in raw


@pytest.mark.parametrize(
    "given", ["X-9^^^HOSP&1.2.3&ISO", f"X-9^^^&{AUTHORITY}&DNS", "X-9^^^&1.2.3&ISO~X-8^^^&example.org&DNS"]
)
def test_identifiers_of_other_authorities_alone_are_ignored(given: str) -> None:
    raw, known = send(adt(pid3=given))
    assert (verdict(raw), known) == ("AA", [])


def test_without_configured_authorities_every_complete_identifier_is_kept() -> None:
    raw, known = send(adt(pid3="1^^^&1.2.3&ISO~2^^^LOCAL~3^^^&1.2.4&ISO"), FeedDomain())
    assert verdict(raw) == "AA"
    assert known == ["1^^^&1.2.3&ISO", "3^^^&1.2.4&ISO"]
    assert verdict(send(adt(pid3="2^^^LOCAL"), FeedDomain())[0]) == "AE"


def test_an_incomplete_identifier_is_not_guessed_when_the_domain_has_two_authorities() -> None:
    for given in ("2^^^LOCAL", "2^^^LOCAL~3^^^&1.2.9&ISO"):
        raw, known = send(adt(pid3=given), FeedDomain(("1.2.3", "1.2.4")))
        assert (verdict(raw), known) == ("AE", [])
        assert b"ERR|PID^1^3^204&" in raw


def test_two_patients_in_one_message_are_refused() -> None:
    raw, known = send(adt() + f"PID|2||P-2^^^&{AUTHORITY}&ISO\r")
    assert (verdict(raw), known) == ("AE", [])
    assert b"ERR|PID^1^^100&Segment sequence error&HL70357\r" in raw


def test_a_message_without_control_id_is_refused() -> None:
    raw, known = send(adt(control=""))
    assert (verdict(raw), known) == ("AE", [])
    assert b"ERR|MSH^1^10^101&" in raw


def test_escapes_in_a_name_do_no_harm() -> None:
    raw, known = send(adt(name="Demo \\T\\ Fils^Anne"))
    assert (verdict(raw), known) == ("AA", [KNOWN])


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("8859/1", "iso-8859-1"), ("8859/15", "iso-8859-15"), ("UNICODE UTF-8", "utf-8"), ("", "utf-8"), ("", "iso-8859-1")],
)
def test_names_in_every_character_set_are_read(declared: str, codec: str) -> None:
    raw, known = send(adt(name="Déméter^Zoé", charset=declared).encode(codec))
    assert (verdict(raw), known) == ("AA", [KNOWN])


def test_an_unknown_character_set_is_refused_and_a_wrong_one_not_understood() -> None:
    raw, known = send(adt(charset="KS X 1001"))
    assert (verdict(raw), known) == ("AE", [])
    assert b"ERR|MSH^1^18^103&" in raw
    raw, known = send(adt(name="Zoé", charset="UNICODE UTF-8").encode("iso-8859-1"))
    assert (verdict(raw), known) == ("AR", [])


@pytest.mark.parametrize("last", ["\r", "", "\r\n", "\r\r\n\r"])
@pytest.mark.parametrize("event", ["A04", "A08"])
def test_line_ends_after_the_last_segment_are_no_segment(event: str, last: str) -> None:
    assert verdict(send(adt(event, last=last))[0]) == "AA"


@pytest.mark.parametrize("end", ["\r\r", "\r\n", "\n", "\r\n\r\n"])
def test_doubled_and_foreign_line_ends_between_segments(end: str) -> None:
    raw, known = send(adt(end=end, last=end))
    assert (verdict(raw), known) == ("AA", [KNOWN])


def test_other_separators_are_understood_and_used_in_the_answer() -> None:
    message = adt(pid3=f"A_T_B^^^IHERED&{AUTHORITY}&ISO").replace("\\&", "_&", 1)
    swapped = message.translate(str.maketrans("|^&", "*!%"))
    raw, known = send(swapped)
    assert known == [f"A%B^^^&{AUTHORITY}&ISO"]
    assert raw.startswith(b"MSH*!~_%*REG*LAB*PIX*HOSP*")
    assert b"MSA*AA*M-77\r" in raw


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"MSH",
        b"MSH|",
        b"MSH|^~\\",
        b"MSH|||||||",
        b"MSHA^~\\&A",
        b"EVN|A01\rMSH|^~\\&|",
        b"PID|1",
        b"\x00" * 50,
        adt().encode() + b"\x0b" + adt().encode(),
        adt(name="x" * 70_000).encode(),
        adt().encode("utf-16"),
    ],
)
def test_what_is_no_message_is_rejected_with_a_proper_answer(message: bytes) -> None:
    raw, known = send(message)
    parsed = hl7.parse(raw)
    assert (str(parsed["MSA"][0][1]), known) == ("AR", [])
    assert raw.endswith(b"\r")
    assert str(parsed["MSH"][0][9]) == "ACK"


def test_a_store_that_is_busy_is_an_error_and_not_an_acceptance() -> None:
    def busy(_identifiers: Sequence[str], /) -> None:
        raise DatabaseBusy("no turn in time")

    raw = answer(adt().encode(), DOMAIN, busy)
    assert verdict(raw) == "AE"
    assert b"ERR|PID^1^3^207&Application internal error&HL70357\r" in raw
    assert b"MSA|AE|M-77|" in raw


def test_the_answer_never_repeats_the_patient() -> None:
    for message in (adt(pid3="X-9^^^HOSP&1.2.3&ISO", name="Sentinelle^Zoé"), adt("A40", name="Sentinelle^Zoé")):
        raw, _ = send(message)
        assert b"Sentinelle" not in raw
        assert b"X-9" not in raw
