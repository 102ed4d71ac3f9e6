"""The audit receiver finds what is wrong with a message: each test spoils one thing of a right one."""

from __future__ import annotations

import base64
import socket
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from conformance.findings import Finding, Level
from conformance.simulators.audit_checks import judge
from conformance.simulators.audit_receiver import AuditReceiver
from conformance.simulators.receive import app
from conformance.simulators.syslog import FrameReader

HEADER = b"<85>1 2026-03-01T10:00:00.5+01:00 host.example product 4711 IHE+RFC-3881 - "
REQUEST = (
    b'<AdhocQueryRequest xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0">'
    b'<AdhocQuery xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" id="urn:uuid:q">'
    b"<Slot name=\"$patientId\"><ValueList><Value>'p^^^NS&amp;1.2&amp;ISO'</Value></ValueList></Slot>"
    b"</AdhocQuery></AdhocQueryRequest>"
)
END = "</AuditMessage>"


def coded(element: str, code: str, system: str = "DCM") -> str:
    return f'<{element} csd-code="{code}" codeSystemName="{system}" originalText="text"/>'


def participant(role: str, user: str, asks: str, process: str = "") -> str:
    us = f' AlternativeUserID="{process}"' if process else ""
    return (
        f'<ActiveParticipant UserID="{user}"{us} UserIsRequestor="{asks}" NetworkAccessPointID="h.example"'
        f' NetworkAccessPointTypeCode="1">{coded("RoleIDCode", role)}</ActiveParticipant>'
    )


def thing(kind: str, role: str, identifier: str, id_type: tuple[str, str], inside: str = "") -> str:
    return (
        f'<ParticipantObjectIdentification ParticipantObjectID="{identifier}" ParticipantObjectTypeCode="{kind}"'
        f' ParticipantObjectTypeCodeRole="{role}">{coded("ParticipantObjectIDTypeCode", *id_type)}{inside}'
        "</ParticipantObjectIdentification>"
    )


def message(event: str, action: str, transaction: str, participants: Sequence[str], objects: Sequence[str]) -> bytes:
    text = (
        f'<AuditMessage><EventIdentification EventActionCode="{action}" EventDateTime="2026-03-01T09:00:00Z"'
        f' EventOutcomeIndicator="0">{coded("EventID", event)}{coded("EventTypeCode", transaction, "IHE Transactions")}'
        f'</EventIdentification>{"".join(participants)}<AuditSourceIdentification AuditSourceID="s"/>'
        f"{''.join(objects)}{END}"
    )
    return HEADER + text.encode()


PATIENT = thing("1", "1", "p^^^&amp;1.2&amp;ISO", ("2", "RFC-3881"))
QUERY = thing(
    "2",
    "24",
    "urn:uuid:q",
    ("ITI-18", "IHE Transactions"),
    f"<ParticipantObjectQuery>{base64.b64encode(REQUEST).decode()}</ParticipantObjectQuery>"
    '<ParticipantObjectDetail type="QueryEncoding" value="VVRGLTg="/>',
)
DOCUMENT = thing(
    "2",
    "3",
    "1.2.3",
    ("9", "RFC-3881"),
    '<ParticipantObjectDetail type="Repository Unique ID" value="MS4yLjk="/>',
)
ASK = [participant("110153", "consumer", "true"), participant("110152", "https://r.example/q", "false", "12")]
GIVE = [participant("110153", "https://r.example/d", "false", "12"), participant("110152", "consumer", "true")]
QUERY_MESSAGE = message("110112", "E", "ITI-18", ASK, [PATIENT, QUERY])
RETRIEVE_MESSAGE = message("110106", "R", "ITI-43", GIVE, [PATIENT, DOCUMENT])


def findings(text: bytes) -> list[Finding]:
    return list(judge(text).findings)


@pytest.mark.parametrize("text", [QUERY_MESSAGE, RETRIEVE_MESSAGE])
def test_a_right_message_has_no_finding(text: bytes) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (b"<85>", b"<13>", "atna.header"),
        (b"<85>", b"<999>", "atna.header"),
        (b"<85>1", b"<85>2", "atna.header"),
        (b"2026-03-01T10:00:00.5+01:00", b"Mar 1 10:00:00", "atna.header"),
        (b"2026-03-01T10:00:00.5+01:00", b"2026-02-30T10:00:00Z", "atna.header"),
        (b"2026-03-01T10:00:00.5+01:00", b"2026-03-01T10:00:00", "atna.header"),
        (b"product", b"p" * 49, "atna.header"),
        (b" - <Audit", b" <Audit", "atna.header"),
        (b"</AuditMessage>", b"", "atna.schema"),
        (b' EventOutcomeIndicator="0"', b' EventOutcomeIndicator="1"', "atna.schema"),
        (b' UserIsRequestor="true"', b"", "atna.schema"),
        (b'value="VVRGLTg="', b'value="UTF-8"', "atna.schema"),
        (b'csd-code="110112"', b'csd-code="110106"', "atna.event_line"),
        (b'EventActionCode="E"', b'EventActionCode="R"', "atna.event_line"),
        (b'csd-code="ITI-18" codeSystemName="IHE Transactions" originalText="text"/></Ev', b'csd-code="ITI-16" '
         b'codeSystemName="IHE Transactions" originalText="text"/></Ev', "atna.event_line"),
        (b'csd-code="110153"', b'csd-code="110150"', "atna.participants"),
        (b"https://r.example/q", b"registry", "atna.participants"),
        (b'UserIsRequestor="false"', b'UserIsRequestor="true"', "atna.participants"),
        (b' AlternativeUserID="12"', b"", "atna.participants"),
        (b'NetworkAccessPointTypeCode="1"', b'NetworkAccessPointTypeCode="4"', "atna.participants"),
        (PATIENT.encode(), b"", "atna.objects"),
        (b"p^^^&amp;1.2&amp;ISO\"", b"q^^^&amp;1.2&amp;ISO\"", "atna.objects"),
        (b'csd-code="2" codeSystemName="RFC-3881"', b'csd-code="2" codeSystemName="DCM"', "atna.objects"),
        (QUERY.encode(), b"", "atna.objects"),
        (b'ParticipantObjectID="urn:uuid:q"', b'ParticipantObjectID="urn:uuid:other"', "atna.query_bytes"),
        (base64.b64encode(REQUEST), base64.b64encode(REQUEST[:-5]), "atna.query_bytes"),
        (base64.b64encode(REQUEST), base64.b64encode(b"<AdhocQuery/>"), "atna.query_bytes"),
    ],
)  # fmt: skip
def test_one_thing_spoiled_is_found(old: bytes, new: bytes, check: str) -> None:
    assert old in QUERY_MESSAGE
    found = findings(QUERY_MESSAGE.replace(old, new, 1))
    assert check in {finding.check for finding in found if finding.level is Level.MUST}


def test_f126_the_patient_of_get_all_is_demanded() -> None:
    (finding,) = findings(QUERY_MESSAGE.replace(PATIENT.encode(), b""))
    assert (finding.check, finding.found) == ("atna.objects", "none")


@pytest.mark.parametrize("name", [b"IHE+DICOM", b"IHE+RFC3881", b"ihe+rfc-3881", b"-"])
def test_f127_a_plausible_but_wrong_msgid(name: bytes) -> None:
    (finding,) = findings(QUERY_MESSAGE.replace(b"IHE+RFC-3881", name, 1))
    assert (finding.check, finding.expected, finding.level) == ("atna.header", "MSGID IHE+RFC-3881", Level.MUST)


def test_f128_the_letters_bom_are_found_and_the_mark_is_not() -> None:
    begin = QUERY_MESSAGE.index(b"<AuditMessage")
    marked = QUERY_MESSAGE[:begin] + b"\xef\xbb\xbf" + QUERY_MESSAGE[begin:]
    assert findings(marked) == []
    lettered = QUERY_MESSAGE[:begin] + b"BOM" + QUERY_MESSAGE[begin:]
    assert findings(lettered)[0].found == "the three letters BOM"


def test_f129_inverted_ends_of_a_retrieve_are_found() -> None:
    swap = [GIVE[0].replace("110153", "110152"), GIVE[1].replace("110152", "110153")]
    found = [finding.found for finding in findings(message("110106", "R", "ITI-43", swap, [PATIENT, DOCUMENT]))]
    assert any("inverted" in text for text in found)


def test_a_retrieve_whose_consumer_does_not_ask() -> None:
    quiet = [GIVE[0], GIVE[1].replace('"true"', '"false"')]
    (finding,) = findings(message("110106", "R", "ITI-43", quiet, [PATIENT, DOCUMENT]))
    assert finding.expected == "UserIsRequestor true at the destination, which called"


def frames(*data: bytes) -> tuple[list[bytes], list[bytes]]:
    """What a stream gives: right messages, and those of wrong frames."""
    reader = FrameReader()
    found = [frame for piece in data for frame in reader.feed(piece)]
    found += reader.end()
    return [f.message for f in found if not f.findings], [f.message for f in found if f.findings]


def test_frames_are_read_whatever_the_pieces() -> None:
    one = "<85>1 é".encode()
    stream = b"%d %b%d %b" % (len(one), one, 3, b"a\nb")
    for size in (1, 2, 3, 7, 100):
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert frames(*pieces) == ([one, b"a\nb"], [])


def test_a_length_in_characters_is_found_and_the_next_message_read() -> None:
    one = "<85>1 time é€".encode()
    right = b"<85>1 right"
    good, wrong = frames(b"%d %b%d %b" % (len(one.decode()), one, len(right), right))
    assert right in good
    assert len(wrong) == 1


def test_lines_instead_of_counts_are_found() -> None:
    good, wrong = frames(b"<85>1 a\n<85>1 b\n")
    assert (good, wrong) == ([], [b"<85>1 a\n", b"<85>1 b\n"])


def test_a_message_that_ends_too_early_is_found() -> None:
    assert frames(b"100 <85>1 half") == ([], [b"100 <85>1 half"])


def test_a_receiver_takes_several_messages_of_a_connection_and_marks_repetitions() -> None:
    framed = b"%d %b" % (len(QUERY_MESSAGE), QUERY_MESSAGE)
    with AuditReceiver(0) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.tcp or 0)) as connection:
            connection.sendall(framed + b"%d %b" % (len(RETRIEVE_MESSAGE), RETRIEVE_MESSAGE) + framed)
        assert receiver.wait_for(2, 10)
    assert [(one.transport, one.repeated, one.id) for one in receiver.received] == [
        ("tcp", False, "4711"),
        ("tcp", False, "4711"),
        ("tcp", True, "4711"),
    ]


@pytest.mark.parametrize("arguments", [[], ["--tls", "0"], ["--tls", "0", "--certificate", "/none.pem"]])
def test_wrong_use_of_the_command(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["receive", *arguments]).exit_code == 2
