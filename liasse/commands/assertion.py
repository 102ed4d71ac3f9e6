"""`liasse assertion issue|verify|explain`: build a signed assertion from a card, and judge any."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from cryptography.hazmat.primitives.serialization import Encoding
from rich.text import Text

from access_control.subject import Coded
from liasse.commands import output
from liasse.commands.peers import ConfigOption, JsonOption, config_path, read_settings, usage
from liasse.settings import Settings
from liasse.wiring import wall_clock
from pki.errors import CertificateRefused, FilesError, TrustError
from pki.identity import CertificateIdentity, identity_of
from pki.rules import Purpose
from pki.testca import Card, Credentials
from pki.trust import Trust, read_anchors
from xua.attributes import Value
from xua.cards import CardError, Told, signing_key, vihf_of
from xua.explain import Inspector, Step
from xua.issue import XuaRequest, issue_xua
from xua.kinds.kind import load_kinds
from xua.kinds.vihf_table import NORMAL
from xua.settings import AssertionSettings, AssertionSettingsError

app = typer.Typer(help="Signed assertions: build one, or say of one what is right and wrong.", no_args_is_help=True)

Needed = TypeVar("Needed", Path, str)
_STYLES: Final = {"passed": output.GOOD, "failed": output.BAD, "skipped": output.NOTE}
_MARKS: Final = {"passed": "ok", "failed": "no", "skipped": "--"}

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="a SOAP message or a bare assertion; - for standard input")
]
AnchorOption = Annotated[
    list[Path] | None,
    typer.Option("--anchors", metavar="PEM", help="trusted authorities; else those of the settings. May be repeated"),
]
PeerOption = Annotated[
    Path | None, typer.Option("--peer", metavar="PEM", help="TLS client certificate that the assertion is bound to")
]
AudienceOption = Annotated[
    list[str] | None, typer.Option("--audience", help="audience of this server; else that of the settings. May be repeated")
]
AtOption = Annotated[str | None, typer.Option("--at", metavar="TIME", help="judge as of this time, 2024-01-31T12:00:00Z")]


@app.command()
def verify(
    file: FileArgument,
    config: ConfigOption = None,
    anchors: AnchorOption = None,
    peer: PeerOption = None,
    audience: AudienceOption = None,
    at: AtOption = None,
) -> None:
    """Say in one line whether an assertion would be accepted. Ends with 1 when it would not.

    Without --peer the binding to the TLS client is not judged. Revocation lists and first uses are the server's.
    """
    steps = _steps(file, config, anchors, peer, audience, at)
    failed = next((step for step in steps if step.outcome == "failed"), None)
    if failed is not None:
        output.complain(f"refused: {failed.check}: {failed.reason}: {failed.words}")
        raise typer.Exit(1)
    identity = next((step.words for step in steps if step.check == "identity"), "")
    output.console().print(output.lines(f"accepted: {identity}", output.GOOD), soft_wrap=True)


@app.command()
def explain(
    file: FileArgument,
    config: ConfigOption = None,
    anchors: AnchorOption = None,
    peer: PeerOption = None,
    audience: AudienceOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each check whether an assertion passes it, and why not, in the server's order.

    Ends with 1 when one fails. Checks after a failed one are asked all the same where they can be.
    """
    steps = _steps(file, config, anchors, peer, audience, at)
    if as_json:
        output.print_json([asdict(step) for step in steps])
    else:
        table = output.table("", "check", "found")
        for step in steps:
            reason = f"{step.reason}: " if step.reason else ""
            table.add_row(Text(_MARKS[step.outcome], _STYLES[step.outcome]), step.check, Text(reason + step.words))
        output.console().print(table)
    if any(step.outcome == "failed" for step in steps):
        raise typer.Exit(1)


@app.command()
def issue(
    card: Annotated[Path | None, typer.Option("--card", metavar="FOLDER", help="card or structure of the test PKI")] = None,
    kind: Annotated[str, typer.Option("--kind", help="vihf or xua")] = "vihf",
    mode: Annotated[str, typer.Option("--mode", help="DIRECTE, INDIRECTE or INDIRECTE_RENFORCEE; else as the card")] = "",
    access: Annotated[str, typer.Option("--access", help="normal, bris_de_glace or centre_15")] = NORMAL,
    reason: Annotated[str, typer.Option("--reason", help="why the glass is broken")] = "",
    patient: Annotated[str, typer.Option("--patient", metavar="CX", help="the patient concerned")] = "",
    edition: Annotated[str, typer.Option("--edition", help="edition of the VIHF: 2.0, 3.0 or 4.0")] = "3.0",
    secret: Annotated[bool, typer.Option("--secret", help="secret connection of a minor")] = False,
    user: Annotated[str, typer.Option("--user", help="national id of the user that a structure declares; user of XUA")] = "",
    name: Annotated[str, typer.Option("--name", help="name of the user")] = "",
    role: Annotated[list[str] | None, typer.Option("--role", metavar="CODE^OID", help="role of the user; repeated")] = None,
    purpose: Annotated[str, typer.Option("--purpose", metavar="CODE^OID", help="purpose of use of XUA")] = "",
    audience: Annotated[str, typer.Option("--audience", help="audience of XUA")] = "",
    issuer: Annotated[str, typer.Option("--issuer", help="issuer of XUA")] = "urn:liasse:sts",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="PEM", help="signs XUA; its .key file stands beside it")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="a new file; else standard output")] = None,
) -> None:
    """Build and sign an assertion: a VIHF with a card or a structure's kit, or an XUA assertion with any certificate."""
    roles = tuple(_coded(text, "--role") for text in role or ())
    try:
        if kind == "vihf":
            told = Told(mode, access, reason, patient, edition, secret, user, name, roles)
            data = vihf_of(Card.load(_needed(card, "--card")), told, wall_clock())
        elif kind == "xua":
            values: dict[str, tuple[Value, ...]] = {"roles": roles}
            values |= {key: (text,) for key, text in (("name", name), ("patient", patient)) if text}
            if purpose:
                values["purpose"] = (_coded(purpose, "--purpose"),)
            request = XuaRequest(_needed(user, "--user"), issuer, _needed(audience, "--audience"), values)
            data = issue_xua(request, signing_key(_credentials(card, certificate)), wall_clock())
        else:
            raise usage(f"--kind {kind}: vihf or xua is expected")
    except (CardError, FilesError) as error:
        output.complain(str(error))
        raise typer.Exit(1) from error
    _write(data, out)


def _credentials(card: Path | None, certificate: Path | None) -> Credentials:
    if certificate is not None:
        return Credentials(certificate, certificate.with_suffix(".key"), certificate.with_name("chain.pem"))
    return Card.load(_needed(card, "--card or --certificate")).signature


def _steps(
    file: Path,
    config: Path | None,
    anchors: list[Path] | None,
    peer: Path | None,
    audience: list[str] | None,
    at: str | None,
) -> tuple[Step, ...]:
    settings = read_settings(config_path(config))
    told = _assertion_settings(settings, audience)
    try:
        kinds = load_kinds(told.kinds)
        trusted = read_anchors((str(place), place.read_bytes()) for place in anchors or told.anchors)
        trust = Trust({Purpose.ASSERTION: trusted, Purpose.STS: trusted})
        client = None if peer is None else _peer(peer)
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except (AssertionSettingsError, TrustError, CertificateRefused) as error:
        raise usage(str(error)) from error
    except OSError as error:
        raise usage(f"{error.filename}: {error.strerror}") from error
    return Inspector(trust, told, kinds, _moment(at), client).explain(data)


def _assertion_settings(settings: Settings, audience: list[str] | None) -> AssertionSettings:
    table = settings.assertions
    ours = tuple(audience or table.audience or ([settings.server.public_url] if settings.server.public_url else []))
    return AssertionSettings(
        required=table.required,
        kinds=table.kinds,
        anchors=table.anchors,
        audience=ours,
        roles=table.roles,
        purposes=table.purposes,
        authn_contexts=table.authn_contexts,
        max_age=table.max_age,
        skew=table.skew,
        legacy=table.legacy,
        one_time=table.one_time,
    )


def _peer(place: Path) -> CertificateIdentity:
    (certificate, *_rest) = read_anchors([(str(place), place.read_bytes())])
    return identity_of(certificate.public_bytes(Encoding.DER))


def _moment(at: str | None) -> int:
    if at is None:
        return wall_clock()
    try:
        moment = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError as error:
        raise usage(f"--at {at}: a time such as 2024-01-31T12:00:00Z is expected") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _coded(text: str, option: str) -> Coded:
    code, _, system = text.partition("^")
    if not code or not system:
        raise usage(f"{option} {text}: code^OID is expected")
    return Coded(code, system)


def _needed(value: Needed | None, option: str) -> Needed:
    if not value:
        raise usage(f"{option} is needed")
    return value


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data + b"\n")
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise usage(f"{out}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
