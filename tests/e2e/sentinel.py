"""The person whose name and identifiers must stay in the store: messages full of them, and the search for them elsewhere."""

from __future__ import annotations

from pathlib import Path

from tests import samples
from tests.e2e import wire
from tests.e2e.server import RunningServer
from tests.e2e.wire import Message, Seen

NAME = "Zquxsentinel"
SENTINELS = (NAME, NAME.upper(), "7qx99042sentinel", "1.2.250.1.999.424242424")
PATIENT = f"7qx99042sentinel^^^&{samples.AUTHORITY}&ISO"
PERSON = f"899700000001^{NAME}^Anne^^^^^^&1.2.250.1.71.4.2.1&ISO"
OID = "1.2.250.1.999.424242424"
INFO = (f"PID-5|{NAME}^Anne^^^^^L", f"PID-3|{PATIENT}", "PID-7|19480229")
CDA = f"<ClinicalDocument><name>{NAME}</name></ClinicalDocument>".encode()


def deposit(number: int, data: bytes = CDA, **changes: object) -> wire.Deposit:
    """A deposit full of the person."""
    return wire.deposit(
        data,
        **{
            "mime_type": "text/xml",
            "unique_id": f"{OID}.{number}^{NAME}",
            "patient_id": PATIENT,
            "source_patient_id": PATIENT,
            "source_patient_info": INFO,
            "title": NAME,
            "comments": NAME,
            "authors": (samples.author(PERSON),),
            "legal_authenticator": PERSON,
            "uri": f"{NAME}.xml",
            **changes,
        },
    )


def register(**changes: object) -> Message:
    """A registration full of the person."""
    entry = samples.entry(
        patient_id=PATIENT, title=NAME, source_patient_info=INFO, authors=(samples.author(PERSON),), **changes
    )
    return wire.register(samples.submission(entry))


def check(server: RunningServer, message: Message, verdict: str) -> Seen:
    """Send, and demand that verdict."""
    seen = wire.send(server, message)
    assert seen.verdict == verdict, seen.text
    return seen


def clean(after: str, server: RunningServer) -> None:
    """No sentinel is in any file of the server's folder but database and documents."""
    kept = {server.data / "blobs", server.data / "quarantine"}
    searched = 0
    for path in (p for p in server.directory.rglob("*") if p.is_file()):
        if kept.intersection(path.parents) or path.name.startswith("liasse.sqlite"):
            continue
        searched += 1
        assert sentinels_in(path) == [], (after, path.name)
    assert searched >= 2


def sentinels_in(path: Path) -> list[str]:
    """The lines of a file that hold a sentinel, in any case."""
    return sentinels(path.read_bytes().decode("utf-8", "replace"))


def sentinels(text: str) -> list[str]:
    """The lines of a text that hold a sentinel, in any case."""
    return [line for line in text.splitlines() if any(each.lower() in line.lower() for each in SENTINELS)]
