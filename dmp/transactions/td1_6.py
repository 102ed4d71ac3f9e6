"""TD1.6 listAuthorizationByPatient: whom the patient authorised, whom he blocked.

1. decode: schema, which list. 2. decision, on the record of the assertion's patient. 3. the list. 4. the journal row,
committed before the answer leaves.
Source: DMP interface of professional software, TD1.6; PDT-INF-526.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from access_control.from_call import context_of
from dmp.record import Standing
from dmp.record_rows import find_standings
from dmp.transactions.host import ATTENDING, ENDPOINT, NAMESPACE, OK, Host, check_body, decide, unavailable
from ebrim.write import text
from journal.rows import Attempt, JournalRow
from soap.transaction import Body, Call, Transaction
from xds_metadata.patients import key_text, patient_column

NUMBER: Final = "TD1.6"
ACTION: Final = f"{NAMESPACE}:HabilitationsEndPoint:listAuthorizationByPatient"
LIST: Final = "authorisation-list"
"""The action of the journal's row."""

_N: Final = f"{{{NAMESPACE}}}"
_ACTIVE, _BLOCKED, _ALL = "ACTIVE", "INTERDITE", "TOUTE"


def decode(host: Host, call: Call) -> str:
    """Which list is wanted; all where none is named. Raises Fault."""
    check_body(host, call)
    return call.body.findtext(f"{_N}mode") or _ALL


def handle(host: Host, call: Call) -> Body:
    """Decide, read, journal, answer."""
    wanted: str = call.request
    ctx = context_of(call, host.clock)
    _, patient, decision = decide(host, ctx, LIST, authorised=True)
    with host.database.read() as connection:
        standings = find_standings(connection, patient)
    lines = [line for standing in standings for line in _lines(standing, wanted, ctx.at)]
    row = JournalRow(key_text(patient), LIST, (("mode", wanted),), decision, "Success", call.digest)
    host.database.write_short(host.record(ctx, [row]))
    return Body((_answer(lines),))


def _lines(standing: Standing, wanted: str, at: int) -> Iterator[str]:
    """The line of a party in the list that was asked for, if it is there."""
    if standing.blocked_since is not None:
        if wanted in (_BLOCKED, _ALL):
            yield _line(standing, _BLOCKED, standing.blocked_since)
    elif standing.declared_at is not None and standing.authorisation(at) == "valid" and wanted in (_ACTIVE, _ALL):
        yield _line(standing, _ACTIVE, standing.declared_at, *([ATTENDING] if standing.attends(at) else []))


def _line(standing: Standing, mode: str, since: int, *rights: str) -> str:
    party, named = standing.party, standing.named
    values = (
        ("nationalId", party.id),
        ("nationalIdType", party.authority),
        ("firstName", named.given),
        ("lastName", named.family),
        ("codeSpeciality", named.role),
        ("libSpeciality", named.role_text),
        ("startOfAuthorization", _time(since)),
        ("lastActionDate", _time(standing.changed_at)),
        ("mode", mode),
        *(("specificRight", right) for right in rights),
    )
    return "".join(f"<h:{name}>{text(value)}</h:{name}>" for name, value in values if value)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y%m%d%H%M%S")


def _answer(lines: list[str]) -> bytes:
    listed = "".join(f"<h:listOfAuthorizationByPatient>{line}</h:listOfAuthorizationByPatient>" for line in lines)
    return (
        f'<h:listAuthorizationByPatientResponse xmlns:h="{NAMESPACE}"><h:output>{listed}<h:status>{OK}</h:status>'
        "<h:context/></h:output></h:listAuthorizationByPatientResponse>"
    ).encode()


def asked(call: Call) -> Attempt:
    """What was asked about the record of the assertion's patient, for the row of a refusal."""
    wanted: str | None = call.request
    patient = patient_column(getattr(call.caller, "patient", "") or None)
    return Attempt(LIST, patient, (("mode", wanted),) if wanted else ())


def refuse(_host: Host, _call: Call, error: Exception) -> Body | None:
    """This transaction refuses by faults alone. Raises Fault."""
    unavailable(error)
    return None


def transaction(host: Host) -> Transaction:
    """The descriptor."""
    return Transaction(
        number=NUMBER,
        title="Authorised and blocked professionals",
        endpoint=ENDPOINT,
        request_actions=(ACTION,),
        response_action=f"{ACTION}Response",
        body_root=f"{_N}listAuthorizationByPatient",
        decode=lambda call: decode(host, call),
        handle=lambda call: handle(host, call),
        refuse=lambda call, error: refuse(host, call, error),
    )
